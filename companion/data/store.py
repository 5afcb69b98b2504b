"""Keep cooked images in one HDF5 file, and read them back.

A file has two groups, `train` and `test`. Each holds `images`, uint8 of shape (N, H, W, C), and
four columns of N int32: `class_ids`, `tracks`, `frames`, and `rows` (the row of the archive's table
that the image came from). Attributes of the file say what was cooked, from what and how.

Taught in the chapter *GTSRB 1: the data, and cooking it*.
"""

import contextlib
import glob
import json
import math
import os
import shutil
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import numpy as np

from companion.data.registry import DataError

FORMAT = np.bytes_("From Kernel to Cluster, cooked images")
# Raised when the layout of the file changes, or what a recipe does to an image.
FORMAT_VERSION = 1

COLUMNS = ("class_ids", "tracks", "frames", "rows")

# An HDF5 chunk is read and unpacked as a whole. 64 images are a common batch: 36 KB at 24×24×1,
# 432 KB at 48×48×3.
IMAGES_PER_CHUNK = 64

# A file that nobody has written to for this long was left behind by a process that was killed.
LEFTOVER_AFTER_SECONDS = 600

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# What h5py raises on a file whose bytes make no sense.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)


@dataclass(frozen=True)
class Header:
    """Say what a cooked file holds, from what it was made and how.

    Attributes
    ----------
    recipe : str
        Name of the recipe, a key of `companion.data.cooking.RECIPES`.
    origin : str
        Origin of the archive: "official", "sample" or "synthetic".
    digest : str
        Digest of the archive.
    note : str
        The archive in one sentence, fit for a page.
    scale : float
        Part of the images of each class that was kept, in (0, 1].
    seed : int
        Seed of that choice.
    version : str
        Version of the companion that cooked.
    counts : dict
        Number of images of "train" and of "test", and of "classes".
    """

    recipe: str
    origin: str
    digest: str
    note: str
    scale: float
    seed: int
    version: str
    counts: dict


@dataclass(frozen=True, eq=False)
class Cooked:
    """Hold the training images of a cooked file, and say what they are.

    Attributes
    ----------
    x : array of uint8, shape (N, H, W, C)
        Training images, in the order of the archive; C is 3 (RGB) or 1 (grey).
    class_ids, tracks, frames : arrays of int32, shape (N,)
        Class of each image, its track within the class, its place within the track.
    rows : array of int32, shape (N,)
        Row of the archive's table that each image came from.
    recipe, origin, digest, note, scale, seed, version, counts
        As in `Header`.
    path : Path
        The file.

    Notes
    -----
    The test images stay in the file: `companion.experiments.runs.open_test_set` alone reads
    them, and writes into the run's report that it did.
    """

    x: np.ndarray = field(repr=False)
    class_ids: np.ndarray = field(repr=False)
    tracks: np.ndarray = field(repr=False)
    frames: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    recipe: str
    origin: str
    digest: str
    note: str
    scale: float
    seed: int
    version: str
    counts: dict
    path: Path

    def _load_test(self):
        """Read the test images and their classes, for `open_test_set` alone."""
        header = read_header(self.path)
        if any(value != getattr(self, name) for name, value in asdict(header).items()):
            raise DataError(f"{self.path} has changed since it was loaded: load it again")
        if not self.counts["test"]:
            raise DataError(
                f"{self.path} holds no test images, for its archive has none: "
                "cook an archive that has some"
            )
        images, columns = _read_part(self.path, "test", self.counts["test"])
        return images, columns["class_ids"]


def load(path):
    """Load a cooked file: the training images, and what they are.

    Every part of the file carries a checksum, so that a damaged file is refused, not read wrong.

    Parameters
    ----------
    path : str or Path
        A file that `companion.data.cooking.cook` has written.

    Returns
    -------
    Cooked
        Training images in memory, as uint8; the test images stay in the file.

    Raises
    ------
    DataError
        If the file is missing, damaged, incomplete, of another making or of another
        format version.

    Examples
    --------
    >>> load("no/such/file.h5")
    Traceback (most recent call last):
    ...
    companion.data.registry.DataError: there is no cooked file no/such/file.h5: ...
    """
    path = Path(path)
    header = read_header(path)
    images, columns = _read_part(path, "train", header.counts["train"])
    return Cooked(x=images, **columns, **asdict(header), path=path)


