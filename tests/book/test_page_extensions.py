"""What the local extensions make of stylesheets, icons, tables and docstrings."""

import io
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from fontTools import ttLib
from pybtex.database import parse_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))
import accessible
import bibliography_order
import blocks
import lean

THEME = Path(find_spec("pydata_sphinx_theme").submodule_search_locations[0])
STATIC = THEME / "theme" / "pydata_sphinx_theme" / "static"


@pytest.fixture(scope="module")
def theme_css():
    return (STATIC / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")


def test_icons_that_no_page_shows_leave_the_stylesheet_and_their_aliases_too(theme_css):
    css = lean.keep_used_icons(theme_css)
    assert ".fa-magnifying-glass:before{content:" in css
    assert ".fa-search:before" in theme_css
    assert ".fa-search:before" not in css
    assert len(css) < 0.85 * len(theme_css)
    assert css.count(":before{content:") < theme_css.count(":before{content:")


def test_an_icon_that_the_theme_lost_is_an_error(theme_css):
    with pytest.raises(ValueError, match=r"must have the icons \['rocket'\]"):
        lean.keep_used_icons(theme_css.replace(".fa-rocket:before", ".fa-ship:before"))


def test_a_font_is_cut_down_to_the_icons_of_the_stylesheet():
    rocket, other = 0xF135, 0xF001
    assert lean.icon_characters('a{content:"\\f135"} b{content:"\uf303 x"}') == [rocket, 0xF303]
    path = STATIC / "vendor" / "fontawesome" / "webfonts" / "fa-solid-900.ttf"
    data = lean.subset(path, [rocket])
    with ttLib.TTFont(io.BytesIO(data)) as font:
        assert set(font.getBestCmap()) == {rocket}
    assert len(data) < 2000
    with ttLib.TTFont(path) as font:
        assert other in font.getBestCmap()
    assert lean.subset(path, [0xE999_0]) == b""


@pytest.mark.parametrize("styled", [False, True])
def test_tables_of_pandas_say_which_headers_they_have(styled):
    columns = pd.MultiIndex.from_product([["a", "b"], ["x", "y"]])
    frame = pd.DataFrame([[1, 2, 3, 4], [5, 6, 7, 8]], index=["first", "second"], columns=columns)
    html = frame.style.to_html() if styled else frame.to_html()
    soup = BeautifulSoup(accessible.mend_table(html), "html.parser")
    scopes = {header.get_text(strip=True): header.get("scope") for header in soup.find_all("th")}
    assert scopes == {
        **dict.fromkeys("ab", "colgroup"),
        **dict.fromkeys("xy", "col"),
        **dict.fromkeys(("first", "second"), "row"),
    }
    assert not soup.find("style")
    assert soup.find("table")["class"] == ["dataframe"]
    assert not soup.find("table").get("border")
    assert [cell.get_text(strip=True) for cell in soup.find_all("td")][-1] == "8"


def test_a_paragraph_that_holds_a_list_is_taken_apart_in_its_order():
    words = nodes.Text("They are:")
    listed = nodes.bullet_list("", nodes.list_item("", nodes.paragraph("", "one")))
    holder = nodes.container("", nodes.paragraph("", "", words, listed, nodes.Text("And so on.")))
    made = nodes.container("", *blocks.paragraphs(list(holder[0].children)))
    assert [type(child) for child in made] == [
        nodes.paragraph,
        nodes.bullet_list,
        nodes.paragraph,
    ]
    assert made.astext().split() == ["They", "are:", "one", "And", "so", "on."]


def test_rules_of_which_no_page_speaks_leave_the_stylesheet():
    css = (
        "@media (x){.a,.gone>c,.b:not(.gone, #q){k:v}.gone{l:m}}@media print{.gone{n:o}}"
        '@keyframes f{0%{x:y}to{x:z}}[data-x=","] #a{p:q}.gone:is(.a){r:s}:is(.gone,.a) i{t:u}'
    )
    assert lean.drop_unused(css, {"a", "b"}) == (
        "@media (x){.a,.b:not(.gone, #q){k:v}}"
        '@keyframes f{0%{x:y}to{x:z}}[data-x=","] #a{p:q}:is(.gone,.a) i{t:u}'
    )


def test_variables_that_nothing_reads_leave_the_stylesheet():
    css = ":root{--a:1px;--b:2px;--c: var(--a)}p{color:red;--d:0;top:var(--e, 0);--e:3px}"
    assert lean.drop_unread(css, {"d"}) == (
        ":root{--a:1px;}p{color:red;--d:0;top:var(--e, 0);--e:3px}"
    )


def test_scripts_that_come_late_come_in_their_order():
    line = lean.later(["a.js", "b.js"])
    assert '["a.js", "b.js"]' in line
    assert "async: false" in line


def test_names_are_looked_up_without_braces_and_accents():
    bib = parse_file(Path(__file__).resolve().parents[2] / "book" / "references.bib")
    found = bibliography_order.ByName().sort(bib.entries.values())
    first = [entry.persons["author"][0] for entry in found]
    names = [" ".join(map(str, p.rich_prelast_names + p.rich_last_names)) for p in first]
    assert bibliography_order.plain("Çiçek") == "cicek"
    plain = [bibliography_order.plain(name) for name in names]
    assert {"European Union", "Çiçek"} <= set(names)
    assert len(plain) > 80
    assert plain == sorted(plain)
