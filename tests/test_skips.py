import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SKIPS = {
    "tests/test_module.py": "import pytest\npytest.importorskip('no_such_module')\n",
    "tests/test_inside.py": "import pytest\ndef test(): pytest.skip('inside')\n",
    "tests/test_marked.py": "import pytest\n@pytest.mark.skip\ndef test(): pass\n",
    "companion/doctest.py": '"""A doctest.\n\n>>> 1 / 0  # doctest: +SKIP\n"""\n',
}
XFAIL = "import pytest\n@pytest.mark.xfail\ndef test(): assert 0\n"


@pytest.fixture
def suite(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    for name, text in {**SKIPS, "tests/test_xfail.py": XFAIL}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(require_all, *words):
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", f"--rootdir={tmp_path}", "-c", os.devnull, "-ra"),
                *("--doctest-modules", "--import-mode=importlib", *words, "tests", "companion"),
            ],
            cwd=tmp_path,
            env=os.environ | {"REQUIRE_ALL": require_all},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.slow
def test_skips_of_every_kind_pass_by_default(suite):
    done = suite("")
    assert done.returncode == 0, done.stdout
    assert f"{len(SKIPS)} skipped, 1 xfailed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "2"])
def test_require_all_makes_skips_of_every_kind_failures(suite, processes):
    # With an error of collection pytest would not run the others.
    done = suite("1", "--continue-on-collection-errors", "-n", processes)
    assert done.returncode != 0
    for name in SKIPS:
        assert name in done.stdout, done.stdout
    assert done.stdout.count("was skipped although REQUIRE_ALL=1") >= len(SKIPS)
    assert " skipped" not in done.stdout.splitlines()[-1]
    assert "1 xfailed" in done.stdout
