"""Turn an archive of signs of all sizes into one file of small images of one size.

A **recipe** says what becomes of an image, and its name says it in short: `24x24-L-HE` is 24×24
pixels, grey, with its histogram equalised. In this order, `enhance`

1. takes the whole image. The region of interest is *not* cut out: the border of about 10 % that
   the archive keeps around every sign stays, as in the course;
2. resizes it to a square, bilinearly and with antialiasing, so that the aspect of an image that is
   not square changes a little;
3. makes it grey if the recipe says L: the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B;
4. equalises it if the recipe says so. This comes last since it is the small image that the network
   sees and whose histogram should be even; it is also far cheaper there.

The equalisations are those of scikit-image:

- **HE**, histogram equalisation, makes all grey levels of the image about equally frequent;
- **LHE**, local histogram equalisation, gives each pixel its rank among the pixels around it, in a
  disk whose radius is a quarter of the side;
- **CLAHE**, contrast limited adaptive histogram equalisation, equalises 3×3 tiles, interpolates
  between them, and limits the contrast so that noise in even regions is not blown up;
- on colour (RGB-HE), the *value* max(R, G, B) alone is equalised, and hue and saturation stay: to
  equalise each channel by itself would turn the red rim of a sign grey.

An image of one value alone has nothing to equalise and stays as it is.

Taught in the chapter *GTSRB 1: the data, and cooking it*.
"""

import contextlib
import difflib
import functools
import numbers
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

import companion
from companion.data import store
from companion.data.registry import DataError


@dataclass(frozen=True)
class Recipe:
    """Say what becomes of an image.

    Parameters
    ----------
    size : int
        Height and width of the result, in pixels.
    colour : {"RGB", "L"}
        Three channels, or one grey channel.
    equalisation : {None, "HE", "LHE", "CLAHE"}
        What is done to the contrast.

    Examples
    --------
    >>> recipe = Recipe(size=24, colour="L", equalisation="HE")
    >>> recipe.name, recipe.image_shape
    ('24x24-L-HE', (24, 24, 1))
    """

    size: int
    colour: str
    equalisation: str | None = None

    @property
    def name(self):
        """Give the name by which `cook` knows the recipe."""
        parts = (f"{self.size}x{self.size}", self.colour, self.equalisation)
        return "-".join(part for part in parts if part)

    @property
    def image_shape(self):
        """Give the shape (H, W, C) of a cooked image."""
        return (self.size, self.size, 3 if self.colour == "RGB" else 1)


_TREATMENTS = (
    ("RGB", None),
    ("RGB", "HE"),
    ("L", None),
    ("L", "HE"),
    ("L", "LHE"),
    ("L", "CLAHE"),
)
RECIPES = {
    recipe.name: recipe
    for recipe in (Recipe(size, *how) for size, how in product((24, 32, 48), _TREATMENTS))
}

# Images cooked between two writes to the file: a few megabytes, whatever the recipe.
_BLOCK = 16 * store.IMAGES_PER_CHUNK
# A process takes about a second to start; in that time one cooks more than a thousand.
_IMAGES_PER_PROCESS = 4000


def enhance(image, recipe):
    """Cook one image.

    Taught in the chapter *GTSRB 1: the data, and cooking it*.

    Parameters
    ----------
    image : array of uint8, shape (H, W, 3)
        An RGB image of any size.
    recipe : str or Recipe
        A name out of `RECIPES`, or a recipe.

    Returns
    -------
    array of uint8, shape (size, size, C)
        C is 3 for an RGB recipe and 1 for an L recipe.

    Raises
    ------
    ValueError
        If the recipe is unknown, or `image` is not an RGB image of uint8.

    Examples
    --------
    A dark image, whose values go from 0 to 29, becomes one that uses them all:

    >>> import numpy as np
    >>> ramp = np.arange(30, dtype="uint8")
    >>> dark = np.broadcast_to(ramp[:, None, None], (30, 30, 3))
    >>> small = enhance(dark, "24x24-L")
    >>> small.shape, int(small.max())
    ((24, 24, 1), 29)
    >>> int(enhance(dark, "24x24-L-HE").max())
    255
    """
    recipe = _find(recipe)
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            "image must be an RGB image, uint8 of shape (H, W, 3), "
            f"got {image.dtype} of shape {image.shape}"
        )
    small = Image.fromarray(image).resize((recipe.size, recipe.size), Image.Resampling.BILINEAR)
    if recipe.colour == "L":
        small = small.convert("L")
    # A copy: what Pillow lends may not be written to, and scikit-image insists that it may.
    pixels = np.array(small)
    if recipe.equalisation and recipe.colour == "RGB":
        pixels = _equalise_value(pixels, recipe.equalisation)
    elif recipe.equalisation:
        pixels = _equalise(pixels, recipe.equalisation)
    return pixels.reshape(recipe.image_shape)


