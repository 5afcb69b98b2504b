"""What the tests of the built site look at it with."""

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "_build" / "page-tools"


@pytest.fixture(scope="session")
def page_tools():
    """Install axe-core and html-validate below _build, once for a lock file; give their folder."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm is missing: on Debian and Ubuntu, apt-get install npm")
    wanted = (HERE / "package-lock.json").read_text()
    done = TOOLS / "installed.json"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with FileLock(TOOLS.with_suffix(".lock")):  # two processes test the pages
        if not done.exists() or done.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, TOOLS / name)
            words = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            installed = subprocess.run(words, cwd=TOOLS, capture_output=True, text=True)
            assert installed.returncode == 0, installed.stderr
            done.write_text(wanted)
    return TOOLS / "node_modules"


@pytest.fixture(scope="session")
def axe(page_tools):
    """Give a function that asks axe-core about a tab: a line for each rule that fails."""
    script = page_tools / "axe-core" / "axe.min.js"

    def ask(tab, only=WCAG):
        tab.add_script_tag(path=script)
        found = tab.evaluate(
            "only => axe.run(document, "
            "{runOnly: only, preload: false, resultTypes: ['violations']})"
            ".then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))]))",
            only,
        )
        return [f"{rule}: {len(places)}, as {places[:3]}" for rule, places in found]

    return ask
