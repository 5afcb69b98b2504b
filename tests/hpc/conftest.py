"""A Slurm and an OAR of two nodes each, on this machine, and a checkout to submit from."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from companion.data import synthetic
from companion.experiments import runs

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = Path(__file__).parent / "cluster"
TOOLS = ("sbatch", "slurmctld", "slurmd", "munged", "oarsub", "oarnodesetting", "sshd")
PATH = f"/usr/sbin:/sbin:{os.environ['PATH']}"


def needs_daemons():
    """Skip where no daemon can be started."""
    if os.geteuid() != 0:
        pytest.skip(f"starts daemons as root, and this is {getpass.getuser()}")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: run tests/hpc/install.sh")


def free_ports(count):
    """Give the first of `count` neighbouring ports that nobody listens on."""
    for first in range(21_000, 29_000, 10):
        free = True
        for port in range(first, first + count):
            with socket.socket() as there:
                free = free and there.connect_ex(("127.0.0.1", port)) != 0
        if free:
            return first
    raise RuntimeError("no free ports between 21000 and 29000")


def checkout(folder, archive):
    """Make a folder as a user has it after hpc/prepare.sh: the repository, a site file, runs."""
    folder.mkdir()
    shutil.copytree(ROOT / "hpc", folder / "hpc", ignore=shutil.ignore_patterns("site.sh"))
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "published").symlink_to(ROOT / "published")
    (folder / "runs").mkdir()
    # The environment is the one that runs the tests, wherever it is.
    shutil.copytree(archive, folder / "data")
    (folder / "hpc" / "site.sh").write_text(
        f"ENVIRONMENT={sys.prefix}\n"
        f"export XDG_CACHE_HOME={folder / 'cache'} COMPANION_DATA=${{DATA:-{folder / 'data'}}}\n"
        "SPACE=${SPACE:-0.01}\n"
        # A network is compiled once, not in each of fifty lives. Where the reference runs it is
        # compiled afresh, so that both kinds are compared.
        f"export COMPANION_COMPILED=${{COMPILED-{folder / 'compiled'}}}\n"
        "OAR_RESOURCES=/nodes=1/core=1\n"
    )
    return folder


def wait_for(condition, seconds=600, what="it", every=0.2):
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(every)
    return answer


class Scheduler:
    """What both schedulers are asked for; jobs are submitted in the checkout `place`."""

    # Small batches make an epoch of a second or two, long enough to be interrupted in.
    TRAINING = "mnist-cnn --epochs 3 --batch-size 16 --seed 1 --checkpoint-minutes 0.005"
    STEPS = 338  # batches in an epoch of 5,400 images

    wait_for = staticmethod(wait_for)

    def saved(self, name):
        """Give epoch and batch of a run's checkpoint, or None."""
        try:
            with np.load(self.place / "runs" / name / "last.npz") as file:
                said = json.loads(str(file["said"]))
        except FileNotFoundError:
            return None
        return said["epoch"], said["batch"]

    def wait_middle(self, job, name):
        """Wait until the training is in the first half of an epoch, and has a checkpoint of it."""

        asked = 0

        def middle():
            nonlocal asked
            # A scheduler's own command computes as long as many batches do.
            if time.monotonic() > asked + 1:
                assert self.state(job) not in ("COMPLETED", "FAILED", "Terminated", "Error"), (
                    f"{name} has ended:\n{self.log(job)}"
                )
                asked = time.monotonic()
            return (at := self.saved(name)) and 0 < at[1] < self.STEPS / 2

        wait_for(middle, what=f"a checkpoint in the middle of an epoch of {name}", every=0.05)

    @contextmanager
    def held_in_the_middle(self, job, name, *words):
        """Hold a training in the middle of an epoch, as if the file system hung.

        What a scheduler does takes longer than an epoch of it on a fast machine.
        """
        while True:
            self.wait_middle(job, name)
            training = self.process(*(words or ("train", f"runs/{name}")))
            training.suspend()
            if 0 < self.saved(name)[1] < self.STEPS - 1:
                break
            training.resume()
        try:
            yield training
        finally:
            if training.is_running():
                training.resume()

    def process(self, *words):
        """Give the Python process of the companion whose command line holds these words."""
        for one in psutil.process_iter(["cmdline"]):
            line = one.info["cmdline"] or ["-"]
            if "python" in line[0] and set(words) <= set(line):
                return one
        raise AssertionError(f"no process of {words}")

    def weights(self, name):
        """Give the final weights of a run, by name."""
        found = {}
        with h5py.File(self.place / "runs" / name / runs.WEIGHTS) as file:
            file.visititems(
                lambda key, item: found.update({key: item[()]} if hasattr(item, "shape") else {})
            )
        return found

    def report(self, name):
        return runs.read_report(self.place / "runs" / name)

    def assert_same_bits(self, name, expected):
        """Compare two runs: weights, history, validation."""
        there, here = self.weights(expected), self.weights(name)
        assert len(there) == 8
        assert there.keys() == here.keys()
        for key, value in there.items():
            np.testing.assert_array_equal(here[key], value, err_msg=f"{name}: {key}")
        assert self.report(name).history == self.report(expected).history
        assert self.report(name).validation == self.report(expected).validation

    @staticmethod
    def sentence(log):
        """Give the last line of a job that failed, if it is a sentence and no traceback."""
        assert "Traceback" not in log, log
        return [line for line in log.splitlines() if line.strip()][-1]


