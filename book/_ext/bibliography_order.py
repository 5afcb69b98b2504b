"""Order the bibliography as a reader looks a name up.

pybtex compares names as the file writes them: braces, which keep the name of an institution whole,
and letters with accents come after Z.
"""

import codecs
import unicodedata

import latexcodec  # noqa: F401  (makes the codec "ulatex" known)
from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style
from pybtex.style.sorting.author_year_title import SortingStyle

NAME = "names"


class ByName(SortingStyle):
    """Compare names by their letters alone."""

    def person_key(self, person):
        """Give what a name is compared by."""
        return plain(super().person_key(person))


class Names(Style):
    """The style of the entries, in that order."""

    default_sorting_style = NAME


def plain(name):
    """Give a name of a ``.bib`` file without braces, commands and accents."""
    read = codecs.decode(name, "ulatex").translate({ord(brace): None for brace in "{}"})
    letters = unicodedata.normalize("NFKD", read)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def setup(app):
    register_plugin("pybtex.style.sorting", NAME, ByName)
    register_plugin("pybtex.style.formatting", NAME, Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
