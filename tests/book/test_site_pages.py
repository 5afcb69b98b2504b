"""Every page of the built site in Chromium and through html-validate: is it open to all?

tests/run.py runs it after test_site.py, which builds the site. Each page is opened once, from a
file, as a reader without network opens it, and all that can be asked of it is asked then.
"""

import functools
import gzip
import json
import re
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
CHAPTERS = [
    chapter["file"]
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    for chapter in part["chapters"]
]
PAGES = ["index", *CHAPTERS]
# Those that Sphinx writes by itself.
OTHERS = ["search", "genindex", "py-modindex", "prf-prf"]
LOOKS = Path(__file__).with_name("looks.js")
WIDTHS = (320, 768, 1440)
# What the mode changes is colours: everything else is asked in light mode alone.
COLOURS = ["color-contrast", "link-in-text-block"]
PICTURES = (".png", ".svg", ".jpg", ".gif", ".webp")
TEXTS = (".html", ".css", ".js", ".svg", ".json")
pytestmark = pytest.mark.book


@pytest.fixture(scope="module", autouse=True)
def built():
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: test_site.py builds it, or make book")


def transferred(urls):
    """Count bytes as a static host sends them, text through gzip: of all, and of pictures."""
    total = pictures = 0
    for url in set(urls):
        path = Path(unquote(urlsplit(url).path))
        size = sent(path)
        total += size
        pictures += size if path.suffix in PICTURES else 0
    return total, pictures


@functools.cache
def sent(path):
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if path.suffix in TEXTS else len(data)


def all_loaded(tab):
    """Wait until formulas are set, where the page has any."""
    tab.wait_for_function(
        "!document.querySelector('.math') || window.MathJax?.startup?.promise?.then(() => true)"
    )


