"""Many reports read as one table, and one report taken apart."""

import io
import json
import os
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
        As `companion.training.scores.per_class`; a row a class, for traffic signs with the
        `name` and the `family` of each.

    Raises
    ------
    ValueError
        If the run has no such result.
    """
    from companion.training import scores

    report, matrix = _confusion(report, of)
    found = scores.per_class(matrix)
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
