"""Let readers run a page's cells in the page, once they press its button, and not before.

The button asks for `thebe-core`, which the Makefile fetches with npm and this extension copies into
the site: until it is pressed no page names another site, loads the library, or knows of a server.
Pressed, ``book/web/live.js`` starts the page's kernel on the server that ``make live`` started, or
else on the Binder of ``_config.yml``. Where npm is missing the site is built without the button.

sphinx-thebe, which Jupyter Book always loads, is left out of every page: it names a library on
another site, and says so twice, which browsers report as an error.
"""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "_build" / "npm" / "node_modules" / "thebe-core" / "dist" / "lib"
PROVIDERS = {"github.com": "github", "gitlab.com": "gitlab"}


def without_thebe(app, pagename, templatename, context, doctree):
    """Leave out the scripts of sphinx-thebe."""
    for key in ("script_files", "css_files"):
        context[key] = [
            file
            for file in context.get(key, [])
            if "thebe" not in f"{file.filename} {file.attributes.get('body')}"
        ]


def binder(app):
    """Say which Binder runs the book, and from where, as `_config.yml` has it."""
    options = app.config.html_theme_options
    address = options.get("launch_buttons", {}).get("binderhub_url")
    repository = urlsplit(options.get("repository_url", ""))
    if not address or repository.netloc not in PROVIDERS:
        return None
    return {
        "binderUrl": address,
        "repo": repository.path.strip("/"),
        "ref": options.get("repository_branch") or "HEAD",
        "repoProvider": PROVIDERS[repository.netloc],
    }


def cells(app, pagename, doctree):
    """List a page's code cells in the order in which they run.

    Exercises' solutions may stand elsewhere than in the source, and cells hidden by a tag nowhere:
    `place` is a cell's number among those on the page, and a hidden cell has its `code` instead.
    """
    import nbformat

    shown = [
        node["cell_index"]
        for node in doctree.findall(nodes.container)
        if node.get("nb_element") == "cell_code"
    ]
    path = Path(app.outdir).parent / "jupyter_execute" / f"{pagename}.ipynb"
    every = nbformat.read(path, as_version=4).cells
    return [
        {"place": shown.index(index)} if index in shown else {"code": cell.source}
        for index, cell in enumerate(every)
        if cell.cell_type == "code" and cell.source.strip()
    ]


def add_button(app, pagename, templatename, context, doctree):
    """Give every page the script, and a page with cells what the script must know of them.

    A page without cells may be the one that the address of ``make live`` opens.
    """
    if doctree is None or app.builder.name != "html" or not LIBRARY.is_dir():
        return
    app.add_js_file("live.js", loading_method="defer")
    if not app.env.metadata.get(pagename, {}).get("facts", {}).get("cells"):
        return
    settings = {
        "path": f"{pagename}.md",
        "library": context["pathto"]("_static/thebe/thebe-core.min.js", 1),
        "binder": binder(app),
        "cells": cells(app, pagename, doctree),
    }
    # "<" could end the script element.
    text = json.dumps(settings, separators=(",", ":")).replace("<", "\\u003c")
    script = f'<script type="application/json" id="live-settings">{text}</script>'
    context["body"] = f"{context['body']}\n{script}\n"
    app.add_css_file("live.css")


def copy_library(app, exception):
    """Copy the library's scripts into the site, without the maps that debug them."""
    if exception is None and app.builder.name == "html" and LIBRARY.is_dir():
        target = Path(app.outdir) / "_static" / "thebe"
        leave = shutil.ignore_patterns("*.map", "*.css")
        shutil.copytree(LIBRARY, target, ignore=leave, dirs_exist_ok=True)


def setup(app):
    app.setup_extension("chapter_facts")
    app.connect("html-page-context", add_button, priority=800)
    # After all that add files to a page.
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", copy_library)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
