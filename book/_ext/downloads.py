"""Let every chapter be taken away, as a notebook and as a script, and the book as one file.

The theme offers a notebook that has none: what the page shows lies in the cache of executed
chapters. Here it is put back, pictures and all, and a script is offered beside it.

The PDF and the epub are made by other builds, before or after this one. The page therefore has a
place for them, which book/build.py fills after each build with what there is, see ``book_files``.
"""

import copy
from pathlib import Path

import book_files
import chapter_facts
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RECORDS = "application/papermill.record/"  # what `glue` keeps for the prose, for no reader's eyes


def executed(app, page):
    """Give the notebook of a page with the outputs that the page shows, or None.

    A page whose cells were not run by this build's cache (another execution mode) has none.
    """
    import nbformat
    from jupyter_cache import get_cache

    path = Path(app.outdir).parent / "jupyter_execute" / f"{page}.ipynb"
    if not path.is_file() or app.config.nb_execution_mode != "cache":
        return None
    plain = nbformat.read(path, as_version=4)
    try:
        _, notebook = get_cache(app.config.nb_execution_cache_path).merge_match_into_notebook(plain)
    except KeyError:
        return None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if not is_record(each)]
            for output in cell.outputs:
                output.get("data", {}).pop("application/pdf", None)  # the PNG beside it is shown
    notebook.metadata.pop("source_map", None)
    return notebook


def is_record(output):
    """Tell whether an output is but a number that the prose shows elsewhere."""
    kinds = output.get("data", {})
    return bool(kinds) and all(kind.startswith(RECORDS) for kind in kinds)


def with_origin(notebook, app, page):
    """Give a copy that begins by saying where it is from, and what it needs to run."""
    import nbformat

    facts = chapter_facts.of(app.env, page)
    data = chapter_facts.data_words(facts)
    words = [
        f"This is the page *{facts['title']}* of *{app.config.html_title or app.config.project}*.",
        f"To run it, keep it in the folder `{Path(page).parent}/` of a copy of the book's"
        " repository, with the packages that `make book` installs.",
    ]
    if data:
        words.append(f"Its outputs were computed on: {data}.")
    result = copy.deepcopy(notebook)
    result.cells.insert(0, nbformat.v4.new_markdown_cell("\n".join(words), id="origin"))
    return result


def menu(context):
    """Give the buttons of the theme's menu of downloads, to be added to."""
    groups = context.get("header_buttons", [])
    return next((g["buttons"] for g in groups if g.get("label") == "download-buttons"), [])


def write(app, pagename, templatename, context, doctree):
    """Write both beside the source of the page, and add the script to the theme's menu."""
    if doctree is None or not context.get("ipynb_source"):
        return
    notebook = executed(app, pagename)
    if notebook is None:
        return
    import jupytext
    import nbformat

    notebook = with_origin(notebook, app, pagename)
    folder = Path(app.outdir) / "_sources"
    nbformat.write(notebook, folder / f"{pagename}.ipynb")
    script = jupytext.writes(notebook, fmt="py:percent")
    (folder / f"{pagename}.py").write_text(script, encoding="utf-8")
    menu(context).insert(
        1,
        {
            "type": "link",
            "url": f"{context['pathto']('_sources', 1)}/{pagename}.py",
            "text": ".py",
            "icon": "fas fa-terminal",
            "tooltip": "Download script",
            "label": "download-script-button",
        },
    )


class BookFiles(SphinxDirective):
    """The place of the links to the whole book: ``{book-files}``, on the front page."""

    def run(self):
        """Give what is there as long as no file is."""
        return [nodes.raw("", book_files.place(), format="html", classes=["screen"])]


def offer_book(app, pagename, templatename, context, doctree):
    """Lead from each page's menu of downloads to the place of the links."""
    front = context["pathto"](app.config.root_doc).removesuffix("#")  # of itself, pathto says "#"
    menu(context).append(
        {
            "type": "link",
            "url": f"{front}#{book_files.ANCHOR}",
            "text": "PDF, epub",
            "icon": "fas fa-file",
            "tooltip": "The whole book as one file",
            "label": "download-book-button",
        }
    )


def setup(app):
    app.setup_extension("chapter_facts")
    app.add_directive("book-files", BookFiles)
    app.connect("html-page-context", offer_book, priority=901)
    # After the theme has copied its notebook and made its menu.
    app.connect("html-page-context", write, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
