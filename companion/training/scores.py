"""How good a classifier's answers are: accuracy, confusion, calibration."""

import itertools
from dataclasses import dataclass

import numpy as np

from companion.training.intervals import (
    class_track_groups,
    group_bootstrap_interval,
    wilson_interval,
)


def reliability(confidence, right, bins=15):
    """Compare how sure a network is with how often it is right, in bins.

    Parameters
    ----------
    confidence : array-like of float, (N,)
        Softmax value of the answer, in 0 … 1.
    right : array-like of bool, (N,)
        Whether the answer is right.
    bins : int
        Bins of equal width over 0 … 1; a value on an edge counts below it.

    Returns
    -------
    pandas.DataFrame
        A row a bin: `low` and `high` edge, `images`, `said` (mean confidence) and `right` (share,
        0 … 1), with `right_low` and `right_high`, its Wilson interval; NaN in an empty bin.

    Raises
    ------
    ValueError
        If the lengths differ, a confidence is not in 0 … 1, or there is no image.

    Examples
    --------
    Ten answers given with 0.8, of which seven are right:

    >>> reliability([0.8] * 10, [1] * 7 + [0] * 3, bins=2).round(2)[["images", "said", "right"]]
       images  said  right
    0       0   NaN    NaN
    1      10   0.8    0.7
    """
    import pandas as pd

    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if confidence.shape != right.shape or confidence.ndim != 1 or not len(right):
        raise ValueError(
            f"confidence and right must be two lists of one length >= 1, got shapes "
            f"{confidence.shape} and {right.shape}"
        )
    if not ((confidence >= 0) & (confidence <= 1 + 1e-3)).all():  # a float32 softmax may pass 1
        raise ValueError(
            f"confidence must lie in 0 … 1, got {confidence.min():g} to {confidence.max():g}"
        )
    if bins < 1:
        raise ValueError(f"bins must be >= 1, got {bins}")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    images = np.bincount(place, minlength=bins)
    hits = np.bincount(place, weights=right, minlength=bins)
    said = np.bincount(place, weights=confidence, minlength=bins)
    none = np.full(bins, np.nan)
    bounds = [
        wilson_interval(int(hit), int(number)) if number else (np.nan, np.nan)
        for hit, number in zip(hits, images, strict=True)
    ]
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "said": np.divide(said, images, out=none.copy(), where=images > 0),
            "right": np.divide(hits, images, out=none.copy(), where=images > 0),
            "right_low": [low for low, _ in bounds],
            "right_high": [high for _, high in bounds],
        }
    )


def calibration_error(confidence, right, bins=15):
    """Give the expected calibration error: how far *sure* is from *right*.

    The mean over the images of ``|mean confidence - share right|`` of their bin. Taught in the
    chapter *GTSRB 7: reports*.

    Parameters
    ----------
    confidence : array-like of float, (N,)
        Softmax value of the answer, in 0 … 1.
    right : array-like of bool, (N,)
        Whether the answer is right.
    bins : int
        Bins of equal width over 0 … 1.

    Returns
    -------
    float
        In 0 … 1; 0 where each bin is right as often as it is sure.

    Raises
    ------
    ValueError
        As `reliability` does.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
    International Conference on Machine Learning (2017).

    Examples
    --------
    Said 0.9 and right in half of the cases, said 0.6 and right in 0.6 of them:

    >>> confidence, right = [0.9] * 10 + [0.6] * 10, [1] * 5 + [0] * 5 + [1] * 6 + [0] * 4
    >>> round(calibration_error(confidence, right), 3)
    0.2
    """
    table = reliability(confidence, right, bins)
    gaps = (table["said"] - table["right"]).abs().fillna(0)
    return float((gaps * table["images"]).sum() / table["images"].sum())


def accuracy_by(values, right, edges_or_quantiles=5, groups=None):
    """Cut the accuracy by a property of the images, in bins with intervals.

    Taught in the chapter *What the network looks at*.

    Parameters
    ----------
    values : array-like of float, (N,)
        The property: original size in pixels, mean grey value, …. Images whose value is NaN are
        left out.
    right : array-like of bool, (N,)
        Whether the answer is right.
    edges_or_quantiles : int or sequence of float
        A number: so many bins of about as many images each (fewer where values are equal). A
        sequence: rising edges of the bins; images outside are left out. A bin holds its lower edge,
        and the last one its upper edge too.
    groups : array-like of int, (N,), optional
        A number for each (class, track): intervals are then drawn over tracks, otherwise they
        are Wilson's.

    Returns
    -------
    pandas.DataFrame
        A row a bin: `low` and `high` edge, `images`, `groups` (where they are given), `accuracy`
        in 0 … 1 and the bounds of its 95 % interval, `accuracy_low` and `accuracy_high`; NaN in an
        empty bin.

    Raises
    ------
    ValueError
        If the lengths differ, edges do not rise, or no image is left.

    Examples
    --------
    >>> accuracy_by([15, 20, 40, 80], [False, True, True, True], [0, 30, 100]).round(2)
       low  high  images  accuracy  accuracy_low  accuracy_high
    0    0    30       2       0.5          0.09           0.91
    1   30   100       2       1.0          0.34           1.00
    """
    import pandas as pd

    values, right = np.asarray(values, dtype=float), np.asarray(right, dtype=bool)
    groups = None if groups is None else np.asarray(groups)
    lengths = {a.shape for a in (values, right, groups) if a is not None}
    if len(lengths) != 1 or values.ndim != 1:
        raise ValueError(
            f"values, right and groups must be lists of one length, got shapes {sorted(lengths)}"
        )
    if np.ndim(edges_or_quantiles):
        edges = np.asarray(edges_or_quantiles)
        if len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"edges_or_quantiles must rise, got {list(edges_or_quantiles)}")
    else:
        if edges_or_quantiles < 1:
            raise ValueError(f"edges_or_quantiles must be >= 1, got {edges_or_quantiles}")
        known = values[np.isfinite(values)]
        if not len(known):
            raise ValueError("values must hold a finite number at least, got none")
        edges = np.unique(np.quantile(known, np.linspace(0, 1, edges_or_quantiles + 1)))
        if len(edges) == 1:  # all values are equal
            edges = np.repeat(edges, 2)
    place = np.searchsorted(edges[1:-1], values, side="right")
    inside = (values >= edges[0]) & (values <= edges[-1])  # not so for NaN
    if not inside.any():
        raise ValueError(f"values must lie between the edges, none is in {edges[0]} … {edges[-1]}")
    rows = []
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        chosen = inside & (place == number)
        row = {"low": low, "high": high, "images": int(chosen.sum())}
        bounds = (np.nan, np.nan)
        if groups is not None:
            row["groups"] = len(np.unique(groups[chosen]))
        if chosen.any() and groups is not None:
            bounds = group_bootstrap_interval(right[chosen], groups[chosen])
        elif chosen.any():
            bounds = wilson_interval(int(right[chosen].sum()), int(chosen.sum()))
        row["accuracy"] = right[chosen].mean() if chosen.any() else np.nan
        row["accuracy_low"], row["accuracy_high"] = bounds
        rows.append(row)
    return pd.DataFrame(rows)


