"""The shell scripts, without any scheduler."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    path.relative_to(ROOT).as_posix()
    for folder in ("hpc", "tests/hpc")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".sh", ".sbatch", ".oar") and path.name != "site.sh"
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_reads_each_script(script):
    done = subprocess.run(["bash", "-n", ROOT / script], capture_output=True, text=True)
    assert not done.returncode, done.stderr


@pytest.mark.cluster
@pytest.mark.slow
def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: run tests/hpc/install.sh")
    done = subprocess.run(
        ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *SCRIPTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stdout


def test_job_files_are_directives_and_one_call():
    for path in [*(ROOT / "hpc/slurm").iterdir(), *(ROOT / "hpc/oar").iterdir()]:
        lines = path.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        assert path.stat().st_mode & 0o111, f"{path} must be executable for oarsub"
        calls = [line for line in lines if line and not line.startswith("#")]
        kind = path.stem
        assert " ".join(calls).endswith(f'exec hpc/run_{kind}.sh "$@"')
        assert len(calls) == 1


def test_slurm_and_oar_do_the_same():
    for path in (ROOT / "hpc/oar").iterdir():
        other = ROOT / "hpc/slurm" / f"{path.stem}.sbatch"
        called = [re.search(r"hpc/run_\w+\.sh", p.read_text())[0] for p in (path, other)]
        assert called[0] == called[1]


@pytest.mark.parametrize("profile", sorted((ROOT / "hpc/profiles").iterdir()), ids=lambda p: p.stem)
def test_a_profile_says_that_it_was_not_run_there(profile):
    text = profile.read_text()
    assert "NOT RUN" in text
    # A job reads it under `set -e`, with nothing of a site there.
    done = subprocess.run(
        [
            "bash",
            "-ec",
            f"module() {{ :; }}; SCRATCH=/s USER=me; source {profile}; echo $RUNS $NEED",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[1] == "gpu", done.stderr


def copy(tmp_path, site="ENVIRONMENT=/nowhere\n"):
    shutil.copytree(ROOT / "hpc", tmp_path / "hpc")
    (tmp_path / "hpc" / "site.sh").write_text(site)
    (tmp_path / "book").mkdir()
    (tmp_path / "runs").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("run_train.sh", 2, "usage: run_train.sh NAME EXPERIMENT [options of companion train]"),
        ("run_train.sh a/../b mnist-cnn", 1, "hpc: name must be of letters, digits"),
        ("run_train.sh first mnist-cnn", 1, "hpc: /nowhere has no companion: run hpc/prepare.sh"),
        ("run_chapter.sh night nothing", 1, "hpc: there is no chapter book/nothing.md"),
        ("run_sweep.sh seeds grid.txt", 1, "hpc: this is no job of an array"),
        ("run_multinode.sh wide mnist-cnn", 1, "hpc: several processes need Slurm"),
        ("run_gather.sh seeds", 1, "hpc: runs/seeds does not exist: no cell has begun"),
        ("submit.sh nothing a b", 1, "hpc: kind must be chapter, train, sweep or multinode"),
        ("submit.sh sweep seeds grid.txt", 1, "hpc: there is no grid grid.txt"),
        ("prepare.sh --cook full", 1, "hpc: --cook needs a budget and recipes"),
        ("prepare.sh --fast", 1, "hpc: unknown option '--fast'"),
    ],
)
def test_a_mistake_gets_one_sentence(tmp_path, command, code, said):
    place = copy(tmp_path)
    done = subprocess.run(
        f"hpc/{command}",
        shell=True,
        cwd=place,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "SCHEDULER": "slurm"},
    )
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_warning_before_the_training_begins_is_not_lost(tmp_path):
    place = copy(tmp_path, "")
    script = (
        "source hpc/common.sh; kill -USR1 $$; run touch runs/began; echo status $status; "
        "trap - EXIT; [[ ! -e runs/began ]]"
    )
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "status 99"


@pytest.mark.parametrize("code", [0, 1, 99])
def test_a_warning_reaches_the_training_and_its_exit_status_us(tmp_path, code):
    place = copy(tmp_path, "")
    child = f"trap 'echo child warned; exit {code}' USR1; echo up; while :; do sleep 0.05; done"
    script = (
        f"source hpc/common.sh; (while ! grep -q up out; do sleep 0.05; done; kill -USR1 $$) & "
        f'run bash -c "{child}" >out; cat out; echo status $status'
    )
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True)
    assert "child warned" in done.stdout, done.stderr
    assert done.stdout.endswith(f"status {code}\n")


@pytest.mark.parametrize("what", ["exit 3", "kill -9 $$"])
def test_the_exit_status_of_a_training_is_ours(tmp_path, what):
    place = copy(tmp_path, "")
    script = f"source hpc/common.sh; run bash -c '{what}'; echo status $status"
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True)
    assert done.stdout.strip() == {"exit 3": "status 3", "kill -9 $$": "status 137"}[what]


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_the_end_of_a_requeued_job_is_no_refusal(tmp_path, when):
    """Slurm sends TERM to all of the job, scontrol too, whether scontrol has its answer or not."""
    place = copy(tmp_path, "")
    end = "kill -TERM 0"  # the process group is the job
    scontrol = {
        "before": f"{end}; sleep 0.2",
        "after": f"(sleep 0.5; {end}) >out 2>&1 & exit 0",
        "never": "echo Invalid job id >&2; exit 1",
    }[when]
    (place / "bin").mkdir()
    (place / "bin" / "scontrol").write_text(f"#!/bin/bash\n{scontrol}\n")
    (place / "bin" / "scontrol").chmod(0o755)
    script = 'source hpc/common.sh; run bash -c "exit 99"; PATH="$PWD/bin:$PATH"; again; echo on'
    began = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "SLURM_JOB_ID": "4"},
        start_new_session=True,
    )
    assert time.perf_counter() - began < 20
    said = ["hpc: stopped; back into the queue"]
    if when == "never":
        said += ["hpc: scontrol requeue was refused: submit the same job again to go on", "on"]
    assert done.stdout.splitlines() == said, done.stderr
    assert done.returncode == {"before": 0, "after": -15, "never": 0}[when]
