"""Fixtures that several rooms share."""

import os
import shutil
import sys
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
sys.path.insert(0, str(Path(__file__).resolve().parent))  # where pictures.py is


@pytest.fixture(scope="session")
def real_data():
    """Give the folder of the real images, as `COMPANION_DATA` names it."""
    folder = os.environ.get("COMPANION_DATA")
    if not folder:
        pytest.skip("needs the real images: set COMPANION_DATA to the folder that holds them")
    return Path(folder)


@pytest.fixture(scope="session")
def chromium():
    """Start Debian's Chromium, once: Playwright cannot be started twice in a process."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is missing: on Debian and Ubuntu, apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
