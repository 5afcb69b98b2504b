"""Follow a chapter's own launch link to a real JupyterHub, and open one in a plain JupyterLab.

In each, a chapter is opened as a notebook and all its cells are run through the menu. The hub's
environment is made as an image is: ``binder/requirements.txt``, then ``binder/postBuild`` in a home
that is gone when servers start. It is kept in ``_build/hub`` for the next time.

In the folder's name it comes after tests/book, which builds the site with the links.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SITE = ROOT / "_build" / "html"
SCRIPTS = Path(sysconfig.get_path("scripts"))
CONFIGURATION = yaml.safe_load((ROOT / "_config.yml").read_text())
URL, BRANCH = (CONFIGURATION["repository"][key] for key in ("url", "branch"))
NAME = URL.rsplit("/", 1)[-1]
HUB_CHAPTER = os.environ.get("HUB_CHAPTER", "book/padding-and-strides")  # any page of the site
PATIENCE = 240  # seconds for what takes ten on a machine that does nothing else

pytestmark = [pytest.mark.book, pytest.mark.slow]

# What JupyterLab knows of the notebook in front, in its own words.
STATE = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  if (!kernel || !panel.content?.model) return null;
  const cells = panel.content.model.toJSON().cells.filter((cell) => cell.cell_type === "code");
  return {
    path: panel.context.path,
    status: kernel.status,
    cells: cells.length,
    waiting: cells.filter((cell) => cell.source.length && !cell.execution_count).length,
    outputs: cells.reduce((sum, cell) => sum + cell.outputs.length, 0),
    errors: cells.flatMap((cell) =>
      cell.outputs.filter((output) => output.output_type === "error")
        .map((output) => `${output.ename}: ${output.evalue}`)),
  };
}"""
EXECUTE = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const asked = kernel.requestExecute({ code });
  let said = "";
  asked.onIOPub = (message) => {
    if (message.header.msg_type === "stream") said += message.content.text;
    if (message.header.msg_type === "error") said += message.content.evalue;
  };
  await asked.done;
  return said;
}"""


def run_all_cells(tab, path):
    """Run the notebook in front through the menu; give its state when all is done."""
    patiently = {"timeout": PATIENCE * 1000, "polling": 500}  # milliseconds
    tab.wait_for_function(f"({STATE})()?.status === 'idle'", **patiently)
    before = tab.evaluate(STATE)
    assert before["path"] == path
    assert before["outputs"] == 0
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.locator('li[data-command="runmenu:run-all"]').click()
    done = "(s => s.errors.length || (s.status === 'idle' && !s.waiting))"
    tab.wait_for_function(f"{done}(({STATE})())", **patiently)
    return tab.evaluate(STATE)


def ports(count):
    """Find so many ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@contextlib.contextmanager
