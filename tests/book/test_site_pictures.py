"""How the heads of pages, and a widget in its page, look in the built site at three widths.

What a build measures, and the list of chapters, are left out: they change with every chapter.
CONTRIBUTING.md says how to accept new pictures.
"""

from pathlib import Path

import pictures
import pytest

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
pytestmark = pytest.mark.book
# A page, and the last element of its head.
HEADS = {"index": ".sd-container-fluid", "book/pooling": ".page-head"}
STABLE = """() => {
    for (const each of document.querySelectorAll(".bd-links, .page-toc"))
        each.style.visibility = "hidden";
    for (const each of document.querySelectorAll(".page-head :is(.minutes, .seconds)"))
        each.textContent = "0 min";
}"""


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_a_page_looks_as_accepted(chromium, width):
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: test_site.py builds it, or make book")
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    tab = context.new_page()
    faults = []
    for name, last in HEADS.items():
        tab.goto((SITE / f"{name}.html").as_uri(), wait_until="load")
        pictures.steady(tab)
        if name == "index":  # the widget's photograph is decoded behind the page
            tab.wait_for_selector("figcaption:has-text('320 × 240')")
        tab.evaluate(STABLE)
        box = tab.locator(f"article {last}").first.bounding_box()
        clip = {"x": 0, "y": 0, "width": width, "height": round(box["y"] + box["height"]) + 8}
        label = f"{Path(name).name}-head-{width}"
        faults.append(pictures.compare(tab.screenshot(clip=clip, full_page=True), label))
    # Opened last: the second page is that of a widget.
    tab.set_viewport_size({"width": width, "height": 2800})
    tab.locator("kc-pooling").scroll_into_view_if_needed()
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    tab.evaluate(pictures.DRAWN)
    shot = tab.locator("kc-pooling > .kc-stage").screenshot()
    faults.append(pictures.compare(shot, f"pooling-in-page-{width}"))
    context.close()
    assert [fault for fault in faults if fault] == []
