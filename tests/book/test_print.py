"""What cells show in HTML, and formulas, in the forms that PDF and epub take."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def extensions():
    """Give the modules, which lie beside each other and not in a package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        import print_epub
        import print_outputs

        yield print_outputs, print_epub
        for name in ("print_outputs", "print_epub"):
            del sys.modules[name]


def rows(table):
    """Give the words of a table, row by row."""
    return [[entry.astext() for entry in row] for row in table.findall(nodes.row)]


def test_a_styled_table_becomes_a_table(extensions):
    import pandas as pd

    index = pd.MultiIndex.from_product([["size", "light"], [0, 1]], names=["quality", "band"])
    frame = pd.DataFrame({"sign": ["a", "b", "c", "d"], "share": [0.5, 0.25, 1, 0]}, index=index)
    (table,) = extensions[0].to_nodes(frame.style.format({"share": "{:.0%}"}).to_html())
    assert rows(table) == [
        ["quality", "band", "sign", "share"],
        ["size", "0", "a", "50%"],
        ["size", "1", "b", "25%"],
        ["light", "0", "c", "100%"],
        ["light", "1", "d", "0%"],
    ]
    entries = list(table.findall(nodes.entry))
    assert ["number" in entry["classes"] for entry in entries[4:8]] == [False, True, False, True]


def test_questions_keep_their_lists_and_their_arrays(extensions):
    from companion import exercises

    found = extensions[0].to_nodes(exercises.ask("convolution")._repr_html_())
    whole = nodes.container("", *found)
    names = [term.astext() for term in whole.findall(nodes.term)]
    assert names[0].startswith("convolution-one-window")
    assert any(len(block.astext().splitlines()) > 1 for block in whole.findall(nodes.literal_block))


def cell(code, *outputs):
    """Make a cell as myst-nb does."""
    block = nodes.literal_block(code, code, language="ipython3")
    given = nodes.container("", block, classes=["cell_input"])
    return nodes.container("", given, *outputs, classes=["cell"])


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ('a = 1\nglue("a", f"{a:.1f}", display=False)\na', "a = 1\na"),
        ("import os\nfrom myst_nb import glue\nimport sys", "import os\nimport sys"),
        ('for n in "ab":\n    glue(n, 1)\n3', "3"),
        (
            'for n in "ab":\n    a = n\n    glue(\n        n, a\n    )\n3',
            'for n in "ab":\n    a = n\n3',
        ),
        ("if a:\n    for n in b:\n        glue(n, 1)\nelse:\n    glue(n, 2)\n3", "3"),
        ("if a:\n    glue(n, 1)\nelse:\n    b = 1", "if a:\n    glue(n, 1)\nelse:\n    b = 1"),
        ("a = 1; glue(1, a)\nglue(2, 3)", "a = 1; glue(1, a)"),
        ("glue(\n    1, 2\n); a = 3", "glue(\n    1, 2\n); a = 3"),
        ("%time glue\n", "%time glue"),
        ("unglue(1)", "unglue(1)"),
    ],
)
def test_lines_that_hand_numbers_to_sentences_are_not_printed(extensions, code, kept):
    whole = nodes.container("", cell(code))
    (block,) = whole.findall(nodes.literal_block)
    extensions[0].ReadAsBook.leave_out(block)
    (block,) = whole.findall(nodes.literal_block)
    assert block.astext() == block.rawsource == kept
    assert block["language"] == "ipython3"


def test_a_cell_of_such_lines_alone_leaves_its_output_or_nothing(extensions):
    for outputs in ([], [nodes.container("", nodes.paragraph("", "7"))]):
        whole = nodes.container("", cell('glue("a", 7)', *outputs))
        (block,) = whole.findall(nodes.literal_block)
        extensions[0].ReadAsBook.leave_out(block)
        assert whole.astext() == ("7" if outputs else "")
        assert bool(whole.children) == bool(outputs)


def test_what_has_no_form_is_said(extensions):
    with pytest.raises(ValueError, match="<video>, which has no form in print"):
        extensions[0].to_nodes("<div><video></video></div>")


@pytest.mark.parametrize(
    ("source", "held"),
    [
        (r"\frac14", ["mfrac", "mn"]),
        (r"1, \dots, n", ["mi"]),
        (r"\big[a\big]", ["mo"]),
        (r"\operatorname{softmax}(z)", ["mi"]),
        (r"\tfrac12", ["mstyle", "mfrac"]),
        (r"\underbrace{ab}_{\text{two}}", ["munder", "mtext"]),
        (r"\lfloor n / s \rfloor < 3", ["mo"]),
    ],
)
def test_formulas_of_the_book_have_mathml(extensions, source, held):
    code = extensions[1].mathml(source, block=False)
    tree = ET.fromstring(code)
    tags = {each.tag.rpartition("}")[2] for each in tree.iter()}
    assert tags >= set(held)
    assert "msub" not in tags
    assert tree.get("alttext")


@pytest.mark.parametrize(
    ("source", "tags"),
    [
        (r"\log 10", ["mi", "mo", "mspace", "mn"]),
        (r"m\cos x", ["mi", "mspace", "mi", "mo", "mspace", "mi"]),
        (r"-\log(p)", ["mo", "mi", "mo", "mo", "mi", "mo"]),
        (r"(a)\log p", ["mo", "mi", "mo", "mspace", "mi", "mo", "mspace", "mi"]),
    ],
)
def test_names_of_functions_stand_apart_as_tex_sets_them(extensions, source, tags):
    tree = ET.fromstring(extensions[1].mathml(source, block=False))
    assert [each.tag.rpartition("}")[2] for each in tree] == tags


def test_a_site_offers_the_files_that_are_there_and_no_other(extensions, tmp_path):
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import book_files
    finally:
        sys.path.pop(0)
    site, made = tmp_path / "html", tmp_path / "book.pdf"
    made.write_bytes(bytes(1_250_000))
    book_files.offer(site, [made])  # no site yet
    assert not site.exists()
    site.mkdir()
    page = site / "index.html"
    page.write_text(f"<main>{book_files.place()}<p>after</p></main>")
    book_files.offer(site, [made])
    assert '<a href="book.pdf">PDF</a> (1.2 MB).</p><p>after</p>' in page.read_text()
    assert (site / "book.pdf").read_bytes() == made.read_bytes()
    book_files.offer(site, [])
    assert "<a " not in page.read_text()
    assert "make pdf" in page.read_text()
    assert sorted(site.iterdir()) == [page]


def test_the_pdf_of_the_same_sources_is_offered_though_npm_came_after_it(tmp_path, monkeypatch):
    sys.path.insert(0, str(ROOT / "book"))
    try:
        import build as book_build
    finally:
        sys.path.pop(0)
    monkeypatch.setattr(book_build, "OUTPUT", tmp_path)
    (tmp_path / ".pdf-fingerprint").write_text(book_build.fingerprint("key", "pdf"))
    site = book_build.fingerprint("key", "html")
    (tmp_path / "npm" / "node_modules" / "thebe-core").mkdir(parents=True)
    assert book_build.fingerprint("key", "html") != site
    assert list(book_build.printed("key")) == [book_build.result("pdf")]
    assert list(book_build.printed("another key")) == []
