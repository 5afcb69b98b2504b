"""Carry the HTML that cells show into PDF and epub, as nodes of the document.

A table of pandas' ``Styler`` and the questions of ``companion.exercises`` exist as HTML, or as
poorer text. LaTeX cannot read HTML at all, and an epub must not hold a style sheet in the middle of
a page. Here tables, lists and paragraphs of such outputs become what a chapter would have written.
"""

import ast
import itertools
import re

from bs4 import BeautifulSoup, NavigableString
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
NUMBER = re.compile(r"[-+−×$ ]*\d[\d.,:e+\- ]*(%| s| MB| points)?|nan|—|not \w+|")
BOXES = re.compile("[─-╿]")  # what tables are drawn with where there is nothing but letters
HANDED = re.compile(r"\bglue\b")
THIS_PAGE = re.compile(r"(\b[Oo]n )?\b([Tt])his page\b")
IN_FOR_ON = {"On ": "In ", "on ": "in ", None: ""}
CODE = (nodes.literal, nodes.literal_block, nodes.raw, nodes.math, nodes.math_block)
WIDE = 60  # letters in a row of a table that is too wide for the small page of an epub
INLINE = {
    "code": nodes.literal,
    "em": nodes.emphasis,
    "i": nodes.emphasis,
    "strong": nodes.strong,
    "b": nodes.strong,
    "span": nodes.inline,
}


def for_print(builder):
    """Say whether a builder makes pages that nobody can click."""
    return builder.format == "latex" or builder.name == "epub"


def to_nodes(html):
    """Give the nodes for a piece of HTML.

    Raises
    ------
    ValueError
        If it holds an element that has no form here.
    """
    return _blocks(BeautifulSoup(html, "html.parser"))


def _blocks(parent):
    """Give the nodes of all that stands in an element."""
    found = []
    for child in parent.children:
        if isinstance(child, NavigableString):
            if child.strip():
                found.append(nodes.paragraph("", "", nodes.Text(_words(child).strip())))
        elif child.name in ("div", "section", "span"):
            found += _blocks(child)
        elif child.name == "p":
            found.append(nodes.paragraph("", "", *_inline(child)))
        elif child.name == "pre":
            text = child.get_text().rstrip("\n")
            found.append(nodes.literal_block(text, text, language="none"))
        elif child.name in ("ul", "ol"):
            found.append(_list(child))
        elif child.name == "dl":
            found.append(_definitions(child))
        elif child.name == "table":
            found.append(_table(child))
        elif child.name != "style":
            raise ValueError(f"an output holds <{child.name}>, which has no form in print")
    return found


def _words(text):
    return re.sub(r"\s+", " ", text)


def _inline(parent):
    """Give the words of an element with their emphasis."""
    found = []
    for child in parent.children:
        if isinstance(child, NavigableString):
            found.append(nodes.Text(_words(child)))
        elif child.name in INLINE:
            found.append(INLINE[child.name]("", "", *_inline(child)))
        else:
            raise ValueError(f"an output holds <{child.name}>, which has no form in print")
    return found


def _list(element):
    kind = nodes.enumerated_list if element.name == "ol" else nodes.bullet_list
    listed = kind()
    if element.name == "ol":
        letters = element.get("type") == "a" or "alpha" in element.get("style", "")
        listed["enumtype"] = "loweralpha" if letters else "arabic"
        listed["prefix"], listed["suffix"] = "", ")"
    for item in element.find_all("li", recursive=False):
        listed += nodes.list_item("", *_item(item))
    return listed


def _item(element):
    """Give the blocks of an item, which may hold words without a paragraph around them."""
    if any(child.name in ("p", "pre", "ul", "ol", "div") for child in element.find_all(True)):
        return _blocks(element)
    return [nodes.paragraph("", "", *_inline(element))]


def _definitions(element):
    listed = nodes.definition_list()
    for child in element.find_all(["dt", "dd"], recursive=False):
        if child.name == "dt":
            listed += nodes.definition_list_item("", nodes.term("", "", *_inline(child)))
        else:
            listed[-1] += nodes.definition("", *_item(child))
    return listed


def _cells(row):
    """Give the cells of a row as (text, is a heading, rows it spans)."""
    return [
        (_words(cell.get_text()).strip(), cell.name == "th", int(cell.get("rowspan", 1)))
        for cell in row.find_all(["th", "td"], recursive=False)
    ]


def _head(element):
    """Give the rows of headings; the index's name joins the columns' names where there is room."""
    rows = [[text for text, _, _ in _cells(row)] for row in element.thead.find_all("tr")]
    if len(rows) == 2 and not any(a and b for a, b in zip(*rows, strict=True)):
        return [[a or b for a, b in zip(*rows, strict=True)]]
    return rows