def cook(
    archive,
    path,
    recipe="24x24-L",
    *,
    scale=1.0,
    seed=0,
    overwrite=False,
    progress=False,
):
    """Cook an archive into one HDF5 file.

    Taught in the chapter *GTSRB 1: the data, and cooking it*. The file is read with
    `companion.data.store.load`. It is whole or absent, whenever the process is stopped.

    With `scale` below 1 a part of each class is drawn, separately for training and test images.
    The draw depends on the seed and not on the recipe, so that recipes can be compared on the same
    images; and a larger scale keeps all that a smaller one keeps. Two training images of
    different tracks are kept of each class, however small the scale, so that
    `companion.data.splits.by_track` always has something to split, and one test image.

    Parameters
    ----------
    archive : companion.data.gtsrb.Archive
        The archive.
    path : str or Path
        The file to write; its folder is made if need be.
    recipe : str or Recipe
        A name out of `RECIPES`, or a recipe.
    scale : float, default 1.0
        Part of the images of each class to keep, in (0, 1].
    seed : int, default 0
        Seed of that choice, >= 0.
    overwrite : bool, default False
        Replace a file that holds something else.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Path
        The file. One that already holds just what is asked (recipe, digest of the archive, scale,
        seed, version of the companion) is not cooked again.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    DataError
        If `path` holds something else and `overwrite` is False, an image of the archive cannot be
        decoded, or the disk has too little space left; then nothing is written.

    Notes
    -----
    From 8,000 images on, all cores cook, in processes of their own; the file is the same, bit for
    bit. On two cores, two threads took twice as long as one, since Pillow and Python hand a lock to
    and fro for every small image.

    Examples
    --------
    >>> from companion.data import gtsrb, store
    >>> archive = gtsrb.read_archive("data")                                   # doctest: +SKIP
    >>> cook(archive, "data/24x24-L.h5", "24x24-L", scale=0.2)                 # doctest: +SKIP
    PosixPath('data/24x24-L.h5')
    >>> cook("an archive", "data/24x24-L.h5", "24x24-LH")
    Traceback (most recent call last):
    ...
    ValueError: recipe must be a name out of cooking.RECIPES, got '24x24-LH': did you mean ...?
    """
    from tqdm import tqdm

    recipe = _find(recipe)
    if not isinstance(scale, numbers.Real) or isinstance(scale, bool) or not 0 < scale <= 1:
        raise ValueError(f"scale must be above 0 and at most 1, got {scale!r}")
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}")
    path = Path(path)

    table = {
        name: archive.frames[column].to_numpy()
        for name, column in (("class_ids", "class_id"), ("tracks", "track"), ("frames", "frame"))
    }
    splits = archive.frames["split"].to_numpy()
    kept = {
        "train": _draw(np.flatnonzero(splits == "train"), table, scale, [int(seed), 0], minimum=2),
        "test": _draw(np.flatnonzero(splits == "test"), table, scale, [int(seed), 1], minimum=1),
    }
    header = store.Header(
        recipe=recipe.name,
        origin=archive.origin,
        digest=archive.digest,
        note=archive.note,
        scale=float(scale),
        seed=int(seed),
        version=companion.__version__,
        counts={
            "train": len(kept["train"]),
            "test": len(kept["test"]),
            "classes": len(np.unique(table["class_ids"][kept["train"]])),
        },
    )
    if path.exists() and _already_holds(path, header, overwrite):
        return path

    total = len(kept["train"]) + len(kept["test"])
    with (
        _cooks(archive, recipe, total) as cooks,
        tqdm(total=total, desc=recipe.name, unit=" images", disable=not progress) as bar,
    ):
        parts = {
            split: (
                {"rows": rows, **{name: values[rows] for name, values in table.items()}},
                _blocks(cooks, rows, bar),
            )
            for split, rows in kept.items()
        }
        store.write(path, header, recipe.image_shape, parts)
    return path


