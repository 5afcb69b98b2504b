"""Make a printed book of the chapters: parts, appendix, title page, page numbers behind links.

Sphinx's LaTeX writer puts the pages one after another. What a site shows by its menu must be said
in a book: where a part begins, that the front page is no chapter, on which page a link ends. What
a browser scrolls must fit: wide tables and wide outputs get smaller letters.
"""

import datetime as dt
import os
import re
from pathlib import Path

import yaml
from docutils import nodes
from print_outputs import BOXES, NUMBER
from sphinx import addnodes
from sphinx.builders.latex.nodes import thebibliography
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.texescape import escape

ROOT = Path(__file__).resolve().parents[2]
FRONT = "About this book"
SKIPPED = ("book/glossary#term-", "book/companion#companion.")  # words, not places to turn to

FONTS = r"""
\setmainfont{TeX Gyre Pagella}
\setsansfont{DejaVu Sans}[Scale=0.85]
\setmonofont{DejaVu Sans Mono}[Scale=0.82,HyphenChar=None]
\usepackage{unicode-math}
\setmathfont{TeX Gyre Pagella Math}
\newfontfamily\signs{DejaVu Sans}[Scale=0.9]
\usepackage{newunicodechar}
"""
# Signs that the text font lacks, and how they are shown; code has them in its own font.
SIGNS = {"★": "★", "→": "→", "⊙": "⊙", "₁": "₁", "₂": "₂", "⁶": "⁶", "⁹": "⁹", "✅": "✓"}
SIGN = r"""
\newunicodechar{%(sign)s}{\iffontchar\font"%(code)s \char"%(code)s \else{\signs\char"%(code)s }\fi}
"""
PREAMBLE = r"""
\setcounter{tocdepth}{1}
\newcolumntype{T}{L}
\makeatletter
\titleformat{\chapter}[display]{\sffamily\bfseries\huge\raggedright}
  {\normalfont\sffamily\large\chaptertitlename\ \thechapter}{6pt}{}
\titleformat{\part}[display]{\sffamily\bfseries\Huge\centering}
  {\normalfont\sffamily\Large\partname\ \thepart}{12pt}{}
\titlespacing*{\chapter}{0pt}{0pt}{24pt}
% A figure that does not fit goes to the top of the next page, and what follows it fills this one.
\renewcommand\topfraction{.9}
\renewcommand\bottomfraction{.6}
\renewcommand\textfraction{.07}
\renewcommand\floatpagefraction{.75}
\setcounter{topnumber}{3}
% A picture of the width of a page must not have the height of one.
\AtBeginDocument{\spx@image@maxheight=.48\textheight}
% Two figures of a section's number need more room than LaTeX gives.
\renewcommand*\l@section{\@dottedtocline{1}{1.5em}{3em}}
\renewcommand\sphinxtableofcontentshook{}
\makeatother
% Sphinx takes the first part's caption for the name of the contents.
\addto\captionsenglish{\renewcommand{\contentsname}{Contents}}
% Exercises and solutions go over pages, with code and figures: two lines hold them, and no frame.
\newcommand\blockline{\noindent\textcolor[rgb]{.6,.66,.72}{\rule{\linewidth}{.5pt}}\par}
\renewenvironment{sphinxnote}[1]
  {\par\Needspace{9\baselineskip}\vspace{-4pt}\blockline\nobreak\noindent
    {\sffamily\bfseries\small\color[rgb]{.13,.26,.42}#1}\par\nobreak}
  {\par\nobreak\vspace{-4pt}\blockline}
% A warning's heading must not stand alone at the foot of a page.
\BeforeBeginEnvironment{sphinxadmonition}{\par\needspace{7\baselineskip}}
% Names of the companion's functions are longer than half a line.
\AtBeginEnvironment{sphinxtheindex}{\small\raggedright}
\protected\def\spxextra#1{ {\footnotesize(#1)}}
% "Table 2.1, continued" would name a number that the table has not.
\renewcommand\sphinxtablecontinued[1]{}
\setlength{\emergencystretch}{3em}
\hyphenpenalty=300
\DeclareMathOperator*{\argmax}{arg\,max}
"""
# The page has a heading of its own, so LaTeX's must not come as well.
BIBLIOGRAPHY = r"""
\renewenvironment{sphinxthebibliography}[1]
  {\let\chapter\sphinxnochapter\begin{thebibliography}{}}{\end{thebibliography}}
\newcommand\sphinxnochapter[2]{}
% The text names author and year, so a label of letters would say nothing.
\makeatletter\renewcommand\@biblabel[1]{}\makeatother
"""
# Sphinx numbers figures by \\arabic{chapter}, so that those of Appendix A were those of chapter 1.
LETTERED = "".join(
    rf"\renewcommand\the{kind}{{\thechapter.\arabic{{{kind}}}}}"
    for kind in ("figure", "table", "literalblock")
)
INPUT = r"\sphinxsetup{VerbatimColor={rgb}{.965,.97,.975},VerbatimBorderColor={rgb}{.8,.82,.85}}"
OUTPUT = r"\sphinxsetup{VerbatimColor={rgb}{1,1,1},VerbatimBorderColor={rgb}{.9,.9,.9}}"

