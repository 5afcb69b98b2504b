"""Read the German Traffic Sign Recognition Benchmark (GTSRB) in its official layout.

The folders are those of the archives::

    root/GTSRB/Final_Training/Images/000CC/TTTTT_FFFFF.ppm      class CC, track TTTTT, frame FFFFF
    root/GTSRB/Final_Training/Images/000CC/GT-000CC.csv
    root/GTSRB/Final_Test/Images/00000.ppm ...
    root/GT-final_test.csv

A track is one physical sign seen in about thirty frames as the car nears it. Track numbers start
again in every class, so a physical sign is named by the pair (class, track).

Source of the data: J. Stallkamp, M. Schlipsing, J. Salmen, C. Igel, "Man vs. computer:
Benchmarking machine learning algorithms for traffic sign recognition", Neural Networks 32 (2012),
doi 10.1016/j.neunet.2012.02.016.
"""

import csv
import hashlib
import json
import os
import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from companion.data.registry import DataError

if TYPE_CHECKING:
    import pandas as pd

CLASS_NAMES = (
    "speed limit 20",
    "speed limit 30",
    "speed limit 50",
    "speed limit 60",
    "speed limit 70",
    "speed limit 80",
    "end of speed limit 80",
    "speed limit 100",
    "speed limit 120",
    "no passing",
    "no passing over 3.5 t",
    "right of way at next intersection",
    "priority road",
    "yield",
    "stop",
    "no vehicles",
    "over 3.5 t prohibited",
    "no entry",
    "general caution",
    "dangerous curve left",
    "dangerous curve right",
    "double curve",
    "bumpy road",
    "slippery road",
    "road narrows on the right",
    "road work",
    "traffic signals",
    "pedestrians",
    "children crossing",
    "bicycles crossing",
    "beware of ice/snow",
    "wild animals crossing",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "ahead only",
    "straight or right",
    "straight or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no passing",
    "end of no passing over 3.5 t",
)

# The six subsets in which the authors of the benchmark give their results (Stallkamp et al. 2012):
# signs of one family share shape and colours, so confusions within one are of another kind than
# those between two. The unique signs share theirs with no other.
FAMILIES = {
    "speed limits": (0, 1, 2, 3, 4, 5, 7, 8),
    "other prohibitions": (9, 10, 15, 16),
    "end of limits": (6, 32, 41, 42),
    "mandatory": (33, 34, 35, 36, 37, 38, 39, 40),
    "danger": (11, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31),
    "unique": (12, 13, 14, 17),
}

# Images of each class, 0 to 42, in the official archive.
OFFICIAL_COUNTS = {
    "train": (
        *(210, 2220, 2250, 1410, 1980, 1860, 420, 1440, 1410, 1470, 2010, 1320, 2100, 2160, 780),
        *(630, 420, 1110, 1200, 210, 360, 330, 390, 510, 270, 1500, 600, 240, 540, 270, 450, 780),
        *(240, 689, 420, 1200, 390, 210, 2070, 300, 360, 240, 240),
    ),
    "test": (
        *(60, 720, 750, 450, 660, 630, 150, 450, 450, 480, 660, 420, 690, 720, 270, 210, 150, 360),
        *(390, 60, 90, 90, 120, 150, 90, 480, 180, 60, 150, 90, 150, 270, 60, 210, 120, 390, 120),
        *(60, 690, 90, 90, 60, 90),
    ),
}

# sha256 of the official tables, one line an image, sorted by path: "path;class", and
# "path;width;height" at the sizes the photographs have in the official archive.
OFFICIAL_LABELS = {
    "train": "d1a7508691a475b15513f9fdbb4bd23cf8b5cbddc42f365d36983ff0031ae49a",
    "test": "8c1252ad56e8a06e89731ee69920e2ea5090af7298094232bd560d27a2cdff47",
}
OFFICIAL_SIZES = {
    "train": "95f05b058a515c48c7b6320ab3191a4ed4fe383ffeec1f3950214c9c3b4475a8",
    "test": "b71d6f0df0cf797b66367d80589c235d285f76a8af74d5c9cfd31656d453ee8c",
}

