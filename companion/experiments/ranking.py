"""Runs ranked, and compared two by two."""

from dataclasses import dataclass

import numpy as np

from companion.experiments import predictions, runs
from companion.experiments.reports import EXAMINATION, SETTINGS, _plain


def rank(table, by=None, *, confidence=0.95):
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
    >>> from companion.experiments.reports import table
    >>> len(rank(table(tempfile.mkdtemp())))
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
    mcnemar : companion.training.intervals.McNemar
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
    from companion.training.intervals import difference_interval, mcnemar

    reports = [runs.read_report(path) for path in (run_a, run_b)]
    answers = [predictions.read(path) for path in (run_a, run_b)]
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
        from companion.training.intervals import seeds_interval

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
    from companion.training.intervals import seeds_interval

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
        held = predictions.read(row["path"])
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
