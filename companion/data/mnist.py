"""Read MNIST, the handwritten digits, from its four IDX files.

::

    root/mnist/train-images-idx3-ubyte.gz    60,000 training images of 28×28 pixels
    root/mnist/train-labels-idx1-ubyte.gz    the digit on each
    root/mnist/t10k-images-idx3-ubyte.gz     10,000 test images
    root/mnist/t10k-labels-idx1-ubyte.gz     the digit on each

The files may be gzipped, as they are published, or plain, without the suffix `.gz`. A sample of
6,000 + 1,000 of the digits comes with the companion, in `SAMPLE_ROOT`.

Source of the data: Yann LeCun and Corinna Cortes, the MNIST database of handwritten digits,
CC BY-SA 3.0.
"""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from companion.data.registry import DataError

# The sample that comes with the package lies in a folder `mnist/`, like any other.
SAMPLE_ROOT = Path(__file__).parent / "samples"

SIDE = 28  # pixels
CLASSES = 10

# sha256 of each official file once decompressed: recompressing it changes its own digest only.
OFFICIAL_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# The digest, as `Archive.digest` gives it, of the sample in SAMPLE_ROOT.
SAMPLE_DIGEST = "c96246dad5f3f9c4b24fe715da162f99d88edda2355de64e9491be8b4d09cd96"

_PREFIXES = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 0x08  # the only element type that MNIST uses
_AGAIN = "replace the file, or run `companion fetch mnist`"


@dataclass(frozen=True)
class Archive:
    """Say which digits lie in a folder.

    Parameters
    ----------
    root : pathlib.Path
        The folder that contains `mnist/`.
    origin : str
        "official" when all four files, decompressed, are the published ones, else "sample".
    digest : str
        sha256, hexadecimal, over the sha256 (hexadecimal, a line feed after each) of the four
        decompressed files in the order of `OFFICIAL_SHA256`.
    counts : dict
        Number of images under "train" and "test", and of "classes".
    note : str
        One sentence on what the images are, fit for a page.
    """

    root: Path
    origin: str
    digest: str
    counts: dict
    note: str


def read_archive(root):
    """Check the four files of a folder and say which digits they hold.

    Parameters
    ----------
    root : str or path
        The folder that contains `mnist/`.

    Returns
    -------
    Archive
        Origin, digest and counts; `read_images` and `read_labels` give the arrays.

    Raises
    ------
    DataError
        If a file is missing or damaged, or images and labels differ in number; the sentence
        names the path.

    Examples
    --------
    >>> from companion.data import mnist
    >>> archive = mnist.read_archive(mnist.SAMPLE_ROOT)
    >>> archive.origin, archive.counts
    ('sample', {'train': 6000, 'test': 1000, 'classes': 10})
    """
    root = Path(root)
    digests, counts = {}, {}
    for split, prefix in _PREFIXES.items():
        lengths = {}
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            path = _find(root, name)
            array, digests[name] = _read(path)
            _check_content(path, array)
            lengths[name] = len(array)
        images, labels = lengths.values()
        if images != labels:
            raise DataError(
                f"{root / 'mnist'} holds {images} {split} images but {labels} {split} labels: "
                "replace both files, or run `companion fetch mnist`"
            )
        counts[split] = images
    counts["classes"] = CLASSES
    digest = hashlib.sha256("".join(f"{d}\n" for d in digests.values()).encode()).hexdigest()
    numbers = f"{counts['train']:,} + {counts['test']:,}"
    if digests == OFFICIAL_SHA256:
        return Archive(root, "official", digest, counts, f"the official MNIST, {numbers} digits")
    if digest == SAMPLE_DIGEST:
        note = f"a packaged sample of MNIST: {numbers} of its digits"
    else:
        note = f"digits in MNIST's layout, {numbers}, which are not the official ones"
    return Archive(root, "sample", digest, counts, note)


def read_images(root, split):
    """Read the images of one split.

    Parameters
    ----------
    root : str or path
        The folder that contains `mnist/`.
    split : str
        "train" or "test". Chapters open the test set with
        `companion.experiments.runs.open_test_set`, which writes down that they did.

    Returns
    -------
    numpy.ndarray
        Images, uint8, shape (N, 28, 28), 0 for the background to 255 for the ink.

    Raises
    ------
    DataError
        If the file is missing or damaged; the sentence names the path.
    ValueError
        If `split` is neither "train" nor "test".

    Examples
    --------
    >>> from companion.data import mnist
    >>> mnist.read_images(mnist.SAMPLE_ROOT, "train").shape
    (6000, 28, 28)
    """
    return _read_checked(root, f"{_prefix(split)}-images-idx3-ubyte")