CSV_COLUMNS = (
    *("Filename", "Width", "Height"),
    *("Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId"),
)
FRAME_COLUMNS = (
    *("split", "class_id", "track", "frame", "width", "height"),
    *("roi_x1", "roi_y1", "roi_x2", "roi_y2", "path"),
)
SYNTHETIC_FILE = "synthetic.json"

_TRAIN = "GTSRB/Final_Training/Images"
_TEST = "GTSRB/Final_Test/Images"
_LABELS = "GT-final_test.csv"
_TRAIN_NAME = re.compile(r"(\d{5})_(\d{5})\.ppm")
_AGAIN = "unpack the archive again, or run `companion fetch gtsrb` into an empty folder"


@dataclass(frozen=True, eq=False)
class Archive:
    """Hold the table of an archive of traffic signs, and decode its images.

    Parameters
    ----------
    root : pathlib.Path
        The folder that contains `GTSRB/`.
    frames : pandas.DataFrame
        One row an image, training before test, sorted by path: `split` ("train" or "test"),
        `class_id` (0 to 42), `track` and `frame` (-1 in the test set, which has no tracks),
        `width` and `height` in pixels, the region of interest `roi_x1`, `roi_y1`, `roi_x2`,
        `roi_y2` in pixels, and `path` relative to `root`.
    origin : str
        "official": the table of files and classes is the official one. "synthetic": drawn by
        `companion.data.synthetic`. "sample": anything else, such as a training set alone.
    digest : str
        sha256, hexadecimal, over the lines `path;width;height;x1;y1;x2;y2;class;bytes` of
        `frames` in their order, `bytes` being the size of the file, and after them the contents
        of `synthetic.json` where there is one. It tells apart archives whose tables or file
        sizes differ; it does not read the pixels.
    counts : dict
        Number of images under "train" and "test", and of "classes".
    note : str
        One sentence on what the images are, fit for a page.
    """

    root: Path
    frames: "pd.DataFrame"
    origin: str
    digest: str
    counts: dict
    note: str

    def __len__(self):
        """Give the number of images, training and test."""
        return len(self.frames)

    @cached_property
    def _expected(self):
        # Plain lists: looking up one row of a DataFrame costs as much as decoding an image.
        return (
            self.frames["path"].tolist(),
            list(zip(self.frames["width"].tolist(), self.frames["height"].tolist(), strict=True)),
        )

    def image(self, i):
        """Decode the image of row `i`.

        Parameters
        ----------
        i : int
            Position in `frames`, from 0.

        Returns
        -------
        numpy.ndarray
            The image, uint8, shape (height, width, 3), red, green, blue.

        Raises
        ------
        IndexError
            If there is no row `i`.
        DataError
            If the file cannot be decoded, or its size is not the one of its row; the sentence
            names the file by its path.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> from PIL import Image
        >>> root = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (2, 1), "red").save(root / "sign.ppm")
        >>> frames = pd.DataFrame({"path": ["sign.ppm"], "width": [2], "height": [1]})
        >>> Archive(root, frames, "sample", "", {}, "two red pixels").image(0).tolist()
        [[[255, 0, 0], [255, 0, 0]]]
        """
        from PIL import Image

        paths, sizes = self._expected
        if not 0 <= i < len(paths):
            raise IndexError(f"i must be between 0 and {len(paths) - 1}, got {i}")
        path = self.root / paths[i]
        try:
            with Image.open(path) as image:
                if image.size == sizes[i]:
                    return np.array(image.convert("RGB"))
                found = image.size
        except (*_UNDECODABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
            raise DataError(f"{path} cannot be decoded ({e}): {_AGAIN}") from e
        raise DataError(
            f"{path} is {found[0]}×{found[1]} pixels, but its row in the CSV file says "
            f"{sizes[i][0]}×{sizes[i][1]}: {_AGAIN}"
        )

    def verify(self, *, progress=False):
        """Decode every image once, and raise at the first that is damaged.

        Parameters
        ----------
        progress : bool
            Show a progress bar.

        Raises
        ------
        DataError
            As `image` does.
        """
        from tqdm import tqdm

        for i in tqdm(range(len(self)), desc="verify", unit="image", disable=not progress):
            self.image(i)


# What Pillow raises on files that are missing, empty, cut short or not images at all.
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)


