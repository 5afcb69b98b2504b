"""Fixtures for tests of the widgets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parent
# Each with the data that its chapter gives it.
WIDGETS = {
    "filter": "photograph",
    "convolution": "digit",
    "padding": "",
    "channels": "",
    "pooling": "",
    "network": "",
    "classify": "digit_reader, digit_reader_weights",
}
sys.path.insert(0, str(WEB.parents[1] / "book" / "_ext"))  # where Sphinx finds the extensions


@pytest.fixture(scope="session")
def run_node():
    """Give a function that runs ``tests/web/<name>`` with node's own runner."""

    def run(name, **environment):
        node = shutil.which("node")
        if not node:
            pytest.skip("node >= 18 is missing: on Debian and Ubuntu, apt-get install nodejs")
        done = subprocess.run(
            [node, "--no-warnings", "--test", WEB / name],
            env={**os.environ, **{key: str(value) for key, value in environment.items()}},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]

    return run


@pytest.fixture(scope="session")
def ask():
    """Give a function that puts a question of ``answers.mjs`` to node."""

    def ask(what, question=None):
        node = shutil.which("node")
        if not node:
            pytest.skip("node >= 18 is missing: on Debian and Ubuntu, apt-get install nodejs")
        done = subprocess.run(
            [node, WEB / "answers.mjs", what],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="session")
def widget_site(tmp_path_factory):
    """Build a page for each widget, in the book's theme; give the folder of the pages."""
    from sphinx.application import Sphinx

    folder = tmp_path_factory.mktemp("widgets")
    source = folder / "source"
    source.mkdir()
    for name, data in WIDGETS.items():
        data = f":data: {data}\n" if data else ""
        (source / f"{name}.md").write_text(
            f"# {name}\n\n```{{widget}} {name}\n{data}\nThe text for print.\n```\n"
        )
    links = "\n".join(WIDGETS)
    (source / "index.md").write_text(f"# All\n\n```{{toctree}}\n{links}\n```\n")
    settings = {
        "extensions": ["myst_parser", "widget"],
        "html_theme": "sphinx_book_theme",
        "html_context": {"default_mode": "auto"},
        "html_static_path": [str(WEB.parents[1] / "book" / "web")],
        "html_css_files": ["book.css", "widgets.css", "network-and-classify.css"],
    }
    out = folder / "html"
    Sphinx(source, None, out, folder / "trees", "html", settings, status=None).build()
    return out


@pytest.fixture
def visit(chromium, widget_site):
    """Give a function that opens a widget's page, and watch what the page says and asks for."""
    contexts, complaints = [], []

    def open_page(name, **settings):
        contexts.append(
            chromium.new_context(**{"viewport": {"width": 1000, "height": 900}} | settings)
        )
        page = contexts[-1].new_page()
        page.on(
            "console",
            lambda said: said.type in ("error", "warning") and complaints.append(said.text),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url),
        )
        page.goto((widget_site / f"{name}.html").as_uri())
        page.wait_for_selector(f"kc-{name}.kc-ready")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
