"""The map, the line under titles, previous and next, and the downloads of the built site.

Named so that it comes after test_site.py, which builds the site.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
PAGES = [chapter["file"] for part in PARTS for chapter in part["chapters"]]
WITH_CELLS = [page for page in PAGES if "{code-cell}" in (ROOT / f"{page}.md").read_text()]
# What a scheduler's job printed once, on signs drawn for it, and a page shows.
JOB = "(synthetic stand-in, scale 0.01, seed 0)"
pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: test_site.py builds it, or make book")
    return {
        page: BeautifulSoup((SITE / f"{page}.html").read_text(), "html.parser")
        for page in ("index", *PAGES)
    }


def test_every_page_is_on_the_map_and_comes_after_what_it_needs(site):
    rows = site["index"].select(".book-map li.page")
    links = [row.find("a")["href"].removesuffix(".html") for row in rows]
    assert links == PAGES
    assert [row.get_text() for row in site["index"].select(".book-map li.part")] == [
        "Part I: Convolution",
        "Part II: MNIST",
        "Part III: Traffic signs (GTSRB)",
        "Part IV: Beyond",
        "Appendix",
    ]
    said = {link: row.get_text(" ") for link, row in zip(links, rows, strict=True)}
    assert "after 1 and 2" in said["book/convolution"], "read from its own Before you start"
    assert re.search(r"\d+ min · level 1", said["book/convolution"])
    for number, link in enumerate(links[: len(WITH_CELLS) - 2], 1):
        words = re.search(r"after ([^)]*)", said[link])
        needed = [int(each) for each in re.findall(r"\b\d+\b", words.group(1))] if words else []
        assert all(each < number for each in needed), f"{link} comes before what it needs"
    lines = site["index"].select(".book-map .line")
    assert len(lines) >= 15
    assert all(line["aria-hidden"] == "true" for line in lines), "the words say it too"


def test_ways_through_the_book_say_how_long_they_take(site):
    ways = [item for item in site["index"].select("li") if "→" in item.get_text()]
    assert len(ways) >= 3
    for way in ways:
        assert re.search(r"About [\d½]+ (hours|minutes):", way.get_text())
        assert all((SITE / link["href"]).is_file() for link in way.find_all("a"))


@pytest.mark.parametrize("page", WITH_CELLS)
def test_one_line_says_part_minutes_and_data(site, page):
    (line,) = site[page].select("p.page-head")
    assert line.find_previous_sibling().name == "h1"
    said = {span["class"][0]: span.get_text() for span in line.find_all("span", class_=True)}
    assert re.fullmatch(r"\d+ min to read", said["minutes"])
    assert re.fullmatch(r"(a second|\d+ s|\d min) to run", said["seconds"])
    assert said["part"] == "Appendix" or re.match(r"Part [IV]+: ", said["part"])
    if page == "book/build-status":
        return  # opens both data sets to say what they are, and that is all it shows
    # Built without the real images: whatever a cell's own note says, the line says in short.
    notes = " ".join(each.get_text() for each in site[page].select("div.cell_output"))
    if "packaged sample of MNIST" in notes:
        assert "a sample of MNIST (stand-in)" in said["data"]
    if "synthetic stand-in" in notes.replace(JOB, ""):
        assert "drawn traffic signs (stand-in)" in said["data"]


def test_pages_without_cells_have_no_such_line(site):
    for page in {"index", *PAGES} - set(WITH_CELLS):
        assert not site[page].select("p.page-head")


@pytest.mark.parametrize("page", PAGES)
def test_previous_and_next_follow_the_table_of_contents(site, page):
    order = ["index", *PAGES]
    place = order.index(page)
    here = (SITE / page).parent
    for choice, neighbour in [("left-prev", place - 1), ("right-next", place + 1)]:
        links = site[page].select(f"a.{choice}")
        wanted = [(SITE / order[neighbour]).with_suffix(".html")] if neighbour < len(order) else []
        assert [(here / link["href"]).resolve() for link in links] == wanted


@pytest.mark.parametrize("page", WITH_CELLS)
def test_a_chapter_is_offered_with_outputs_as_a_script_and_as_its_source(site, page):
    links = {
        Path(link["href"]).suffix: (SITE / page).parent / link["href"]
        for link in site[page].select(".dropdown-download-buttons a")
    }
    assert set(links) >= {".ipynb", ".py", ".md"}
    notebook = nbformat.read(links[".ipynb"], as_version=4)
    nbformat.validate(notebook)
    assert "keep it in the folder `book/`" in notebook.cells[0].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in code) >= min(3, len(code))
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    drawn = site[page].select("div.cell_output img[src$='.png']")
    assert len(pictures) >= len(drawn)
    assert all(len(each["data"]["image/png"]) > 100 for each in pictures)
    kinds = {kind for cell in code for o in cell.outputs for kind in o.get("data", {})}
    assert not [kind for kind in kinds if "papermill" in kind], "numbers for the prose alone"
    assert "application/pdf" not in kinds, "a figure twice"
    script = links[".py"].read_text()
    ast.parse(script)
    assert all(cell.source.splitlines()[0] in script for cell in code if cell.source)
    assert "{code-cell}" in links[".md"].read_text()
