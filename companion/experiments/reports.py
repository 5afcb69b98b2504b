"""Many reports read as one table, ranked, compared two by two, and taken apart."""

import io
import json
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from companion.experiments import runs

COLUMNS = [
    *("run", "status", "data", "origin", "recipe", "scale", "split", "seed", "parameters"),
    *("epochs", "validation", "validation_low", "validation_high"),
    *("test", "test_low", "test_high", "openings", "seconds", "path"),
    *("model", "experiment", "budget", "fraction", "epochs_wanted", "batch_size", "augment"),
    *("strength", "colour", "flips", "learning_rate", "schedule", "weight_decay"),
    *("multiply_adds", "calibration_error", "resumed", "device"),
    *("digest", "started", "error"),
]
_FLOATS = (
    *("validation", "validation_low", "validation_high", "test", "test_low", "test_high"),
    *("scale", "seconds", "fraction", "strength", "colour", "learning_rate", "weight_decay"),
    "calibration_error",
)
# Two runs are seeds of one cell where these are equal, …
SETTINGS = (
    *("model", "recipe", "augment", "strength", "colour", "flips", "epochs_wanted"),
    *("batch_size", "learning_rate", "schedule", "weight_decay"),
)
# … and their accuracies answer the same question where these are.
EXAMINATION = ("data", "origin", "digest", "scale", "split", "fraction")
# What `companion train` did before these were settings.
_BEFORE = {
    "augment": False,
    "strength": 1.0,
    "colour": 0.0,
    "flips": False,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
}


def table(folder):
    """Gather the reports below a folder into a table.

    Runs that are unfinished, interrupted or failed have their row, and so has a report that
    cannot be read: its status is ``"damaged"``, its `error` says why, and the others are gathered
    all the same. Taught in the chapter *GTSRB 7: reports*.

    Parameters
    ----------
    folder : path-like
        Searched with all its subfolders for ``report.json`` and other ``*.json`` reports. A JSON
        file of another name that is no report is passed over.

    Returns
    -------
    pandas.DataFrame
        One row a report, in order of path: ``run``, ``status``, ``data`` (name and origin),
        ``recipe``, ``scale``, ``split``, ``seed``, ``parameters``, ``epochs`` (done),
        ``validation`` and ``test`` accuracies in 0 … 1 with the bounds of their 95 % intervals
        (``…_low``, ``…_high``), ``openings`` of the test set, ``seconds``, ``path``; then the
        settings (``model``, ``experiment``, ``budget``, ``fraction`` held out, ``epochs_wanted``,
        ``batch_size``, ``augment``, ``strength``, ``colour``, ``flips``, ``learning_rate``,
        ``schedule``, ``weight_decay``), ``multiply_adds``, ``calibration_error``, ``resumed``
        (how often), ``device``, the data's ``digest``, ``started`` and ``error``. What a report
        does not say is None or NaN.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> empty = table(tempfile.mkdtemp())
    >>> len(empty), empty.columns[0]
    (0, 'run')
    """
    import pandas as pd

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder must be one that holds runs, got {folder}")
    rows = [
        _row(path)
        for path in sorted(folder.rglob("*.json"))
        if path.name == runs.REPORT or _is_report(path)
    ]
    found = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    found = found.where(found.notna(), None).astype(dict.fromkeys(_FLOATS, float))
    # One missing number would make floats of a column, and seed 3 would read 3.0.
    whole = [name for name in COLUMNS if found[name].notna().all()]
    return found.assign(**{name: found[name].infer_objects() for name in whole})