def read_labels(root, split):
    """Read the digits that the images of one split show.

    Parameters
    ----------
    root : str or path
        The folder that contains `mnist/`.
    split : str
        "train" or "test".

    Returns
    -------
    numpy.ndarray
        Digits, uint8, shape (N,), from 0 to 9.

    Raises
    ------
    DataError
        If the file is missing or damaged; the sentence names the path.
    ValueError
        If `split` is neither "train" nor "test".

    Examples
    --------
    >>> from companion.data import mnist
    >>> mnist.read_labels(mnist.SAMPLE_ROOT, "test").shape
    (1000,)
    """
    return _read_checked(root, f"{_prefix(split)}-labels-idx1-ubyte")


def read_idx(path):
    """Read an array of unsigned bytes from a file in the IDX format.

    An IDX file is four bytes (zero, zero, the code of the element type, the number of
    dimensions), then each dimension as a big-endian 32-bit number, then the elements.

    Parameters
    ----------
    path : str or path
        The file; one whose name ends in `.gz` is decompressed.

    Returns
    -------
    numpy.ndarray
        The array, uint8, with the dimensions that the file states.

    Raises
    ------
    DataError
        If the file is missing, cannot be decompressed, is not of this format, has more than
        three dimensions, or is shorter or longer than they say; the sentence names the path.

    Examples
    --------
    >>> from companion.data import mnist
    >>> path = mnist.SAMPLE_ROOT / "mnist" / "t10k-labels-idx1-ubyte.gz"
    >>> mnist.read_idx(path).shape
    (1000,)
    """
    return _read(Path(path))[0]


def has_files(root):
    """Say whether a folder holds any of the four files, whole or not.

    Parameters
    ----------
    root : str or path
        The folder that would contain `mnist/`.

    Returns
    -------
    bool
        Whether at least one file is there.

    Examples
    --------
    >>> from companion.data import mnist
    >>> mnist.has_files(mnist.SAMPLE_ROOT), mnist.has_files("no/such/folder")
    (True, False)
    """
    return any(path.exists() for name in OFFICIAL_SHA256 for path in _places(root, name))


def _prefix(split):
    if split not in _PREFIXES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    return _PREFIXES[split]


def _places(root, name):
    folder = Path(root) / "mnist"
    return folder / name, folder / f"{name}.gz"


def _find(root, name):
    plain, zipped = _places(root, name)
    if not plain.is_file() and not zipped.is_file():
        raise DataError(f"{zipped} is missing: {_AGAIN}")
    return plain if plain.is_file() else zipped


def _read_checked(root, name):
    path = _find(root, name)
    array, _ = _read(path)
    _check_content(path, array)
    return array


def _read(path):
    """Give the array of an IDX file and the sha256 of its decompressed bytes."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise DataError(f"{path} is missing: {_AGAIN}") from None
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path} cannot be read ({e}): {_AGAIN}") from e
    known = len(data) >= 4 and data[:2] == b"\0\0" and data[2] == _UNSIGNED_BYTE
    if not known or not 1 <= data[3] <= 3:
        raise DataError(
            f"{path} is no IDX file of unsigned bytes in one to three dimensions, "
            f"it starts with {data[:4].hex() or 'nothing'}: {_AGAIN}"
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path} ends within its header of {start} bytes: {_AGAIN}")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    array = np.frombuffer(data, np.uint8, offset=start)
    if not array.size:
        raise DataError(f"{path} holds no element after its header: {_AGAIN}")
    # math.prod, for a damaged header may state more elements than NumPy's integers can count.
    expected = math.prod(shape)
    if array.size != expected:
        raise DataError(
            f"{path} holds {array.size} elements, but its header says "
            f"{'×'.join(map(str, shape))} = {expected}: {_AGAIN}"
        )
    # A copy, since an array on a bytes object could not be written to.
    return array.reshape(shape).copy(), hashlib.sha256(data).hexdigest()


def _check_content(path, array):
    if "labels" in path.name:
        if array.ndim != 1:
            raise DataError(f"{path} has {array.ndim} dimensions, but labels have 1: {_AGAIN}")
        if array.size and array.max() >= CLASSES:
            raise DataError(f"{path} says {array.max()}, but digits go from 0 to 9: {_AGAIN}")
    elif array.shape[1:] != (SIDE, SIDE):
        raise DataError(
            f"{path} has the shape {array.shape}, but the images must be {SIDE}×{SIDE} pixels: "
            f"{_AGAIN}"
        )
