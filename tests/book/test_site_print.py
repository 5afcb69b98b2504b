"""The PDF and the epub: every page is in them, and nothing is lost that the site shows.

Named so that it comes after test_site.py, which runs the chapters and builds the site.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("kept", ROOT / "book/_ext/print_outputs.py")
print_outputs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(print_outputs)
SITE = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "from-kernel-to-cluster.pdf"
EPUB = PDF.with_suffix(".epub")
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
VERDICTS = ("Right.", "Notthisone.")  # what the script says of a choice; print has the answer
PAGES = ["index", *(chapter["file"] for part in PARTS for chapter in part["chapters"])]
LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"}
# Paper knows no difference between these, or shows one that is not in the text: where a line of
# code is broken, an open box and an arrow; where a word is, a hyphen.
UNSEEN = re.compile(r"[\s\u00ad‐‑\-␣↪→'’‘`\"“”]+")
pytestmark = [pytest.mark.book, pytest.mark.slow]


def build(kind):
    """Make the PDF or the epub of the stand-ins, as a stranger does."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COMPANION_")}
    done = subprocess.run(
        [sys.executable, ROOT / "book" / "build.py", "--builder", kind],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def need(**programs):
    """Skip where a program is missing, and say which package has it."""
    for program, package in programs.items():
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: on Debian and Ubuntu, apt-get install {package}")


def squeezed(text):
    """Keep what can be compared between a page that flows and one that is set."""
    for ligature, letters in LIGATURES.items():
        text = text.replace(ligature, letters)
    return UNSEEN.sub("", text)


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: test_site.py builds it, or make book")
    pages = {}
    for page in PAGES:
        soup = BeautifulSoup((SITE / f"{page}.html").read_text(), "html.parser").find("article")
        for tag in soup.select(".headerlink, .section-number, summary, .sd-btn"):
            tag.decompose()
        as_printed(soup)
        pages[page] = soup
    return pages


def as_printed(soup):
    """Change what a book says otherwise than a site: see ``print_outputs.ReadAsBook``."""
    for code in soup.select(".cell_input pre"):
        if "glue" in code.get_text():
            code.string = print_outputs.without_machinery(code.get_text())
    for text in soup.find_all(string="✅"):
        text.replace_with("✓")
    for text in soup.find_all(string=re.compile(r"\b[Tt]his page\b")):
        if not text.find_parent(["pre", "code"]):
            text.replace_with(print_outputs.this_chapter(text))


@pytest.fixture(scope="module")
def pdf():
    """Give the words of the PDF, without the lines at the head and the foot of its pages."""
    need(xelatex="texlive-xetex", latexmk="latexmk", pdftotext="poppler-utils")
    build("pdf")
    words = ["pdftotext", "-layout", "-x", "0", "-y", "60", "-W", "595", "-H", "722", PDF, "-"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return squeezed(done.stdout)


@pytest.fixture(scope="module")
def epub():
    """Give the pages of the epub."""
    build("epub")
    with zipfile.ZipFile(EPUB) as packed:
        pages = {
            page: BeautifulSoup(packed.read(f"{page}.xhtml"), "html.parser").find("body")
            for page in PAGES
        }
    for soup in pages.values():
        for tag in soup.select(".section-number"):
            tag.decompose()
    return pages


def texts(soup, selector):
    """Count the texts of some elements, but for those with a formula, which the site has as TeX."""
    tags = [tag for tag in soup.select(selector) if not tag.select(".math")]
    return Counter(UNSEEN.sub("", tag.get_text()) for tag in tags)


@pytest.mark.parametrize("page", PAGES)
def test_the_epub_shows_what_the_site_shows(site, epub, page):
    there, here = site[page], epub[page]
    for selector in ("h1, h2, h3, h4", "pre", "figcaption .caption-text", "th, td"):
        missing = texts(there, selector) - texts(here, selector)
        assert set(missing) <= {""}, f"{selector}: {missing}"
    formulas = [tag for tag in there.select(".math") if not tag.select(".math")]
    assert len(here.find_all("math")) == len(formulas)
    assert all("xmlns" in formula.attrs for formula in here.find_all("math"))
    assert len(here.find_all("img")) == len(there.find_all("img"))
    quizzes = there.select(".quiz legend, .quiz-text, .quiz-why > p")
    whole = UNSEEN.sub("", here.get_text())
    said = [UNSEEN.sub("", tag.get_text()) for tag in quizzes if not tag.select(".math")]
    assert [text for text in said if text not in whole and text not in VERDICTS] == []


def test_the_epub_is_valid_and_needs_nothing_else(epub):
    need(epubcheck="epubcheck", java="default-jre-headless")
    with zipfile.ZipFile(EPUB) as packed:
        names = packed.namelist()
        assert names[0] == "mimetype"
        pages = [packed.read(name).decode() for name in names if name.endswith(".xhtml")]
    assert not any(name.endswith(".js") for name in names)
    assert not any(re.search(r"<script|src=\"http", page) for page in pages)
    # Debian's command is an archive that needs an entry in the kernel to run by itself.
    words = ["java", "-jar", shutil.which("epubcheck"), EPUB]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "No errors or warnings" in done.stdout, done.stderr[-3000:]


@pytest.mark.parametrize("page", PAGES)
def test_the_pdf_shows_what_the_site_shows(site, pdf, page):
    soup = site[page]
    tags = soup.select("h2, h3, figcaption .caption-text, .quiz legend, .quiz-text")
    wanted = {tag.get_text() for tag in tags if not tag.select(".math")}
    wanted |= {line for tag in soup.select("pre") for line in tag.get_text().splitlines()}
    for row in soup.select(".cell_output tr"):
        cells = [cell.get_text().strip() for cell in row.find_all("td")]
        numbers = [cell for cell in cells if re.fullmatch(r"[-+]?[\d.,]+%?", cell)]
        if cells and len(numbers) == len(cells):
            wanted.add(" ".join(cells))
    assert [text for text in wanted if squeezed(text) not in pdf] == []


def test_the_pdf_has_its_fonts_and_its_parts(pdf):
    need(pdffonts="poppler-utils", pdfinfo="poppler-utils")
    fonts = subprocess.run(["pdffonts", PDF], capture_output=True, text=True, check=True).stdout
    rows = fonts.splitlines()[2:]
    assert rows
    assert all(row.split()[-5] == "yes" for row in rows), fonts  # the column "emb"
    places = [pdf.index(squeezed(f"Part {number}")) for number in ("I", "II", "III", "IV")]
    assert places == sorted(places)
    assert all(squeezed(part["caption"]) in pdf for part in PARTS)


def test_the_figures_of_the_pdf_are_lines_and_letters(pdf):
    (path,) = (ROOT / "_build" / "latex").glob("*.tex")
    found = re.findall(
        r"\\sphinxincludegraphics(?:\[[^]]*\])?\{\{[^}]*\}(\.\w+)\}", path.read_text()
    )
    assert len(found) > 100
    assert set(found) == {".pdf"}


def test_options_stay_whole_where_a_line_of_a_phone_has_room_for_them(epub):
    codes = [code for body in epub.values() for code in body.select("code.whole")]
    words = {word for code in codes for word in code.get_text().split()}
    assert {"--resume", "--weight-decay"} & words
    assert max(map(len, words)) <= 24
    assert not any("✅" in body.get_text() for body in epub.values())


def test_faults_of_a_latex_log_are_found():
    sys.path.insert(0, str(ROOT / "book"))
    try:
        import build as book_build
    finally:
        sys.path.pop(0)
    log = r"""
Overfull \hbox (10.5pt too wide) in paragraph at lines 1--2
Overfull \hbox (2.0pt too wide) in paragraph at lines 3--4
Missing character: There is no ★ (U+2605) in font TeX Gyre Pagella!
LaTeX Warning: Reference `a' on page 1 undefined on input line 7.
Underfull \vbox (badness 10000) detected at line 12
"""
    found = book_build.latex_faults(log)
    assert [line.split()[0] for line in found] == ["Overfull", "Missing", "LaTeX"]


def test_no_page_of_the_pdf_is_empty_or_ends_in_a_heading(pdf):
    words = ["pdftotext", "-layout", "-x", "0", "-y", "60", "-W", "595", "-H", "715", PDF, "-"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    pages = text.split("\f")[:-1]
    assert [n for n, page in enumerate(pages, 1) if not page.strip()] == []
    last = [page.strip().splitlines()[-1].strip() for page in pages]
    heading = re.compile(r"Solution|Answer: .\)\.|Exercise \d+\.\d+ .*")
    assert [n for n, line in enumerate(last, 1) if heading.fullmatch(line)] == []


def test_print_does_not_speak_of_the_screen(site, pdf, epub):
    said = [tag.get_text() for page in PAGES for tag in site[page].select("p.screen")]
    assert len(said) >= 8
    whole = {page: squeezed(epub[page].get_text()) for page in PAGES}
    for text in map(squeezed, said):
        assert text not in pdf
        assert not any(text in words for words in whole.values())


def test_the_site_offers_both_files(site, pdf, epub):
    text = (SITE / "index.html").read_text()
    links = BeautifulSoup(text, "html.parser").select("#book-files a")
    assert [link["href"] for link in links] == [PDF.name, EPUB.name]
    for path in (PDF, EPUB):
        assert (SITE / path.name).read_bytes() == path.read_bytes()
        assert f"({path.stat().st_size / 1e6:.1f} MB)" in text
    for page in PAGES:
        path = SITE / f"{page}.html"
        menu = BeautifulSoup(path.read_text(), "html.parser").select(".dropdown-download-buttons a")
        (target,) = (link["href"] for link in menu if link["href"].endswith("#book-files"))
        leads_to = target.removesuffix("#book-files")
        assert (path.parent / (leads_to or path.name)).resolve() == SITE / "index.html"