def read_archive(root):
    """Read the tables of an archive and check its files against them.

    The images are not decoded here (`Archive.image` and `Archive.verify` do that), so reading the
    51,839 images of the official archive takes a second or two. All 43 class folders must be
    there, and each CSV file must list exactly the images beside it. The test set may be absent
    as a whole.

    Parameters
    ----------
    root : str or path
        The folder that contains `GTSRB/`. The labels of the test set, `GT-final_test.csv`, are
        looked for beside `GTSRB/`, in it, and beside the test images.

    Returns
    -------
    Archive
        The archive, its images in the order training, test, sorted by path.

    Raises
    ------
    DataError
        If a folder, a CSV file or an image is missing, an image has no row, columns or values
        are not as they must be, or an image file is too short for its size; the sentence names
        the path.

    Examples
    --------
    >>> from companion.data import gtsrb
    >>> gtsrb.read_archive("no/such/folder")
    Traceback (most recent call last):
    ...
    companion.data.registry.DataError: no/such/folder/GTSRB/Final_Training/Images is missing: ...
    """
    import pandas as pd

    root = Path(root)
    rows = {"train": _read_train(root), "test": _read_test(root)}
    made = _read_synthetic(root)

    table = hashlib.sha256()
    for row in rows["train"] + rows["test"]:
        _, class_id, _, _, *numbers, path, size = row
        table.update((";".join(map(str, (path, *numbers, class_id, size))) + "\n").encode())
    if made:
        table.update(json.dumps(made, sort_keys=True).encode())

    counts = {split: len(rows[split]) for split in ("train", "test")}
    counts["classes"] = len(CLASS_NAMES)
    origin, note = _identify(rows, made)
    frames = pd.DataFrame(
        [row[:-1] for row in rows["train"] + rows["test"]], columns=list(FRAME_COLUMNS)
    )
    return Archive(root, frames, origin, table.hexdigest(), counts, note)


def _read_train(root):
    folder = root / _TRAIN
    if not folder.is_dir():
        hint = "give the folder that contains GTSRB/" if not (root / "GTSRB").is_dir() else _AGAIN
        raise DataError(f"{folder} is missing: {hint}")
    expected = {f"{class_id:05d}": class_id for class_id in range(len(CLASS_NAMES))}
    with os.scandir(folder) as entries:
        found = {e.name for e in entries if e.is_dir() and not e.name.startswith(".")}
    if missing := sorted(set(expected) - found):
        raise DataError(
            f"{folder} lacks {len(missing)} of its {len(expected)} class folders, "
            f"the first {missing[0]}: {_AGAIN}"
        )
    if foreign := sorted(found - set(expected)):
        raise DataError(
            f"{folder / foreign[0]} is no class folder of GTSRB (00000 to 00042): move it away"
        )
    rows = []
    for name, class_id in expected.items():
        table = folder / name / f"GT-{name}.csv"
        labelled = _read_csv(table)
        if not labelled:
            raise DataError(f"{table} lists no image, but every class has some: {_AGAIN}")
        sizes = _match(table, folder / name, labelled)
        for filename, (*numbers, row_class) in labelled.items():
            if row_class != class_id:
                raise DataError(
                    f"{table} says class {row_class} for {filename}, "
                    f"but its folder is that of class {class_id}: {_AGAIN}"
                )
            match = _TRAIN_NAME.fullmatch(filename)
            if not match:
                raise DataError(
                    f"{table} names {filename}, but training images are called "
                    f"TTTTT_FFFFF.ppm (track, frame): {_AGAIN}"
                )
            track, frame = map(int, match.groups())
            path = f"{_TRAIN}/{name}/{filename}"
            rows.append(("train", class_id, track, frame, *numbers, path, sizes[filename]))
    return rows


def _read_test(root):
    folder = root / _TEST
    places = [root / _LABELS, root / "GTSRB" / _LABELS, folder / _LABELS]
    table = next((place for place in places if place.is_file()), None)
    if not (root / "GTSRB/Final_Test").exists():
        if table:
            raise DataError(f"{folder} is missing although {table} is there: {_AGAIN}")
        return []
    if not folder.is_dir():
        raise DataError(f"{folder} is missing: {_AGAIN}")
    if not table:
        raise DataError(f"{places[0]} is missing although {folder} is there: {_AGAIN}")
    labelled = _read_csv(table)
    if not labelled:
        raise DataError(f"{table} lists no image: {_AGAIN}")
    sizes = _match(table, folder, labelled)
    return [
        ("test", class_id, -1, -1, *numbers, f"{_TEST}/{filename}", sizes[filename])
        for filename, (*numbers, class_id) in labelled.items()
    ]


