"""A run is a folder; its report says all that one must know to believe its numbers."""

import csv
import io
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

import companion

SCHEMA = 2  # 2: resumed, best, calibration error
REPORT, HISTORY, WEIGHTS = "report.json", "history.csv", "final.weights.h5"
LOGS = "logs"


@dataclass
class Report:
    """What is written into a run's ``report.json``.

    Parameters
    ----------
    name : str
        Of the run: a short name of the model and the data.
    status : str
        ``"running"`` (or killed without a chance to say so), ``"interrupted"`` (a signal stopped
        it, it can go on), ``"failed"`` or ``"finished"``.
    started : str
        Date and time, ISO 8601, UTC.
    seed : int
        Of everything that was drawn at random.
    settings : dict
        What was chosen: epochs, batch size, optimizer, budget, split, ….
    data : dict
        ``name``, ``origin``, ``digest``, ``note`` and ``counts`` of the data, and of cooked data
        their ``recipe`` and ``scale``.
    model : dict or None
        ``name``, ``parameters``, ``multiply_adds`` for one image.
    history : dict of str to list of float
        A value an epoch: ``loss``, ``accuracy``, ``val_loss``, ….
    validation, test : dict or None
        ``correct``, ``total``, ``accuracy``, ``interval`` (95 %), ``interval_method``,
        ``confusion`` (a row is a true class) and ``calibration_error``.
    best : dict or None
        The epoch of the best weights: ``epoch`` (from 1) and its ``value``.
    test_openings : list of str
        When the test set was opened: date and time, ISO 8601, UTC.
    seconds : float or None
        Wall-clock time of the training, in all its lives.
    resumed : list of str
        When the run was gone on with: date and time, ISO 8601, UTC.
    peak_memory_mb : float or None
        The process's largest resident memory, in MB (10⁶ bytes).
    machine : dict
        ``device``, ``cores``, ``system`` and the ``versions`` of what matters.
    commit : str or None
        Of the repository that the companion was imported from; ``+`` is added where files
        differed from it.
    error : str or None
        Why the run failed.
    schema : int
        The version of this list.
    """

    name: str
    status: str
    started: str
    seed: int
    settings: dict
    data: dict
    model: dict | None = None
    history: dict = field(default_factory=dict)
    validation: dict | None = None
    test: dict | None = None
    best: dict | None = None
    test_openings: list = field(default_factory=list)
    seconds: float | None = None
    resumed: list = field(default_factory=list)
    peak_memory_mb: float | None = None
    machine: dict = field(default_factory=dict)
    commit: str | None = None
    error: str | None = None
    schema: int = SCHEMA


class Run:
    """A run while it goes on: its folder, its data and its report.

    Made by `start`; the chapter trains, and tells the run what came of it.

    Parameters
    ----------
    folder : path-like
        Where its files are.
    data : companion.data.Dataset or companion.data.store.Cooked
        What it is trained on.
    report : Report
        So far.
    """

    def __init__(self, folder, data, report):
        self.folder, self.data, self.report = Path(folder), data, report
        self._clock = time.perf_counter()

    def __repr__(self):
        return f"<Run {self.report.name}: {self.report.status}, in {self.folder}>"

    def finish(self, model, history, validation, predictions=None, seconds=None, best=None):
        """Write what the training gave: report, history and weights.

        Parameters
        ----------
        model : keras.Model
            Trained.
        history : dict of str to list of float
            ``model.fit(…).history``.
        validation : companion.training.scores.Score
            On the validation split.
        predictions : dict of str to array, optional
            What was answered to each validation image, to compare runs with: ``rows`` of the
            training images, ``class_ids``, ``tracks``, ``predicted``, ``confidence``. Goes into
            ``predictions.npz``.
        seconds : float, optional
            Of the training; by default since the run began, in this process.
        best : dict, optional
            ``Checkpoints.best``.
        """
        from companion.arithmetic import multiply_adds
        from companion.experiments import predictions as answers
        from companion.training.checkpoints import save_weights

        report = self.report
        if seconds is None:
            seconds = time.perf_counter() - self._clock
        report.seconds = round(seconds, 2)
        report.best = best
        report.model = {
            "name": model.name,
            "parameters": model.count_params(),
            "multiply_adds": int(multiply_adds(model)),
        }
        report.history = {key: [float(v) for v in values] for key, values in history.items()}
        report.validation = _score(validation)
        report.peak_memory_mb = round(peak_memory_mb(), 1)
        report.machine = machine()
        report.status = "finished"
        report.error = None
        save_weights(model, self.folder / WEIGHTS)
        if predictions is not None:
            answers.write(self.folder / answers.PREDICTIONS, predictions)
        write_text(self.folder / HISTORY, _history_csv(report.history))
        self._save()

    def fail(self, error):
        """Write that the run ended with an error, or was interrupted.

        Parameters
        ----------
        error : BaseException
            What was raised.
        """
        from companion.training.signals import Interrupted

        stopped = isinstance(error, Interrupted | KeyboardInterrupt)
        self.report.status = "interrupted" if stopped else "failed"
        self.report.error = f"{type(error).__name__}: {error}".removesuffix(": ")
        self._save()

    def record_opening(self):
        """Write that the test set is being opened; `open_test_set` calls it."""
        self.report.test_openings.append(now())
        self._save()

    def record_test(self, score):
        """Write the result on the test set.

        Parameters
        ----------
        score : companion.training.scores.Score
            On the test images that `open_test_set` gave.

        Raises
        ------
        ValueError
            If the test set was never opened for this run.
        """
        if not self.report.test_openings:
            raise ValueError("score cannot be of the test set: open it with open_test_set(run)")
        self.report.test = _score(score)
        self._save()

    def _save(self):
        write_report(self.folder / REPORT, self.report)


