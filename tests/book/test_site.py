"""The built site, as a reader meets it: links, pictures, notes on data."""

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

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
pytestmark = pytest.mark.book


def build():
    """Build the site on the stand-ins, as a stranger does."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COMPANION_")}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, ROOT / "book" / "build.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, time.perf_counter() - start


@pytest.fixture(scope="module")
def site():
    said, seconds = build()
    print(said, f"{seconds:.0f} s")
    if memory := re.search(r"at most (\d+) MB each", said):
        assert int(memory.group(1)) < 2000, "a chapter needs more than 2 GB at the quick budget"
    return {
        page: BeautifulSoup((SITE / f"{page}.html").read_text(), "html.parser") for page in PAGES
    }


def article(soup):
    return soup.find("article")


def test_a_second_build_takes_seconds(site):
    said, seconds = build()
    assert "Nothing changed" in said
    assert seconds < 10


def test_no_quick_page_takes_three_minutes_beside_another(site):
    """A page alone takes under one; two that train side by side on a busy machine take longer."""
    rows = site["book/build-status"].find_all("tr")
    seconds = {
        row.find_all("td")[0].get_text(strip=True): float(row.find_all("td")[3].get_text())
        for row in rows
        if row.find("a", href=re.compile(r"\.html$"))
    }
    assert len(seconds) >= 13, "the table of chapters is not there"
    assert max(seconds.values()) < 180, seconds


@pytest.mark.parametrize("page", PAGES)
def test_internal_links_lead_somewhere(site, page):
    anchors = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in site.items()}
    broken = []
    for link in article(site[page]).find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme or link["href"].startswith("mailto:"):
            continue
        path = (SITE / f"{page}.html").parent / unquote(parts.path) if parts.path else None
        target = (path or SITE / f"{page}.html").resolve()
        if not target.exists():
            broken.append(link["href"])
            continue
        name = target.relative_to(SITE.resolve()).with_suffix("").as_posix()
        if parts.fragment and name in anchors and unquote(parts.fragment) not in anchors[name]:
            broken.append(link["href"])
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_pictures_say_what_is_to_be_seen(site, page):
    for image in article(site[page]).find_all("img"):
        alt = image.get("alt", "")
        assert len(alt) > 15, image
        assert not alt.startswith(("../_images", "_images")), image


@pytest.mark.parametrize("page", PAGES)
def test_headings_and_tables_are_in_order(site, page):
    levels = [int(tag.name[1]) for tag in article(site[page]).find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    for table in article(site[page]).find_all("table"):
        assert table.find("th"), f"a table without a header: {str(table)[:300]}"


@pytest.mark.parametrize("page", PAGES)
def test_no_script_of_another_site_is_named(page):
    text = (SITE / f"{page}.html").read_text()
    assert "THEBE_JS_URL" not in text
    for script in re.findall(r"<script\b[^>]*\bsrc=\"([^\"]+)", text):
        assert not urlsplit(script).netloc, script


@pytest.mark.parametrize("page", PAGES)
def test_no_cell_complains(site, page):
    text = article(site[page])
    assert not text.select(".stderr, .output.traceback")
    shown = " ".join(output.get_text() for output in text.select("div.cell_output"))
    for fault in (
        "Traceback (most recent",
        "<Figure size",
        "Warning:",
        "nan%",
        "np.float",
        "np.int",
    ):
        assert fault not in shown


@pytest.mark.parametrize(
    "page",
    [
        p
        for p in PAGES
        if re.search(r"(open_dataset|cooked_data)\(", (ROOT / f"{p}.md").read_text())
    ],
)
def test_a_page_says_on_which_data_it_ran(site, page):
    """Built without the real images, each says that it ran on a sample or on drawn signs."""
    shown = article(site[page]).get_text()
    assert "packaged sample of MNIST" in shown or "synthetic stand-in" in shown


@pytest.mark.parametrize("page", PAGES)
def test_reading_asks_no_other_site(site, page):
    soup = site[page]
    asked = [
        *(tag["src"] for tag in soup.find_all(["script", "img", "iframe"], src=True)),
        *(tag["href"] for tag in soup.find_all("link", href=True) if "canonical" not in tag["rel"]),
    ]
    assert [url for url in asked if urlsplit(url).netloc] == []
    for script in soup.find_all("script", src=True):
        assert ((SITE / f"{page}.html").parent / urlsplit(script["src"]).path).is_file(), script


def test_pages_with_real_results_give_the_command_that_made_them(site):
    for page in ("book/mnist-dense", "book/mnist-cnn", "book/gtsrb-first-network"):
        assert "companion train" in article(site[page]).get_text()
