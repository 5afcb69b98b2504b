"""Which signs may be flipped, and what they become.

A mirrored "turn left" is a "turn right"; a mirrored "priority road" is itself; a mirrored 30 is no
sign at all. The table was read off the drawings of `companion.data.drawn_signs` with `derive` and
compared with the real images: a network that never saw a flipped image answers each legal flip with
the class of the table more often than with any other.
"""

import numpy as np

from companion.data import drawn_signs
from companion.data.gtsrb import CLASS_NAMES

KINDS = ("left-right", "up-down", "half-turn")

# Mean difference of two drawings, in 0 … 1, up to which they are the same: the drawings that match
# differ by 0.0006 at most, from rounding; those that do not, by 0.007 at least.
THRESHOLD = 0.003

_LEGAL = {
    "left-right": {
        **{c: c for c in (11, 12, 13, 15, 17, 18, 22, 26, 30, 35)},
        19: 20,
        20: 19,
        33: 34,
        34: 33,
        36: 37,
        37: 36,
        38: 39,
        39: 38,
    },
    "up-down": {c: c for c in (12, 15, 17)},
    "half-turn": {c: c for c in (12, 15, 17, 32)},
}

# For each kind the class that each of the 43 becomes; None: a flipped one is no sign of the 43.
TABLE = {
    kind: tuple(legal.get(c) for c in range(len(CLASS_NAMES))) for kind, legal in _LEGAL.items()
}

# Flips that the table leaves out although there is something to say for them.
JUDGED = {
    ("left-right", 9): "the red car changes sides; hard to see in small grey images",
    ("left-right", 23): "a car that skids the other way says the same to a driver",
    ("left-right", 27): "a pedestrian who walks the other way says the same to a driver",
    ("left-right", 28): "children who run the other way say the same to a driver",
    ("left-right", 29): "a bicycle that faces the other way says the same to a driver",
    ("left-right", 31): "a deer that leaps the other way says the same to a driver",
    ("up-down", 1): "3 and 0 are nearly symmetric, but the upper bow of the 3 is smaller",
    ("up-down", 5): "8 and 0 are nearly symmetric, but the upper ring of the 8 is smaller",
    ("up-down", 7): "1, 0 and 0 are nearly symmetric, but for the flag of the 1",
    ("half-turn", 6): "8 and 0 change places, and the 80 is grey behind the stripes",
    ("half-turn", 40): "the arrows go round the same way, but from other places",
}


def flip(images, kind):
    """Flip images.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    images : ndarray, (…, H, W, C)
        One or many, in any units.
    kind : str
        ``"left-right"``, ``"up-down"``, or ``"half-turn"``, which is both.

    Returns
    -------
    ndarray
        A view of the same pixels in another order.

    Raises
    ------
    ValueError
        If the kind is none of the three.

    Examples
    --------
    >>> image = np.array([[1, 2], [3, 4]])[..., None]
    >>> [flip(image, kind).ravel().tolist() for kind in KINDS]
    [[2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]]
    """
    _check(kind)
    if kind != "left-right":
        images = images[..., ::-1, :, :]
    return images if kind == "up-down" else images[..., ::-1, :]


def distances(kind, *, size=96):
    """Compare each drawn sign, flipped, with all drawn signs.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    kind : str
        As for `flip`.
    size : int
        Of the drawings, in pixels.

    Returns
    -------
    ndarray of float, (43, 43)
        Mean absolute difference, in 0 … 1, between the flipped sign of the row's class and the
        sign of the column's class, over all pixels and red, green and blue.

    Raises
    ------
    ValueError
        If the kind is none of the three.

    Examples
    --------
    Turn left, mirrored, is turn right and not itself:

    >>> mirrored = distances("left-right", size=32)
    >>> bool(mirrored[34, 33] < 0.003 < mirrored[34, 34])
    True
    """
    from PIL import Image

    _check(kind)
    drawn = []
    for class_id in range(len(CLASS_NAMES)):
        canvas = Image.new("RGBA", (size, size), (128, 128, 128, 255))
        canvas.alpha_composite(drawn_signs.draw(class_id, size))
        drawn.append(np.asarray(canvas.convert("RGB"), dtype="float32") / 255)
    drawn = np.stack(drawn)
    return np.stack([np.abs(one - drawn).mean(axis=(1, 2, 3)) for one in flip(drawn, kind)])