def start(folder, *, data, seed, name=None, resume=False, **settings):
    """Begin a run in a new folder, or go on with one.

    Taught in the chapter *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    folder : path-like
        Where the run's files go. If a run is there already, it is kept, and the new one goes to
        ``folder-2``, ``folder-3``, ….
    data : companion.data.Dataset or companion.data.store.Cooked
        What it is trained on.
    seed : int
        Of everything that is drawn at random.
    name : str, optional
        Of the run; by default the folder's.
    resume : bool
        If the folder holds a run that is not finished, go on with it.
    **settings
        What was chosen, as the report shall say it: numbers, texts, None.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If the run to go on with has other settings or data, or is finished.

    Examples
    --------
    >>> import tempfile
    >>> from companion.data import open_dataset
    >>> run = start(tempfile.mkdtemp() + "/first", data=open_dataset("mnist"), seed=0, epochs=5)
    >>> run.report.status, run.report.settings
    ('running', {'epochs': 5})
    """
    wanted = Path(folder)
    if wanted.name in ("", ".."):  # such as ".", beside which nothing can be put by name
        wanted = wanted.resolve()
    described = _described(data)
    if resume and (wanted / REPORT).is_file() and "digest" in read_report(wanted).data:
        return _go_on(wanted, data, described, seed, settings)
    folder, number = wanted, 1
    wanted.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            # Where a run is to go on, one that was killed before its first report may have begun.
            folder.mkdir(exist_ok=resume)
            break
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}-{number}")
    report = Report(
        name=name or wanted.name,
        status="running",
        started=now(),
        seed=seed,
        settings=settings,
        data=described,
        machine=machine(),
        commit=commit(),
    )
    run = Run(folder, data, report)
    run._save()
    return run


def _described(data):
    described = {key: getattr(data, key) for key in ("origin", "digest", "note", "counts")}
    described["name"] = getattr(data, "name", "gtsrb")  # only traffic signs are cooked
    for key in ("recipe", "scale"):
        if hasattr(data, key):
            described[key] = getattr(data, key)
    return described


def _go_on(folder, data, described, seed, settings):
    """Open an unfinished run again, if it is the one that is meant."""
    report = read_report(folder)
    if report.status == "finished":
        raise ValueError(f"{folder} holds a finished run: choose another folder")
    check_same(folder, report, seed=seed, **settings)
    for key in ("digest", "recipe", "scale"):
        if report.data.get(key) != described.get(key):
            raise ValueError(
                f"{folder} holds a run on data of {key} {report.data.get(key)!r}, "
                f"not {described.get(key)!r}: go on with the same data, or choose another folder"
            )
    report.status, report.error = "running", None
    report.resumed.append(now())
    report.machine, report.commit, report.schema = machine(), commit(), SCHEMA
    run = Run(folder, data, report)
    run._save()
    return run


def open_test_set(run):
    """Open the test set of a run's data, and write into its report that it was opened.

    A test set tells how a finished choice does on data that took no part in it. Each look at it
    that leads to another choice makes it tell less, so this is the only function that reads
    it, and the report says when and how often it did. Taught in the chapter
    *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    run : companion.experiments.runs.Run
        A run that is trained and validated.

    Returns
    -------
    x : ndarray of uint8, (N, H, W, C)
        The test images, with values in 0 … 255.
    class_ids : ndarray of int, (N,)
        Their classes.

    Raises
    ------
    ValueError
        If the run has no validation result yet: choices are made before the test set is opened.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> unfinished = SimpleNamespace(report=SimpleNamespace(validation=None))
    >>> open_test_set(unfinished)
    Traceback (most recent call last):
        ...
    ValueError: run has no validation result yet: finish it before its test set is opened
    """
    if run.report.validation is None:
        raise ValueError(
            "run has no validation result yet: finish it before its test set is opened"
        )
    x, class_ids = run.data._load_test()
    run.record_opening()
    return x, class_ids


