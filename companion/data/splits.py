"""Divide the training images into those a network learns from and those that judge it.

Taught in the chapter *GTSRB 1: the data, and cooking it*.
"""

import numbers

import numpy as np


def by_track(class_ids, tracks, *, fraction=0.2, seed=0):
    """Split into training and validation, keeping every track whole.

    A track is one physical sign, seen some 30 times as the car nears it: its frames are
    near-duplicates. With frames of one sign on both sides, validation would measure how well
    the network remembers that sign, not how well it knows the class. So every
    (class, track) group goes to one side as a whole; track numbers restart in every class.

    Each class is split on its own. Its tracks are drawn at random, and of all the choices
    of whole tracks that leave one at least on each side, one whose number of images lies
    closest to `fraction` of the class is taken.

    Parameters
    ----------
    class_ids : array of int, shape (N,)
        Class of each image, >= 0.
    tracks : array of int, shape (N,)
        Track of each image within its class, >= 0.
    fraction : float, default 0.2
        Part of the images of each class wanted for validation, between 0 and 1 exclusive.
    seed : int, default 0
        Seed of the draw, >= 0. The draw depends on the seed and on each class's own tracks, and
        not on the order of the rows.

    Returns
    -------
    train_indices, validation_indices : arrays of int, sorted
        Rows of each side; together they are all N rows, each one once.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a class has one track only.

    See Also
    --------
    by_image : The random split, which ignores tracks.

    Examples
    --------
    Two classes of five tracks each, three frames to a track:

    >>> import numpy as np
    >>> class_ids = np.repeat([0, 1], 15)
    >>> tracks = np.tile(np.repeat(np.arange(5), 3), 2)
    >>> train, validation = by_track(class_ids, tracks, fraction=0.2, seed=0)
    >>> len(train), len(validation)
    (24, 6)
    >>> len({(class_ids[i], tracks[i]) for i in validation})  # one whole track of each class
    2
    """
    class_ids = _integers("class_ids", class_ids)
    tracks = _integers("tracks", tracks)
    if len(class_ids) != len(tracks):
        raise ValueError(
            f"class_ids and tracks must be of one length, got {len(class_ids)} and {len(tracks)}"
        )
    _check_fraction_and_seed(fraction, seed)

    in_validation = np.zeros(len(class_ids), dtype=bool)
    for class_id in np.unique(class_ids):
        rows = np.flatnonzero(class_ids == class_id)
        names, frames = np.unique(tracks[rows], return_counts=True)
        if len(names) < 2:
            raise ValueError(
                f"class {class_id} has one track only ({names[0]}) and a split by track needs two: "
                "cook a larger part of the data, leave this class out, or use splits.by_image"
            )
        order = _generator(seed, class_id).permutation(len(names))
        chosen = _closest_choice(frames[order].tolist(), fraction * len(rows))
        in_validation[rows] = np.isin(tracks[rows], names[order[chosen]])
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def by_image(class_ids, *, fraction=0.2, seed=0):
    """Split into training and validation at random, within each class.

    Right where every image was taken independently of the others, as in MNIST. Wrong for
    GTSRB, where it puts frames of one sign on both sides and so flatters the network: the chapter
    *GTSRB 1: the data, and cooking it* uses it to measure by how much.

    Parameters
    ----------
    class_ids : array of int, shape (N,)
        Class of each image, >= 0.
    fraction : float, default 0.2
        Part of the images of each class wanted for validation, between 0 and 1 exclusive; rounded
        to whole images, with one at least on each side.
    seed : int, default 0
        Seed of the draw, >= 0.

    Returns
    -------
    train_indices, validation_indices : arrays of int, sorted
        Rows of each side; together they are all N rows, each one once.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a class has one image only.

    See Also
    --------
    by_track : The split to use where images come in tracks.

    Examples
    --------
    >>> train, validation = by_image([7, 7, 7, 7, 7, 8, 8, 8, 8, 8], fraction=0.4, seed=0)
    >>> len(train), len(validation)
    (6, 4)
    """
    class_ids = _integers("class_ids", class_ids)
    _check_fraction_and_seed(fraction, seed)

    in_validation = np.zeros(len(class_ids), dtype=bool)
    for class_id in np.unique(class_ids):
        rows = np.flatnonzero(class_ids == class_id)
        if len(rows) < 2:
            raise ValueError(
                f"class {class_id} has one image only and a split needs two: "
                "use a larger part of the data, or leave this class out"
            )
        wanted = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        in_validation[_generator(seed, class_id).permutation(rows)[:wanted]] = True
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def _closest_choice(sizes, target):
    """Choose some of `sizes`, not none and not all, so that their sum is closest to `target`."""
    # Bit s of sums[k] is set when some of the first k sizes add up to s.
    sums = [1]
    for size in sizes:
        sums.append(sums[-1] | sums[-1] << size)
    reachable = [s for s, bit in enumerate(reversed(f"{sums[-1]:b}")) if bit == "1"]
    remaining = min(reachable[1:-1], key=lambda s: abs(s - target))

    chosen = []
    for k in reversed(range(len(sizes))):
        # A size is taken only where the earlier ones cannot make up the sum without it.
        if not sums[k] >> remaining & 1:
            chosen.append(k)
            remaining -= sizes[k]
    return chosen


def _generator(seed, class_id):
    # A generator for each class: adding or leaving out a class does not change the others.
    return np.random.default_rng([int(seed), int(class_id)])


def _integers(name, values):
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be a one-dimensional array of integers with one entry at least, "
            f"got shape {values.shape} of {values.dtype}"
        )
    if values.min() < 0:
        raise ValueError(f"{name} must be >= 0, got {values.min()}")
    return values


def _check_fraction_and_seed(fraction, seed):
    if not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, both excluded, got {fraction!r}")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}")
