"""The PDF and the epub: every page is in them, and nothing is lost that a browser shows.

Named so that it comes after test_site.py, which runs the chapters and builds the site.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
PAGES = ["index", *(chapter["file"] for part in PARTS for chapter in part["chapters"])]
PDF = ROOT / "_build" / "from-kernel-to-cluster.pdf"
EPUB = PDF.with_suffix(".epub")
XHTML = "{http://www.w3.org/1999/xhtml}"
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


def need(*programs):
    """Skip where a program is missing, saying how to get it."""
    packages = {"xelatex": "texlive-xetex", "pdftotext": "poppler-utils"}
    for program in programs:
        if not shutil.which(program):
            package = packages.get(program, program)
            pytest.skip(f"{program} is missing: on Debian and Ubuntu, apt-get install {package}")


def title(page):
    """Give a chapter's title as its source writes it."""
    return re.search(r"^# (.+)$", (ROOT / f"{page}.md").read_text(), re.MULTILINE)[1]


def caption(page):
    """Give the first words of a chapter's first figure caption that are plain words."""
    for found in re.findall(r"caption: (.+)", (ROOT / f"{page}.md").read_text()):
        plain = re.match(r"[\w ,]{20,60}", found.strip("'\""))
        if plain:
            return plain[0].strip()
    return None


def squeezed(text):
    """Leave out spaces, line ends, hyphens and ligatures, which differ between the two."""
    for ligature, letters in {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl"}.items():
        text = text.replace(ligature, letters)
    return re.sub(r"[\s­‐\-`*$\\]+|’|'", "", text)


@pytest.fixture(scope="module")
def pdf():
    """Give the words of the PDF."""
    need("xelatex", "latexmk", "pdftotext", "pdffonts")
    build("pdf")
    done = subprocess.run(["pdftotext", PDF, "-"], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def epub():
    """Give the files of the epub that are pages, each as a parsed tree and as text."""
    build("epub")
    with zipfile.ZipFile(EPUB) as packed:
        assert packed.namelist()[0] == "mimetype"
        return {
            name: packed.read(name).decode() for name in packed.namelist() if name.endswith(".xhtml")
        }


def what_must_be_there(pages):
    """Name what a chapter shows that is easily lost on the way to paper."""
    told = {f"title of {page}": title(page) for page in pages}
    told |= {f"figure of {page}": caption(page) for page in pages if caption(page)}
    return told | {
        "the box of model.summary": "━━━━━━━━━━",
        "a row of model.summary": "│ conv2d (Conv2D)",
        "a quiz": "A quiz question of the book",
        "its answer": "Answer:",
        "a solution": "Solution to Exercise",
        "a star of an exercise": "★★★",
        "a table of pandas": "ratio of a table",
        "a question that answers back": "convolution-one-window",
    }
