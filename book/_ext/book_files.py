"""Offer the PDF and the epub in the built site, where they are made.

No import but the standard library's: book/build.py uses it without Sphinx.
"""

import re
import shutil
from pathlib import Path

ANCHOR = "book-files"  # on the front page
NONE = (
    "<strong>Keep</strong> the whole book as one file: <code>make pdf</code> and "
    "<code>make epub</code> make it; this copy of the site comes without."
)
SAYS = {".pdf": "PDF", ".epub": "epub, for electronic readers"}
PLACE = re.compile(rf'<p id="{ANCHOR}">.*?</p>', re.DOTALL)


def place(files=()):
    """Give the paragraph that offers some files, each with its size in MB (10⁶ bytes).

    Parameters
    ----------
    files : sequence of Path, optional
        The PDF and the epub, as far as they are there.
    """
    links = [
        f'<a href="{path.name}">{SAYS[path.suffix]}</a> ({path.stat().st_size / 1e6:.1f} MB)'
        for path in files
    ]
    words = f"<strong>Keep</strong> the whole book as one file: {' or '.join(links)}."
    return f'<p id="{ANCHOR}">{words if links else NONE}</p>'


def offer(site, files):
    """Put the files into a built site, and links to them on its front page.

    Files that are no longer to be offered are taken out again. Where no site is built yet, nothing
    happens: the build that makes it calls this once more.

    Parameters
    ----------
    site : Path
        The folder of the site.
    files : sequence of Path
        Those to offer.
    """
    page = Path(site) / "index.html"
    if not page.is_file():
        return
    for path in Path(site).glob("*"):
        if path.suffix in SAYS:
            path.unlink()
    for path in files:
        shutil.copy(path, site)
    text = page.read_text(encoding="utf-8")
    changed = PLACE.sub(lambda _: place(files), text)
    if changed != text:
        beside = page.with_suffix(".new")  # others may be reading the page
        beside.write_text(changed, encoding="utf-8")
        beside.replace(page)
