"""A reader changes and runs cells in the built site, searches it, and takes a chapter away.

Named so that it comes after test_site.py, which builds the site. Live code runs against the very
servers that ``make live`` starts.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/#live=(\d+):(\S+)")
CHAPTER = "book/convolution"
SECONDS = 1000  # milliseconds
pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def served():
    """Start what ``make live`` starts; give the site's address, the server's port, the token."""
    if not (SITE / "_static" / "thebe").is_dir():
        pytest.skip("the site is built without live code: install npm, then make book")
    server = subprocess.Popen(
        [sys.executable, ROOT / "book" / "serve_live.py", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        first = server.stdout.readline()
        found = ADDRESS.search(first)
        assert found, first + server.stdout.read()
        yield found.groups()
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


class Tab:
    """A browser's tab, with what it asked and what it complained of."""

    def __init__(self, chromium, **options):
        self.context = chromium.new_context(**options)
        self.tab = self.context.new_page()
        self.asked, self.complaints = [], []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", self.hear)

    def hear(self, said):
        # The browser asks for an icon by itself; the book has none.
        if said.type == "error" and not said.location["url"].endswith("/favicon.ico"):
            self.complaints.append(said.text)

    def start(self):
        self.tab.get_by_role("button", name="Run this page").click()

    def wait(self, words, seconds=120):
        """Wait until the status line says `words`; give all that it says."""
        status = self.tab.get_by_role("status").filter(has_text=words)
        status.wait_for(timeout=seconds * SECONDS)
        return status.inner_text()

    def hosts(self):
        """Name the places that were asked over the network."""
        return {urlsplit(url).netloc for url in self.asked if url.startswith(("http", "ws"))}


@pytest.fixture
def tab(chromium):
    opened = []

    def new(**options):
        opened.append(Tab(chromium, **options))
        return opened[-1]

    yield new
    for each in opened:
        each.context.close()


def test_a_changed_cell_runs_and_the_output_on_the_page_changes(served, tab, axe):
    site, port, token = served
    here = tab()
    here.tab.goto(f"{site}/#live={port}:{token}")
    assert token not in here.tab.url, "the address bar, and so a bookmark, loses it"
    here.tab.goto(f"{site}/{CHAPTER}.html")
    assert "make live" in here.tab.get_by_role("region", name="Run this page").inner_text()
    assert here.hosts() == {urlsplit(site).netloc}, "nothing but the site before the button"
    assert not [url for url in here.asked if "thebe" in url]
    here.start()
    here.wait("Ready")

    labels = here.tab.locator("div.cell pre").evaluate_all(
        "all => Object.fromEntries(all.map(pre => [pre.textContent, pre.ariaLabel]))"
    )
    label = next(label for code, label in labels.items() if "product = window * KERNEL" in code)
    code = here.tab.get_by_label(label, exact=True)
    cell = here.tab.locator("div.cell.docutils").filter(has=code)
    assert "[5, 0, 1]" in cell.locator(".cell_output").inner_text(), "the build's output stays"
    code.click()
    here.tab.keyboard.press("Control+End")
    here.tab.keyboard.type("for _ in range(1):\nproduct = product * 2")
    here.tab.keyboard.press("Backspace")  # where the line begins is the editor's to say
    here.tab.keyboard.type("2")
    written = code.inner_text().rstrip().splitlines()
    assert written[-2:] == ["productfor _ in range(1):", "    product = product * 2"]
    cell.get_by_role("button", name="Undo").click()
    code.click()
    here.tab.keyboard.press("Control+End")
    here.tab.keyboard.type(" * 2")
    cell.get_by_role("button", name="Run").click()
    said = here.wait("Ready. Ran ")
    assert re.search(r"Ran \d cells above, and cell \d", said), "what it needs ran first"
    assert "[10,  0,  2]" in cell.locator(".cell_output").inner_text()
    assert "[5, 0, 1]" not in cell.locator(".cell_output").inner_text()

    drawn = here.tab.locator("div.cell", has_text="labels = [").first
    drawn.get_by_role("button", name="Run").click()
    here.wait("Ready. Ran cell")
    picture = drawn.locator(".cell_output img")
    assert picture.get_attribute("src").startswith("data:image/png")
    assert "as built: Three 3 by 3 arrays" in picture.get_attribute("alt")
    assert drawn.locator("figcaption").count() == 1, "the caption stays"
    # With editors, buttons and new outputs in the page it is still open to all.
    assert axe(here.tab) == []

    code.fill("import os\nprint(os.getcwd())\n1 / 0")
    code.press("Control+Enter")
    said = here.wait("Failed")
    assert axe(here.tab) == []
    assert "ZeroDivisionError: division by zero" in said
    shown = cell.locator(".cell_output").inner_text()
    assert str(ROOT / "book") in shown, "chapters find their files from their own folder"
    assert here.complaints == []
    assert here.hosts() == {urlsplit(site).netloc, f"127.0.0.1:{port}"}


