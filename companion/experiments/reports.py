"""Many reports read as one table."""

import json
from pathlib import Path

from companion.experiments import runs

COLUMNS = [
    *("run", "status", "data", "origin", "recipe", "scale", "split", "seed", "parameters"),
    *("epochs", "validation", "validation_low", "validation_high"),
    *("test", "test_low", "test_high", "openings", "seconds", "path"),
]


def table(folder):
    """Gather the reports below a folder into a table.

    Parameters
    ----------
    folder : path-like
        Searched with all its subfolders for ``report.json`` and other ``*.json`` reports. A JSON
        file of another name that is no report is passed over.

    Returns
    -------
    pandas.DataFrame
        One row a report, in order of path: ``run``, ``status``, ``data`` (name and origin),
        ``recipe``, ``scale``, ``split``, ``seed``, ``parameters``, ``epochs``, ``validation`` and
        ``test`` accuracies in 0 … 1 with the bounds of their 95 % intervals (``…_low``,
        ``…_high``), ``openings`` of the test set, ``seconds``, ``path``.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If a report is damaged; the sentence names it.

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
        _row(path, runs.read_report(path))
        for path in sorted(folder.rglob("*.json"))
        if path.name == runs.REPORT or _is_report(path)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _is_report(path):
    try:
        return "schema" in json.loads(path.read_text())
    except (ValueError, TypeError):
        return False


def _row(path, report):
    model, data = report.model or {}, report.data
    row = {
        "run": report.name,
        "status": report.status,
        "data": data["name"],
        "origin": data["origin"],
        "recipe": data.get("recipe"),
        "scale": data.get("scale"),
        "split": report.settings.get("split"),
        "seed": report.seed,
        "parameters": model.get("parameters"),
        "epochs": len(report.history.get("loss", [])),
    }
    for name in ("validation", "test"):
        score = getattr(report, name) or {"accuracy": None, "interval": (None, None)}
        row[name] = score["accuracy"]
        row[f"{name}_low"], row[f"{name}_high"] = score["interval"]
    return {
        **row,
        "openings": len(report.test_openings),
        "seconds": report.seconds,
        "path": str(path),
    }
