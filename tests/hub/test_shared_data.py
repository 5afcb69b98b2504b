"""A class reads one folder of images that belongs to somebody else; what it makes stays its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = """
import json
from companion.data import open_dataset
from companion.data import budgets
from companion.experiments import experiment, runs

opened = [open_dataset(name) for name in ("mnist", "gtsrb")]
images, _ = opened[0].load_train()
cooked = experiment.cooked_data("24x24-L", budgets.get("quick"))
print(json.dumps({"roots": [str(d.root) for d in opened], "digits": len(images),
                  "signs": len(cooked.x), "runs": str(runs.folder("first"))}))
"""
NOBODY = 65534  # on Linux the user who owns nothing; here, somebody else

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Give a folder of both data sets that nobody may write, as a teacher leaves it."""
    from companion.data import synthetic
    from companion.data.mnist import SAMPLE_ROOT

    folder = tmp_path_factory.mktemp("shared") / "data"
    synthetic.write_archive(folder, scale=0.005)
    shutil.copytree(SAMPLE_ROOT / "mnist", folder / "mnist")
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in everything:
        path.chmod(0o755 if path.is_dir() else 0o644)


def as_a_student(words, home, **variables):
    """Run a program that must obey the permissions of files, as root need not."""
    weak = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("COMPANION_", "XDG_"))}
    return subprocess.run(
        [*(weak if os.getuid() == 0 else []), *words],
        env={**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables},
        cwd=home,
        capture_output=True,
        text=True,
    )


def test_shared_images_are_read_and_never_written(shared, tmp_path):
    before = sorted((str(path), path.stat().st_mtime_ns) for path in shared.rglob("*"))
    done = as_a_student([sys.executable, "-c", USE], tmp_path, COMPANION_DATA=str(shared))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["roots"] == [str(shared)] * 2
    assert found["digits"] == 6000
    assert found["signs"] > 0
    assert not Path(found["runs"]).is_absolute(), "runs lie where the student works"
    made = [path for path in tmp_path.rglob("*.h5") if path.is_file()]
    assert len(made) == 1, "what was cooked lies in the student's home"
    assert sorted((str(path), path.stat().st_mtime_ns) for path in shared.rglob("*")) == before