def test_a_wrong_token_and_a_server_that_is_gone_are_told_apart(served, tab):
    site, port, _ = served
    for address, words in [
        (f"#live={port}:wrong", "does not take this token. Open the address that make live"),
        ("#live=9:any", "no server answers at http://127.0.0.1:9/. Is make live still running?"),
    ]:
        here = tab()
        here.tab.goto(f"{site}/{CHAPTER}.html{address}")
        here.start()
        assert words in here.wait("Not started", 20)
        assert here.tab.get_by_role("button", name="Run this page").is_enabled()


def test_the_published_site_knows_no_token_and_asks_binder_only_when_told(served, tab):
    site, port, token = served
    holders = [
        path for path in SITE.rglob("*") if path.is_file() and token.encode() in path.read_bytes()
    ]
    assert holders == []
    here = tab()
    answers = [
        {"phase": "failed", "message": "no such branch"},
        {"phase": "ready", "url": f"http://127.0.0.1:{port}/", "token": token, "message": ""},
    ]
    here.context.route(
        "https://mybinder.org/**",
        lambda route: route.fulfill(
            content_type="text/event-stream",
            headers={"Access-Control-Allow-Origin": "*"},
            body=f"data: {json.dumps(answers.pop(0))}\n\n",
        ),
    )
    here.tab.goto(f"{site}/{CHAPTER}.html")
    bar = here.tab.get_by_role("region", name="Run this page").inner_text()
    assert "runs it on mybinder.org, which is not asked before you press" in bar
    assert here.hosts() == {urlsplit(site).netloc}
    here.start()
    assert "could not start the book: no such branch" in here.wait("Not started", 20)
    assert "mybinder.org" in here.hosts()
    here.start()
    here.wait("Ready", 60)


def test_a_link_cannot_name_a_server_to_a_published_page(tab):
    """From a file, or any place but this computer's own server, the address names nothing."""
    here = tab()
    here.tab.goto(f"{(SITE / f'{CHAPTER}.html').as_uri()}#live=9:any")
    here.tab.wait_for_load_state()
    assert "mybinder.org" in here.tab.get_by_role("region", name="Run this page").inner_text()


WANTED = {
    "padding": "book/padding-and-strides",
    "stride": "book/padding-and-strides",
    "Grad-CAM": "book/insight",
    "requeue": "book/gtsrb-batch",
    "Wilson": "book/gtsrb-first-network",
    "checkpoint": "book/gtsrb-monitoring",
    "receptive field": "book/architecture",
    "dropout": "book/architecture",
    "OAR": "book/gtsrb-batch",
    "augmentation": "book/gtsrb-augmentation",
}


def test_search_finds_the_right_chapter_among_the_first_three_from_a_file_too(served, tab):
    here = tab()
    found = {}
    for root, words in [(SITE.as_uri(), WANTED), (served[0], ["padding"])]:
        for word in words:
            here.tab.goto(f"{root}/search.html?q={word}")
            here.tab.get_by_text("Search finished, found").wait_for()
            links = here.tab.locator("ul.search li > a").evaluate_all(
                "all => all.slice(0, 3).map(a => a.getAttribute('href'))"
            )
            found[word, root] = [urlsplit(link).path.removesuffix(".html") for link in links]
    missed = {asked: pages for asked, pages in found.items() if WANTED[asked[0]] not in pages}
    assert missed == {}


def test_a_notebook_and_a_script_are_saved_with_a_click(served, tab, tmp_path):
    """From a file they open in a tab of their own instead: browsers do not save from there."""
    here = tab(accept_downloads=True)
    here.tab.goto(f"{served[0]}/{CHAPTER}.html")
    for suffix in (".ipynb", ".py"):
        here.tab.get_by_role("button", name="Download this page").click()
        with here.tab.expect_download(timeout=20 * SECONDS) as started:
            here.tab.get_by_role("link", name=suffix, exact=True).click()
        started.value.save_as(tmp_path / started.value.suggested_filename)
    assert nbformat.read(tmp_path / "convolution.ipynb", as_version=4).cells
    compile((tmp_path / "convolution.py").read_text(), "convolution.py", "exec")