def _read_csv(path):
    """Give {file name: (width, height, x1, y1, x2, y2, class)}, sorted by name."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, delimiter=";"))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: {_AGAIN}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path} cannot be read ({e}): {_AGAIN}") from e
    columns = tuple(lines[0]) if lines else ()
    if columns != CSV_COLUMNS:
        raise DataError(
            f"{path} has the columns {';'.join(columns)!r}, "
            f"but must have {';'.join(CSV_COLUMNS)!r}: {_AGAIN}"
        )
    labelled = {}
    for number, (filename, *values) in enumerate(filter(None, lines[1:]), 2):
        try:
            width, height, *roi, class_id = map(int, values)
            if len(roi) != 4 or width < 1 or height < 1 or min(roi) < 0:
                raise ValueError
        except ValueError:
            raise DataError(
                f"{path}, line {number} ({filename}), is not a file name and seven whole numbers "
                f"(sizes >= 1, region >= 0): {_AGAIN}"
            ) from None
        if not 0 <= class_id < len(CLASS_NAMES):
            raise DataError(
                f"{path} says class {class_id} for {filename}, "
                f"but classes go from 0 to {len(CLASS_NAMES) - 1}: {_AGAIN}"
            )
        if filename in labelled:
            raise DataError(f"{path} lists {filename} twice: {_AGAIN}")
        labelled[filename] = (width, height, *roi, class_id)
    return dict(sorted(labelled.items()))


def _match(table, folder, labelled):
    """Give {file name: bytes} after checking that rows and files are the same."""
    with os.scandir(folder) as entries:
        sizes = {
            e.name: e.stat().st_size
            for e in entries
            if e.name.endswith(".ppm") and not e.name.startswith(".") and e.is_file()
        }
    if missing := labelled.keys() - sizes.keys():
        raise DataError(f"{folder / min(missing)} is missing, but {table} lists it: {_AGAIN}")
    if foreign := sizes.keys() - labelled.keys():
        raise DataError(f"{folder / min(foreign)} has no row in {table}: {_AGAIN}")
    for filename, (width, height, *_) in labelled.items():
        # A colour pixel takes three bytes in these uncompressed files, and the header some more.
        if sizes[filename] <= 3 * width * height:
            raise DataError(
                f"{folder / filename} holds {sizes[filename]} bytes, too few for the "
                f"{width}×{height} pixels of its row: {_AGAIN}"
            )
    return sizes


def _read_synthetic(root):
    path = root / SYNTHETIC_FILE
    if not path.exists():
        return None
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        if made["origin"] != "synthetic":
            raise ValueError(f"its origin is {made['origin']!r}, not 'synthetic'")
        return {key: made[key] for key in ("origin", "scale", "seed", "version")}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(
            f"{path} does not say how the archive was drawn ({e!r}): delete {root} and draw it anew"
        ) from e


def _identify(rows, made):
    """Give the origin of an archive and the sentence that says what its images are."""
    if made:
        return "synthetic", (
            f"{len(CLASS_NAMES)} drawn signs (synthetic stand-in, scale {made['scale']}, "
            f"seed {made['seed']}), not photographs"
        )

    def digest(split, columns):
        lines = ("".join(f"{';'.join(str(row[c]) for c in columns)}\n") for row in rows[split])
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    path, class_id, width, height = (
        FRAME_COLUMNS.index(name) for name in ("path", "class_id", "width", "height")
    )
    if all(digest(split, (path, class_id)) == OFFICIAL_LABELS[split] for split in rows):
        note = "official GTSRB images"
        if all(digest(split, (path, width, height)) == OFFICIAL_SIZES[split] for split in rows):
            return "official", note
        sizes = {(row[width], row[height]) for split in rows for row in rows[split]}
        to = f" to {'×'.join(map(str, sizes.pop()))} pixels" if len(sizes) == 1 else ""
        return "official", f"{note}, here resized{to}"
    test = f"{len(rows['test']):,} test images" if rows["test"] else "no test images"
    return "sample", f"a sample in GTSRB's layout: {len(rows['train']):,} training images, {test}"
