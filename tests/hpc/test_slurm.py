"""What the Slurm templates promise, on real daemons: two nodes, on this machine.

All scenes are begun at once and run side by side; each test waits for its own. CLUSTER_REPEATS=5
runs each interruption five times.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from companion.experiments import reports

# A busy machine takes its time.
pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = Path(__file__).parent / "cluster"
SCHEDULER, FIRST = "slurm", ["reference"]
REPEATS = int(os.environ.get("CLUSTER_REPEATS", "1"))
# Node 2 is for those who take a node down; a job of one CPU leaves room for three more.
HERE = ("--nodelist=node1", "--cpus-per-task=1")
THERE = ("--nodelist=node2", "--cpus-per-task=32")
NODE_2 = threading.Lock()


# How a scene is played


def train(slurm, name, *options, where=HERE, **env):
    """Submit the training that all scenes interrupt."""
    words = ("hpc/slurm/train.sbatch", name, *slurm.TRAINING.split())
    return slurm.sbatch(*where, *options, *words, **env)


def finished(slurm, job, name):
    """Wait for the end of a job; give its log and the report of its run."""
    state = slurm.wait_end(job)
    log = slurm.log(job)
    assert state == "COMPLETED", f"{name}: job {job} is {state}\n{log}"
    return log, slurm.report(name)


def fill(path):
    """Write until the disk is full."""
    with path.open("ab", buffering=0) as file:
        while True:
            try:
                file.write(b"0" * 4096)
            except OSError:
                return


# Scenes: each takes the cluster and a name, and gives what its test looks at


def reference(slurm, name):
    """Run the training uninterrupted."""
    job = train(slurm, name, COMPILED="off")
    return finished(slurm, job, name)


def requeue(slurm, name):
    """Put a job that runs back into the queue."""
    job = train(slurm, name)
    with slurm.held_in_the_middle(job, name):
        slurm.run("scontrol", "requeue", job)
        slurm.wait_log(job, "TERM received")
    return finished(slurm, job, name)


def usr1(slurm, name):
    """Send the warning that Slurm sends before the time limit."""
    job = train(slurm, name)
    with slurm.held_in_the_middle(job, name):
        slurm.run("scancel", "--batch", "--signal=USR1", job)
        slurm.wait_log(job, "USR1 received")
    slurm.wait_log(job, "back into the queue")
    return finished(slurm, job, name)


def time_limit(slurm, name):
    """Come near the time limit: the warning is Slurm's own."""
    job = train(slurm, name)
    with slurm.held_in_the_middle(job, name):
        # An hour is the template's limit; two minutes from now do as well.
        hours, minutes, _ = slurm.show(job)["RunTime"].split(":")
        limit = 60 * int(hours) + int(minutes) + 2
        slurm.run("scontrol", "update", f"jobid={job}", f"timelimit={limit}")
        slurm.wait_log(job, "USR1 received")
        slurm.run("scontrol", "update", f"jobid={job}", "timelimit=60")
    slurm.wait_log(job, "back into the queue")
    return finished(slurm, job, name)


def node_down(slurm, name):
    """Lose the node: its daemon and all processes of the job end without a word."""
    with NODE_2:
        job = train(slurm, name, where=THERE)
        with slurm.held_in_the_middle(job, name) as trained:
            pid = int((slurm.folder / "run" / "slurmd-node2.pid").read_text())
            gone = [psutil.Process(pid), *trained.parents(), trained]
            keep = {1, os.getpid(), *(p.pid for p in psutil.Process().parents())}
            for one in gone:
                if one.pid not in keep:
                    one.kill()
        slurm.run("scontrol", "update", "nodename=node2", "state=down", "reason=power")
        slurm.wait_for(lambda: slurm.state(job) == "PENDING", what="the job to be put back")
        slurm.wait_for(lambda: not psutil.pid_exists(trained.pid), what="the training's end")
        (slurm.folder / "run" / "slurmd-node2.pid").unlink(missing_ok=True)
        subprocess.run([CLUSTER / "slurm.sh", "start", slurm.folder, "0"], check=True)
        return finished(slurm, job, name)


def kill_9(slurm, name):
    """Kill the training itself; the job fails, and the same line is submitted again."""
    job = train(slurm, name)
    with slurm.held_in_the_middle(job, name) as training:
        training.kill()
    assert slurm.wait_end(job) == "FAILED", slurm.log(job)
    assert slurm.report(name).status == "running"
    return finished(slurm, train(slurm, name), name)


def preempted(slurm, name):
    """Lose the node to a job of a partition that goes first."""
    with NODE_2:
        job = train(slurm, name, where=THERE)
        with slurm.held_in_the_middle(job, name):
            urgent = slurm.sbatch(
                "--partition=urgent", "--nodelist=node2", "--output=runs/urgent.log", "--wrap=true"
            )
            slurm.wait_log(job, "TERM received")
        assert slurm.wait_end(urgent) == "COMPLETED"
        return finished(slurm, job, name)


