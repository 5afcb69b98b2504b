"""What every chapter's source must hold; the cells themselves run through nbval."""

import ast
import itertools
import re
import statistics
from pathlib import Path

import jupytext
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PARTS = {part["caption"]: [c["file"] for c in part["chapters"]] for part in TOC["parts"]}
CHAPTERS = [name for part, names in PARTS.items() if part != "Appendix" for name in names]
PAGES = [TOC["root"], *(name for names in PARTS.values() for name in names)]

chapters = pytest.mark.parametrize("name", CHAPTERS)
pages = pytest.mark.parametrize("name", PAGES)


def source(name):
    return (ROOT / f"{name}.md").read_text()


def without_code(text):
    """Drop code cells, comments and directives' fences, so that ``#`` starts headings only."""
    return re.sub(r"^(`{3,}|~{3,})\{?code.*?^\1\s*$", "", text, flags=re.M | re.S)


def test_every_page_is_in_the_table_of_contents():
    assert sorted(f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")) == sorted(PAGES[1:])


@chapters
def test_a_chapter_has_the_skeleton(name):
    text = source(name)
    assert text.startswith("---\nfile_format: mystnb\n")
    assert "\n  language: python\n" in text[:200], "papermill asks for the kernel's language"
    marks = [
        "\n# ",
        "**You will**",
        "**Before you start**",
        "\n## What we have seen",
        "\n## Exercises",
        "\n## Going further",
    ]
    places = [text.find(mark) for mark in marks]
    assert -1 not in places, f"missing: {[m for m, p in zip(marks, places, strict=True) if p < 0]}"
    assert places == sorted(places), "the parts of the skeleton are out of order"


@chapters
def test_a_chapter_has_graded_exercises_with_solutions_that_run(name):
    text = source(name)
    exercises = dict(re.findall(r"^`{3,}\{exercise-start\}(.*)\n:label: (\S+)", text, flags=re.M))
    labels = {label: title for title, label in exercises.items()}
    assert len(labels) >= 4
    grades = {title.count("★") for title in labels.values()}
    assert grades >= {1, 2, 3}, f"grades found: {grades}"
    solutions = re.findall(r"\{solution-start\} (\S+)\n(.*?)\{solution-end\}", text, flags=re.S)
    assert {label for label, _ in solutions} == set(labels)
    for label, body in solutions:
        assert ":class: dropdown" in body, f"the solution of {label} is not folded"
        assert "{code-cell}" in body, f"the solution of {label} runs nothing"


@pages
def test_headings_go_down_one_level_at_a_time(name):
    levels = [len(m) for m in re.findall(r"^(#+) ", without_code(source(name)), flags=re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    steps = itertools.pairwise(levels)
    assert all(below <= above + 1 for above, below in steps), levels


@pages
def test_cells_are_short_and_use_one_form_of_options(name):
    text = source(name)
    if "{code-cell}" not in text:
        return
    assert text.startswith("---\nfile_format: mystnb\n"), "the page would not be executed"
    assert not re.search(r"\{code-cell\}[^\n]*\n:tags:.*\n---", text)
    lengths = []
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        if cell.cell_type == "code" and "hide-input" not in cell.metadata.get("tags", []):
            lengths.append(len([line for line in cell.source.splitlines() if line.strip()]))
            assert 1 <= lengths[-1] <= 20, f"{lengths[-1]} lines:\n{cell.source}"
    assert statistics.median(lengths) <= 10


@pages
def test_figures_have_captions_and_alternative_texts(name):
    for cell in jupytext.reads(source(name), fmt="md:myst").cells:
        mystnb = cell.metadata.get("mystnb", {})
        if cell.cell_type == "code" and "figure" in mystnb:
            assert mystnb["figure"].get("caption"), cell.source
            assert len(mystnb.get("image", {}).get("alt", "")) > 20, cell.source


def test_glue_keys_are_unique():
    found = {}
    for name in PAGES:
        for key in set(re.findall(r"glue\(\s*\"([^\"{]+)\"", source(name))):
            found.setdefault(key, []).append(name)
    assert {key: names for key, names in found.items() if len(names) > 1} == {}


@chapters
def test_a_chapter_that_opens_data_says_which(name):
    text = source(name)
    if "open_dataset(" in text or "cooked_data(" in text:
        assert ".note" in text, "show the data's note, so that a stand-in is named as such"


def test_each_citation_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{([^,\s]+)", (ROOT / "book/references.bib").read_text(), re.M))
    cited = set()
    for name in PAGES:
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", source(name)):
            cited |= {key.strip() for key in keys.split(",")}
    assert cited - known == set()
    assert known - cited == set(), "entries that no page cites"


def test_what_a_docstring_says_is_taught_in_a_chapter_is_named_there():
    chapters = {re.search(r"^# (.+)$", source(name), re.M).group(1): source(name) for name in PAGES}
    checked, wrong = 0, []
    for path in (ROOT / "companion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            name = getattr(node, "name", path.stem)
            text = " ".join((ast.get_docstring(node) or "").split())
            for mention in re.findall(r"(?:Taught|Spelled out) in the chapters? ([^.]*)\.", text):
                for title in re.findall(r"\*([^*]+)\*", mention):
                    checked += 1
                    if not re.search(rf"\b{name}\b", chapters.get(title, "")):
                        wrong.append(f"{path.name}: {name} is not named in {title!r}")
    assert checked > 40
    assert wrong == []
