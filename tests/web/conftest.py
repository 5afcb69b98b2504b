"""Fixtures for tests of the widgets."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parent
sys.path.insert(0, str(WEB.parents[1] / "book" / "_ext"))  # where Sphinx finds the extensions


@pytest.fixture(scope="session")
def run_node():
    """Give a function that runs ``tests/web/<name>`` with node's own runner."""

    def run(name, **environment):
        node = shutil.which("node")
        assert node, "node >= 18 is missing: on Debian and Ubuntu, apt-get install nodejs"
        done = subprocess.run(
            [node, "--no-warnings", "--test", WEB / name],
            env={**os.environ, **{key: str(value) for key, value in environment.items()}},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]

    return run