def full_disk(slurm, name):
    """Fill the disk under a training; later there is room again."""
    folder = slurm.place / "runs" / name
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    try:
        job = train(slurm, name)
        slurm.wait_middle(job, name)
        # A checkpoint makes room for the next one when it replaces the last: fill that, too.
        slurm.wait_for(lambda: fill(folder / "other") or slurm.state(job) != "RUNNING")
        state = slurm.wait_end(job)
        failed, left = slurm.log(job), slurm.saved(name)
        assert state == "FAILED", failed
        (folder / "other").unlink()
        log, report = finished(slurm, train(slurm, name), name)
        kept = slurm.place / "runs" / f"{name}-kept"
        shutil.copytree(folder, kept)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    shutil.rmtree(folder)
    kept.rename(folder)
    return log, report, failed, left


def array(slurm, name):
    """An array of six cells: the third fails, the second is interrupted; then the reports."""
    cells = [f"mnist-dense --epochs 1 --seed {seed}" for seed in range(6)]
    cells[1] = slurm.TRAINING.split(" --checkpoint")[0]
    # The line is right; that too little is left to train on, only the data say.
    cells[2] = "mnist-dense --epochs 1 --scale 0.0001"
    grid = slurm.place / f"{name}.txt"
    grid.write_text("# six cells\n\n" + "\n".join(cells) + "\n")
    often = ("--checkpoint-minutes", 0.005)
    done = slurm.run("hpc/submit.sh", "sweep", *HERE, name, grid.name, *often)
    job, gather = re.findall(r"Submitted (?:array|batch job) (\d+)", done.stdout)
    second = f"{job}_2"
    folder = slurm.place / "runs" / name
    cells = slurm.wait_for(lambda: list(folder.glob("mnist-cnn*/last.npz")), what="cell 2")
    cell = f"{name}/{cells[0].parent.name}"
    with slurm.held_in_the_middle(second, cell, "sweep", f"runs/{name}", "--cell", "2"):
        slurm.run("scancel", "--batch", "--signal=USR1", second)
        slurm.wait_log(second, "USR1 received")
    slurm.wait_log(second, "back into the queue")
    states = [slurm.wait_end(f"{job}_{number}") for number in range(1, 7)]
    gathered = slurm.wait_end(gather)
    logs = {number: slurm.log(f"{job}_{number}") for number in range(1, 7)}
    return states, logs, gathered, slurm.log(gather), cell


def same_instant(slurm, name):
    """Let two tasks of an array end together."""
    grid = slurm.place / f"{name}.txt"
    grid.write_text("mnist-dense --epochs 2 --seed 0\nmnist-dense --epochs 2 --seed 1\n")
    job = slurm.sbatch(*HERE, "--array=1-2", "hpc/slurm/sweep.sbatch", name, grid.name)
    tasks = [f"{job}_1", f"{job}_2"]
    paused = []
    for task in tasks:
        slurm.wait_log(task, "epoch 1/2")
        one = slurm.process("sweep", f"runs/{name}", "--cell", task.split("_")[1])
        one.suspend()
        paused.append(one)
    for one in paused:
        one.resume()
    states = [slurm.wait_end(task) for task in tasks]
    return states, slurm.place / "runs" / name


def submitit(slurm, name):
    """Drive a sweep from Python: two cells as an array that submitit makes."""
    grid = slurm.place / f"{name}.txt"
    grid.write_text("mnist-dense --epochs 1 --seed 0\nmnist-dense --epochs 1 --seed 1\n")
    words = ("companion", "sweep", grid.name, f"runs/{name}", "--executor", "slurm")
    options = ("--workers", 2, "--slurm", "cpus_per_task=1", "--slurm", "nodelist=node1")
    path = f"{Path(sys.executable).parent}:{slurm.env['PATH']}"
    done = slurm.run(*words, *options, check=False, PATH=path)
    return done, slurm.place / "runs" / name


def chapter(slurm, name):
    """Run a chapter of the book."""
    job = slurm.sbatch(*HERE, "hpc/slurm/chapter.sbatch", name, "padding-and-strides")
    state = slurm.wait_end(job)
    return state, slurm.log(job), slurm.place / "runs" / name / "padding-and-strides.ipynb"


def failing_chapter(slurm, name):
    """Run a chapter whose second cell fails, with a parameter of its own."""
    (slurm.place / "book" / "failing.md").write_text(FAILING)
    job = slurm.sbatch(*HERE, "hpc/slurm/chapter.sbatch", name, "failing", "DIVISOR=0")
    state = slurm.wait_end(job)
    return state, slurm.log(job), slurm.place / "runs" / name / "failing.ipynb"


