"""The build's promises, on a copy of the repository with a small book of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.book

HEAD = """---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
  language: python
---

"""
CHAPTER = (
    HEAD
    + """# {title}

Prose of {title}.

```{{code-cell}} ipython3
import time  # in the chapter {title}
from companion.arithmetic import output_size
print("size", output_size(28, 3), "at", time.time_ns())
```
"""
)
STAMP = re.compile(r"size (\S+) at (\d+)")


def sources():
    """Name the files of the repository, or of a copy that was downloaded without git."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0 and done.stdout:
        return done.stdout.splitlines()
    made = {"_build", ".venv", "__pycache__"}
    names = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
    return [str(name) for name in names if not made & set(name.parts)]


class Book:
    """A copy of the repository whose book has two chapters."""

    def __init__(self, root):
        self.root = root
        for name in sources():
            inside = name.startswith("book/") and name.endswith((".md", ".bib"))
            if (ROOT / name).is_file() and not inside and not name.startswith("tests/"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        self.write("_toc.yml", "format: jb-book\nroot: index\nparts:\n- caption: P\n  chapters:\n")
        self.write("index.md", "# The book\n\nIts first page.\n")
        self.write("book/references.bib", "")
        for name in ("one", "two"):
            self.add(name, CHAPTER.format(title=name.capitalize()))

    def write(self, name, text):
        (self.root / name).write_text(text)

    def add(self, name, text):
        self.write(f"book/{name}.md", text)
        toc = self.root / "_toc.yml"
        toc.write_text(toc.read_text() + f"  - file: book/{name}\n")

    def edit(self, name, old, new):
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def build(self, **environment):
        """Build as `make book` does, the chapters importing this copy's companion."""
        return subprocess.run(
            [sys.executable, "book/build.py"],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root), "COMPANION_DATA": ""} | environment,
            capture_output=True,
            text=True,
        )

    def page(self, name):
        return (self.root / "_build" / "html" / "book" / f"{name}.html").read_text()

    def outputs(self):
        """Give what each chapter's page shows: (size, when its cell ran)."""
        return {name: STAMP.search(self.page(name)).groups() for name in ("one", "two")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    book = Book(tmp_path_factory.mktemp("book"))
    done = book.build()
    assert done.returncode == 0, done.stdout + done.stderr
    book.said = done.stdout
    return book


@pytest.fixture
def book(built, tmp_path):
    """Give a copy of the built book, to be changed."""
    copy = Book.__new__(Book)
    copy.root = tmp_path / "copy"
    shutil.copytree(built.root, copy.root)
    return copy


def test_it_says_where_how_long_and_on_which_data(built):
    assert re.search(r"The book is built \(\d+ s\)", built.said)
    assert "_build/html/index.html" in built.said
    assert "data   gtsrb" in built.said
    assert "synthetic" in built.said
    assert built.outputs()["one"][0] == "26"


def test_nothing_changed_builds_nothing(book):
    before = book.outputs()
    done = book.build()
    assert done.returncode == 0
    assert "Nothing changed" in done.stdout
    assert book.outputs() == before


def test_changed_prose_runs_no_chapter(book):
    before = book.outputs()
    book.edit("book/one.md", "Prose of One.", "Other words.")
    assert book.build().returncode == 0
    assert "Other words." in book.page("one")
    assert book.outputs() == before


def test_a_changed_cell_runs_its_chapter_alone(book):
    before = book.outputs()
    book.edit("book/one.md", "output_size(28, 3)", "output_size(28, 5)")
    assert book.build().returncode == 0
    after = book.outputs()
    assert after["one"][0] == "24"
    assert after["two"] == before["two"]


def test_a_changed_companion_leaves_no_stale_page(book):
    """The chapters' cells stay the same: jupyter-cache alone would publish the old size."""
    path = "companion/arithmetic/__init__.py"
    text = (book.root / path).read_text()
    changed = "\n\ndef output_size(size, kernel_size):  # noqa: F811\n    return 'changed'\n"
    book.write(path, text + changed)
    assert book.build().returncode == 0
    assert {size for size, _ in book.outputs().values()} == {"changed"}
    book.write(path, text)
    assert book.build().returncode == 0
    assert {size for size, _ in book.outputs().values()} == {"26"}


def test_another_budget_runs_the_chapters_again(book):
    before = book.outputs()
    done = book.build(COMPANION_BUDGET="laptop")
    assert done.returncode == 0, done.stderr
    assert "budget laptop" in done.stdout
    assert all(after != before[name] for name, after in book.outputs().items())


FAULTS = {
    "picture": "# P\n\n```{image} web/dot.png\n```\n",
    "link": "# L\n\n[there](nowhere.md)\n",
    "hole": HEAD + "# H\n\n{glue:text}`no-such-key`\n",
    "cite": "# C\n\n{cite:t}`nobody1900`\n",
}
NAMED = {
    "picture": "picture without an alt text: book/web/dot.png",
    "link": "nowhere.md",
    "hole": "no-such-key",
    "cite": "nobody1900",
}


def test_each_fault_of_a_page_fails_the_build_and_is_named(book):
    from PIL import Image

    Image.new("L", (1, 1)).save(book.root / "book" / "web" / "dot.png")
    for name, text in FAULTS.items():
        book.add(name, text)
    book.write("book/orphan.md", "# Orphan\n\nNo one links here.\n")
    done = book.build()
    assert done.returncode != 0
    for name, words in {**NAMED, "orphan": "orphan.md"}.items():
        told = [line for line in done.stderr.splitlines() if words in line and "WARNING" in line]
        assert told, f"{name}: no warning in\n{done.stderr}"
    assert "The book was not built" in done.stderr
    again = book.build()
    assert again.returncode != 0, "a failed build must not pass for an unchanged one"


def test_a_raising_cell_fails_the_build_with_its_traceback(book):
    book.add("raising", HEAD + "# R\n\n```{code-cell} ipython3\n1 / 0\n```\n")
    done = book.build()
    assert done.returncode != 0
    told = re.sub(r"\x1b\[[\d;]*m", "", done.stderr)  # the traceback is coloured
    assert "ZeroDivisionError: division by zero" in told
    assert "book/raising.md" in told


def test_a_chapter_that_is_gone_leaves_no_page(book):
    toc = (book.root / "_toc.yml").read_text()
    book.write("_toc.yml", toc.replace("  - file: book/two\n", ""))
    (book.root / "book" / "two.md").unlink()
    assert book.build().returncode == 0
    assert not (book.root / "_build" / "html" / "book" / "two.html").exists()
    assert book.page("one")


def test_a_site_that_was_deleted_is_built_again(book):
    shutil.rmtree(book.root / "_build" / "html")
    assert book.build().returncode == 0
    assert book.page("one")


def test_a_relative_data_folder_is_the_same_to_the_build_and_to_chapters(book):
    samples = book.root / "companion" / "data" / "samples"
    shutil.copytree(samples, book.root.parent / "somewhere")
    cell = "from companion.data import open_dataset\nopen_dataset('mnist').root"
    book.add("digits", HEAD + f"# D\n\n```{{code-cell}} ipython3\n{cell}\n```\n")
    done = book.build(COMPANION_DATA="../somewhere")
    assert done.returncode == 0, done.stderr
    assert (
        str(book.root.parent / "somewhere")
        in BeautifulSoup(book.page("digits"), "html.parser").text
    )


def test_what_cannot_be_built_is_said_in_one_sentence(book):
    for environment, words in [
        ({"COMPANION_BUDGET": "quik"}, "got 'quik' (did you mean 'quick'?)"),
        ({"COMPANION_DATA": "nowhere"}, "is not a folder"),
    ]:
        done = book.build(**environment)
        assert done.returncode != 0
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    (book.root / "book" / "two.md").unlink()
    done = book.build()
    assert done.returncode != 0
    assert "book/two.md, which does not exist" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_two_chapters_with_the_same_cells_may_end_at_once(book):
    """jupyter-cache keeps one record for both: the second waits for the first and shows it."""
    for name in ("three", "four"):
        book.add(name, CHAPTER.format(title="Same").replace("# Same", f"# {name.capitalize()}", 1))
    done = book.build()
    assert done.returncode == 0, done.stdout + done.stderr
    three, four = (STAMP.search(book.page(name)) for name in ("three", "four"))
    assert three.group(1) == "26"
    assert three.group() == four.group()