def check_same(folder, report, **settings):
    """Refuse to go on with a run of other settings.

    Parameters
    ----------
    folder : path-like
        Of the run, for the sentence.
    report : Report
        Of the run that is there.
    **settings
        What is asked for: ``seed`` and what `start` was given.

    Raises
    ------
    ValueError
        Names the first setting that differs.
    """
    there = json.loads(json.dumps({"seed": report.seed, **report.settings}))
    asked = json.loads(json.dumps(settings))
    for name in sorted(set(there) | set(asked)):
        if there.get(name) != asked.get(name):
            raise ValueError(
                f"{folder} holds a run with {name} {there.get(name)!r}, not "
                f"{asked.get(name)!r}: go on with the same settings, or choose another folder"
            )


def folder(name):
    """Name the folder of a chapter's run.

    Parameters
    ----------
    name : str
        Of the run.

    Returns
    -------
    pathlib.Path
        Below the folder that the variable ``COMPANION_RUNS`` names, else below ``runs`` in the
        working folder.

    Examples
    --------
    >>> folder("first").name
    'first'
    """
    return Path(os.environ.get("COMPANION_RUNS") or "runs") / name


def read_report(path):
    """Read the report of a run.

    Parameters
    ----------
    path : path-like
        A run's folder, or a report file.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError
        If there is no report.
    ValueError
        If the file is damaged, or of a newer version than this companion knows.

    Examples
    --------
    >>> read_report("/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: /nowhere holds no report.json: is it the folder of a run?
    """
    path = Path(path)
    file = path if path.is_file() else path / REPORT
    if not file.is_file():
        raise FileNotFoundError(f"{path} holds no {REPORT}: is it the folder of a run?")
    try:
        values = json.loads(file.read_text())
        version = values["schema"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is not a whole report: run its experiment again") from None
    if version > SCHEMA:
        raise ValueError(
            f"{file} has report version {version}, this companion knows {SCHEMA}: update it"
        )
    known = {f.name for f in fields(Report)}
    missing = {"name", "status", "started", "seed", "settings", "data"} - set(values)
    if missing or set(values) - known:
        odd = ", ".join(sorted(missing | (set(values) - known)))
        raise ValueError(f"{file} does not have the entries of a report, see {odd}")
    return Report(**values)


def write_report(path, report):
    """Write a report, beside, and rename.

    Parameters
    ----------
    path : path-like
        Of the file.
    report : Report
    """
    write_text(path, json.dumps(asdict(report), indent=1) + "\n")


def machine():
    """Say what the run ran on.

    Returns
    -------
    dict
        ``device`` (JAX's name), ``cores``, ``system``, ``versions``.

    Examples
    --------
    >>> sorted(machine()["versions"])
    ['companion', 'jax', 'keras', 'numpy', 'python']
    """
    from importlib.metadata import version

    import jax

    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "python": platform.python_version(),
            "companion": companion.__version__,
            # Keras takes seconds to import, and not all who ask need it.
            **{name: version(name) for name in ("keras", "jax", "numpy")},
        },
    }


def peak_memory_mb():
    """Give the largest resident memory of this process so far, in MB (10⁶ bytes).

    Returns
    -------
    float

    Examples
    --------
    >>> peak_memory_mb() > 1
    True
    """
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def commit():
    """Give the commit of the repository that the companion was imported from.

    Returns
    -------
    str or None
        Twelve digits, with a ``+`` where files differ from it; None where there is no repository.
    """
    root = Path(companion.__file__).resolve().parents[1]
    try:
        # A downloaded copy, or an installed one, may lie within a repository of something else.
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return None
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--", "companion") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(root, *words):
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _score(score):
    return {**asdict(score), "interval": list(score.interval), "accuracy": score.accuracy}


def _history_csv(history):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
        writer.writerow([epoch, *values])
    return text.getvalue()


def write_text(path, text):
    """Write beside and rename: a reader, or a kill, finds the old file or the new one whole.

    Parameters
    ----------
    path : path-like
    text : str
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


def now():
    """Give the date and time in UTC, as reports hold it.

    Returns
    -------
    str
        ISO 8601, to the second.

    Examples
    --------
    >>> now().endswith("+00:00")
    True
    """
    return datetime.now(UTC).isoformat(timespec="seconds")