def read_header(path):
    """Read what a cooked file holds, without its images.

    Parameters
    ----------
    path : str or Path
        A file that `companion.data.cooking.cook` has written.

    Returns
    -------
    Header
        Recipe, archive, scale, seed, version and counts.

    Raises
    ------
    DataError
        If the file is missing, damaged, incomplete, of another making or of another
        format version.

    Examples
    --------
    >>> read_header("no/such/file.h5")
    Traceback (most recent call last):
    ...
    companion.data.registry.DataError: there is no cooked file no/such/file.h5: ...
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no cooked file {path}: make it with cooking.cook")
    with open(path, "rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise DataError(
                f"{path} is not an HDF5 file, or its beginning is damaged: "
                "delete it and cook again, or name another file"
            )
    try:
        with h5py.File(path, "r") as file:
            names = ("format", "format_version", "header", "complete")
            found = {name: file.attrs[name] for name in names if name in file.attrs}
    except _DAMAGE as error:
        raise _damaged(path, "its attributes cannot be read") from error

    # An attribute of this name may be anything in a file of other making, an array too.
    if str(found.get("format")) != str(FORMAT):
        raise DataError(
            f"{path} is an HDF5 file that companion.data.cooking did not write: name another file"
        )
    if found.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {found.get('format_version')} and this companion "
            f"reads version {FORMAT_VERSION}: cook again, or use the companion that wrote it"
        )
    if not found.get("complete"):
        raise DataError(f"{path} is incomplete: delete it and cook again")
    try:
        return Header(**json.loads(found["header"]))
    except _DAMAGE as error:
        raise _damaged(path, f"its header is wrong ({error})") from error


def write(path, header, image_shape, parts):
    """Write a cooked file, whole or not at all.

    The file is written under another name beside `path`, flushed to the disk, then renamed. A
    process killed on the way leaves `path` as it was, and beside it a `.part` file, which the next
    call removes once it is ten minutes old.

    Parameters
    ----------
    path : Path
        The file; one that exists is replaced.
    header : Header
        What the file holds.
    image_shape : tuple of int
        (H, W, C).
    parts : dict
        For "train" and for "test" a pair: a dict with one array of integers for each name in
        `COLUMNS`, and an iterable of blocks of images, uint8 arrays of shape (n, H, W, C).

    Raises
    ------
    DataError
        If the disk has too little space left.

    Examples
    --------
    `companion.data.cooking.cook` is the caller:

    >>> import tempfile
    >>> import numpy as np
    >>> header = Header("2x2-L", "sample", "0" * 64, "two squares", 1.0, 0, "0.1.0",
    ...                 {"train": 2, "test": 0, "classes": 2})
    >>> two = {name: np.arange(2) for name in COLUMNS}
    >>> none = {name: np.arange(0) for name in COLUMNS}
    >>> block = np.full((2, 2, 2, 1), 7, dtype="uint8")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "squares.h5"
    ...     write(path, header, (2, 2, 1), {"train": (two, [block]), "test": (none, [])})
    ...     load(path).x.shape
    (2, 2, 2, 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    _check_space(path, image_shape, header.counts["train"] + header.counts["test"])
    # A name of its own, so that two processes cooking one path do not write into one file.
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        # From version 1.10 on HDF5 keeps checksums of its own structures.
        with h5py.File(beside, "w", libver="v110") as file:
            for name, (columns, blocks) in parts.items():
                _write_part(file.create_group(name), columns, blocks, image_shape)
            _write_attributes(file, header)
        _flush_to_disk(beside, os.O_RDWR)
        os.replace(beside, path)
        # A rename lasts through a power cut once its folder is on the disk; Windows cannot flush
        # a folder.
        if os.name == "posix":
            _flush_to_disk(path.parent, os.O_RDONLY)
    finally:
        beside.unlink(missing_ok=True)


def _write_attributes(file, header):
    # For people and other tools.
    for name, value in asdict(header).items():
        if name != "counts":
            file.attrs[name] = value
    for name, count in header.counts.items():
        file.attrs[f"count_{name}"] = count
    # For `read_header`, in bytes of fixed length: HDF5 keeps strings of variable length, such as
    # those above, where no checksum covers them, and may hang on reading a damaged one.
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["header"] = np.bytes_(json.dumps(asdict(header)))
    file.attrs["complete"] = True


def _write_part(group, columns, blocks, image_shape):
    # fletcher32 is HDF5's checksum of a chunk. Measured on the real images: gzip level 1 leaves
    # 83 % of the bytes, level 4 the same at a third more time, lzf 95 %; HDF5's shuffle filter
    # reorders the bytes of larger numbers and does nothing to a uint8.
    count = len(columns["rows"])
    images = group.create_dataset(
        "images",
        shape=(count, *image_shape),
        dtype="uint8",
        chunks=(min(IMAGES_PER_CHUNK, max(count, 1)), *image_shape),
        maxshape=(max(count, 1), *image_shape),
        compression="gzip",
        compression_opts=1,
        fletcher32=True,
    )
    written = 0
    for block in blocks:
        images[written : written + len(block)] = block
        written += len(block)
    for name in COLUMNS:
        group.create_dataset(
            name,
            data=columns[name].astype("<i4"),
            chunks=(max(count, 1),),
            maxshape=(max(count, 1),),
            fletcher32=True,
        )


def _read_part(path, part, count):
    """Read the images and the columns of one part, and check that they agree."""
    try:
        with h5py.File(path, "r") as file:
            group = file[part]
            images = group["images"][:]
            columns = {name: group[name][:] for name in COLUMNS}
    except _DAMAGE as error:
        raise _damaged(path, f"its {part} images cannot be read") from error

    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise _damaged(
            path,
            f"{part}/images must be uint8 of shape (N, H, W, 1) or (N, H, W, 3), "
            f"got {images.dtype} of shape {images.shape}",
        )
    for name, values in {"images": images, **columns}.items():
        if len(values) != count:
            raise _damaged(path, f"{part}/{name} must have {count} rows, got {len(values)}")
    for name, values in columns.items():
        if values.dtype != np.int32 or values.ndim != 1:
            raise _damaged(
                path,
                f"{part}/{name} must be int32 of shape ({count},), "
                f"got {values.dtype} of shape {values.shape}",
            )
    return images, columns


def _damaged(path, what):
    return DataError(f"{path} is damaged, {what}: delete it and cook again")


def _remove_leftovers(path):
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        # Another process may be renaming or removing it at this moment.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AFTER_SECONDS:
                leftover.unlink()


def _check_space(path, image_shape, count):
    # HDF5 may crash the process on a disk that fills while it writes, so this is asked before.
    # 5 % and a megabyte for its own structures are more than it needs.
    needed = round(1.05 * count * (math.prod(image_shape) + 4 * len(COLUMNS))) + 2**20
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise DataError(
            f"{path} may take {needed / 1e6:.0f} MB and its disk has {free / 1e6:.0f} MB left: "
            "free some space, or cook at a smaller scale"
        )


def _flush_to_disk(path, flags):
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
