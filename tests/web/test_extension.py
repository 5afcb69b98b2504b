"""The directive: an element with a fallback and its script in HTML, figure and text elsewhere."""

import json
import re

import pytest
import widget
import widget_data
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

PAGE = """# A page

```{widget} convolution
:settings: {"image": "<edge> & \\"more\\""}
:figure: convolution
:alt: What is to be seen.
:data: digit

Read *this* on paper.
```
"""


def build(folder, builder="html", page=PAGE):
    """Build a book of two pages, of which the first has a widget."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "index.md").write_text(page + "\n```{toctree}\nother\n```\n")
    (source / "other.md").write_text("# Another page\n\nNothing to play with.\n")
    settings = {
        "extensions": ["myst_parser", "widget"],
        "html_static_path": [str(widget.WEB)],
        "html_css_files": ["widgets.css"],
    }
    out = folder / builder
    app = Sphinx(
        source, None, out, folder / "doctrees", builder, settings, status=None, warning=None
    )
    app.build(force_all=True)
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("book"))


def test_the_element_carries_settings_figure_and_text(site):
    element = BeautifulSoup((site / "index.html").read_text(), "html.parser").find("kc-convolution")
    assert json.loads(element["data-settings"]) == {"image": '<edge> & "more"'}
    assert element.find("img")["alt"] == "What is to be seen."
    assert element.find("img")["src"].endswith(".svg")
    assert (site / element.find("img")["src"]).is_file()
    assert "Read this on paper." in element.get_text()


def test_scripts_are_classic_and_on_pages_with_the_widget_alone(site):
    page = BeautifulSoup((site / "index.html").read_text(), "html.parser")
    scripts = {re.sub(r"\?.*", "", tag.get("src", "")): tag for tag in page.find_all("script")}
    for name in ("convolution", "data-digit"):
        tag = scripts[f"_static/widgets/{name}.js"]
        assert tag.get("type") is None, "a module does not load from file://"
        assert tag.has_attr("defer")
    assert "widgets/" not in re.sub("widgets.css", "", (site / "other.html").read_text())
    assert (site / "_static/widgets/convolution.js").read_text() == widget.bundle("convolution")


def test_data_travel_as_a_script(site):
    script = (site / "_static/widgets/data-digit.js").read_text()
    value = json.loads(re.search(r'= (\{".*\});$', script, re.MULTILINE)[1])
    assert value == widget_data.digit()
    pixels = value["pixels"]
    assert [len(row) for row in pixels] == [10] * 10
    assert {0, widget_data.LEVELS} <= {pixel for row in pixels for pixel in row} <= set(range(10))


@pytest.mark.parametrize("builder", ["text", "latex", "epub"])
def test_other_formats_keep_figure_and_text(tmp_path, builder):
    out = build(tmp_path, builder)
    written = {path.suffix: path for path in out.rglob("*") if path.is_file()}
    page = {
        "text": out / "index.txt",
        "latex": written.get(".tex"),
        "epub": out / "index.xhtml",
    }[builder].read_text()
    assert "on paper" in page
    assert "kc-" not in page
    assert "script" not in page.lower().replace("javascript", "") or builder == "latex"
    picture = {"text": "What is to be seen", "latex": r"\sphinxincludegraphics", "epub": ".svg"}
    assert picture[builder] in page


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ((":settings: {", ":settings: {{"), "widget convolution"),
        (("{widget} convolution", "{widget} convulsion"), "convulsion.js"),
        ((":alt: What is to be seen.\n", ""), "must have an alt text"),
        (("Read *this* on paper.", ""), "must say something"),
        ((":figure: convolution", ":figure: nothing"), "must have a function nothing"),
    ],
)
def test_what_the_directive_lacks_is_said(tmp_path, capsys, change, complaint):
    from io import StringIO

    said = StringIO()
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(PAGE.replace(*change))
    settings = {"extensions": ["myst_parser", "widget"]}
    Sphinx(
        source,
        None,
        tmp_path / "out",
        tmp_path / "trees",
        "dummy",
        settings,
        warning=said,
        status=None,
    ).build()
    assert complaint in said.getvalue()
