"""What the OAR templates promise, on real daemons: two nodes, on this machine.

The scenes are begun with those of test_slurm.py; each test waits for its own.
"""

import json
import os
import re
import time
from pathlib import Path

import pytest

from companion.experiments import reports

# A busy machine takes its time.
pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
SCHEDULER, FIRST = "oar", ["reference"]
REPEATS = int(os.environ.get("CLUSTER_REPEATS", "1"))
SUBMIT = "SCHEDULER=oar hpc/submit.sh"


def reference(oar, name):
    """Run the training uninterrupted."""
    (job,) = oar.submitted(f"{SUBMIT} train {name} {oar.TRAINING}")
    return oar.wait_end(job), oar.log(job)


def checkpoint(oar, name):
    """Come near the walltime: OAR signals, the job exits with 99, and OAR submits it again."""
    (job,) = oar.submitted(f"{SUBMIT} train {name} {oar.TRAINING}")
    oar.wait_for(lambda: oar.state(job) == "Running", what=f"the start of {name}")
    start = time.monotonic()
    with oar.held_in_the_middle(job, name):
        # An hour is what submit.sh asks for. The template's signal comes two minutes before the
        # end; let that be soon, but OAR submits again only what ran for a minute.
        oar.give_walltime(job, max(time.monotonic() - start, 65) + 120)
        oar.wait_for(lambda: "USR2 received" in oar.log(job), what=f"the signal to {name}")
        oar.give_walltime(job, 3600)
    states = [oar.wait_end(job)]
    logs = [oar.log(job)]
    again = oar.wait_for(lambda: oar.resubmitted(job), what=f"the second life of {name}")
    states.append(oar.wait_end(again))
    logs.append(oar.log(again))
    return states, [oar.show(number)["exit_code"] for number in (job, again)], logs


def array(oar, name):
    """An array over a grid file, with a cell that fails; then the reports."""
    lines = [
        "# three cells",
        "mnist-dense --epochs 1 --seed 0",
        "",
        "mnist-dense --epochs 1 --scale 0.0001",
        "mnist-dense --epochs 1 --seed 1",
    ]
    (oar.place / f"{name}.txt").write_text("\n".join(lines) + "\n")
    jobs = oar.submitted(f"{SUBMIT} sweep {name} {name}.txt")
    for job in jobs:
        oar.wait_end(job)
    codes = [oar.show(job)["exit_code"] for job in jobs]
    gathered = oar.run(f"hpc/run_gather.sh {name}", inside=True)
    return codes, [oar.log(job) for job in jobs], gathered.stdout


def chapter(oar, name):
    """Run a small chapter with a parameter."""
    (oar.place / "book" / "small.md").write_text(CHAPTER)
    (job,) = oar.submitted(f"{SUBMIT} chapter {name} small WORD=oar")
    oar.wait_end(job)
    return oar.show(job)["exit_code"], oar.log(job), oar.place / "runs" / name / "small.ipynb"


CHAPTER = """# A chapter

```{code-cell} ipython3
---
tags: [parameters]
---
WORD = "none"
```

```{code-cell} ipython3
print("said", WORD)
```
"""

SCENES = {scene.__name__: scene for scene in (reference, checkpoint, array, chapter)}


def scene(*names):
    return pytest.mark.parametrize("scene", names)


@scene(*[f"checkpoint-{number}" for number in range(1, REPEATS + 1)])
def test_a_training_goes_on_under_a_new_number_in_the_same_bits(scenes, oar, scene):
    assert scenes("reference")[0] == "Terminated"
    states, codes, logs = scenes(scene)
    assert states == ["Terminated", "Terminated"]
    assert [code.split()[1] for code in codes] == ["(99,0,0)", "(0,0,0)"]
    assert "OAR submits the job again" in logs[0]
    assert re.search(r"life 2 of this run, checkpoint: epoch \d batch [1-9]", logs[1]), logs[1]
    oar.assert_same_bits(scene, "reference")


@scene("array")
def test_an_array_over_a_grid_file(scenes, oar, scene):
    codes, logs, gathered = scenes(scene)
    assert [code.split()[1] for code in codes] == ["(0,0,0)", "(1,0,0)", "(0,0,0)"]
    assert "class 0 has one image only" in logs[1]
    assert "Traceback" not in logs[1]
    assert "3 reports in runs/array/reports.csv" in gathered
    table = reports.table(oar.place / "runs" / scene)
    assert sorted(table["status"]) == ["failed", "finished", "finished"]


@scene("chapter")
def test_a_chapter_runs_as_a_job(scenes, scene):
    code, log, notebook = scenes(scene)
    assert code.endswith("(0,0,0)"), log
    outputs = [cell.get("outputs") for cell in json.loads(notebook.read_text())["cells"]]
    assert "said oar" in json.dumps(outputs)


TEMPLATES = sorted(path.name for path in (ROOT / "hpc" / "oar").glob("*.oar"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_oar_takes_each_template(oar, template):
    # OAR has no --test-only: the job is held, looked at and deleted.
    grid = ""
    if template == "sweep.oar":
        oar.run("echo mnist-dense >taken.txt")
        grid = "--array-param-file taken.txt"
    (job,) = oar.submitted(
        f"oarsub --hold -l /nodes=1/gpudevice=1,walltime=00:10:00 {grid} "
        f"-S './hpc/oar/{template} name mnist-dense'"
    )
    shown = oar.show(job)
    oar.run(f"oardel {job}")
    kind = template.removesuffix(".oar")
    assert shown["name"] == kind
    assert shown["stdout_file"] == shown["stderr_file"] == f"runs/{kind}-{job}.log"
    assert shown["types"] == ("" if kind == "chapter" else "idempotent")
    assert shown["wanted_resources"].endswith(',walltime=0:10:0"')
    assert shown["command"].startswith(f"./hpc/oar/{template} name mnist-dense")


@pytest.mark.parametrize(
    "option", ["--nosuch", "-l /nodes=3", "-l /nodes=1/gpu=1", "-p \"gpumodel='H100'\""]
)
def test_oar_refuses_what_it_cannot_give(oar, option):
    # Else the test above would pass whatever the templates ask for.
    done = oar.run(f"oarsub --hold {option} -S './hpc/oar/train.oar name mnist-dense'", check=False)
    assert done.returncode


def test_the_site_file_reaches_oarsub(oar):
    site = oar.place / "hpc" / "site.sh"
    before = site.read_text()
    site.write_text(before + "OAR_OPTIONS=(--project=mine --property=\"gpumodel='V100'\" --hold)\n")
    try:
        (job,) = oar.submitted(f"WALLTIME=0:20:0 {SUBMIT} train name mnist-dense --epochs 2")
    finally:
        site.write_text(before)
    shown = oar.show(job)
    oar.run(f"oardel {job}")
    assert shown["project"] == "mine"
    assert "gpumodel='V100'" in shown["properties"]
    assert shown["wanted_resources"].endswith('/core=1,walltime=0:20:0"')
    assert shown["command"] == "./hpc/oar/train.oar name mnist-dense --epochs 2"
