"""Numbers that say how good a classifier is, and how sure one can be of them."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


def wilson_interval(correct, total, *, confidence=0.95):
    """Give the Wilson score interval of a proportion.

    It supposes `total` independent trials. Frames of one track are not independent: see
    `group_bootstrap_interval`. Taught in the chapter *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    correct : int
        Successes, from 0 to `total`.
    total : int
        Trials, at least 1.
    confidence : float
        Between 0 and 1, both excluded.

    Returns
    -------
    low, high : float
        Bounds in 0 … 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).

    Examples
    --------
    The 98.84 % of people on the 12,630 test images of GTSRB:

    >>> low, high = wilson_interval(round(0.9884 * 12630), 12630)
    >>> f"{low:.3f} {high:.3f}"
    '0.986 0.990'
    """
    if total < 1:
        raise ValueError(f"total must be >= 1, got {total}")
    if not 0 <= correct <= total:
        raise ValueError(f"correct must lie between 0 and total = {total}, got {correct}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    interval = stats.binomtest(int(correct), int(total)).proportion_ci(
        confidence_level=confidence, method="wilson"
    )
    return float(interval.low), float(interval.high)


def group_bootstrap_interval(hits, groups, *, confidence=0.95, resamples=2000, seed=0):
    """Give the percentile bootstrap interval of a mean over whole groups.

    Frames of one track are near-copies of each other: drawing tracks, not frames, gives an
    interval as wide as the data deserve.

    Parameters
    ----------
    hits : array-like of bool, (N,)
        Whether each prediction is right.
    groups : array-like of int, (N,)
        The group of each, here a number for each (class, track).
    confidence : float
        Between 0 and 1, both excluded.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the drawing.

    Returns
    -------
    low, high : float
        Bounds in 0 … 1.

    Raises
    ------
    ValueError
        If the lengths differ or there is nothing to draw from.

    Examples
    --------
    Ten tracks of ten frames, each right or wrong as a whole, say less than 100 free frames:

    >>> hits, groups = np.repeat([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], 10), np.repeat(range(10), 10)
    >>> low, high = group_bootstrap_interval(hits, groups)
    >>> free_low, free_high = wilson_interval(80, 100)
    >>> high - low > 2 * (free_high - free_low)
    True
    """
    hits, groups = np.asarray(hits, dtype=float), np.asarray(groups)
    if hits.shape != groups.shape or hits.ndim != 1 or not len(hits):
        raise ValueError(
            f"hits and groups must be two lists of one length >= 1, got shapes {hits.shape} "
            f"and {groups.shape}"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    _, index = np.unique(groups, return_inverse=True)
    right, size = np.bincount(index, weights=hits), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(len(size), size=(resamples, len(size)))
    means = right[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


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
    """

    correct: int
    total: int
    interval: tuple[float, float]
    interval_method: str
    confusion: list[list[int]]

    @property
    def accuracy(self):
        """Give the share of right predictions, in 0 … 1."""
        return self.correct / self.total

    def __str__(self):
        low, high = self.interval
        return f"{self.accuracy:.2%} [{low:.2%}, {high:.2%}]"


def score(predicted, true, *, classes, tracks=None):
    """Compare predicted with true classes.

    Parameters
    ----------
    predicted, true : array-like of int, (N,)
        Classes in 0 … classes - 1.
    classes : int
        How many there are.
    tracks : array-like of int, (N,), optional
        The track of each image; its interval is then drawn over whole (class, track) groups.

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
        groups = true.astype(np.int64) * (int(np.max(tracks)) + 1) + np.asarray(tracks)
        interval = group_bootstrap_interval(predicted == true, groups)
        method = "bootstrap over tracks"
    return Score(correct, total, interval, method, matrix.tolist())