# In a table that does not fit, a short word keeps its column wide enough, and is not divided.
NARROW = r"\setlength{\tymin}{75pt}\setlength{\tabcolsep}{3.5pt}\hyphenpenalty=10000"
RIGHT = r">{\raggedleft\arraybackslash}"
PAGE_POINTS = 440  # width of the text, less than it is: headings have wider letters
COLUMNS = 98  # letters of code in a line of that width, in an admonition
CODE_POINTS = 9
LEAST_CODE_POINTS = 7.2  # what can still be read without effort
LETTER_POINTS = {r"\normalsize": 5.3, r"\small": 4.8, r"\footnotesize": 4.3, r"\scriptsize": 3.7}
BREAKS = re.compile(r"(?<=[/_.])(?=\w)")
LONG_TABLE = 20  # rows that would leave too much of a page empty
LONG = 18  # letters of a word that is broken
REFERENCE = "book/companion"
SMALL = (
    r"\begingroup\small\setlength{\parskip}{2pt}\raggedbottom"
    r"\fvset{fontsize=\fontsize{8}{9.6}}"
)
ESCAPES = re.compile(r"\x1b\[[\d;]*m")


def raw(text):
    return nodes.raw("", text, format="latex")


def title_page():
    """Give the title page, from what CITATION.cff says."""
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    day = dt.datetime.fromtimestamp(int(epoch), dt.UTC) if epoch else None
    date = f"{day or dt.datetime.now(dt.UTC):%-d %B %Y}"
    authors = ", ".join(author["name"] for author in facts["authors"])
    words = {
        "title": facts["title"],
        "abstract": " ".join(facts["abstract"].split()),
        "authors": authors,
        "version": f"Version {facts['version']}, built on {date}",
    }
    source = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    return TITLE_PAGE % {
        **{name: escape(text, "xelatex") for name, text in words.items()},
        "source": source,
    }


TITLE_PAGE = r"""
\hypersetup{pdftitle={%(title)s},pdfauthor={%(authors)s},pageanchor=false}
\begin{titlepage}
  \sffamily\raggedright
  \vspace*{0.12\textheight}
  {\bfseries\fontsize{34}{42}\selectfont %(title)s\par}
  \vspace{18pt}
  {\Large %(abstract)s\par}
  \vspace{42pt}
  {\centering\includegraphics[width=\linewidth]{title-figure.pdf}\par}
  \vfill
  {\large %(authors)s\par}
  \vspace{6pt}
  %(version)s
\end{titlepage}
\begin{titlepage}
  \vspace*{\fill}
  \noindent %(title)s\\
  %(version)s

  \bigskip\noindent
  The text and the figures are under the licence Creative Commons Attribution 4.0 International
  (CC BY 4.0, \url{https://creativecommons.org/licenses/by/4.0/}): share them and change them, if
  you name the authors and say what you changed.
  The code is under the MIT licence.
  The sample of MNIST is by Yann LeCun and Corinna Cortes, under CC BY-SA 3.0.

  \bigskip\noindent
  Every number and figure in this book was computed by the code beside it when the book was built.
  The site of the book shows the same chapters with widgets to play with; its source, from which
  every chapter can be run, is at \url{%(source)s}.
\end{titlepage}
\hypersetup{pageanchor=true}
"""