class Slurm(Scheduler):
    """Two nodes of 32 pretended CPUs and two pretended GPUs each."""

    def __init__(self, folder, place):
        self.folder, self.place = folder, place
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))},
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": PATH,
        }

    def run(self, *words, check=True, **env):
        """Run a command in the checkout; give the process, with its output as text."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.place,
            env={**self.env, **env},
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(f"{words} ended with {done.returncode}: {done.stderr}")
        return done

    def sbatch(self, *words, **env):
        """Submit a job; give its number."""
        return self.run("sbatch", "--parsable", *words, **env).stdout.strip()

    def show(self, job):
        """Give what `scontrol show job` says, as a dictionary."""
        text = self.run("scontrol", "-o", "show", "job", job).stdout
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def state(self, job):
        return self.show(job)["JobState"]

    def log(self, job):
        """Give what the job has printed so far."""
        path = Path(self.show(job)["StdOut"])
        return path.read_text() if path.exists() else ""

    def wait_log(self, job, text, seconds=600):
        """Wait until the job has printed a text; fail at once if it ended without."""

        def there():
            log = self.log(job)
            state = self.state(job)
            over = state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED")
            if over and text not in self.log(job):
                raise AssertionError(f"job {job} is {state}, without printing {text!r}:\n{log}")
            return text in log

        wait_for(there, seconds, f"{text!r} in the log of job {job}")

    def wait_end(self, job, seconds=900):
        """Wait until the job is over; start it soon where it was put back into the queue."""
        since = None

        def over():
            nonlocal since
            shown = self.show(job)
            state = shown["JobState"]
            if state == "PENDING" and shown.get("Restarts", "0") != "0":
                # Slurm lets a job that was put back wait for two minutes. Three seconds are enough
                # for the end of its last life not to be taken for the end of the next one.
                since = since or time.monotonic()
                if time.monotonic() > since + 3:
                    self.run("scontrol", "update", f"jobid={job}", "starttime=now", check=False)
            else:
                since = None
            return state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED")

        wait_for(over, seconds, f"the end of job {job}")
        return self.state(job)


class Oar(Scheduler):
    """Two nodes of four cores and two pretended GPUs each."""

    def __init__(self, folder, place):
        self.folder, self.place, self.logs = folder, place, {}

    def run(self, command, check=True, inside=False):
        """Run a shell command as the ordinary user `student`, in the checkout.

        `inside` OAR's mount namespace, where that user reaches Python.
        """
        enter = []
        if inside:
            pid = Path("/run/oar-server.pid").read_text().split()[0]
            enter = ["nsenter", "--mount", f"--target={pid}"]
        done = subprocess.run(
            [*enter, "su", "student", "-c", f"cd {self.place} && {command}"],
            capture_output=True,
            text=True,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
        )
        if check and done.returncode:
            raise AssertionError(
                f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def submitted(self, command):
        """Run a command that submits; give the numbers of the jobs."""
        return re.findall(r"OAR_JOB_ID=(\d+)", self.run(command, inside=True).stdout)

    def sql(self, command):
        """Ask OAR's database, as an administrator could; give what it prints."""
        port = re.search(r'^DB_PORT="(\d+)"', Path("/etc/oar/oar.conf").read_text(), re.M)[1]
        words = ["psql", "-qtAh", "127.0.0.1", "-p", port, "-U", "oar", "oar", "-c", command]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def give_walltime(self, job, seconds):
        """Change the walltime of a job that runs."""
        change = f"UPDATE moldable_job_descriptions SET moldable_walltime = {int(seconds)}"
        self.sql(f"{change} WHERE moldable_job_id = {int(job)}")

    def resubmitted(self, job):
        """Give the number under which OAR submitted a job again, or an empty text."""
        return self.sql(f"SELECT job_id FROM jobs WHERE resubmit_job_id = {int(job)}")

    def show(self, job):
        text = self.run(f"oarstat -fj {job}").stdout
        return dict(re.findall(r"^ +(\w+) = *(.*?) *$", text, re.M))

    def state(self, job):
        return self.show(job)["state"]

    def log(self, job):
        if job not in self.logs:
            self.logs[job] = self.place / self.show(job)["stdout_file"]
        return self.logs[job].read_text() if self.logs[job].exists() else ""

    def wait_end(self, job, seconds=900):
        # oarstat computes for a tenth of a second.
        over = ("Terminated", "Error")
        wait_for(lambda: self.state(job) in over, seconds, f"OAR's job {job}", every=1)
        return self.state(job)


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """Give the smallest folder of data that a job can look at before it begins."""
    needs_daemons()
    return synthetic.write_archive(tmp_path_factory.mktemp("data") / "all", scale=0.01)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory, archive):
    needs_daemons()
    folder = tmp_path_factory.mktemp("slurm")
    place = checkout(folder / "checkout", archive)
    words = (CLUSTER / "slurm.sh", folder / "daemons", free_ports(3))
    daemons(words, "start")
    try:
        yield Slurm(folder / "daemons", place)
    finally:
        daemons(words, "stop")


