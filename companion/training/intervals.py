"""How sure one can be of an accuracy, and of a difference between two."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_BLOCK = 200  # resamples drawn at a time


def wilson_interval(correct, total, *, confidence=0.95):
    """Give the Wilson score interval of a proportion.

    It supposes `total` independent trials. Frames of one track are not independent: see
    `group_bootstrap_interval`. Taught in the chapter *The concepts assumed*.

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
    the chapter *GTSRB 7: reports*.

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
    those of the two accuracies let expect. Taught in the
    chapter *GTSRB 7: reports*.

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
    chapter *GTSRB 7: reports*.

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
