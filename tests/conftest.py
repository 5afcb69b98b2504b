"""Fixtures that several rooms share, and the rule about skips."""

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn every skip into a failure where REQUIRE_ALL=1, as in CI."""
    report = yield
    if report.skipped and os.environ.get("REQUIRE_ALL") == "1" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although REQUIRE_ALL=1: {reason}"
    return report