@pytest.fixture(scope="session")
def oar(archive):
    needs_daemons()
    # pytest's own folders are closed to OAR's user, who reads and writes here.
    folder = Path(tempfile.mkdtemp(prefix="oar-"))
    folder.chmod(0o755)
    words = (CLUSTER / "oar.sh", folder / "daemons", free_ports(1))
    try:
        daemons(words, "start")
        place = checkout(folder / "checkout", archive)
        subprocess.run(["chown", "-R", "student", place], check=True)
        yield Oar(folder / "daemons", place)
    finally:
        daemons(words, "stop")
        shutil.rmtree(folder)


@pytest.fixture
def scenes(request, begun):
    """Wait for a scene of the test's module, and give what it gave."""
    return lambda scene: begun[request.module.__name__, scene].result(timeout=1700)


@pytest.fixture(scope="session")
def begun(request):
    """Begin what all tests of this session look at, side by side.

    A module that wants this names its scheduler's fixture in `SCHEDULER`, and in `SCENES` its
    functions, which take the scheduler and a name for their run. Its tests have a parameter
    `scene`: a function's name, with -1, -2, … where it is played more than once.
    """
    asked = {}
    for item in request.session.items:
        scene = getattr(getattr(item, "callspec", None), "params", {}).get("scene")
        if scene:
            asked.setdefault(item.module, dict.fromkeys(item.module.FIRST))[scene] = None
    # Jobs share the cores of this machine in the end, whatever the scheduler thinks.
    pool = ThreadPoolExecutor(max_workers=10)
    schedulers = {m: request.getfixturevalue(m.SCHEDULER) for m in asked}
    begun = {}
    # Those that wait for minutes to pass begin first.
    patient = ("checkpoint", "time_limit")
    pairs = [(module, scene) for module, names in asked.items() for scene in names]
    for module, scene in sorted(pairs, key=lambda pair: pair[1].split("-")[0] not in patient):
        play = module.SCENES[scene.split("-")[0]]
        begun[module.__name__, scene] = pool.submit(
            play, schedulers[module], scene.replace("_", "-")
        )
    yield begun
    pool.shutdown(cancel_futures=True)


def daemons(words, action):
    script, folder, port = words
    done = subprocess.run(
        [script, action, folder, str(port)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHON_PREFIX": sys.base_prefix},
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} {action} failed: {done.stdout}{done.stderr}")
