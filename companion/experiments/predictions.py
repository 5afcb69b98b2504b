"""A run's answers to its validation images, kept to compare runs with."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from companion import files

PREDICTIONS = "predictions.npz"


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
        from companion.training.intervals import class_track_groups

        if self.tracks is None:
            return self.rows.astype(np.int64)
        return class_track_groups(self.class_ids, self.tracks)

    def same_images(self, other):
        """Say whether two runs were validated on the same images."""
        return np.array_equal(self.rows, other.rows) and np.array_equal(
            self.class_ids, other.class_ids
        )


def read(path):
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
    >>> read("/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: /nowhere/predictions.npz does not exist: this run kept no answers
    """
    path = Path(path)
    if path.suffix == ".json":
        in_folder = path.with_name(PREDICTIONS)
        path = in_folder if in_folder.is_file() else path.with_suffix(".npz")
    elif path.suffix != ".npz":
        path = path / PREDICTIONS
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: this run kept no answers")
    held = files.read_arrays(path)
    if missing := [
        key for key in ("rows", "class_ids", "predicted", "confidence") if key not in held
    ]:
        raise ValueError(f"{path} does not hold a run's answers (it lacks {missing[0]})")
    if strange := [key for key, array in held.items() if array.dtype.kind not in "iuf"]:
        raise ValueError(f"{path} does not hold a run's answers ({strange[0]} holds no numbers)")
    rows, class_ids, predicted = (held[key] for key in ("rows", "class_ids", "predicted"))
    tracks, confidence = held.get("tracks"), held["confidence"].astype(float)
    if tracks is not None and (tracks.ndim == 0 or (tracks < 0).any()):
        tracks = None  # digits come one by one
    lists = [rows, class_ids, predicted, confidence, *([] if tracks is None else [tracks])]
    if len({a.shape for a in lists}) != 1 or rows.ndim != 1 or not len(rows):
        raise ValueError(
            f"{path} does not hold a run's answers (lists of shapes {[a.shape for a in lists]})"
        )
    return Predictions(rows, class_ids, predicted, tracks, confidence)


def write(path, predictions):
    """Write what a run answered to each validation image, beside, and rename.

    Parameters
    ----------
    path : path-like
        Ends in ``.npz``.
    predictions : dict of str to array
        See `Run.finish`; small whole numbers and half-precision numbers are enough.
    """
    with files.whole(path) as part:
        np.savez_compressed(part, **{k: v for k, v in predictions.items() if v is not None})
