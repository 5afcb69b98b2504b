"""Mend what the extensions write that a screen reader cannot use, or that is no valid HTML.

- Each exercise, solution and definition holds a section with one and the same id: it goes.
- pandas writes a style into each table, headers without a scope, and empty headers.
- docutils puts lists into paragraphs, where a docstring says more than one thing about a result.
- docutils gives the entries of the bibliography a role that is deprecated.
- Words of code are broken after hyphens.
- MyST-NB writes paragraphs into the line that unfolds a cell, and a name over its words.
"""

from html import escape

from blocks import REPEATED, is_block, paragraphs
from bs4 import BeautifulSoup
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms.post_transforms import SphinxPostTransform

SHORT = 24  # letters of a word of code that a line of a phone has room for


def mend_table(html):
    """Give each header of pandas' tables its scope, and leave out what is empty or for looks."""
    soup = BeautifulSoup(html, "html.parser")
    for style in soup.find_all("style"):
        style.decompose()
    for table in soup.find_all("table"):
        del table["border"]
        table["class"] = ["dataframe"]  # by which the theme knows them; a Styler leaves it out
        for header in table.find_all("th"):
            if not header.get_text(strip=True):
                header.name = "td"
            elif header.find_parent("thead"):
                header["scope"] = "colgroup" if "colspan" in header.attrs else "col"
            else:
                header["scope"] = "rowgroup" if "rowspan" in header.attrs else "row"
    return str(soup)


class Mend(SphinxPostTransform):
    """Mend a page's tree, once all that makes HTML has been chosen."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_):
        """Go through sections, paragraphs, and the tables that are HTML already."""
        for section in self.document.findall(nodes.section):
            section["ids"] = [each for each in section["ids"] if each not in REPEATED]
        for paragraph in list(self.document.findall(nodes.paragraph)):
            if any(map(is_block, paragraph)):
                paragraph.replace_self(list(paragraphs(paragraph.children)))
        for literal in self.document.findall(nodes.literal):
            words = literal.astext().split()
            # Browsers break after hyphens: --weight-decay would end a line as --weight-.
            if any("-" in word for word in words) and max(map(len, words)) <= SHORT:
                literal["classes"].append("whole")
        for raw in self.document.findall(nodes.raw):
            if "html" in raw.get("format", "") and "<table" in raw.astext():
                mended = mend_table(raw.astext())
                raw.clear()
                raw += nodes.Text(mended)


def visit_folded(self, node):
    self.body.append(f'<details class="admonition hide {" ".join(node["classes"])}"><summary>')
    for state, words in (("collapsed", node["prompt_show"]), ("expanded", node["prompt_hide"])):
        self.body.append(f'<span class="{state} admonition-title">{escape(words)}</span>')
    self.body.append("</summary>\n")


def depart_folded(self, node):
    self.body.append("</details>\n")


def visit_citation(self, node):
    type(self).visit_citation(self, node)
    self.body[-1] = self.body[-1].replace('role="doc-biblioentry"', 'role="listitem"')


def depart_citation(self, node):
    type(self).depart_citation(self, node)


def setup(app):
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.add_node(HideCodeCellNode, override=True, html=(visit_folded, depart_folded))
    app.add_post_transform(Mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