FAILING = """---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
---

# A chapter

```{code-cell} ipython3
---
tags: [parameters]
---
DIVISOR = 2  # not 0
```

```{code-cell} ipython3
print("before", DIVISOR)
```

```{code-cell} ipython3
1 / DIVISOR
```
"""


def refused(slurm, name):
    """Submit jobs that must end at once, each with one sentence."""
    words = (*HERE, "hpc/slurm/train.sbatch")
    jobs = {
        "gpu": slurm.sbatch("--gres=gpu:1", *words, f"{name}-1", *slurm.TRAINING.split()),
        "data": slurm.sbatch(*words, f"{name}-2", *slurm.TRAINING.split(), DATA="/nowhere"),
        "space": slurm.sbatch(*words, f"{name}-3", *slurm.TRAINING.split(), SPACE="1000000"),
        "setting": slurm.sbatch(*words, f"{name}-4", "mnist-cnn", "--epoch", "2"),
        "name": slurm.sbatch(*words, "../elsewhere", *slurm.TRAINING.split()),
        "parameter": slurm.sbatch(
            *HERE, "hpc/slurm/chapter.sbatch", f"{name}-5", "mnist-cnn", "EPOCH=3"
        ),
    }
    return {key: (slurm.wait_end(job), slurm.log(job)) for key, job in jobs.items()}


def multinode(slurm, name):
    """Train one model in two processes, on two nodes, and again in one."""
    words = ("mnist-cnn", "--epochs", "2", "--seed", "1")
    with NODE_2:
        two = slurm.sbatch("--cpus-per-task=1", "hpc/slurm/multinode.sbatch", f"{name}-two", *words)
        one = slurm.sbatch(*HERE, "--nodes=1", "hpc/slurm/multinode.sbatch", f"{name}-one", *words)
        logs = [finished(slurm, job, f"{name}-{n}")[0] for job, n in ((two, "two"), (one, "one"))]
    return logs, f"{name}-two", f"{name}-one"


INTERRUPTIONS = (requeue, usr1, time_limit, node_down, kill_9, preempted, full_disk)
SCENES = {
    scene.__name__: scene
    for scene in (
        *(reference, *INTERRUPTIONS, array, same_instant, submitit, chapter, failing_chapter),
        *(refused, multinode),
    )
}


def scene(*names):
    return pytest.mark.parametrize("scene", names)


# Tests


@scene(*[f"{one.__name__}-{n}" for one in INTERRUPTIONS for n in range(1, REPEATS + 1)])
def test_an_interrupted_training_ends_in_the_same_bits(scenes, slurm, scene):
    scenes("reference")
    log, report = scenes(scene)[:2]
    assert report.status == "finished"
    assert len(report.resumed) == 1
    assert re.search(r"life 2 of this run, checkpoint: epoch \d batch [1-9]", log), log
    slurm.assert_same_bits(scene.replace("_", "-"), "reference")


@scene(*[f"full_disk-{n}" for n in range(1, REPEATS + 1)])
def test_a_full_disk_ends_the_training_and_leaves_the_checkpoint(scenes, slurm, scene):
    *_, failed, left = scenes(scene)
    assert left is not None
    assert "Error: [Errno 28] No space left on device" in failed.splitlines()


@scene("reference")
def test_a_job_says_first_what_it_runs_on(scenes, scene):
    log, report = scenes(scene)
    lines = log.splitlines()
    assert re.match(r"hpc: train mnist-cnn in runs/reference, job \d+ on ", lines[0])
    before = log[: log.index("epoch 1/3")]
    for word in ("keras", "jax", "cpu", "mnist", "gtsrb", "sha256"):
        assert word in before
    assert [line[:9] for line in lines if line.startswith("epoch")] == [
        f"epoch {epoch}/3" for epoch in (1, 2, 3)
    ]
    assert report.resumed == []


