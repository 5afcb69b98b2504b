"""The commands and the output that the chapter on batch jobs shows are a real scheduler's.

Each scene gives a text, of commands and what they printed, and must have the shape of the one
that is kept in published/scheduler: the same lines, whatever the numbers, times and digests.
CLUSTER_CAPTURE=1 writes what is seen now into the files instead.
"""

import os
import re
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

KEPT = Path(__file__).resolve().parents[2] / "published" / "scheduler"
SCHEDULER, FIRST = "slurm", []
# Small batches, so that a command finds it at work.
LONGER = "mnist-dense --epochs 9 --batch-size 4"
HOST = os.uname().nodename


class Transcript:
    """Commands and what they print, as a person would have seen them."""

    def __init__(self, place, run):
        self.place, self.run, self.lines = place, run, []

    def __call__(self, command, keep=None):
        """Run a shell command and write it down; `keep` is a pattern of the lines to show."""
        done = self.run(f"{{ {command}; }} 2>&1")
        shown = [line for line in done.stdout.splitlines() if line.strip()]
        if keep:
            shown = [line for line in shown if re.search(keep, line)]
        self.lines += ["", f"$ {command}", *(self.plain(line) for line in shown)]
        return done.stdout

    def plain(self, line):
        """Leave out what is of this machine alone."""
        line = line.replace(f"{self.place}/", "").replace(str(self.place), ".")
        line = line.replace(sys.prefix, ".venv").replace(f"on {HOST},", "on node1,")
        return line.replace("    root", " student").rstrip()

    def text(self):
        return "\n".join(self.lines).strip() + "\n"


def transcript(slurm):
    return Transcript(
        slurm.place, lambda command: slurm.run("bash", "-c", command, check=False, COLUMNS="100")
    )


def submit(slurm, name):
    """Check a job file, submit it, follow it, read its log."""
    t = transcript(slurm)
    t("sbatch --test-only hpc/slurm/train.sbatch first mnist-dense --epochs 2")
    t("sbatch --test-only --partition=gpus hpc/slurm/train.sbatch first mnist-dense --epochs 2")
    job = t("sbatch hpc/slurm/train.sbatch first mnist-dense --epochs 2").split()[-1]
    slurm.wait_for(lambda: slurm.state(job) == "RUNNING", what="the start")
    t(f"squeue --job {job}")
    t(
        f"scontrol show job {job}",
        keep="JobId|JobState|Requeue|RunTime|TimeLimit|SubmitTime|NodeList=n|NumNodes|Command|StdOut",
    )
    slurm.wait_end(job)
    t(f"cat runs/train-{job}.log")
    t("ls runs/first")
    return t.text()


def array(slurm, name):
    """Submit an array over a grid with the job that gathers, and cancel a task of it."""
    t = transcript(slurm)
    grid = "".join(f"mnist-dense --seed {seed}\n" for seed in range(4))
    (slurm.place / "grid.txt").write_text(f"# four seeds\n{grid}")
    t("cat grid.txt")
    job = re.search(r"array (\d+)", t("hpc/submit.sh sweep --begin=now+1hour seeds grid.txt"))[1]
    slurm.wait_for(lambda: slurm.show(job)["Reason"] == "BeginTime", what="the reason")
    t("squeue --name=sweep,gather")
    t(f"scancel {job}_3")
    t("squeue --array --name=sweep,gather")
    slurm.run("scancel", job, str(int(job) + 1), check=False)
    slurm.run("scancel", "--name=gather", "--state=PENDING", check=False)
    return t.text()


def dependency(slurm, name):
    """Let a job wait for another, and cancel the first."""
    t = transcript(slurm)
    first = t("sbatch --hold hpc/slurm/train.sbatch longer mnist-cnn").split()[-1]
    command = f"sbatch --dependency=afterok:{first} hpc/slurm/chapter.sbatch later mnist-cnn"
    second = t(command).split()[-1]
    t(f"squeue --job {first},{second}")
    t(f"scancel {first}")
    slurm.wait_for(
        lambda: slurm.show(second)["Reason"] == "DependencyNeverSatisfied", what="the reason"
    )
    t(f"squeue --job {second}")
    t(f"scancel {second}")
    return t.text()


def cancel(slurm, name):
    """Cancel a training that runs; submitted again, it goes on."""
    t = transcript(slurm)
    command = "sbatch hpc/slurm/train.sbatch stopped " + LONGER
    job = t(command).split()[-1]
    slurm.wait_log(job, "epoch 1/9")
    t(f"scancel {job}")
    slurm.wait_end(job)
    t(f"scontrol show job {job}", keep="JobState")
    # Without slurmstepd's word, which comes before or after the log is closed.
    t(f"grep -E '^(hpc:|stopped)' runs/train-{job}.log")
    job = t(command).split()[-1]
    slurm.wait_log(job, "life 2")
    t(f"grep life runs/train-{job}.log")
    slurm.run("scancel", job)
    return t.text()


