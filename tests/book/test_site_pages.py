"""Every page of the built site in Chromium: no complaint, no other site, no sideways scrolling.

Named so that it comes after test_site.py, which builds the site.
"""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PAGES = [
    "index",
    *(
        chapter["file"]
        for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
        for chapter in part["chapters"]
    ),
]
WIDTHS = (320, 768, 1440)
pytestmark = pytest.mark.book


@pytest.fixture(scope="module", autouse=True)
def built():
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: test_site.py builds it, or make book")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_alone_and_fits(chromium, page):
    """From a file, as a reader without network opens it."""
    said, asked = [], []
    context = chromium.new_context(viewport={"width": WIDTHS[-1], "height": 900})
    tab = context.new_page()
    tab.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    tab.goto((SITE / f"{page}.html").as_uri(), wait_until="load")
    tab.wait_for_function("window.MathJax?.startup?.promise ?? true")
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    wide = {}
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        found = tab.evaluate("document.documentElement.scrollWidth")
        if found > width:
            wide[width] = found
    assert wide == {}
    context.close()