def _find(recipe):
    if isinstance(recipe, Recipe) and recipe.name in RECIPES:
        return recipe
    name = recipe.name if isinstance(recipe, Recipe) else str(recipe)
    if name not in RECIPES:
        nearest = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0)[0]
        raise ValueError(
            f"recipe must be a name out of cooking.RECIPES, got {name!r}: did you mean {nearest!r}?"
        )
    return RECIPES[name]


def _draw(rows, table, scale, seed, *, minimum):
    """Draw from each class its part of the rows, `minimum` at least, of two tracks if it can be."""
    kept = [np.empty(0, dtype=np.int64)]
    class_ids, tracks = table["class_ids"][rows], table["tracks"]
    for class_id in np.unique(class_ids):
        order = np.random.default_rng([*seed, int(class_id)]).permutation(
            rows[class_ids == class_id]
        )
        other = np.flatnonzero(tracks[order] != tracks[order[0]])
        if len(other):
            # The first image of a second track moves to the second place.
            order = np.insert(np.delete(order, other[0]), 1, order[other[0]])
        kept.append(order[: max(minimum, round(scale * len(order)))])
    return np.sort(np.concatenate(kept))


def _already_holds(path, header, overwrite):
    """Say whether the file needs no cooking; refuse to replace another without leave."""
    if path.is_dir():
        raise DataError(f"path must name a file, and {path} is a folder")
    try:
        found = store.read_header(path)
    except DataError as error:
        if overwrite:
            return False
        raise DataError(
            f"{path} is there and is no cooked file that this companion reads: "
            "pass overwrite=True to replace it (--overwrite at a prompt), or name another path"
        ) from error
    differences = [
        f"{name} {getattr(found, name)!r}, not {getattr(header, name)!r}"
        for name in ("recipe", "digest", "scale", "seed", "version")
        if getattr(found, name) != getattr(header, name)
    ]
    if differences and not overwrite:
        raise DataError(
            f"{path} holds other cooked images ({'; '.join(differences)}): "
            "pass overwrite=True to replace it (--overwrite at a prompt), or name another path"
        )
    return not differences


def _blocks(cooks, rows, bar):
    for block in cooks(rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)):
        bar.update(len(block))
        yield block


def _block(archive, recipe, rows):
    return np.stack([enhance(archive.image(int(row)), recipe) for row in rows])


@contextlib.contextmanager
def _cooks(archive, recipe, total):
    """Give a function that cooks blocks of rows in order, on all cores where that pays."""
    # Unlike multiprocessing, loky leaves the caller's script alone and counts a container's cores.
    import loky

    workers = min(loky.cpu_count(), total // _IMAGES_PER_PROCESS)
    if workers < 2:
        yield functools.partial(map, functools.partial(_block, archive, recipe))
        return
    pool = loky.ProcessPoolExecutor(workers, initializer=_remember, initargs=(archive, recipe))
    try:
        yield functools.partial(pool.map, _remembered_block)
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _remember(archive, recipe):
    # Sent to a process once: the table of an archive is larger than a block of images.
    _remembered_block.arguments = (archive, recipe)


def _remembered_block(rows):
    return _block(*_remembered_block.arguments, rows)


def _equalise_value(pixels, equalisation):
    value = pixels.max(axis=2)
    equalised = _equalise(value, equalisation)
    # With hue and saturation fixed, R, G and B are proportional to the value. Black has neither:
    # it becomes grey.
    factor = equalised / np.maximum(value, 1)
    pixels = np.where(value[..., None] > 0, pixels * factor[..., None], equalised[..., None])
    return np.rint(pixels).astype(np.uint8)


def _equalise(grey, equalisation):
    # Imported here: scikit-image takes half a second to load, and most recipes do without.
    from skimage import exposure
    from skimage.filters import rank
    from skimage.morphology import disk

    if grey.min() == grey.max():
        return grey
    if equalisation == "LHE":
        return rank.equalize(grey, disk(len(grey) // 4))
    if equalisation == "HE":
        equalised = exposure.equalize_hist(grey)
    else:
        # scikit-image's own tiles, an eighth of the side, would leave 9 pixels of a 24×24 image to
        # a histogram. A limit of 5 % is the lowest that lets a tile of 64 pixels have 3 in one
        # of 256 bins; below, the result is little more than a stretched range.
        equalised = exposure.equalize_adapthist(
            grey, kernel_size=round(len(grey) / 3), clip_limit=0.05
        )
    return np.rint(255 * equalised).astype(np.uint8)
