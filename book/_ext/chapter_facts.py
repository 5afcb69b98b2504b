"""Gather what the build knows of each chapter: part, minutes, what it needs, its data.

`page_head` shows it at the top of a page and `book_map` draws the map from it, so that nothing of
it is typed twice. Minutes of reading are counted, seconds of running are those that the cells took,
needs are the links of *Before you start*. Only the level stands in a table, ``book/map.yml``.
"""

import re
from functools import cache
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
WORDS_A_MINUTE = 150  # a textbook is read slower than a novel
LINES_A_MINUTE = 15  # of code, understood rather than skimmed
SPEED = f"{WORDS_A_MINUTE} words or {LINES_A_MINUTE} lines of code a minute"
LEVELS = {1: "first steps", 2: "builds on these", 3: "in depth"}
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
ORIGINS = {
    ("mnist", "official"): "all of MNIST (official)",
    ("mnist", "sample"): "a sample of MNIST (stand-in)",
    ("gtsrb", "official"): "the photographs of GTSRB (official)",
    ("gtsrb", "synthetic"): "drawn traffic signs (stand-in)",
}
OPENED = re.compile(r"""open_dataset\(\s*["'](\w+)["']""")
TRAINED = re.compile(r'"(mnist|gtsrb)-(?:dense|cnn|small|compact|v\d)"')
PUBLISHED = re.compile(r'published(?:/| / f?")([\w.-]+|\{)')
# What is published of no images: random numbers, stand-ins, a scheduler's words.
NOT_OF_IMAGES = {"speed.json", "speed-earlier.json", "chapters.json", "scheduler"}
# Not for reading: pictures of formulas, comments, other builders' text, what a program printed.
NOT_READ = (
    nodes.comment,
    nodes.raw,
    nodes.math,
    nodes.math_block,
    nodes.system_message,
    nodes.target,
    addnodes.toctree,
)


@cache
def parts(folder=ROOT):
    """List the parts of ``_toc.yml``: how each is called, and the names of its pages."""
    toc = yaml.safe_load((Path(folder) / "_toc.yml").read_text(encoding="utf-8"))
    roman = iter(ROMAN)
    found = []
    for part in toc["parts"]:
        number = f"Part {next(roman)}: " if part.get("numbered") else ""
        found.append((number + part["caption"], [each["file"] for each in part["chapters"]]))
    return found


@cache
def table(folder=ROOT):
    """Read ``book/map.yml``: a level and a sentence for each page, and ways through the book."""
    return yaml.safe_load((Path(folder) / "book" / "map.yml").read_text(encoding="utf-8"))


def effort(node):
    """Count the words of prose and the lines of code below `node`."""
    if isinstance(node, nodes.Text):
        return len(node.split()), 0
    if isinstance(node, NOT_READ) or node.get("nb_element") == "cell_code_output":
        return 0, 0
    if isinstance(node, nodes.literal_block):
        return 0, sum(bool(line.strip()) for line in node.astext().splitlines())
    counts = [effort(child) for child in node.children]
    return sum(words for words, _ in counts), sum(lines for _, lines in counts)


def minutes(words, lines):
    """Give the minutes that reading takes, to five, and one at least."""
    exact = words / WORDS_A_MINUTE + lines / LINES_A_MINUTE
    return max(1, round(exact)) if exact < 5 else 5 * round(exact / 5)


def needs(document, pages):
    """List the pages that *Before you start* links to, in their order."""
    found = []
    for start in document.findall(nodes.strong):
        if start.astext() != "Before you start":
            continue
        first = start.parent
        siblings = first.parent.children
        for block in siblings[siblings.index(first) :]:
            if isinstance(block, nodes.section) or block.get("nb_element"):
                break
            for link in block.findall(addnodes.pending_xref):
                if link["reftarget"] in pages and link["reftarget"] not in found:
                    found.append(link["reftarget"])
        break
    return found


def note(app, document):
    """Keep what can be told of a page while it is read."""
    page = app.env.docname
    words, lines = effort(document)
    cells = [node.astext() for node in document.findall(nodes.container) if _is_source(node)]
    app.env.metadata[page]["facts"] = {
        "minutes": minutes(words, lines),
        "needs": needs(document, app.env.found_docs),
        "data": data_of("\n".join(cells)),
        "published": reads_reports("\n".join(cells)),
        "cells": len(cells),
    }


def _is_source(node):
    return node.get("nb_element") == "cell_code_source"


def data_of(code):
    """List the data sets that the cells of a page open, by themselves or in order to train."""
    found = set(OPENED.findall(code))
    if "cooked_data(" in code:
        found.add("gtsrb")
    if "sweep.run(" in code:
        found.update(TRAINED.findall(code))
    return sorted(found, reverse=True)  # digits come first in the book


def reads_reports(code):
    """Say whether the cells of a page read what was measured on the official images."""
    return not set(PUBLISHED.findall(code)) <= NOT_OF_IMAGES


@cache
def origin(name):
    """Say in a few words which data the chapters found under `name`, opened as they do."""
    from companion.data import budgets, open_dataset

    dataset = open_dataset(name, scale=budgets.get().gtsrb_drawn)
    return ORIGINS.get((name, dataset.origin), f"{name} ({dataset.origin})")


def data_words(facts):
    """Say on which data a page ran, or nothing where it opens none."""
    said = [origin(name) for name in facts["data"]]
    if facts["published"]:
        said.append("reports of runs on the official images")
    return ", ".join(said)


def of(env, page):
    """Give the facts of a page that was read; what the table says and the run took included."""
    from myst_nb.sphinx_ import NbMetadataCollector

    facts = dict(env.metadata[page]["facts"])
    run = NbMetadataCollector.get_exec_data(env, page)
    facts["seconds"] = run["runtime"] if run else None
    entry = table()["pages"].get(page, {})
    facts["level"], facts["does"] = entry.get("level"), entry.get("does")
    facts["part"] = next((name for name, pages in parts() if page in pages), None)
    number = env.toc_secnumbers.get(page, {}).get("")
    facts["number"] = ".".join(map(str, number)) if number else ""
    facts["title"] = env.titles[page].astext()
    return facts


def duration(seconds):
    """Say a measured time as one would: ``a second``, ``12 s``, ``2 min``."""
    if seconds < 1.5:
        return "a second"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def hours(total):
    """Say minutes of reading as one would: ``45 minutes``, ``3 hours``, ``6½ hours``."""
    if total < 90:
        return f"{total} minutes"
    halves = round(total / 30)
    return f"{halves // 2}{'½' if halves % 2 else ''} hours"


def setup(app):
    app.connect("doctree-read", note)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
