"""Numbers that say how good a classifier is, and how sure one can be of them."""

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_BLOCK = 200  # resamples drawn at a time


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
    # scipy.stats has it, and takes longer to import than all of JAX: every training, every page
    # and every command that says an accuracy would wait for it.
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n, p = int(total), int(correct) / int(total)
    centre = (2 * n * p + z**2) / (2 * (n + z**2))
    half = z * math.sqrt(4 * n * p * (1 - p) + z**2) / (2 * (n + z**2))
    # At the ends the formula gives 0 and 1, but for its rounding.
    return centre - half if correct else 0.0, centre + half if correct < total else 1.0


def group_bootstrap_interval(hits, groups, *, confidence=0.95, resamples=2000, seed=0):
    """Give the percentile bootstrap interval of a mean over whole groups.

    Frames of one track are near-copies of each other: drawing tracks, not frames, gives an
    interval as wide as the data deserve. Where all hits are equal, every draw is the same and
    says nothing; Wilson's interval is given then, with each group as one trial. Of a single
    group that is partly right nothing can be said: its interval is 0 … 1.

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
    if hits.min() == hits.max() and hits[0] in (0, 1):
        return wilson_interval(int(hits[0]) * len(size), len(size), confidence=confidence)
    if len(size) == 1:
        return 0.0, 1.0
    drawn = np.random.default_rng(seed).integers(len(size), size=(resamples, len(size)))
    means = right[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def seeds_interval(values, groups, *, confidence=0.95, resamples=4000, seed=0):
    """Give a bootstrap interval of a mean over several trainings.

    Two things would come out otherwise another time: other signs would be photographed, and
    other seeds drawn. So each resample draws the groups (one draw for all trainings, because a
    hard sign is hard for each of them), and then the trainings. Of k trainings, k - 1 are drawn,
    with replacement: drawing k would give too small a variance, which matters where k is 3.
    With one training the interval covers other groups alone.

    Where each seed holds out tracks of its own the interval is too wide rather than too narrow,
    as tracks then vary in both draws; where seeds differ far more than tracks do, three of them
    are too few for any bootstrap, and it holds the truth less often than it says. Taught in
    the chapter *GTSRB 5: many models, many data sets*.

    Parameters
    ----------
    values : sequence of array-like, each (N_i,)
        For each training a value an image: whether it is right, or the difference of two
        networks' right answers, in -1 … 1.
    groups : sequence of array-like of int, each (N_i,)
        The group of each image; a number names the same group in all trainings.
    confidence : float
        Between 0 and 1, both excluded.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the drawing.

    Returns
    -------
    low, high : float
        NaN where there is one group only: nothing can be drawn then.

    Raises
    ------
    ValueError
        If the lengths differ or there is nothing to draw from.

    References
    ----------
    A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), for drawing
    both ways; J. N. K. Rao and C. F. J. Wu, "Resampling inference with complex survey data",
    Journal of the American Statistical Association 83 (1988), for drawing k - 1.

    Examples
    --------
    Two trainings that disagree by 20 points say less than one of them alone:

    >>> groups = np.arange(1000)
    >>> better, worse = groups % 10 < 9, groups % 10 < 7
    >>> low, high = seeds_interval([better, worse], [groups, groups])
    >>> alone_low, alone_high = seeds_interval([better], [groups])
    >>> high - low > 4 * (alone_high - alone_low)
    True
    """
    values = [np.asarray(v, dtype=float) for v in values]
    groups = [np.asarray(g) for g in groups]
    shapes = [v.shape for v in values]
    if not values or shapes != [g.shape for g in groups] or any(len(s) != 1 for s in shapes):
        raise ValueError(
            f"values and groups must be as many lists, each pair of one length, got shapes "
            f"{shapes} and {[g.shape for g in groups]}"
        )
    if min(s[0] for s in shapes) < 1:
        raise ValueError(f"values must hold an image at least for each training, got {shapes}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    names, index = np.unique(np.concatenate(groups), return_inverse=True)
    parts = np.split(index, np.cumsum([len(g) for g in groups])[:-1])
    count = len(names)
    if count == 1:
        return np.nan, np.nan
    total = np.stack([np.bincount(i, v, count) for i, v in zip(parts, values, strict=True)])
    size = np.stack([np.bincount(i, minlength=count) for i in parts])

    random = np.random.default_rng(seed)
    trainings = len(values)
    means = []
    for start in range(0, resamples, _BLOCK):  # in blocks: a weight for each group and resample
        wanted = min(_BLOCK, resamples - start)
        drawn = random.integers(count, size=(wanted, count))
        weights = np.stack([np.bincount(row, minlength=count) for row in drawn])
        sizes = weights @ size.T
        # A training none of whose groups was drawn has no mean in this resample.
        mean = np.where(sizes > 0, (weights @ total.T) / np.maximum(sizes, 1), np.nan)
        if trainings > 1:
            chosen = random.integers(trainings, size=(wanted, trainings - 1))
            mean = np.take_along_axis(mean, chosen, axis=1)
        counted = np.isfinite(mean)
        mean = np.where(counted, mean, 0).sum(axis=1)[counted.any(axis=1)]
        means.append(mean / counted.sum(axis=1)[counted.any(axis=1)])
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def difference_interval(right_a, right_b, groups=None, *, confidence=0.95, resamples=4000, seed=0):
    """Give the paired bootstrap interval of the difference of two accuracies.

    Both networks answer the *same* images, so each draw takes both answers of an image, or of
    a track, together: what is hard for both cancels out, and the interval is narrower than
    those of the two accuracies let expect. Taught in the chapter *GTSRB 5: many models, many
    data sets*.

    Parameters
    ----------
    right_a, right_b : array-like of bool, (N,)
        Whether each network is right on each image.
    groups : array-like of int, (N,), optional
        A number for each (class, track): whole groups are drawn, as frames of one track deserve.
        Without it, images are drawn.
    confidence : float
        Between 0 and 1, both excluded.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the drawing.

    Returns
    -------
    low, high : float
        Bounds of accuracy a - accuracy b, in -1 … 1. The accuracies are told apart where 0 lies
        outside.

    Raises
    ------
    ValueError
        If the lengths differ or there is no image.

    Examples
    --------
    Both fail on the same ten images, and b on ten more:

    >>> right_a, right_b = np.arange(1000) >= 10, np.arange(1000) >= 20
    >>> low, high = difference_interval(right_a, right_b)
    >>> f"{low:.3f} {high:.3f}"
    '0.004 0.017'
    """
    right_a, right_b = _pair(right_a, right_b)
    difference = right_a.astype(float) - right_b
    groups = np.arange(len(difference)) if groups is None else groups
    return seeds_interval(
        [difference], [groups], confidence=confidence, resamples=resamples, seed=seed
    )


@dataclass(frozen=True)
class McNemar:
    """On how many images only one of two networks is right, and whether that is luck.

    Parameters
    ----------
    only_a, only_b : int
        Images that a alone has right, and b alone.
    p_value : float
        Chance of a split at least as uneven if each such image were a coin's toss.
    """

    only_a: int
    only_b: int
    p_value: float

    def __str__(self):
        return f"only a: {self.only_a}, only b: {self.only_b}, p = {self.p_value:.2g}"


def mcnemar(right_a, right_b):
    """Do McNemar's exact two-sided test of two networks on the same images.

    It takes images for independent of each other. Frames of one track are not: its p is too
    small for them, and `difference_interval` over tracks is the honest answer. Taught in the
    chapter *MNIST: the 42,358-parameter network*.

    Parameters
    ----------
    right_a, right_b : array-like of bool, (N,)
        Whether each network is right on each image.

    Returns
    -------
    McNemar

    Raises
    ------
    ValueError
        If the lengths differ or there is no image.

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947).

    Examples
    --------
    One head in six tosses, or as uneven: (1 + 6) · 2 of 64.

    >>> print(mcnemar([1, 0, 0, 0, 0, 0, 1, 0], [0, 1, 1, 1, 1, 1, 1, 0]))
    only a: 1, only b: 5, p = 0.22
    """
    from scipy import stats

    right_a, right_b = _pair(right_a, right_b)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    tosses = only_a + only_b
    p_value = float(stats.binomtest(only_a, tosses).pvalue) if tosses else 1.0
    return McNemar(only_a, only_b, p_value)


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


def class_track_groups(class_ids, tracks):
    """Give each pair of class and track a number of its own.

    Tracks are numbered anew in every class, so that a track's number alone names no sign.

    Parameters
    ----------
    class_ids, tracks : array-like of int, (N,)
        Class of each image, and its track within the class, >= 0.

    Returns
    -------
    ndarray of int64, (N,)
        Equal where class and track are; the same pair has the same number in every data set.

    Examples
    --------
    >>> a, b, c = class_track_groups([0, 1, 1], [3, 3, 3])
    >>> bool(a == b), bool(b == c)
    (False, True)
    """
    return (np.asarray(class_ids, dtype=np.int64) << 32) + np.asarray(tracks, dtype=np.int64)


def _pair(right_a, right_b):
    """Give two arrays of bool of one length >= 1."""
    right_a, right_b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if right_a.shape != right_b.shape or right_a.ndim != 1 or not len(right_a):
        raise ValueError(
            f"right_a and right_b must be two lists of one length >= 1, got shapes "
            f"{right_a.shape} and {right_b.shape}"
        )
    return right_a, right_b


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
