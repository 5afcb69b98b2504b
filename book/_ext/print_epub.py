"""Make an epub that any reader can show: no script, formulas as MathML, parts, a cover.

Sphinx's own builder makes the pages and the package. Here it learns what electronic readers need:
MathML in place of MathJax, since they run no script; one style sheet in place of the site's; a page
for each part; and the words in the package that say which pages hold formulas.
"""

import re
from html import escape, unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import yaml
from blocks import REPEATED, is_block, paragraphs
from chapter_facts import ROMAN
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from print_outputs import BOXES, WIDE, for_print
from sphinx import addnodes
from sphinx.builders.epub3 import Epub3Builder
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

ROOT = Path(__file__).resolve().parents[2]
STYLE = Path(__file__).with_name("print_epub.css")
SITE_ONLY = (
    "live",
    "local_mathjax",
    "pydata_sphinx_theme",
    "sphinx_book_theme",
    "sphinx_comments",
    "sphinx_copybutton",
    "sphinx_thebe",
    "sphinx_togglebutton",
    "sphinxext.opengraph",
)
COVER = "cover.png"
SCREEN = "screen"  # a paragraph that begins with {.screen} speaks of what paper has not
logger = logging.getLogger(__name__)
MATHML = "http://www.w3.org/1998/Math/MathML"
ET.register_namespace("", MATHML)
# What EPUB lets these elements not have, but a style around them.
STYLED = {"mfrac": ("displaystyle", "scriptlevel"), "mtable": ("scriptlevel",)}
# TeX that MathJax reads and docutils does not, and the same in words that both do.
FORMS = (
    (re.compile(r"\\dots\b"), r"\\ldots"),
    (re.compile(r"\\(t?frac)(\d)(\d)"), r"\\\1{\2}{\3}"),
    (re.compile(r"\\(big|Big)([\[(])"), r"\\\1l\2"),
    (re.compile(r"\\(big|Big)([\])])"), r"\\\1r\2"),
)
# XHTML knows four names of signs; MathML's own are not among them.
NAMED = re.compile(r"&(?!amp;|lt;|gt;|quot;)[A-Za-z]+;")
DOCTYPE = re.compile(r"<!DOCTYPE[^>]*>")
ITEM = re.compile(r'<item id="[^"]+" href="([^"]+)" media-type="application/xhtml\+xml" />')


class Epub(Epub3Builder):
    """Write the epub, whose pages need no script and nothing from elsewhere."""

    math_renderer_name = "mathml"

    def init(self):
        """Begin, without the site's theme and buttons, though they listen to all HTML."""
        listeners = self.app.events.listeners
        for event, found in listeners.items():
            listeners[event] = [
                each for each in found if not each.handler.__module__.startswith(SITE_ONLY)
            ]
        self.config.templates_path = []  # those that mend the site's theme
        self.config.html_domain_indices = False  # lists of labels and modules, which nobody reads
        super().init()

    def copy_static_files(self):
        """Copy the style sheets of code and of this book; nothing that the site needs."""
        folder = Path(self.outdir) / "_static"
        folder.mkdir(parents=True, exist_ok=True)
        self.create_pygments_style_file()
        (folder / STYLE.name).write_text(STYLE.read_text(encoding="utf-8"), encoding="utf-8")
        draw_cover(folder / COVER)

    def copy_image_files(self):
        """Copy the pictures; an SVG must not name a document type, which lies elsewhere."""
        super().copy_image_files()
        for path in (Path(self.outdir) / self.imagedir).glob("*.svg"):
            text = path.read_text(encoding="utf-8")
            path.write_text(DOCTYPE.sub("", text, count=1), encoding="utf-8")

    def get_toc(self):
        """Put a page for each part before its chapters, and the chapters below it."""
        super().get_toc()
        root = self.env.get_doctree(self.config.root_doc)
        parts = {}
        for number, toctree in enumerate(root.findall(addnodes.toctree)):
            first = toctree["includefiles"][0] + self.out_suffix
            before = f"Part {ROMAN[number]}: " if toctree["numbered"] else ""
            parts[first] = (f"part-{number}", before + toctree["caption"])
        found, inside = [], False
        for node in self.refnodes:
            if part := parts.get(node["refuri"]):
                name, title = part
                self.handle_page(name, {"title": title, "body": f"<h1>{escape(title)}</h1>"})
                uri = name + self.out_suffix
                found.append({"level": 1, "refuri": uri, "text": escape(title)})
                inside = True
            found.append({**node, "level": node["level"] + inside})
        self.refnodes = found

    def build_content(self):
        """Say in the package which pages hold formulas: EPUB 3 asks for it."""
        super().build_content()
        package = Path(self.outdir) / "content.opf"

        def with_properties(match):
            page = (Path(self.outdir) / match[1]).read_text(encoding="utf-8")
            words = [name for name in ("math", "svg") if f"<{name}" in page]
            if not words:
                return match[0]
            names = " ".join({"math": "mathml"}.get(word, word) for word in words)
            return match[0].replace(" />", f' properties="{names}" />')

        text = ITEM.sub(with_properties, package.read_text(encoding="utf-8"))
        package.write_text(text, encoding="utf-8")