class Bind(SphinxPostTransform):
    """Order the whole book: front page, parts, appendix, the bibliography in its place."""

    default_priority = 760  # after Sphinx has moved the bibliography to the end
    formats = ("latex",)

    def run(self, **_):
        """Change the tree of all pages."""
        top = next(self.document.findall(nodes.section), None)
        wrappers = [
            node
            for node in self.document.findall(nodes.compound)
            if "toctree-wrapper" in node["classes"]
        ]
        if top is None or not wrappers:
            return
        self.front_page(top)
        toctrees = self.env.get_doctree(self.config.root_doc).findall(addnodes.toctree)
        in_appendix = False
        for wrapper, toctree in zip(wrappers, toctrees, strict=True):
            caption = escape(toctree["caption"], "xelatex")
            if toctree["numbered"]:
                wrapper.insert(0, raw(rf"\part{{{caption}}}"))
            elif not in_appendix:
                in_appendix = True
                wrapper.insert(0, raw(rf"\appendix{LETTERED}\part*{{{caption}}}"))
        self.bibliography()
        self.reference()

    def front_page(self, top):
        """Make the front page's sections those of one chapter without a number."""
        body = [node for node in top.children[1:] if not self.is_toctree(node)]
        for node in body:
            top.remove(node)
        chapter = nodes.section("", nodes.title("", FRONT), *body, ids=["about-this-book"])
        top.insert(1, raw(r"\setcounter{secnumdepth}{-1}"))
        top.insert(2, chapter)
        top.insert(3, raw(r"\setcounter{secnumdepth}{2}"))

    @staticmethod
    def is_toctree(node):
        """Say whether a node holds the chapters of a part."""
        return isinstance(node, nodes.compound) and "toctree-wrapper" in node["classes"]

    def reference(self):
        """Set the companion's reference, which is looked up and not read, in smaller letters."""
        for file in self.document.findall(addnodes.start_of_file):
            if file["docname"] == REFERENCE:
                section = next(file.findall(nodes.section))
                section.insert(1, raw(SMALL))
                section.append(raw(r"\endgroup"))

    def bibliography(self):
        """Put the list of sources into the page that asks for it."""
        listed = next(self.document.findall(thebibliography), None)
        page = next(
            (
                file
                for file in self.document.findall(addnodes.start_of_file)
                if file["docname"].endswith("bibliography")
            ),
            None,
        )
        if listed is not None and page is not None:
            listed.parent.remove(listed)
            next(page.findall(nodes.section)).append(listed)


class PageNumbers(SphinxPostTransform):
    """Say behind a link into another chapter on which page it ends."""

    default_priority = 770
    formats = ("latex",)

    def run(self, **_):
        """Add the numbers."""
        for link in list(self.document.findall(nodes.reference)):
            target = link.get("refuri", "")
            if not target.startswith("%") or target[1:].startswith(SKIPPED):
                continue
            page, _, label = target[1:].partition("#")
            file = link.parent
            while file is not None and not isinstance(file, addnodes.start_of_file):
                file = file.parent
            if file is not None and file["docname"] == page:
                continue
            name = f"{page}:{label}" if label else f"{page}::doc"
            after = raw(rf" (\autopageref*{{\detokenize{{{name}}}}})")
            link.parent.insert(link.parent.index(link) + 1, after)


class FitCode(SphinxPostTransform):
    """Tell outputs from code by their ground, and let wide drawings have smaller letters."""

    default_priority = 780
    formats = ("latex",)

    def run(self, **_):
        """Set each block of code, or of what it printed, into a group of its own."""
        kinds = (nodes.literal_block, nodes.doctest_block)
        for block in [each for kind in kinds for each in self.document.findall(kind)]:
            if any(isinstance(node, nodes.table) for node in ancestors(block)):
                continue
            printed = any("cell_output" in node.get("classes", ()) for node in ancestors(block))
            words = [r"\begingroup", OUTPUT if printed else INPUT]
            width = max(map(len, ESCAPES.sub("", block.astext()).splitlines()), default=0)
            if width > COLUMNS:
                # A line that is broken in the middle of a word is hard to read, and a table that
                # is drawn of letters would make no sense at all.
                size = CODE_POINTS * COLUMNS / width
                if not BOXES.search(block.astext()):
                    size = max(size, LEAST_CODE_POINTS)
                words.append(rf"\fvset{{fontsize=\fontsize{{{size:.2f}}}{{{size * 1.2:.2f}}}}}")
            position = block.parent.index(block)
            block.parent.insert(position + 1, raw(r"\endgroup"))
            block.parent.insert(position, raw("".join(words)))


def ancestors(node):
    while (node := node.parent) is not None:
        yield node