def requeue(slurm, name):
    """Put a training that runs back into the queue; it goes on where it was."""
    t = transcript(slurm)
    command = "sbatch hpc/slurm/train.sbatch again " + LONGER
    job = t(command).split()[-1]
    slurm.wait_log(job, "epoch 1/9")
    t(f"scontrol requeue {job}")
    slurm.wait_for(lambda: slurm.state(job) == "PENDING", what="the queue")
    t(f"squeue --job {job}")
    time.sleep(3)  # see conftest.py
    t(f"scontrol update jobid={job} starttime=now")
    slurm.wait_end(job)
    t(f"scontrol show job {job}", keep="JobState|Restarts")
    t(f"grep -E '^(hpc:|slurm|epoch|validation)' runs/train-{job}.log")
    return t.text()


def time_limit(slurm, name):
    """Reach the time limit, with and without listening to the warning before it."""
    t = transcript(slurm)
    deaf = t("sbatch --time=1 --job-name=deaf --output=runs/%x-%j.log --wrap 'sleep 600'").split()[
        -1
    ]
    command = "sbatch hpc/slurm/train.sbatch long " + LONGER
    job = t(command).split()[-1]
    slurm.wait_log(job, "epoch 1/9")
    # An hour is the template's limit. Two minutes from now do as well, and the training is made
    # to wait for them, as if the file system hung.
    limit = int(slurm.show(job)["RunTime"].split(":")[1]) + 2
    slurm.run("scontrol", "update", f"jobid={job}", f"timelimit={limit}")
    training = slurm.process("train", "runs/long")
    training.suspend()
    slurm.wait_log(job, "USR1 received")
    slurm.run("scontrol", "update", f"jobid={job}", "timelimit=60")
    training.resume()
    slurm.wait_end(job)
    slurm.wait_end(deaf)
    t(f"scontrol show job {deaf}", keep="JobState|TimeLimit")
    t(f"cat runs/deaf-{deaf}.log")
    t(f"scontrol show job {job}", keep="JobState|Restarts")
    t(f"grep -E '^(hpc:|slurm|epoch|validation)' runs/train-{job}.log")
    return t.text()


SCENES = {one.__name__: one for one in (submit, array, dependency, cancel, requeue, time_limit)}


def shape(text):
    """Leave of a transcript what must not change: no numbers, digests, spaces, epochs."""
    lines, training = [], []
    for line in text.splitlines():
        line = re.sub(r"\b[0-9a-f]{12}\b", "0", line)
        line = re.sub(r"\d+([.:,\dT-]*\d)?Z?", "0", line)
        line = re.sub(r"checkpoint: .*", "checkpoint: …", " ".join(line.split()))
        if line.startswith("stopped by "):
            # Slurm signals the training and the script at once: either may be the first to say so.
            training.append(line)
        elif line.startswith("hpc: stopped; ") or line == "Terminated":
            # Where the machine is busy, Slurm ends the script before it says this last word; and a
            # shell may outlive its command long enough to say this one of it.
            continue
        elif not line.startswith("epoch "):
            # Which epoch was interrupted, and what it printed, is a matter of speed.
            lines.append(line)
    return lines, training


def check(scene, text):
    path = KEPT / f"{scene.replace('_', '-')}.txt"
    assert not re.search(r"/tmp|/root|/home|/work|\b" + re.escape(HOST) + r"\b", text), text
    if os.environ.get("CLUSTER_CAPTURE"):
        KEPT.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} is missing: write it with CLUSTER_CAPTURE=1"
    assert shape(text) == shape(path.read_text()), text


@pytest.mark.parametrize("scene", SCENES)
def test_what_the_chapter_shows_is_what_slurm_does(scenes, scene):
    check(scene, scenes(scene))


def test_what_the_chapter_shows_is_what_oar_does(oar):
    t = Transcript(oar.place, lambda command: oar.run(command, check=False, inside=True))
    submitted = t("SCHEDULER=oar hpc/submit.sh train first mnist-dense --epochs 2")
    job = re.search(r"OAR_JOB_ID=(\d+)", submitted)[1]
    oar.wait_for(lambda: oar.state(job) == "Running", what="the start")
    t("oarstat -u", keep=rf"^Job|^---|^{job} ")
    t(f"oarstat -fj {job}", keep="name =|state =|wanted|types|hostnames|walltime =|stdout_file")
    t(f"oardel {job}")
    oar.wait_end(job)
    t(f"oarstat -s -j {job}")
    t("oarsub -l /nodes=9 -S './hpc/oar/train.oar first mnist-dense'")
    check("oar", t.text())