@scene("array")
def test_an_array_goes_on_when_a_cell_fails(scenes, slurm, scene):
    states, logs, gathered, gather, interrupted = scenes(scene)
    assert states == ["COMPLETED", "COMPLETED", "FAILED", *["COMPLETED"] * 3]
    assert "class 0 has one image only" in logs[3]
    assert "Traceback" not in logs[3]
    assert gathered == "COMPLETED"
    with (slurm.place / "runs" / scene / "reports.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["status"] for row in rows) == ["failed", *["finished"] * 5]
    assert "6 reports in runs/array/reports.csv" in gather
    # A cell is interrupted and gone on with as a training is.
    scenes("reference")
    slurm.assert_same_bits(interrupted, "reference")


@scene("same_instant")
def test_two_tasks_that_end_together_leave_two_whole_reports(scenes, scene):
    states, folder = scenes(scene)
    assert states == ["COMPLETED"] * 2
    table = reports.table(folder)
    assert list(table["status"]) == ["finished"] * 2
    assert sorted(table["seed"]) == [0, 1]


@scene("submitit")
def test_a_sweep_from_python_submits_an_array(scenes, scene):
    done, folder = scenes(scene)
    assert done.returncode == 0, done.stderr
    assert list(reports.table(folder)["status"]) == ["finished"] * 2


@scene("chapter")
def test_a_chapter_runs_as_a_job(scenes, scene):
    state, log, notebook = scenes(scene)
    assert state == "COMPLETED", log
    cells = json.loads(notebook.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code" and cell["source"]]
    assert all(cell["execution_count"] for cell in code)
    assert "hpc: finished: runs/chapter/padding-and-strides.ipynb" in log


@scene("failing_chapter")
def test_a_chapter_keeps_its_notebook_when_a_cell_fails(scenes, scene):
    state, log, notebook = scenes(scene)
    assert state == "FAILED"
    text = notebook.read_text()
    assert "before 0" in text
    assert "ZeroDivisionError" in text
    assert "ZeroDivisionError: division by zero" in log
    assert "papermill/" not in log
    said = "hpc: chapter failing did not finish: see the last cells of "
    assert log.splitlines()[-1] == said + "runs/failing-chapter/failing.ipynb"


@scene("refused")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gpu", "a GPU is asked for and JAX sees cpu"),
        ("data", "/nowhere"),
        ("space", "GB"),
        ("setting", "--epoch"),
        ("name", "hpc: name must be of letters, digits and . _ - /, got '../elsewhere'"),
        ("parameter", "hpc: book/mnist-cnn.md has no parameter 'EPOCH', it has: "),
    ],
)
def test_a_job_that_cannot_run_says_so_in_one_sentence(scenes, slurm, scene, what, said):
    state, log = scenes(scene)[what]
    assert state == "FAILED"
    assert said in slurm.sentence(log)


@scene("multinode")
def test_two_processes_train_as_one_does(scenes, slurm, scene):
    logs, two, one = scenes(scene)
    assert "process 2 of 2: 1 of 2 devices" in logs[0]
    assert "process 1 of 1: 1 of 1 devices" in logs[1]
    losses = [
        np.genfromtxt(slurm.place / "runs" / run / "steps.csv", delimiter=",", skip_header=1)
        for run in (two, one)
    ]
    assert losses[0].shape == (84, 3)
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)
    found, expected = slurm.weights(two), slurm.weights(one)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-4)
    assert slurm.report(two).settings["processes"] == 2


TEMPLATES = sorted(path.name for path in (ROOT / "hpc" / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_slurm_takes_each_template(slurm, template):
    done = slurm.run("sbatch", "--test-only", f"hpc/slurm/{template}", "name", "mnist-cnn")
    assert re.search(r"Job \d+ to start at", done.stderr)


@pytest.mark.parametrize(
    "option", ["--partition=nowhere", "--gres=gpu:9", "--time=100:00:00", "--constraint=h100"]
)
def test_slurm_refuses_what_it_cannot_give(slurm, option):
    # Else the test above would pass whatever the templates ask for.
    done = slurm.run("sbatch", "--test-only", option, "hpc/slurm/train.sbatch", check=False)
    assert done.returncode


def test_site_variables_reach_sbatch(slurm):
    # What man sbatch promises for site.example.sh.
    job = slurm.sbatch(
        "--hold",
        "hpc/slurm/train.sbatch",
        "name",
        "mnist-cnn",
        SBATCH_PARTITION="urgent",
        SBATCH_CONSTRAINT="v100",
        SBATCH_GRES="gpu:2",
    )
    shown = slurm.show(job)
    slurm.run("scancel", job)
    assert (shown["Partition"], shown["Features"]) == ("urgent", "v100")
    assert shown["TresPerNode"] in ("gres:gpu:2", "gpu:2", "gres/gpu:2")
    # And what is written in the file, where nothing else is said.
    assert (shown["TimeLimit"], shown["Requeue"]) == ("01:00:00", "1")


def test_a_run_that_never_gets_on_stops_after_three_lives(slurm):
    # Signalled before its first step in every life: nothing else would end it.
    command = "source hpc/common.sh; say ready; begin_life runs/stuck; echo alive"
    for life in range(4):
        done = slurm.run("bash", "-c", command, check=False)
        assert ("alive" in done.stdout) == (life < 3)
    assert done.stderr.strip() == (
        "hpc: three lives in a row began at 'none' and came no further: give the job more time, "
        "or remove runs/stuck.lives to try again"
    )