class FitTables(SphinxPostTransform):
    """Set numbers to the right, words to the left, in letters with which the table fits."""

    default_priority = 790
    formats = ("latex",)

    def run(self, **_):
        """Give each table its columns and size."""
        for table in list(self.document.findall(nodes.table)):
            if any(isinstance(node, nodes.table) for node in ancestors(table)):
                continue
            columns = cells_by_column(table)
            if columns is None:
                continue
            widths = [max(map(len, column), default=1) for column in columns]
            least = [max(longest_piece(text) for text in column) for column in columns]
            numeric = [all(NUMBER.fullmatch(t.strip()) for t in column[1:]) for column in columns]
            size, fits = self.size(widths, least)
            spec = "".join("r" if number else ("l" if fits else "L") for number in numeric)
            if not fits:
                allow_breaks(table)
            if len(columns[0]) > LONG_TABLE:
                # It goes on over the page's foot, which needs columns of a known width.
                table["classes"].append("longtable")
                if not fits:
                    shares = [max(a, min(b, 45)) for a, b in zip(least, widths, strict=True)]
                    spec = "".join(
                        rf"{RIGHT if number else ''}\X{{{share}}}{{{sum(shares)}}}"
                        for share, number in zip(shares, numeric, strict=True)
                    )
            position = table.parent.index(table)
            table.parent.insert(position + 1, raw(r"\endgroup"))
            table.parent.insert(position, addnodes.tabular_col_spec(spec=f"{{{spec}}}"))
            words = "" if fits else NARROW
            table.parent.insert(position, raw(rf"\begingroup{size}{words}"))

    @staticmethod
    def size(widths, least):
        """Choose the largest letters with which all lines, or at least all their words, fit."""
        room = PAGE_POINTS - 12 * len(widths)
        for size, points in LETTER_POINTS.items():
            if points * sum(widths) <= room:
                return size, True
            if size == r"\small":
                break
        for size, points in LETTER_POINTS.items():
            if points * sum(least) <= room:
                return size, False
        return r"\scriptsize", False


def pieces(text):
    """Cut a text where a line may end: after a word, and inside names of files and the like."""
    for word in re.findall(r"\s*\S+\s*|\s+", text):
        yield from (BREAKS.split(word) if len(word) > LONG else [word])


def longest_piece(text):
    """Give the length of the longest part of a text that cannot be broken."""
    return max((len(piece.strip()) for piece in pieces(text)), default=0)


def allow_breaks(table):
    """Let the long names in a table's cells, of files for example, go over two lines."""
    for text in list(table.findall(nodes.Text)):
        if isinstance(text.parent, (nodes.raw, nodes.math)):
            continue
        if any(len(word) > LONG for word in str(text).split()):
            first, *others = pieces(str(text))
            found = [nodes.Text(first)]
            for piece in others:
                found += [raw(r"\allowbreak{}"), nodes.Text(piece)]
            text.parent.replace(text, found)


def cells_by_column(table):
    """Give the words of each column, the heading first; None for a table with joined cells."""
    group = next(table.findall(nodes.tgroup))
    columns = [[] for _ in range(group["cols"])]
    for row in group.findall(nodes.row):
        entries = list(row.findall(nodes.entry))
        if any("morecols" in entry for entry in entries):
            return None
        # A cell over several rows leaves the later ones shorter, at the left.
        for column, entry in zip(reversed(columns), reversed(entries), strict=False):
            column.append(shown(entry))
    return columns


def shown(entry):
    """Give the words of a cell as they are printed, the number of a page among them."""
    texts = entry.findall(nodes.Text)
    return "".join(
        " (page 000)" if isinstance(text.parent, nodes.raw) else str(text) for text in texts
    )


def settle(app, config):
    """Set what the LaTeX builder reads, before it does."""
    signs = "".join(
        SIGN % {"sign": sign, "code": f"{ord(shown):X}"} for sign, shown in SIGNS.items()
    )
    config.latex_elements = {
        "papersize": "a4paper",
        "pointsize": "10pt",
        "extraclassoptions": "openany,oneside",
        "geometry": r"\usepackage[hmargin=2.4cm,vmargin=2.6cm]{geometry}",
        "fontpkg": FONTS + signs,
        "fncychap": "",
        "polyglossia": "",
        "babel": r"\usepackage[english]{babel}",
        "fvset": rf"\fvset{{fontsize=\fontsize{{{CODE_POINTS}}}{{{CODE_POINTS * 1.2}}}}}",
        "sphinxsetup": "verbatimforcewraps=true,verbatimmaxunderfull=1",
        "figure_align": "H",  # below the cell that draws it, and before what is said of it
        "preamble": PREAMBLE + BIBLIOGRAPHY,
        "maketitle": title_page(),
    }


def draw_title_figure(app):
    """Draw what stands on the title page, where LaTeX will look for it."""
    if app.builder.format == "latex":
        import matplotlib.pyplot as plt
        import widget_figures

        figure = widget_figures.convolution()
        figure.savefig(Path(app.outdir) / "title-figure.pdf", bbox_inches="tight")
        plt.close(figure)


def setup(app):
    app.connect("config-inited", settle, priority=900)
    app.connect("builder-inited", draw_title_figure)
    for transform in (Bind, PageNumbers, FitCode, FitTables):
        app.add_post_transform(transform)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
