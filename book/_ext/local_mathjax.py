"""Serve MathJax from the site itself: formulas need no network and nobody learns who reads them.

The files come from the package django-static-mathjax, which carries MathJax and needs no Django.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

SCRIPT = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def source():
    """Give the folder of MathJax's built files inside the installed package."""
    return Path(find_spec("mathjax").submodule_search_locations[0]) / "static" / "mathjax" / "es5"


def copy_files(app, exception):
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "mathjax"
        shutil.copytree(source() / FONTS, target / FONTS, dirs_exist_ok=True)
        shutil.copy(source() / SCRIPT, target / SCRIPT)


def setup(app):
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