@dataclass(frozen=True, eq=False)
class Predictions:
    """A run's answers to its validation images.

    Parameters
    ----------
    rows : ndarray of int, (N,)
        Of the images among the training images.
    class_ids, predicted : ndarray of int, (N,)
        The true classes and the answers.
    tracks : ndarray of int, (N,) or None
        The track of each image within its class; None where the data have none.
    confidence : ndarray of float, (N,)
        Softmax value of each answer, in 0 … 1.
    """

    rows: np.ndarray
    class_ids: np.ndarray
    predicted: np.ndarray
    tracks: np.ndarray | None
    confidence: np.ndarray

    @cached_property
    def right(self):
        """Say for each image, by a bool, whether the answer is right; shape (N,)."""
        return self.predicted == self.class_ids

    @property
    def groups(self):
        """Give each image the number of its (class, track), or its row where there is none."""
        from companion.training.metrics import class_track_groups

        if self.tracks is None:
            return self.rows.astype(np.int64)
        return class_track_groups(self.class_ids, self.tracks)

    def same_images(self, other):
        """Say whether two runs were validated on the same images."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(
            self.class_ids, other.class_ids
        )


def predictions(path):
    """Read a run's answers to its validation images.

    Parameters
    ----------
    path : path-like
        A run's folder, its ``predictions.npz``, or a report: beside ``seed0.json`` the answers
        are called ``seed0.npz``.

    Returns
    -------
    Predictions

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If the file is damaged.

    Examples
    --------
    >>> predictions("/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: /nowhere/predictions.npz does not exist: this run kept no answers
    """
    path = Path(path)
    if path.name == runs.REPORT:
        path = path.parent
    if path.suffix == ".json":
        path = path.with_suffix(".npz")
    elif path.suffix != ".npz":
        path = path / runs.PREDICTIONS
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: this run kept no answers")
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # np.load leaves a bad file open
            held = dict(arrays)
        rows, class_ids, predicted = (held[key] for key in ("rows", "class_ids", "predicted"))
        tracks, confidence = held.get("tracks"), held["confidence"].astype(float)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold a run's answers ({error})") from None
    if tracks is not None and (tracks.ndim == 0 or (tracks < 0).any()):
        tracks = None  # digits come one by one
    lists = [rows, class_ids, predicted, confidence, *([] if tracks is None else [tracks])]
    if len({a.shape for a in lists}) != 1 or rows.ndim != 1 or not len(rows):
        raise ValueError(
            f"{path} does not hold a run's answers (lists of shapes {[a.shape for a in lists]})"
        )
    return Predictions(rows, class_ids, predicted, tracks, confidence)


def ranking(table, by=None, *, confidence=0.95):
    """Rank the cells of a table of runs, and say which cannot be told apart from the best.

    A cell is all runs of one setting; they differ by their seeds, and their mean is ranked. A seed
    that was run twice counts once, by its last run. Runs on different data, or at another scale,
    or split in another way, or with another share held out, sat different examinations: they are
    ranked apart.

    It ranks by validation: the test set is not there to choose by. Taught in the chapter
    *GTSRB 7: reports*.

    Parameters
    ----------
    table : pandas.DataFrame
        From `table`, or a part of it.
    by : sequence of str, optional
        The columns that name a cell. By default ``model``, ``recipe`` and whichever other setting
        differs between runs of one examination.
    confidence : float
        Of all intervals, between 0 and 1, both excluded; an interval that is taken from a report
        stays one of 95 %.

    Returns
    -------
    pandas.DataFrame
        A row a cell, the best of each examination first; a cell without a finished run comes last.
        The columns of `by`; ``rank``; ``accuracy`` (mean over the seeds), ``low``, ``high`` and
        what that interval ``covers``: ``"tracks and seeds"``, ``"tracks"`` (one seed),
        ``"images and seeds"``, ``"images"``, or ``"seeds"`` (Student's t, where no answers are
        kept); ``behind`` (the best's accuracy minus this one's) with ``behind_low`` and
        ``behind_high``, ``told_apart`` (from the best; None for the best itself) and the
        ``method`` of that; ``seeds`` (finished), ``unfinished`` (runs), mean ``parameters``,
        ``seconds``; and the examination: ``data``, ``origin``, ``digest``, ``scale``, ``split``,
        ``fraction`` (the share held out).

    Raises
    ------
    ValueError
        If `by` names no column, or would take runs of different settings for seeds of one cell.

    Examples
    --------
    >>> import tempfile
    >>> len(ranking(table(tempfile.mkdtemp())))
    0
    """
    import pandas as pd

    if by is not None and (unknown := [name for name in by if name not in table]):
        raise ValueError(f"by must name columns of the table, got {unknown[0]!r}")
    examinations = _examinations(table.to_dict("records"))
    differing = {name for rows in examinations.values() for name in _differing(rows)}
    by = [n for n in SETTINGS if n in ("model", "recipe") or n in differing] if by is None else by

    ranked = []
    for key in sorted(examinations, key=str):
        members = {}
        for row in examinations[key]:
            members.setdefault(tuple(_plain(row[name]) for name in by), []).append(row)
        cells = []
        for values, rows in members.items():
            if mixed := set(_differing(rows)) - set(by):
                raise ValueError(
                    f"by must hold {min(mixed)!r}, in which the runs of "
                    f"{', '.join(map(str, values))} differ"
                )
            cells.append(_Cell(dict(zip(by, values, strict=True)), rows, confidence))
        cells.sort(key=lambda cell: -cell.accuracy if cell.members else np.inf)
        examination = dict(zip(EXAMINATION, key, strict=False))
        for rank, cell in enumerate(cells, start=1):
            ranked.append(
                {
                    **cell.named,
                    "rank": rank if cell.members else np.nan,
                    "accuracy": cell.accuracy,
                    "low": cell.low,
                    "high": cell.high,
                    "covers": cell.covers,
                    **_against(cells[0], cell, confidence),
                    "seeds": len(cell.members),
                    "unfinished": cell.unfinished,
                    "parameters": cell.mean("parameters"),
                    "seconds": cell.mean("seconds"),
                    **examination,
                }
            )
    columns = [
        *by,
        *("rank", "accuracy", "low", "high", "covers", "behind", "behind_low", "behind_high"),
        *("told_apart", "method", "seeds", "unfinished", "parameters", "seconds"),
        *(name for name in EXAMINATION if name not in by),
    ]
    return pd.DataFrame(ranked, columns=columns)


@dataclass(frozen=True)
class Comparison:
    """Two runs judged by their answers to the same images.

    Parameters
    ----------
    a, b : str
        Names of the runs.
    accuracy_a, accuracy_b : float
        In 0 … 1.
    interval : (float, float)
        The 95 % interval of accuracy_a - accuracy_b.
    method : str
        How the interval was drawn.
    mcnemar : companion.training.metrics.McNemar
        Taking images for independent, which frames of one track are not.
    """

    a: str
    b: str
    accuracy_a: float
    accuracy_b: float
    interval: tuple[float, float]
    method: str
    mcnemar: object

    @property
    def difference(self):
        """Give accuracy_a - accuracy_b."""
        return self.accuracy_a - self.accuracy_b

    @property
    def told_apart(self):
        """Say whether 0 lies outside the interval."""
        return _excludes_zero(*self.interval)

    def __str__(self):
        low, high = self.interval
        verdict = "told apart" if self.told_apart else "not told apart"
        return (
            f"{self.a} {self.accuracy_a:.2%}, {self.b} {self.accuracy_b:.2%}: difference "
            f"{100 * self.difference:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}], "
            f"{verdict} ({self.method})"
        )


def compare(run_a, run_b):
    """Compare two runs by their answers to the same validation images.

    Taught in the chapter *GTSRB 7: reports*.

    Parameters
    ----------
    run_a, run_b : path-like
        Folders of runs, or reports with their answers beside them; see `predictions`.

    Returns
    -------
    Comparison

    Raises
    ------
    FileNotFoundError
        If a run, or its answers, are missing.
    ValueError
        If the runs were validated on different data or images.

    Examples
    --------
    >>> compare("/nowhere", "/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: /nowhere holds no report.json: is it the folder of a run?
    """
    from companion.training.metrics import difference_interval, mcnemar

    reports = [runs.read_report(path) for path in (run_a, run_b)]
    answers = [predictions(path) for path in (run_a, run_b)]
    for name in ("name", "digest", "scale"):
        a, b = (report.data.get(name) for report in reports)
        if a != b:
            raise ValueError(
                f"run_b must be of the same data as run_a, but their {name} is {b!r} and {a!r}"
            )
    a, b = answers
    if not a.same_images(b):
        raise ValueError(
            f"run_b must be validated on the same images as run_a: take runs of one split and "
            f"one seed, got seeds {reports[0].seed} and {reports[1].seed}"
        )
    over, groups = _drawn(a, reports[0].validation)
    return Comparison(
        a=reports[0].name,
        b=reports[1].name,
        accuracy_a=float(a.right.mean()),
        accuracy_b=float(b.right.mean()),
        interval=difference_interval(a.right, b.right, groups),
        method=f"paired bootstrap over {over}",
        mcnemar=mcnemar(a.right, b.right),
    )


def per_class(report, of="validation"):
    """Give precision, recall and F1 of each class of a run.

    Parameters
    ----------
    report : Report or path-like
        Of a run that is finished.
    of : str
        ``"validation"`` or ``"test"``.

    Returns
    -------
    pandas.DataFrame
        As `companion.training.metrics.per_class`; a row a class, for traffic signs with the
        `name` and the `family` of each.

    Raises
    ------
    ValueError
        If the run has no such result.
    """
    from companion.training import metrics

    report, matrix = _confusion(report, of)
    found = metrics.per_class(matrix)
    if report.data.get("name") == "gtsrb":
        from companion.data.gtsrb import CLASS_NAMES

        found.insert(0, "name", CLASS_NAMES)
        found.insert(1, "family", [_family()[class_id] for class_id in found.index])
    return found.rename_axis("class_id")


def most_confused(report, n=10, of="validation"):
    """List the pairs of classes that a run confuses most.

    Parameters
    ----------
    report : Report or path-like
        Of a run that is finished.
    n : int
        Pairs at most.
    of : str
        ``"validation"`` or ``"test"``.

    Returns
    -------
    pandas.DataFrame
        A row a pair, the most images first: the classes `true` and `predicted`, `images`, their
        `share` of the true class, and for traffic signs `true_name`, `predicted_name` and
        `one_family`, whether the two are of one family.

    Raises
    ------
    ValueError
        If the run has no such result, or n is negative.
    """
    import pandas as pd

    if n < 0:
        raise ValueError(f"n must be >= 0, got {n}")
    report, matrix = _confusion(report, of)
    errors = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-errors, axis=None, kind="stable")[:n]
    true, predicted = np.unravel_index(order, errors.shape)
    images = errors[true, predicted]
    share = images / np.maximum(matrix.sum(axis=1)[true], 1)
    found = pd.DataFrame({"true": true, "predicted": predicted, "images": images, "share": share})
    if report.data.get("name") == "gtsrb":
        from companion.data.gtsrb import CLASS_NAMES

        family = _family()
        found["true_name"] = [CLASS_NAMES[i] for i in true]
        found["predicted_name"] = [CLASS_NAMES[i] for i in predicted]
        found["one_family"] = [family[a] == family[b] for a, b in zip(true, predicted, strict=True)]
    return found[found["images"] > 0]


def export(table, path):
    r"""Write a table as a CSV file, beside and renamed.

    Parameters
    ----------
    table : pandas.DataFrame
        Any; its index is left out.
    path : path-like
        Of the file; its folder is made where it is missing.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> export(pd.DataFrame({"seed": [0]}), tempfile.mkdtemp() + "/runs.csv").read_text()
    'seed\n0\n'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    part.write_text(text.getvalue(), encoding="utf-8", newline="")
    os.replace(part, path)
    return path


class _Cell:
    """All runs of one setting: the finished ones, a seed once, and their mean with its interval."""

    def __init__(self, named, rows, confidence):
        self.named = named
        finished = [r for r in rows if r["status"] == "finished" and _plain(r["validation"])]
        self.unfinished = len(rows) - len(finished)
        self.members = {r["seed"]: r for r in sorted(finished, key=lambda r: r["started"])}
        self.answers = {seed: _answers(row) for seed, row in self.members.items()}
        self.accuracy, self.low, self.high, self.covers = np.nan, np.nan, np.nan, ""
        if self.members:
            self.accuracy = float(np.mean([r["validation"] for r in self.members.values()]))
            self.low, self.high, self.covers = self._interval(confidence)

    def _interval(self, confidence):
        from companion.training.metrics import seeds_interval

        accuracies = [row["validation"] for row in self.members.values()]
        answers = list(self.answers.values())
        if all(answers):
            bounds = seeds_interval(
                [held.right for held, _, _ in answers],
                [groups for _, _, groups in answers],
                confidence=confidence,
            )
            return *bounds, answers[0][1] + (" and seeds" if len(answers) > 1 else "")
        if len(accuracies) > 1:
            from scipy import stats

            error = float(stats.sem(accuracies))
            half = stats.t.ppf((1 + confidence) / 2, len(accuracies) - 1) * error
            return self.accuracy - half, self.accuracy + half, "seeds"
        (row,) = self.members.values()
        method = runs.read_report(row["path"]).validation["interval_method"]
        return row["validation_low"], row["validation_high"], _covered(method)

    def mean(self, column):
        values = [row[column] for row in self.members.values() if _plain(row[column]) is not None]
        return float(np.mean(values)) if values else np.nan


def _against(best, cell, confidence):
    """Compare a cell with the best: paired where both answered the same images."""
    from companion.training.metrics import seeds_interval

    found = {"behind": np.nan, "behind_low": np.nan, "behind_high": np.nan}
    if not cell.members:
        return {**found, "told_apart": None, "method": ""}
    if cell is best:
        return {**found, "behind": 0.0, "told_apart": None, "method": "is the best"}
    pairs = [
        (best.answers[seed], cell.answers[seed])
        for seed in cell.answers
        if cell.answers[seed]
        and best.answers.get(seed)
        and best.answers[seed][0].same_images(cell.answers[seed][0])
    ]
    if not pairs:
        told_apart = bool(cell.high < best.low)
        behind = best.accuracy - cell.accuracy
        return {**found, "behind": behind, "told_apart": told_apart, "method": "intervals overlap?"}
    differences = [a[0].right.astype(float) - b[0].right for a, b in pairs]
    low, high = seeds_interval(differences, [a[2] for a, _ in pairs], confidence=confidence)
    seeds = "1 seed" if len(pairs) == 1 else f"{len(pairs)} seeds"
    return {
        "behind": float(np.mean([d.mean() for d in differences])),
        "behind_low": low,
        "behind_high": high,
        "told_apart": _excludes_zero(low, high),
        "method": f"paired, {pairs[0][0][1]}, {seeds}",
    }


def _answers(row):
    """Give a finished run's answers, what is drawn of them, and their groups; None without them."""
    try:
        held = predictions(row["path"])
        validation = runs.read_report(row["path"]).validation
    except (OSError, ValueError):
        return None
    if abs(held.right.mean() - row["validation"]) > 1e-9:  # of another training
        return None
    return held, *_drawn(held, validation)


def _drawn(held, validation):
    """Say what a bootstrap of these answers may draw, and give its groups."""
    if _covered(validation["interval_method"]) == "tracks" and held.tracks is not None:
        return "tracks", held.groups
    return "images", held.rows.astype(np.int64)


def _covered(method):
    return "tracks" if "tracks" in method else "images"


def _excludes_zero(low, high):
    return bool(low > 0 or high < 0)  # not so for NaN


def _examinations(rows):
    """Put together the runs that answered the same questions."""
    found, unread = {}, []
    for row in rows:
        if row["status"] == "damaged":
            continue
        if _plain(row["digest"]) is None:  # it failed before its data were opened
            unread.append(row)
            continue
        key = tuple(_plain(row[name]) for name in EXAMINATION)
        if key[EXAMINATION.index("scale")] is None:  # of digits the budget says how many are used
            key = (*key, _plain(row["budget"]))
        found.setdefault(key, []).append(row)
    for row in unread:
        key = tuple(_plain(row[name]) for name in EXAMINATION)
        of_its_data = [k for k in found if (k[0], k[4:6]) == (key[0], key[4:])]
        found.setdefault(of_its_data[0] if len(of_its_data) == 1 else key, []).append(row)
    return found


def _differing(rows):
    """Name the settings in which finished runs differ."""
    finished = [row for row in rows if row["status"] == "finished"]
    return [n for n in SETTINGS if len({_plain(row[n]) for row in finished}) > 1]


def _confusion(report, of):
    if of not in ("validation", "test"):
        raise ValueError(f"of must be 'validation' or 'test', got {of!r}")
    if not isinstance(report, runs.Report):
        report = runs.read_report(report)
    score = getattr(report, of)
    if score is None:
        raise ValueError(f"report of {report.name} has no {of} result: the run is {report.status}")
    return report, np.asarray(score["confusion"])


def _family():
    from companion.data.gtsrb import FAMILIES

    return {class_id: name for name, ids in FAMILIES.items() for class_id in ids}


def _plain(value):
    """Give None for all that pandas writes for a missing value."""
    return None if value is None or value != value else value


def _is_report(path):
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return False
    try:
        return "schema" in json.loads(text)
    except (ValueError, TypeError):  # a report that was cut short lacks its end
        return '"status"' in text and '"started"' in text


def _row(path):
    """Read a report into a row, a damaged one into a row that says so."""
    try:
        return _readable_row(path, runs.read_report(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, (OSError, ValueError)) else f"{path} lacks {error}"
        name = path.parent.name if path.name == runs.REPORT else path.stem
        return {"run": name, "status": "damaged", "error": str(reason), "path": str(path)}


def _readable_row(path, report):
    model, data, settings = report.model or {}, report.data, report.settings
    if "experiment" in settings:
        settings = {**_BEFORE, **settings}
    experiment = settings.get("experiment")
    row = {
        "run": report.name,
        "status": report.status,
        "model": model.get("name") or (experiment and experiment.replace("-", "_")),
        "data": data["name"],
        "origin": data["origin"],
        "digest": data.get("digest"),
        "recipe": data.get("recipe") or settings.get("recipe"),
        "scale": data.get("scale", settings.get("scale")),
        "epochs_wanted": settings.get("epochs"),
        "seed": report.seed,
        "parameters": model.get("parameters"),
        "multiply_adds": model.get("multiply_adds"),
        "epochs": len(report.history.get("loss", [])),
        "resumed": len(report.resumed),
        "device": report.machine.get("device"),
        "calibration_error": (report.validation or {}).get("calibration_error"),
    }
    for name in ("experiment", "split", "fraction", "budget", "batch_size"):
        row[name] = settings.get(name)
    for name in _BEFORE:
        row[name] = settings.get(name)
    for name in ("validation", "test"):
        score = getattr(report, name) or {"accuracy": None, "interval": (None, None)}
        row[name] = score["accuracy"]
        row[f"{name}_low"], row[f"{name}_high"] = score["interval"]
    return {
        **row,
        "openings": len(report.test_openings),
        "seconds": report.seconds,
        "started": report.started,
        "error": report.error,
        "path": str(path),
    }