def draw_cover(path):
    """Draw the cover: the book's first picture, a kernel over an image, below its title."""
    import matplotlib.pyplot as plt
    import widget_figures
    from PIL import Image

    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    figure = widget_figures.convolution()
    figure.savefig(path, bbox_inches="tight", dpi=300)
    plt.close(figure)
    picture = Image.open(path).convert("RGB")
    cover = plt.figure(figsize=(6, 8), facecolor="white")
    title = facts["title"].replace(" to ", "\nto ")
    cover.text(0.08, 0.86, title, size=32, weight="bold", va="top")
    cover.text(0.08, 0.64, "An interactive textbook\non convolutional networks", size=17, va="top")
    ax = cover.add_axes((0.08, 0.2, 0.84, 0.34))
    ax.imshow(picture)
    ax.axis("off")
    names = "\n".join(author["name"] for author in facts["authors"])
    cover.text(0.08, 0.08, names, size=12)
    cover.savefig(path, dpi=200)
    plt.close(cover)


def mathml(source, block):
    """Give MathML for a formula, with the formula's source for readers that show none."""
    for pattern, words in FORMS:
        source = pattern.sub(words, source)
    code = NAMED.sub(lambda match: unescape(match[0]), tex2mathml(source, as_block=block))
    tree = ET.fromstring(code)
    tree.set("alttext", " ".join(source.split()))
    for tag, names in STYLED.items():
        for node in list(tree.iter(f"{{{MATHML}}}{tag}")):
            style = {name: node.attrib.pop(name) for name in names if name in node.attrib}
            if style:
                inner = ET.Element(node.tag, dict(node.attrib))
                inner.extend(list(node))
                node[:] = [inner]
                node.tag = f"{{{MATHML}}}mstyle"
                node.attrib.clear()
                node.attrib.update(style)
    for node in tree.iter(f"{{{MATHML}}}msub"):
        if node[0].tag == f"{{{MATHML}}}munder":
            node.tag = node[0].tag  # what is said of an underbrace stands below it, not beside
    for row in list(tree.iter()):
        space_functions(row)
    return ET.tostring(tree, encoding="unicode")


def space_functions(row):
    """Set the thin spaces that TeX has around the names of functions, and MathML readers leave out.

    Without them the logarithm of 10 reads as a logarithm to the base 10.
    """
    inner = [None, *row, None]
    for before, name, applied, after in zip(inner, inner[1:], inner[2:-1], inner[3:], strict=False):
        if applied.text != "\u2061" or name.tag != f"{{{MATHML}}}mi":
            continue
        if before is not None and (before.tag != f"{{{MATHML}}}mo" or before.text in (")", "]")):
            row.insert(list(row).index(name), ET.Element(f"{{{MATHML}}}mspace", width="0.17em"))
        if after is not None and after.text not in ("(", "["):
            space = ET.Element(f"{{{MATHML}}}mspace", width="0.17em")
            row.insert(list(row).index(applied) + 1, space)