def derive(kind):
    """Read off the drawings which class each class becomes when flipped.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    kind : str
        As for `flip`.

    Returns
    -------
    tuple of int or None, (43,)
        The class whose drawing the flipped one matches within `THRESHOLD`; None: there is none.

    Raises
    ------
    ValueError
        If the kind is none of the three.

    Examples
    --------
    >>> derive("up-down") == TABLE["up-down"]
    True
    """
    found = distances(kind)
    return tuple(int(d.argmin()) if d.min() <= THRESHOLD else None for d in found)


def extend(images, class_ids, tracks, *, kinds=KINDS):
    """Give the further images that legal flips make of these.

    For training rows only, after the split: a flipped image is no new sign, and must not be on the
    other side of the split than the image it was made from. Taught in the chapter
    *GTSRB 4: augmentation*.

    Parameters
    ----------
    images : ndarray, (N, H, W, C)
        In any units.
    class_ids : array of int, (N,)
        In 0 … 42.
    tracks : array of int, (N,)
        Of the signs, within their classes.
    kinds : sequence of str
        The flips to use.

    Returns
    -------
    images : ndarray, (M, H, W, C)
        The flipped images alone, kind by kind in the order of the rows.
    class_ids : array of int, (M,)
        The classes that they show.
    tracks : array of int, (M,)
        Of the images they were made from, plus 100,000 for the first of `KINDS`, 200,000 for the
        second, 300,000 for the third, so that no track of the class has the same number.

    Raises
    ------
    ValueError
        If lengths differ, a class is out of range, or a kind is none of the three.

    Examples
    --------
    A turn left and a stop sign: the first becomes a turn right, the second has no legal flip.

    >>> images = np.arange(8).reshape(2, 2, 2, 1)
    >>> more, class_ids, tracks = extend(images, np.array([34, 14]), np.array([0, 5]))
    >>> more[..., 0].tolist(), class_ids.tolist(), tracks.tolist()
    ([[[1, 0], [3, 2]]], [33], [100000])
    """
    images, class_ids, tracks = np.asarray(images), np.asarray(class_ids), np.asarray(tracks)
    if not len(images) == len(class_ids) == len(tracks):
        raise ValueError(
            "images, class_ids and tracks must be of one length, got "
            f"{len(images)}, {len(class_ids)} and {len(tracks)}"
        )
    if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < len(CLASS_NAMES)):
        raise ValueError(
            f"class_ids must lie in 0 … {len(CLASS_NAMES) - 1}, "
            f"got {class_ids.min()} to {class_ids.max()}"
        )
    made = [(images[:0], class_ids[:0].astype(int), tracks[:0].astype(int))]
    for kind in kinds:
        _check(kind)
        becomes = np.array([-1 if to is None else to for to in TABLE[kind]])[class_ids.astype(int)]
        legal = becomes >= 0
        number = 100_000 * (1 + KINDS.index(kind))
        made.append((flip(images[legal], kind), becomes[legal], tracks[legal] + number))
    return tuple(np.concatenate(parts) for parts in zip(*made, strict=True))


def gain(counts):
    """Tell how many images legal flips add to each class.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    counts : sequence of int, (43,)
        Images of each class.

    Returns
    -------
    pandas.DataFrame
        One row a class: `name`, `images`, for each of `KINDS` the images that it adds to the class,
        `total`, and `factor`, the total over the images (NaN where there are none).

    Raises
    ------
    ValueError
        If there are not 43 counts.

    Examples
    --------
    >>> from companion.data.gtsrb import OFFICIAL_COUNTS
    >>> table = gain(OFFICIAL_COUNTS["train"])
    >>> int(table["images"].sum()), int(table["total"].sum())
    (39209, 62938)
    """
    import pandas as pd

    if len(counts) != len(CLASS_NAMES):
        raise ValueError(f"counts must be of the {len(CLASS_NAMES)} classes, got {len(counts)}")
    table = pd.DataFrame({"name": CLASS_NAMES, "images": np.asarray(counts, dtype=int)})
    for kind in KINDS:
        added = np.zeros(len(CLASS_NAMES), dtype=int)
        for class_id, becomes in enumerate(TABLE[kind]):
            if becomes is not None:
                added[becomes] += counts[class_id]
        table[kind] = added
    table["total"] = table[["images", *KINDS]].sum(axis=1)
    table["factor"] = table["total"] / table["images"].where(table["images"] > 0)
    return table


def _check(kind):
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