def serving(words, address, log, **settings):
    """Run a server until the block ends."""
    with log.open("w") as said:
        server = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT, **settings)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(requests.ConnectionError):
                # Not found is what a proxy says before it knows of the hub behind it.
                if requests.get(address, timeout=10).ok:
                    break
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(30)
        print(log.read_text()[-5000:])  # pytest shows it where a test failed


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Give a git repository with the files of this one as they are now, named as it is online."""
    folder = tmp_path_factory.mktemp("online") / NAME
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True
    )
    assert listed.returncode == 0, f"the tests of the hub need a git repository: {listed.stderr}"
    for name in filter(lambda name: (ROOT / name).is_file(), listed.stdout.splitlines()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    who = ("-c", "user.name=A test", "-c", "user.email=test@example.org")
    for words in (["init", "-q", "-b", BRANCH], ["add", "-A"], [*who, "commit", "-qm", "The book"]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    return folder


@pytest.fixture(scope="module")
def cache():
    """Give the cache folder of whoever runs the tests."""
    from companion.data.registry import cache_folder

    return cache_folder().parent


def install(python):
    """Install what an image holds; where uv cannot, pip does, as in the Makefile."""
    wanted = ["-r", ROOT / "binder" / "requirements.txt", "-r", HERE / "requirements.txt"]
    with contextlib.suppress(OSError):
        quick = [SCRIPTS / "uv", "pip", "install", "--quiet", "--python", python, *wanted]
        if subprocess.run(quick).returncode == 0:
            return
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    subprocess.run(pip, check=True)


@pytest.fixture(scope="module")
def image(repository, cache, tmp_path_factory):
    """Make the environment of a hub's servers, and the proxy; give the folder of both."""
    if not shutil.which("npm"):
        pytest.skip("npm is missing: on Debian and Ubuntu, apt-get install npm")
    folder = ROOT / "_build" / "hub"
    ready = folder / "ready"
    pins = [ROOT / "requirements.txt", ROOT / "binder" / "requirements.txt"]
    pins += [HERE / "requirements.txt", HERE / "package.json", HERE / "package-lock.json"]
    now = hashlib.sha256(b"".join(path.read_bytes() for path in pins)).hexdigest() + sys.version
    if not ready.exists() or ready.read_text() != now:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        install(folder / "env" / "bin" / "python")
        ready.write_text(now)
    home = tmp_path_factory.mktemp("image")
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    subprocess.run(["git", "clone", "-q", repository, home / NAME], check=True)
    subprocess.run(
        [home / NAME / "binder" / "postBuild"],
        cwd=home / NAME,
        # pip reads from there which index to ask.
        env=user_environment(folder, home, cache) | {"XDG_CONFIG_HOME": str(settings)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # On many hubs a user's own folder is mounted over the image's home.
    shutil.rmtree(home)
    return folder


def user_environment(image, home, cache):
    """Give the environment variables of somebody who has nothing but the image."""
    ours = ("COMPANION_", "JUPYTER", "KERAS_", "PYTHON", "VIRTUAL_ENV", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{image / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "HOME": str(home), "XDG_CACHE_HOME": str(cache)}


@pytest.fixture(scope="module")
def hub(image, cache, tmp_path_factory):
    """Start a JupyterHub with the book's settings; give its address, password and folders."""
    from companion.data.mnist import SAMPLE_ROOT

    folder = tmp_path_factory.mktemp("hub")
    data = folder / "data"
    shutil.copytree(SAMPLE_ROOT, data)
    numbers = ports(3)
    address = f"http://127.0.0.1:{numbers[0]}"
    proxy = image / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    password = secrets.token_hex(16)
    environment = user_environment(image, folder, cache) | {
        "COMPANION_DATA": str(data),
        "HUB_BOOK_CONFIG": str(ROOT / "binder" / "jupyterhub_config.example.py"),
        "HUB_CACHE": str(cache),
        "HUB_FOLDER": str(folder / "home"),
        "HUB_PASSWORD": password,
        "HUB_PORTS": " ".join(map(str, numbers)),
        "HUB_PROXY": f"{shutil.which('node')}\n{proxy}",
    }
    words = [image / "env" / "bin" / "jupyterhub", "--config", HERE / "jupyterhub_config.py"]
    log = folder / "hub.log"
    with serving(words, f"{address}/hub/health", log, cwd=folder, env=environment):
        yield {"address": address, "password": password, "data": data, "home": folder / "home"}


def launch_link(page):
    """Read the address behind the JupyterHub button of a page of the site."""
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: tests/book/test_site.py builds it, or make book")
    soup = BeautifulSoup((SITE / f"{page}.html").read_text(), "html.parser")
    start = CONFIGURATION["launch_buttons"]["jupyterhub_url"]
    return next(a["href"] for a in soup.find_all("a", href=True) if a["href"].startswith(start))


@pytest.fixture
def tab(chromium):
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    yield page
    context.close()


def test_a_launch_link_ends_in_a_chapter_that_runs(hub, repository, image, tab):
    link = launch_link(HUB_CHAPTER)
    here = {
        CONFIGURATION["launch_buttons"]["jupyterhub_url"]: hub["address"],
        quote(URL): quote(repository.as_uri()),
    }
    for online, local in here.items():
        assert link.count(online) == 1
        link = link.replace(online, local)
    tab.goto(link)
    tab.fill("#username_input", "anna")
    tab.fill("#password_input", hub["password"])
    tab.click("#login_submit")
    state = run_all_cells(tab, f"{NAME}/{HUB_CHAPTER}.md")
    assert state["errors"] == []
    assert state["waiting"] == 0
    assert state["cells"] > 10
    assert state["outputs"] > 10

    # The companion is the image's, the data are the shared ones, the questions are Anna's own.
    asked = (
        "import companion; from companion import exercises, data; "
        "print(companion.__file__, data.open_dataset('mnist').root, exercises.learner(), sep='\\n')"
    )
    where, data, learner = tab.evaluate(EXECUTE, asked).split("\n")[:3]
    assert Path(where).is_relative_to(image / "env")
    assert Path(data) == hub["data"]
    assert learner == "anna"

    # As "On a hub" in the chapter on monitoring says it.
    (port,) = ports(1)
    board = [image / "env" / "bin" / "tensorboard", "--logdir", hub["home"], "--port", str(port)]
    address = f"{hub['address']}/user/anna/proxy/{port}/"
    log = hub["home"] / "tensorboard.log"
    with serving(board, f"http://127.0.0.1:{port}", log):
        answer = tab.request.get(f"{address}data/environment")
        assert answer.ok, answer.status_text
        assert "version" in answer.json()
        tab.goto(address)
        assert tab.title() == "TensorBoard"
        stranger = requests.get(f"{address}data/environment", timeout=10, allow_redirects=False)
        assert stranger.status_code == 302, "who has not logged in sees nothing"


@pytest.fixture
def jupyterlab(repository, tmp_path):
    """Start JupyterLab in a copy of the repository, as the README says it; give its address."""
    subprocess.run(["git", "clone", "-q", repository, tmp_path / NAME], check=True)
    (port,) = ports(1)
    token = secrets.token_hex(16)
    words = [
        *(SCRIPTS / "jupyter-lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"),
    ]
    environment = {name: os.environ[name] for name in os.environ if "COMPANION" not in name}
    environment |= {"PYTHONPATH": str(tmp_path / NAME), "JUPYTER_CONFIG_DIR": str(tmp_path / "cfg")}
    address, log = f"http://127.0.0.1:{port}", tmp_path / "lab.log"
    with serving(words, f"{address}/api", log, cwd=tmp_path / NAME, env=environment):
        yield f"{address}/lab?reset&token={token}"


def test_a_chapter_opens_and_runs_in_a_plain_jupyterlab(jupyterlab, tab):
    """Right click, Open With, Notebook: nothing was set up."""
    tab.goto(jupyterlab)
    files = tab.locator(".jp-DirListing-item")
    files.filter(has_text="book").first.dblclick()
    files.filter(has_text="images.md").click(button="right")
    tab.get_by_text("Open With", exact=True).hover()
    tab.locator(".lm-Menu-itemLabel", has_text=re.compile("^Notebook$")).click()
    state = run_all_cells(tab, "book/images.md")
    assert state["errors"] == []
    assert state["waiting"] == 0
    assert state["cells"] > 10
    assert state["outputs"] > 10
