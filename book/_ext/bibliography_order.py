"""Order the bibliography as a reader looks a name up.

pybtex compares names as the file writes them, where the braces that keep an institution's name
whole come after Z, and so do letters with accents.
"""

import unicodedata

from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style
from pybtex.style.sorting.author_year_title import SortingStyle

NAME = "names"


class ByName(SortingStyle):
    """Compare names by their letters alone."""

    def person_key(self, person):
        """Give what a name is compared by."""
        last = person.rich_prelast_names + person.rich_last_names
        first = person.rich_first_names + person.rich_middle_names
        return plain("  ".join(" ".join(map(str, names)) for names in (last, first)))


class Names(Style):
    """The style of the entries, in that order."""

    default_sorting_style = NAME


def plain(name):
    """Give a name in small letters without accents."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def setup(app):
    register_plugin("pybtex.style.sorting", NAME, ByName)
    register_plugin("pybtex.style.formatting", NAME, Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