@pytest.mark.parametrize("page", PAGES + OTHERS)
def test_a_page_is_open_to_all(chromium, axe, page):
    said, asked = [], []
    context = chromium.new_context(
        viewport={"width": WIDTHS[-1], "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    context.add_init_script(path=LOOKS)
    tab = context.new_page()
    tab.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    tab.goto((SITE / f"{page}.html").as_uri(), wait_until="load")
    all_loaded(tab)
    faults = {}

    faults["console"] = said.copy()
    faults["other sites"] = [u for u in asked if not u.startswith(("file:", "data:", "blob:"))]
    asked += tab.evaluate("[...document.images].map(image => image.src)")  # those far below too
    files = {url for url in asked if url.startswith("file:")}
    total, pictures = transferred(files)
    # pytest -rP shows it
    print(f"{page}: {len(files)} files, {total - pictures:,} bytes and {pictures:,} of pictures")
    if total - pictures >= 1e6 or total >= 2e6:
        faults["bytes"] = f"{total - pictures:,} and {pictures:,} of pictures"
    faults["icons"] = tab.evaluate("looks.blank()")

    tab.wait_for_function("[...document.images].every(each => each.complete)")
    faults["no picture"] = tab.evaluate("looks.missing()")
    tab.emulate_media(media="print")
    tab.evaluate("new Promise(requestAnimationFrame)")  # what was folded is laid out now
    paper = tab.evaluate("looks.onPaper()")
    print(f"{page}: {paper.pop('folded')} folded parts")
    faults |= {f"on paper, {name}": found for name, found in paper.items()}

    tab.emulate_media(media="screen", color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    if tab.evaluate("document.documentElement.dataset.theme") != "light":
        faults["printed in dark colours"] = page
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    tab.emulate_media(color_scheme="light")
    tab.wait_for_function("document.documentElement.dataset.theme === 'light'")
    if tab.evaluate("looks.unfold()"):
        tab.wait_for_timeout(500)  # the theme takes its time to let keys reach wide code
    faults["axe, light"] = axe(tab)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    faults["axe, dark"] = axe(tab, COLOURS)
    faults["pictures in dark mode"] = tab.evaluate("looks.bare()")

    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 900})
        found = tab.evaluate("document.documentElement.scrollWidth")
        if found > width:
            faults[f"sideways at {width}"] = found
    context.close()
    assert {name: found for name, found in faults.items() if found} == {}


def test_every_page_is_valid_html(page_tools):
    pages = [SITE / f"{page}.html" for page in PAGES + OTHERS]
    program = page_tools / ".bin" / "html-validate"
    configuration = Path(__file__).with_name("htmlvalidate.json")
    done = subprocess.run(
        [program, "--config", configuration, "--formatter", "json", *pages],
        capture_output=True,
        text=True,
    )
    faults = {
        f"{Path(file['filePath']).name}:{each['line']} {each['ruleId']}: {each['message']}"
        for file in json.loads(done.stdout)
        for each in file["messages"]
    }
    assert sorted(faults) == []
    assert done.returncode == 0, done.stderr


# --- the keyboard ---------------------------------------------------------------------------------

WIDGETS = {
    page: name
    for page in PAGES
    for name in re.findall(r"^```\{widget\} (\w+)$", (ROOT / f"{page}.md").read_text(), re.M)
}


def test_every_widget_is_walked_with_the_tab_key_and_left_again(chromium):
    assert len(WIDGETS) == 7
    tab = chromium.new_page(viewport={"width": 1000, "height": 800}, reduced_motion="reduce")
    tab.add_init_script(path=LOOKS)
    for page, name in WIDGETS.items():
        tab.goto((SITE / f"{page}.html").as_uri(), wait_until="load")
        stage = tab.locator(f"kc-{name} > .kc-stage")
        stops = [stop.as_element() for stop in elements(stage.evaluate_handle("looks.stops"))]
        assert len(stops) >= 5, name
        stage.evaluate("each => { each.tabIndex = -1; each.focus(); }")
        for stop in stops:
            before = stop.evaluate("looks.of")
            tab.keyboard.press("Tab")
            what = f"{name}: {stop.evaluate('each => each.outerHTML')[:100]}"
            assert stop.evaluate("each => each === document.activeElement"), f"missed {what}"
            assert stop.evaluate("looks.of") != before, f"focus cannot be seen on {what}"
            assert stop.evaluate("looks.shown"), f"focus is off the screen on {what}"
            tab.keyboard.press("Escape")
            assert stop.evaluate("each => each.isConnected"), f"Escape removes {what}"
        tab.keyboard.press("Tab")
        inside = "stage => stage.contains(document.activeElement)"
        assert not stage.evaluate(inside), f"{name} does not let go"
        tab.keyboard.press("Shift+Tab")
        assert stage.evaluate(inside), f"{name} cannot be entered from behind"
    tab.context.close()


def elements(handle):
    """List the elements of an array in the page."""
    return [value for key, value in handle.get_properties().items() if key.isdigit()]


def test_focus_can_be_seen_at_every_stop_of_a_page(chromium):
    """The theme's own buttons too, and what is folded takes no part."""
    tab = chromium.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    tab.add_init_script(path=LOOKS)
    tab.goto((SITE / "book" / "pooling.html").as_uri(), wait_until="load")
    all_loaded(tab)
    seen, unseen = set(), []
    for _ in range(600):
        tab.keyboard.press("Tab")
        found = tab.evaluate("looks.focus()")
        if found is None:
            break
        seen.add(found["element"])
        if not found["seen"]:
            unseen.append(found["element"])
    else:
        pytest.fail("600 presses of Tab do not lead through the page")
    assert len(seen) > 50
    assert unseen == []
    tab.context.close()


# --- a slow line ----------------------------------------------------------------------------------


class Host(SimpleHTTPRequestHandler):
    """Send text through gzip and keep connections open, as a static host does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        data = path.read_bytes() if path.is_file() else b""
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Content-Type", self.guess_type(str(path)))
        if path.suffix in TEXTS:
            data = gzip.compress(data, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Say nothing where a tab is closed before it has all."""


# What Chromium's developer tools call Fast 3G, in bytes a second and milliseconds.
FAST_3G = {
    "offline": False,
    "latency": 562.5,
    "downloadThroughput": 0.9 * 1.6e6 / 8,
    "uploadThroughput": 0.9 * 750e3 / 8,
}


def waits_for(page):
    """List the files that must be there before a page can be used, itself first."""
    path = SITE / f"{page}.html"
    soup = BeautifulSoup(path.read_text(), "html.parser")
    files = [each["href"] for each in soup.select("link[rel=stylesheet]")]
    files += [each["src"] for each in soup.select("script[src]:not([async])")]
    return [path, *(path.parent / unquote(urlsplit(name).path) for name in files)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_waits_for_two_answers_and_few_bytes(page):
    """What a slow line takes, counted: no other load of this machine can change it.

    Chromium took 0.2 s more, for parsing and drawing; two seconds are what a reader may wait.
    """
    paths = waits_for(page)
    seconds = 2 * FAST_3G["latency"] / 1000 + sum(map(sent, paths)) / FAST_3G["downloadThroughput"]
    print(f"{page}: {seconds:.2f} s")  # pytest -rP shows it
    assert seconds < 1.85, [(path.name, sent(path)) for path in paths]
    soup = BeautifulSoup(paths[0].read_text(), "html.parser")
    # One that is not deferred stops the page; without the priority they come one after another.
    for script in soup.select("script[src]"):
        assert "defer" in script.attrs, script
        assert script["fetchpriority"] == "high", script
    for path in paths:
        if path.suffix == ".css":
            assert "@import" not in path.read_text()  # a third answer to wait for


def seconds_on_a_slow_line(chromium, address):
    """Open a page over Fast 3G, with nothing kept; say when it shows, is parsed, is ready."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.add_init_script(path=LOOKS)
    session = context.new_cdp_session(tab)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", FAST_3G)
    tab.goto(address, wait_until="commit")
    tab.wait_for_function("looks.ready", timeout=20_000)
    tab.wait_for_load_state("domcontentloaded")
    tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    found = tab.evaluate(
        """() => ({
            shows: performance.getEntriesByName("first-contentful-paint")[0].startTime,
            parsed: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
            ready: looks.ready,
        })"""
    )
    context.close()
    return {name: round(value / 1000, 2) for name, value in found.items()}


@pytest.fixture
def host():
    handler = functools.partial(Host, directory=SITE)
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("page", ["convolution", "mnist-cnn"])
def test_a_page_with_a_widget_is_usable_in_two_seconds_on_a_slow_line(chromium, host, page):
    """1.8 on an idle machine (the theme as it comes took ten); 2.8 where others share it."""
    times = [seconds_on_a_slow_line(chromium, f"{host}/book/{page}.html") for _ in range(2)]
    print(times)  # pytest -rP shows them
    best = {name: min(run[name] for run in times) for name in times[0]}
    assert max(best.values()) < 2.8, times