def confusion_matrix(true, predicted, classes):
    """Count each pair of a true and a predicted class.

    Parameters
    ----------
    true, predicted : array-like of int, (N,)
        Classes in 0 … classes - 1.
    classes : int
        How many there are.

    Returns
    -------
    ndarray of int, (classes, classes)
        A row is a true class, a column a predicted one.

    Raises
    ------
    ValueError
        If the lengths differ or a class is out of range.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], 2)
    array([[1, 1],
           [0, 2]])
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted must have one length, got {len(true)} and {len(predicted)}"
        )
    for name, values in (("true", true), ("predicted", predicted)):
        if len(values) and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(
                f"{name} must hold classes 0 to {classes - 1}, got {values.min()} to {values.max()}"
            )
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (true, predicted), 1)
    return matrix


def per_class(matrix):
    """Give precision, recall and F1 of each class.

    Parameters
    ----------
    matrix : array-like of int, (classes, classes)
        A confusion matrix; a row is a true class.

    Returns
    -------
    pandas.DataFrame
        One row a class: `images` (of that class), `precision`, `recall`, `f1`, in 0 … 1; NaN where
        a class has no image (recall) or was never predicted (precision).

    Examples
    --------
    >>> per_class([[8, 2], [0, 10]]).round(2)
       images  precision  recall    f1
    0      10       1.00     0.8  0.89
    1      10       0.83     1.0  0.91
    """
    import pandas as pd

    matrix = np.asarray(matrix)
    right, images, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)

    def share(of, all_of):
        return np.divide(of, all_of, out=np.full(len(of), np.nan), where=all_of > 0)

    return pd.DataFrame(
        {
            "images": images,
            "precision": share(right, predicted),
            "recall": share(right, images),
            "f1": share(2 * right, images + predicted),
        }
    )


@dataclass(frozen=True)
class Score:
    """How many predictions of a set were right, and how sure that makes us.

    Parameters
    ----------
    correct, total : int
        Right predictions among all.
    interval : (float, float)
        The 95 % interval of the accuracy.
    interval_method : str
        ``"wilson"``, or ``"bootstrap over tracks"`` where the tracks are known.
    confusion : list of list of int
        The confusion matrix; a row is a true class.
    calibration_error : float or None
        See `calibration_error`; None where the confidence of the answers is not known.
    """

    correct: int
    total: int
    interval: tuple[float, float]
    interval_method: str
    confusion: list[list[int]]
    calibration_error: float | None = None

    @property
    def accuracy(self):
        """Give the share of right predictions, in 0 … 1."""
        return self.correct / self.total

    def __str__(self):
        low, high = self.interval
        return f"{self.accuracy:.2%} [{low:.2%}, {high:.2%}]"


def score(predicted, true, *, classes, tracks=None, confidence=None):
    """Compare predicted with true classes.

    Parameters
    ----------
    predicted, true : array-like of int, (N,)
        Classes in 0 … classes - 1.
    classes : int
        How many there are.
    tracks : array-like of int, (N,), optional
        The track of each image; its interval is then drawn over whole (class, track) groups.
    confidence : array-like of float, (N,), optional
        Softmax value of each answer: fills in the calibration error. Of a network whose outputs
        are no numbers any more (NaN) there is none.

    Returns
    -------
    Score

    Examples
    --------
    >>> print(score([0, 1, 1, 1], [0, 0, 1, 1], classes=2))
    75.00% [30.06%, 95.44%]
    """
    predicted, true = np.asarray(predicted), np.asarray(true)
    matrix = confusion_matrix(true, predicted, classes)
    correct, total = int(np.trace(matrix)), int(matrix.sum())
    if tracks is None:
        interval, method = wilson_interval(correct, total), "wilson"
    else:
        interval = group_bootstrap_interval(predicted == true, class_track_groups(true, tracks))
        method = "bootstrap over tracks"
    error = None
    if confidence is not None and np.isfinite(confidence).all():
        error = calibration_error(confidence, predicted == true)
    return Score(correct, total, interval, method, matrix.tolist(), error)
