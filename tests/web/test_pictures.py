"""How the widgets look, at three widths, against pictures that somebody has looked at.

CONTRIBUTING.md says how to accept new ones.
"""

import pictures
import pytest

pytestmark = pytest.mark.browser
WIDTHS = (320, 768, 1440)


def convolution(page):
    page.get_by_label("Numbers", exact=True).select_option("digit")
    page.get_by_label("Kernel", exact=True).select_option("corner")
    page.get_by_label("flip the kernel (convolution)").check()
    for name in ("Show all", "Step", "Step"):
        page.get_by_role("button", name=name).click()


def padding(page):
    page.get_by_label("Try", exact=True).select_option("even")
    page.get_by_label("Show", exact=True).select_option("2")
    page.get_by_role("button", name="Step").click()


def channels(page):
    for label, value in (("channels in, C", "3"), ("filters, F", "64"), ("filter shown", "7")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Step").click()


def pooling(page):
    page.get_by_label("Numbers", exact=True).select_option("odd")
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Step").click()
    page.get_by_label("window k", exact=True).fill("99")  # the box says what it takes


def network(page):
    page.locator(".kc-layer").nth(3).click()
    page.get_by_label("kernel").fill("14")  # too large: the row says why


def classify(page):
    page.get_by_role("button", name="a written 5").click()


def filter(page):
    page.get_by_label("Kernel", exact=True).select_option("laplacian")
    page.get_by_label("Second layer", exact=True).select_option("blur")


STEPS = {
    each.__name__: each
    for each in (convolution, padding, channels, pooling, network, classify, filter)
}


# What is cut off, hidden below something else, or outside of the widget, in any font.
FAULTS = """stage => {
    const faults = [], texts = [], around = stage.getBoundingClientRect();
    const words = (each) => each.textContent.trim().slice(0, 40);
    const shown = (each) => each.checkVisibility({ visibilityProperty: true })
        && getComputedStyle(each).clipPath === "none" && !each.closest("thead, select");
    for (const each of stage.querySelectorAll("*")) {
        if (!shown(each)) continue;
        const box = each.getBoundingClientRect();
        const scrolls = each.parentElement.closest(".kc-cells-box, pre");
        if (!scrolls && (box.left < around.left - 1 || box.right > around.right + 1))
            faults.push(`outside: ${words(each)}`);
        const block = getComputedStyle(each).display !== "inline";
        if (each.matches("button, td, th, label") && block
            && each.scrollWidth > each.clientWidth + 2)
            faults.push(`cut off: ${words(each)}`);
    }
    const walker = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode;
        if (!text.data.trim() || !shown(text.parentElement)) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const box of range.getClientRects()) if (box.width > 1) texts.push([box, words(text)]);
    }
    for (const [i, [a, one]] of texts.entries()) for (const [b, other] of texts.slice(i + 1)) {
        const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (width > 2 && height > 0.4 * Math.min(a.height, b.height))
            faults.push(`over each other: ${one} | ${other}`);
    }
    return faults;
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", STEPS)
def test_a_widget_looks_as_accepted(chromium, widget_site, name, width):
    context = chromium.new_context(
        # So high that nothing has to be scrolled, below the bar of the theme.
        viewport={"width": width, "height": 2800},
        color_scheme="light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto((widget_site / f"{name}.html").as_uri(), wait_until="load")
    stage = page.locator(f"kc-{name} > .kc-stage")
    faults = []

    def look(state):
        page.evaluate("document.activeElement.blur()")
        page.mouse.move(0, 0)
        page.evaluate(pictures.DRAWN)
        faults.append(pictures.compare(stage.screenshot(), f"{name}-{width}-{state}"))
        faults.extend(f"{state}: {fault}" for fault in stage.evaluate(FAULTS))

    faults.extend(f"in this machine's font: {fault}" for fault in stage.evaluate(FAULTS))
    pictures.steady(page)
    if name == "filter":  # its photograph is decoded behind the page
        page.wait_for_selector("figcaption:has-text('320 × 240')")
    look("begin")
    STEPS[name](page)
    if width == 768:
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    look("dark" if width == 768 else "used")
    context.close()
    assert [fault for fault in faults if fault] == []
