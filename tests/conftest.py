"""Fixtures that several rooms share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture(scope="session")
def real_data():
    """Give the folder of the real images, as `COMPANION_DATA` names it."""
    folder = os.environ.get("COMPANION_DATA")
    if not folder:
        pytest.skip("needs the real images: set COMPANION_DATA to the folder that holds them")
    return Path(folder)
