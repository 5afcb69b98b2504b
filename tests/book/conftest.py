"""What the tests of the built site look at it with."""

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

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
