"""The rule about skips, and whose progress the tests write.

It stands at the root because pytest asks a conftest.py of what lies below it alone: doctests lie
in companion/, the chapters' cells in _build/.
"""

import os

import pytest

# Before any test starts JAX, which is when XLA reads its flags: the same training in this process
# and in one that it starts must end in the same bits.
import companion.training  # noqa: F401

REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "0") not in ("", "0")


@pytest.fixture(scope="session", autouse=True)
def _progress_of_nobody(tmp_path_factory):
    """Keep the doctests of companion.exercises away from the user's own progress."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPANION_PROGRESS", str(tmp_path_factory.mktemp("progress")))
        patch.setenv("COMPANION_LEARNER", "")
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Turn a skipped test into a failure where REQUIRE_ALL=1, as in CI."""
    report = yield
    return report if hasattr(report, "wasxfail") else _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Likewise a file that is skipped as a whole: none of its tests gets a report."""
    report = yield
    return _failed_if_skipped(report)


def _failed_if_skipped(report):
    if report.skipped and REQUIRE_ALL:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped although REQUIRE_ALL=1: {reason}"
    return report