def _table(element):
    """Make a table; a column whose cells are all numbers is set to the right.

    A label of several rows stands in each of them: LaTeX would break a long one over the rows, as
    if each had a label of its own.
    """
    head = _head(element)
    columns = [[] for _ in head[0]]
    open_spans = [(0, "", False)] * len(columns)
    placed = []  # each row of the body, as (column, text, is a heading)
    for row in element.tbody.find_all("tr"):
        cells, line = iter(_cells(row)), []
        for column, texts in enumerate(columns):
            rows, text, heading = open_spans[column]
            if not rows:
                text, heading, rows = next(cells)
            open_spans[column] = (rows - 1, text, heading)
            texts.append(text)
            line.append((column, text, heading))
        placed.append(line)
    numeric = [all(NUMBER.fullmatch(text) for text in column) for column in columns]
    stubs = sum(heading for _, _, heading in placed[0])

    group = nodes.tgroup(cols=len(columns))
    for column in range(len(columns)):
        group += nodes.colspec(colwidth=1, **({"stub": 1} if column < stubs else {}))
    titles, body = nodes.thead(), nodes.tbody()
    for row in head:
        cells = zip(row, numeric, strict=True)
        titles += nodes.row("", *[_entry(text, number) for text, number in cells])
    for line in placed:
        body += nodes.row("", *[_entry(text, numeric[column]) for column, text, _ in line])
    group += [titles, body]
    table = nodes.table("", group, classes=["output-table", "colwidths-auto"])
    widths = [max(map(len, column)) for column in zip(*head, strict=True)]
    widths = [max(map(len, [*c, " " * w])) for c, w in zip(columns, widths, strict=True)]
    if sum(widths) > WIDE:
        table["classes"].append("very-wide" if sum(widths) > 1.5 * WIDE else "wide")
    return table


def _entry(text, number):
    entry = nodes.entry("", nodes.paragraph("", text))
    if number:
        entry["classes"].append("number")
    return entry


class TakeNodes(SphinxPostTransform):
    """Before myst-nb chooses between an output's forms, replace those that are HTML."""

    default_priority = 3

    def run(self, **_):
        """Replace them, in print alone; an element without a form is a warning, so an error."""
        if not for_print(self.app.builder):
            return
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            texts = [form.astext() for form in bundle if form.get("mime_type") == "text/html"]
            if not texts:
                continue
            try:
                bundle.replace_self(nodes.container("", *to_nodes(texts[0]), classes=["output"]))
            except ValueError as error:
                logger.warning("%s", error, location=bundle)


def this_chapter(text):
    """Call a page of the site a chapter."""
    return THIS_PAGE.sub(lambda found: f"{IN_FOR_ON[found[1]]}{found[2]}his chapter", text)


def without_machinery(code):
    """Leave out the statements that hand numbers on, and loops that do nothing else."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a magic of IPython
        return code.strip("\n")
    lines = code.splitlines(keepends=True)
    # A line goes whole or not at all: it may hold another statement, after a semicolon.
    gone = list(superfluous(tree.body))
    others = set(statements_within(tree)) - {
        each for part in gone for each in statements_within(part)
    }
    shared = {number for each in others for number in (each.lineno, each.end_lineno)}
    for statement in gone:
        numbers = range(statement.lineno, statement.end_lineno + 1)
        if shared.isdisjoint((statement.lineno, statement.end_lineno)):
            lines[statement.lineno - 1 : statement.end_lineno] = ["" for _ in numbers]
    return "".join(lines).strip("\n")


def statements_within(tree):
    """List the statements of a tree, its own among them, that hold no others."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return [node for node in found if not hasattr(node, "body")]


def superfluous(statements):
    """Find what `without_machinery` leaves out."""
    for statement in statements:
        if isinstance(statement, ast.For | ast.If | ast.With):
            parts = [statement.body, getattr(statement, "orelse", [])]
            found = [list(superfluous(part)) for part in parts]
            if found == parts:
                yield statement
            # A body that loses all its statements would be no Python.
            elif all(some != part or not part for some, part in zip(found, parts, strict=True)):
                yield from itertools.chain(*found)
        elif ast.unparse(statement).startswith(("glue(", "from myst_nb import ")):
            yield statement


class ReadAsBook(SphinxPostTransform):
    """Leave out what only the site's build is told, and call a page of the site a chapter.

    Lines that hand a number from a cell to a sentence mean nothing to whoever reads them on paper.
    """

    default_priority = 4

    def run(self, **_):
        """Change code and words, in print alone."""
        if not for_print(self.app.builder):
            return
        for block in list(self.document.findall(nodes.literal_block)):
            inputs = "cell_input" in block.parent.get("classes", ())
            if inputs and HANDED.search(block.astext()):
                self.leave_out(block)
        for text in list(self.document.findall(nodes.Text)):
            said = this_chapter(text)
            if said != text and not isinstance(text.parent, CODE):
                text.parent.replace(text, nodes.Text(said))

    @staticmethod
    def leave_out(block):
        """Take the lines from a cell, and the cell away where nothing else stands in it."""
        kept = without_machinery(block.astext())
        if kept:
            again = block.deepcopy()
            again.rawsource, again.children = kept, []
            again += nodes.Text(kept)
            block.replace_self(again)
        elif len(block.parent.parent) == 1:  # no output either
            block.parent.parent.parent.remove(block.parent.parent)
        else:
            block.parent.parent.remove(block.parent)


def setup(app):
    app.add_post_transform(TakeNodes)
    app.add_post_transform(ReadAsBook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
