"""Open a data set wherever it lies, or what stands in for it where it lies nowhere."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from companion.data import gtsrb, mnist, registry
from companion.data.registry import DataError

_TITLES = {"mnist": "MNIST", "gtsrb": "GTSRB"}
_CONTENTS = {
    "mnist": "mnist/train-images-idx3-ubyte.gz and three files more",
    "gtsrb": "GTSRB/Final_Training/Images",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Say what data a page or a run works on, and give access to it.

    Parameters
    ----------
    name : str
        "mnist" or "gtsrb".
    root : pathlib.Path
        The folder that holds it.
    origin : str
        "official", "sample" or "synthetic".
    digest : str
        sha256, hexadecimal, which tells one data set from another; `mnist.Archive` and
        `gtsrb.Archive` say what it covers.
    counts : dict
        Number of images under "train" and "test", and of "classes".
    note : str
        One sentence on what the images are, fit for a page.
    archive : gtsrb.Archive or None
        The table of traffic signs; None for MNIST.

    Examples
    --------
    >>> from companion.data import open_dataset
    >>> from companion.data.mnist import SAMPLE_ROOT
    >>> digits = open_dataset("mnist", SAMPLE_ROOT)
    >>> digits.describe()
    'MNIST — a packaged sample of MNIST: 6,000 + 1,000 of its digits, digest c96246dad5f3'
    """

    name: str
    root: Path
    origin: str
    digest: str
    counts: dict
    note: str
    archive: gtsrb.Archive | None = field(default=None, repr=False)

    def describe(self):
        """Give the line that a page shows about its data.

        Returns
        -------
        str
            Name, note (which tells the origin) and the first twelve digits of the digest.
        """
        return f"{_TITLES[self.name]} — {self.note}, digest {self.digest[:12]}"

    def load_train(self):
        """Read the training images of MNIST and their labels.

        Taught in the chapter *MNIST: a dense baseline*.

        Returns
        -------
        images : numpy.ndarray
            uint8, shape (N, 28, 28), 0 for the background to 255 for the ink.
        labels : numpy.ndarray
            uint8, shape (N,), 0 to 9.

        Raises
        ------
        ValueError
            If the data set is not MNIST.
        DataError
            If a file is missing or damaged.
        """
        return self._load("train")

    def _load_test(self):
        # Private: only companion.experiments.runs.open_test_set, which keeps count, may call.
        return self._load("test")

    def _load(self, split):
        if self.name != "mnist":
            raise ValueError(
                f"load_train reads mnist, but this data set is {self.name}, whose images differ "
                "in size: cook it with companion.data.cooking.cook, then use companion.data.store"
            )
        return mnist.read_images(self.root, split), mnist.read_labels(self.root, split)


def open_dataset(name, root=None, *, scale=0.3, seed=0):
    """Open a data set, or what stands in for it.

    It is looked for in `root`, or if that is not given in the folder that the environment
    variable `COMPANION_DATA` names (empty counts as unset) and then in the user's cache folder,
    where `companion fetch` puts it. Nothing is downloaded. If it is nowhere, signs are drawn once
    and kept in the cache folder (or below the system's temporary folder if that cannot be
    written), and MNIST falls back to the sample that comes with the package.

    Files that are there but not all, or damaged, are an error rather than a reason to fall back.

    Taught in the chapters *MNIST: a dense baseline* and *GTSRB 1: the data, and cooking it*.

    Parameters
    ----------
    name : str
        "mnist" or "gtsrb".
    root : str or path, optional
        The folder that contains `mnist/` or `GTSRB/`.
    scale : float
        Share of the official number of images to draw, where signs must be drawn.
    seed : int
        Seed of the drawing, where signs must be drawn.

    Returns
    -------
    Dataset
        The data set; `origin` says whether it is the official one, a sample or drawn.

    Raises
    ------
    ValueError
        If `name` is not the name of a data set.
    DataError
        If `root` does not hold the data set, `COMPANION_DATA` names no folder or one that holds
        neither data set, or files are missing or damaged; the sentence names the path.

    Examples
    --------
    >>> from companion.data import open_dataset
    >>> from companion.data.mnist import SAMPLE_ROOT
    >>> open_dataset("mnist", SAMPLE_ROOT).counts
    {'train': 6000, 'test': 1000, 'classes': 10}
    """
    if name not in _TITLES:
        raise ValueError(f"name must be 'mnist' or 'gtsrb', got {name!r}")
    if root is not None:
        return _open(name, _given(name, Path(root), f"root {str(root)!r}", may_lack=()))
    named, cache = registry.named_folder(), registry.cache_folder()
    if named is not None:
        # Somebody who has one data set only still gets the stand-in of the other.
        _given(name, named, f"COMPANION_DATA={str(named)!r}", may_lack=set(_TITLES) - {name})
    for folder in (named, cache):
        if folder is not None and _holds(name, folder):
            return _open(name, folder)
    if name == "mnist":
        return _open(name, mnist.SAMPLE_ROOT)
    drawn = _drawn_signs(cache, scale, seed)
    try:
        return _open(name, drawn)
    except DataError as e:
        raise DataError(
            f"the signs that were drawn are damaged ({e}): delete {drawn}, and they are drawn again"
        ) from e


def _given(name, folder, said, may_lack):
    """Give back a folder that the reader named, if it holds what it must."""
    if not folder.is_dir():
        raise DataError(f"{said} is not a folder: name the folder that contains {_CONTENTS[name]}")
    if not any(_holds(other, folder) for other in (name, *may_lack)):
        raise DataError(
            f"{said} holds no {name}: name the folder that contains {_CONTENTS[name]}, "
            f"or fill it with `companion fetch {name}`"
        )
    return folder


def _holds(name, folder):
    """Say whether any part of a data set lies in a folder, whole or not."""
    if name == "mnist":
        return mnist.has_files(folder)
    images = folder / "GTSRB"
    return (images.is_dir() and any(images.iterdir())) or (folder / "GT-final_test.csv").exists()


def _open(name, root):
    if name == "mnist":
        found, archive = mnist.read_archive(root), None
    else:
        found = archive = gtsrb.read_archive(root)
    return Dataset(name, root, found.origin, found.digest, found.counts, found.note, archive)


def _drawn_signs(cache, scale, seed):
    """Give the folder of the drawn archive of this scale and seed, drawing it if need be."""
    from companion.data import synthetic

    name = f"synthetic-{synthetic.VERSION}-{float(scale)}-{seed}"
    places = (cache, registry.temporary_folder())
    for place in places:
        if (place / name).is_dir():
            return place / name
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=place) as beside:
                synthetic.write_archive(Path(beside) / name, scale=scale, seed=seed)
                os.rename(Path(beside) / name, place / name)
        except OSError as e:
            # Another chapter that drew the same signs may have been first.
            if not (place / name).is_dir():
                reason = e
                continue
        return place / name
    raise DataError(
        f"signs can be drawn neither below {places[0]} nor below {places[1]} ({reason}): "
        "free some space, or set COMPANION_DATA to a folder that holds the real ones"
    )