def visit_inline(self, node):
    """Write a formula in a line."""
    write_formula(self, node, block=False)
    raise nodes.SkipNode


def visit_block(self, node):
    """Write a formula with a line of its own, and its number."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    write_formula(self, node, block=True)
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def write_formula(self, node, *, block):
    try:
        self.body.append(mathml(node.astext(), block))
    except MathError as error:
        logger.warning("no MathML for %r: %s", node.astext(), error, location=node)


class Unclick(SphinxPostTransform):
    """Leave out of print what is there to be clicked, and make cards of plain paragraphs."""

    default_priority = 60

    def run(self, **_):
        """Remove the front page's buttons; write the titles of its cards in bold."""
        if not for_print(self.app.builder):
            return
        buttons = []
        for node in list(self.document.findall(nodes.paragraph)):
            if SCREEN in node.get("classes", ()):  # "press Step", above a widget
                remove_with_what_it_empties(node)
                continue
            if any(map(is_block, node)):
                node.replace_self(list(paragraphs(node.children)))
        for node in list(self.document.findall(nodes.Element)):
            classes = node.get("classes", ())
            if "sd-btn" in classes:
                while not isinstance(node, nodes.paragraph):
                    node = node.parent
                buttons.append(node)
            elif "sd-card-title" in classes:
                node.replace_self(nodes.paragraph("", "", nodes.strong("", node.astext())))
        for node in dict.fromkeys(buttons):  # a button is a link in a link
            remove_with_what_it_empties(node)
        if self.app.builder.name == "epub":
            for text in list(self.document.findall(nodes.Text)):
                if "✅" in text:  # few readers have a font for it; LaTeX has `print_latex.SIGNS`
                    text.parent.replace(text, nodes.Text(text.replace("✅", "✓")))
        for node in self.document.findall(nodes.literal_block):
            widest = max(map(len, node.astext().splitlines()), default=0)
            if BOXES.search(node.astext()) and widest > WIDE:
                node["classes"].append("boxes")
        for node in self.document.findall(nodes.Element):
            if "classes" in node:
                node["classes"] = [c for c in node["classes"] if not c.startswith("sd-")]
            if "hide_mode" in node:
                node["hide_mode"] = None  # folded code is shown
            if "ids" in node:  # all exercises of a page would have the same
                node["ids"] = [name for name in node["ids"] if name not in REPEATED]


def remove_with_what_it_empties(node):
    """Remove a node, and what holds nothing without it."""
    parent = node.parent
    parent.remove(node)
    if not parent.children and not isinstance(parent, nodes.document):
        remove_with_what_it_empties(parent)


def clean_page(app, pagename, templatename, context, doctree):
    """Let a page name its own style sheets alone, and no script."""
    if app.builder.name == "epub":
        context["script_files"] = []
        context["css_files"] = [
            file
            for file in context["css_files"]
            if str(file.filename).endswith(("pygments.css", STYLE.name))
        ]


def settle(app, config):
    """Set what the epub's package says."""
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = ", ".join(author["name"] for author in facts["authors"])
    config.version = config.version or str(facts["version"])
    config.epub_basename = "from-kernel-to-cluster"
    config.epub_title = facts["title"]
    config.epub_author = config.epub_publisher = config.epub_contributor = authors
    config.epub_description = " ".join(facts["abstract"].split())
    config.epub_copyright = f"{config.copyright}; text CC BY 4.0, code MIT"
    config.epub_identifier = config.epub_uid = config.epub_basename
    config.epub_show_urls = "no"  # links can be followed
    config.epub_tocdepth = 3
    config.epub_tocscope = "includehidden"  # Jupyter Book hides the table of contents in its page
    config.epub_css_files = [STYLE.name]
    config.epub_cover = (f"_static/{COVER}", "epub-cover.html")


def setup(app):
    app.add_builder(Epub, override=True)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.add_post_transform(Unclick)
    app.connect("config-inited", settle, priority=100)
    app.connect("html-page-context", clean_page, priority=999)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
