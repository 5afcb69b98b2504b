"""Cooking: what a recipe does to an image, which images are kept, and a file whole or absent."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from companion.data import cooking, gtsrb, splits, store
from companion.data.cooking import RECIPES, Recipe, cook, enhance
from companion.data.registry import DataError

# Class: frames of each of its tracks. Class 7 has one track, class 9 one image.
TRACKS = {0: [30, 30, 12], 3: [5, 4], 7: [8], 9: [1], 11: [2, 30]}
TEST = {0: 25, 3: 4, 7: 1, 9: 3, 11: 10}


def make_archive(root):
    """Write coloured noise of many sizes, and give its archive."""
    rng = np.random.default_rng(5)
    rows = []
    for class_id, tracks in TRACKS.items():
        for track, frames in enumerate(tracks):
            rows += [("train", class_id, track, frame) for frame in range(frames)]
    for class_id, count in TEST.items():
        rows += [("test", class_id, -1, -1)] * count
    frames = pd.DataFrame(rows, columns=["split", "class_id", "track", "frame"])
    frames["width"] = rng.integers(15, 60, len(rows))
    frames["height"] = rng.integers(15, 60, len(rows))
    frames["path"] = [f"{i:05d}.ppm" for i in range(len(rows))]
    for row in frames.itertuples():
        pixels = rng.integers(0, 200, (row.height, row.width, 3), dtype="uint8")
        Image.fromarray(pixels).save(root / row.path)
    counts = {"train": 122, "test": 43, "classes": 5}
    return gtsrb.Archive(root, frames, "sample", "cd" * 32, counts, "noise, not signs")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return make_archive(tmp_path_factory.mktemp("archive"))


class Broken:
    """An archive whose image number `bad` raises an error."""

    def __init__(self, archive, bad, error):
        self.archive, self.bad, self.error = archive, bad, error

    def __getattr__(self, name):
        return getattr(self.archive, name)

    def image(self, i):
        if i == self.bad:
            raise self.error
        return self.archive.image(i)


def grey_image(values):
    return np.repeat(np.asarray(values, dtype="uint8")[:, :, None], 3, axis=2)


def noise(size, low, high, seed=0, channels=3):
    return np.random.default_rng(seed).integers(low, high, (size, size, channels), dtype="uint8")


# --- recipes


def test_recipes_are_those_of_the_course_and_32():
    treatments = ["RGB", "RGB-HE", "L", "L-HE", "L-LHE", "L-CLAHE"]
    assert list(RECIPES) == [f"{s}x{s}-{how}" for s in (24, 32, 48) for how in treatments]
    assert RECIPES["48x48-L-CLAHE"] == Recipe(48, "L", "CLAHE")
    assert RECIPES["32x32-RGB"] == Recipe(32, "RGB", None)
    assert all(recipe.name == name for name, recipe in RECIPES.items())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("24x24-LCLAHE", "24x24-L-CLAHE"),
        ("24×24-RGB", "24x24-RGB"),
        ("64x64-RGB-HE", r"\d\dx\d\d-RGB-HE"),
        ("RGB", "..x..-RGB"),
        (Recipe(24, "RGB", "LHE"), "24x24-RGB-HE"),
        (24, "24x24-.*"),
    ],
)
def test_unknown_recipe_is_refused_with_the_nearest(archive, tmp_path, name, nearest):
    message = f"^recipe must be a name out of cooking.RECIPES, got .*: did you mean '{nearest}'"
    with pytest.raises(ValueError, match=message):
        enhance(noise(30, 0, 256), name)
    with pytest.raises(ValueError, match=message):
        cook(archive, tmp_path / "a.h5", name)
    assert not os.listdir(tmp_path)


# --- one image


def test_image_of_the_right_size_is_kept():
    image = noise(24, 0, 256)
    np.testing.assert_array_equal(enhance(image, "24x24-RGB"), image)
    np.testing.assert_array_equal(enhance(image, RECIPES["24x24-RGB"]), image)


def test_grey_is_the_luma_of_bt_601():
    image = noise(24, 0, 256)
    luma = image @ [0.299, 0.587, 0.114]
    assert np.abs(enhance(image, "24x24-L")[..., 0] - luma).max() <= 0.51
    red = np.zeros((24, 24, 3), "uint8")
    red[..., 0] = 255
    assert (enhance(red, "24x24-L") == 76).all()


def test_resizing_is_antialiased():
    # One white column in three, at a third of the size. Antialiasing weighs five columns by
    # 1, 2, 3, 2, 1 ninths; two of them are white, with weights 2 and 1. Without it the middle
    # column alone would count, which is black.
    stripes = grey_image(np.tile([255, 0, 0], (72, 24)))
    assert (enhance(stripes, "24x24-L")[:, 1:-1] == 85).all()


def test_whole_image_is_taken_and_made_square():
    image = np.zeros((40, 80, 3), "uint8")
    image[:, :40] = 200
    small = enhance(image, "32x32-L")[..., 0]
    assert small.shape == (32, 32)
    assert (small[:, :15] == 200).all()
    assert (small[:, 17:] == 0).all()


def test_histogram_equalisation_worked_by_hand():
    # Half of the pixels have 10, a quarter 20, an eighth each 30 and 40. Equalised, a value becomes
    # the part of the pixels up to it: 1/2, 3/4, 7/8, 1 of 255.
    values = np.repeat([10, 20, 30, 40], [288, 144, 72, 72])
    image = grey_image(np.random.default_rng(0).permutation(values).reshape(24, 24))
    expected = {10: 128, 20: 191, 30: 223, 40: 255}
    got = enhance(image, "24x24-L-HE")[..., 0]
    for before, after in expected.items():
        assert (got[image[..., 0] == before] == after).all()


@pytest.mark.parametrize("size", [24, 32, 48])
def test_local_equalisation_is_the_rank_within_the_disk(size):
    image = grey_image(noise(size, 40, 90, channels=1)[..., 0])
    got = enhance(image, f"{size}x{size}-L-LHE")[..., 0]
    y, x = np.indices((size, size))
    for row, column in [(0, 0), (3, size - 1), (size // 2, size // 2), (size - 2, 5)]:
        disk = (y - row) ** 2 + (x - column) ** 2 <= (size // 4) ** 2
        around = image[disk, 0]
        part = np.mean(around <= image[row, column, 0])
        assert got[row, column] == int(part * 255 + 1e-9)


@pytest.mark.parametrize("size", [24, 32, 48])
def test_clahe_lights_up_the_dark_and_limits_the_contrast(size):
    # A bright half, and a dark half with a faint disk in it, all with a little noise.
    y, x = np.indices((size, size))
    values = np.where(x < size / 2, 20, 200) + noise(size, 0, 3, channels=1)[..., 0]
    disk = (y - size / 2) ** 2 + (x - size / 4) ** 2 < (size / 6) ** 2
    image = grey_image(values + 10 * disk)
    clahe = enhance(image, f"{size}x{size}-L-CLAHE")[..., 0].astype(int)
    assert (clahe.min(), clahe.max()) == (0, 255)

    even = (y < size // 6) & (x < size // 4)
    assert clahe[disk].mean() - clahe[even].mean() > 3 * 10
    # Local equalisation without a limit blows up the noise where the image is even.
    lhe = enhance(image, f"{size}x{size}-L-LHE")[..., 0]
    assert clahe[even].std() < lhe[even].std() / 3
    # Brightness as a whole is no matter.
    np.testing.assert_array_equal(enhance(image + 25, f"{size}x{size}-L-CLAHE")[..., 0], clahe)


@pytest.mark.parametrize("name", ["24x24-RGB-HE", "48x48-RGB-HE"])
def test_colour_keeps_hue_and_saturation(name):
    """Equalise the value in HSV, which the course does through scikit-image."""
    from skimage import color, exposure

    size = RECIPES[name].size
    image = noise(size, 0, 120, seed=3)
    image[:4, :4] = 0
    hsv = color.rgb2hsv(image)
    value = np.rint(255 * hsv[..., 2]).astype("uint8")
    hsv[..., 2] = np.rint(255 * exposure.equalize_hist(value)) / 255
    got = enhance(image, name)
    assert np.abs(got - 255 * color.hsv2rgb(hsv)).max() <= 0.51
    assert got.max() == 255


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_image_of_one_value_stays(name, value):
    got = enhance(np.full((31, 29, 3), value, "uint8"), name)
    assert (got == value).all()


# The first example that equalises loads scikit-image, so that no deadline holds.
@settings(deadline=None)
@given(
    npst.arrays("uint8", st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3))),
    st.sampled_from(sorted(RECIPES)),
)
def test_any_image_by_any_recipe(image, name):
    before = image.copy()
    got = enhance(image, name)
    assert got.shape == RECIPES[name].image_shape
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((30, 30), "uint8"),
        np.zeros((30, 30, 1), "uint8"),
        np.zeros((30, 30, 4), "uint8"),
        np.zeros((30, 30, 3)),
        np.zeros((0, 30, 3), "uint8"),
        "image.ppm",
    ],
)
def test_what_is_no_rgb_image(image):
    with pytest.raises(
        ValueError, match=r"^image must be an RGB image, uint8 of shape \(H, W, 3\)"
    ):
        enhance(image, "24x24-L")


# --- an archive


@pytest.mark.parametrize("name", ["24x24-L", "24x24-L-LHE", "32x32-RGB-HE", "48x48-RGB"])
def test_cooked_images_are_those_of_the_archive(archive, tmp_path, name, monkeypatch):
    # Several blocks in each split.
    monkeypatch.setattr(cooking, "_BLOCK", 40)
    path = cook(archive, str(tmp_path / "all.h5"), name)
    assert path == tmp_path / "all.h5"
    assert os.listdir(tmp_path) == ["all.h5"]

    cooked = store.load(path)
    train = archive.frames[archive.frames["split"] == "train"]
    test = archive.frames[archive.frames["split"] == "test"]
    assert cooked.x.shape == (122, *RECIPES[name].image_shape)
    np.testing.assert_array_equal(cooked.class_ids, train["class_id"])
    np.testing.assert_array_equal(cooked.tracks, train["track"])
    np.testing.assert_array_equal(cooked.frames, train["frame"])
    np.testing.assert_array_equal(cooked.rows, train.index)
    for pixels, row in zip(cooked.x, cooked.rows, strict=True):
        np.testing.assert_array_equal(pixels, enhance(archive.image(row), name))

    test_images, test_classes = cooked._load_test()
    np.testing.assert_array_equal(test_classes, test["class_id"])
    for pixels, row in zip(test_images, test.index, strict=True):
        np.testing.assert_array_equal(pixels, enhance(archive.image(row), name))

    assert (cooked.recipe, cooked.scale, cooked.seed) == (name, 1.0, 0)
    assert (cooked.origin, cooked.digest, cooked.note) == ("sample", "cd" * 32, "noise, not signs")
    assert cooked.counts == {"train": 122, "test": 43, "classes": 5}


@pytest.mark.slow
def test_all_cores_cook_the_same_file(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(cooking, "_BLOCK", 20)
    alone = cook(archive, tmp_path / "alone.h5", "32x32-RGB-HE")
    monkeypatch.setattr(cooking, "_IMAGES_PER_PROCESS", 20)
    monkeypatch.setattr("loky.cpu_count", lambda: 2)
    monkeypatch.setattr(cooking, "enhance", None)  # nothing is cooked in this process
    together = cook(archive, tmp_path / "together.h5", "32x32-RGB-HE")
    with h5py.File(alone) as one, h5py.File(together) as other:
        names = []
        one.visititems(lambda name, part: names.append(name) if hasattr(part, "shape") else None)
        assert len(names) >= 8
        for name in names:
            np.testing.assert_array_equal(one[name][()], other[name][()])
    broken = Image.open(archive.root / "00100.ppm").copy()
    (archive.root / "00100.ppm").write_bytes(b"no image")
    try:
        with pytest.raises(DataError, match=r"00100\.ppm"):
            cook(archive, tmp_path / "broken.h5", "32x32-L")
    finally:
        broken.save(archive.root / "00100.ppm")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alone.h5", "together.h5"]


def test_part_of_each_class(archive, tmp_path):
    cooked = store.load(cook(archive, tmp_path / "part.h5", scale=0.25, seed=4))
    # A quarter of 72, 9, 8, 1 and 32 training images, of 25, 4, 1, 3 and 10 test images.
    counts = dict(zip(*np.unique(cooked.class_ids, return_counts=True), strict=True))
    assert counts == {0: 18, 3: 2, 7: 2, 9: 1, 11: 8}
    counts = dict(zip(*np.unique(cooked._load_test()[1], return_counts=True), strict=True))
    assert counts == {0: 6, 3: 1, 7: 1, 9: 1, 11: 2}
    assert cooked.counts == {"train": 31, "test": 11, "classes": 5}
    assert (np.diff(cooked.rows) > 0).all()
    for pixels, row in zip(cooked.x, cooked.rows, strict=True):
        np.testing.assert_array_equal(pixels, enhance(archive.image(row), "24x24-L"))


@pytest.mark.parametrize("scale", [1e-9, 0.01, 0.05, 0.3, 1])
def test_every_scale_can_be_split_by_track(archive, tmp_path, scale):
    for seed in range(5):
        cooked = store.load(cook(archive, tmp_path / f"{seed}.h5", scale=scale, seed=seed))
        assert set(cooked.class_ids) == set(TRACKS)
        several = np.isin(cooked.class_ids, [c for c, tracks in TRACKS.items() if len(tracks) > 1])
        train, _ = splits.by_track(cooked.class_ids[several], cooked.tracks[several], seed=seed)
        assert len(train)
        assert set(cooked._load_test()[1]) == set(TEST)


def test_draw_depends_on_seed_and_scale_but_not_on_the_recipe(archive, tmp_path):
    def rows(name, **how):
        cooked = store.load(cook(archive, tmp_path / f"{name}.h5", **how))
        return cooked.rows.tolist(), cooked._load_test()

    grey, (_, grey_test) = rows("grey", scale=0.3, seed=1)
    colour, (_, colour_test) = rows("colour", scale=0.3, seed=1, recipe="32x32-RGB")
    assert grey == colour
    np.testing.assert_array_equal(grey_test, colour_test)
    other, _ = rows("other", scale=0.3, seed=2)
    assert other != grey
    larger, _ = rows("larger", scale=0.6, seed=1)
    assert set(grey) < set(larger)


def test_draw_is_even(archive, tmp_path):
    """Every image has its turn, about as often as the scale says."""
    times = np.zeros(len(archive))
    for seed in range(40):
        times[store.load(cook(archive, tmp_path / f"{seed}.h5", scale=0.5, seed=seed)).rows] += 1
    of_class_0 = times[:72]
    assert of_class_0.mean() == 20
    assert of_class_0.min() > 6
    assert of_class_0.max() < 34


def test_archive_without_test_images(archive, tmp_path):
    frames = archive.frames[archive.frames["split"] == "train"]
    alone = gtsrb.Archive(archive.root, frames, "sample", "ef" * 32, archive.counts, "no test")
    cooked = store.load(cook(alone, tmp_path / "train.h5", scale=0.5))
    assert cooked.counts["test"] == 0
    with pytest.raises(DataError, match="holds no test images"):
        cooked._load_test()


@pytest.mark.parametrize("scale", [0, -0.1, 1.01, float("nan"), "0.5", None, True])
def test_bad_scale(archive, tmp_path, scale):
    with pytest.raises(ValueError, match=r"^scale must be above 0 and at most 1, got "):
        cook(archive, tmp_path / "a.h5", scale=scale)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_bad_seed(archive, tmp_path, seed):
    with pytest.raises(ValueError, match=r"^seed must be an integer >= 0, got "):
        cook(archive, tmp_path / "a.h5", seed=seed)


def test_progress_bar_on_demand_alone(archive, tmp_path, capfd):
    cook(archive, tmp_path / "a.h5")
    assert capfd.readouterr() == ("", "")
    cook(archive, tmp_path / "b.h5", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "24x24-L: 100%" in err
    assert "165/165" in err


# --- a file that is there already


def test_same_again_is_not_cooked_again(archive, tmp_path):
    path = cook(archive, tmp_path / "a.h5", scale=0.2, seed=3)
    before = path.stat()
    never = Broken(archive, bad=None, error=None)
    never.image = None  # calling it would raise
    for overwrite in (False, True):
        assert cook(never, path, scale=0.2, seed=3, overwrite=overwrite) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"recipe": "24x24-L-HE"}, "recipe '24x24-L', not '24x24-L-HE'"),
        ({"scale": 0.3}, "scale 0.2, not 0.3"),
        ({"seed": 4}, "seed 3, not 4"),
        ({"seed": 4, "scale": 1}, "scale 0.2, not 1.0; seed 3, not 4"),
    ],
)
def test_other_content_is_replaced_with_leave_alone(archive, tmp_path, other, message):
    path = cook(archive, tmp_path / "a.h5", scale=0.2, seed=3)
    before = path.read_bytes()
    how = {"scale": 0.2, "seed": 3, **other}
    with pytest.raises(
        DataError, match=rf"a\.h5 holds other cooked images \({message}\): pass overwrite=True to"
    ):
        cook(archive, path, **how)
    assert path.read_bytes() == before
    cooked = store.load(cook(archive, path, **how, overwrite=True))
    assert (cooked.scale, cooked.seed) == (how["scale"], how["seed"])


def test_another_archive_or_companion_is_other_content(archive, tmp_path, monkeypatch):
    path = cook(archive, tmp_path / "a.h5", scale=0.2)
    twin = gtsrb.Archive(archive.root, archive.frames, "sample", "00" * 32, archive.counts, "twin")
    with pytest.raises(DataError, match=r"holds other cooked images \(digest 'cdcd"):
        cook(twin, path, scale=0.2)
    monkeypatch.setattr("companion.__version__", "99.0")
    with pytest.raises(DataError, match=r"holds other cooked images \(version '.*', not '99.0'\)"):
        cook(archive, path, scale=0.2)


def test_file_that_is_no_cooked_file_is_replaced_with_leave_alone(archive, tmp_path):
    path = tmp_path / "thesis.h5"
    path.write_text("years of work")
    with pytest.raises(DataError, match=r"thesis\.h5 is there and is no cooked file that this"):
        cook(archive, path)
    assert path.read_text() == "years of work"
    assert len(store.load(cook(archive, path, overwrite=True)).x) == 122
    with pytest.raises(DataError, match=r"^path must name a file, and .* is a folder$"):
        cook(archive, tmp_path, overwrite=True)


# --- when something goes wrong on the way


@pytest.mark.parametrize("bad", [0, 57, 160])
@pytest.mark.parametrize("content", [b"", b"P6\n20 20\n255\nshort", b"P6\n9 9\n255\n" + bytes(243)])
def test_bad_image_is_named_and_nothing_is_left(tmp_path, bad, content):
    (tmp_path / "images").mkdir()
    (tmp_path / "cooked").mkdir()
    archive = make_archive(tmp_path / "images")
    (archive.root / f"{bad:05d}.ppm").write_bytes(content)
    with pytest.raises(DataError, match=rf"{bad:05d}\.ppm"):
        cook(archive, tmp_path / "cooked" / "a.h5")
    assert not os.listdir(tmp_path / "cooked")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interruption_leaves_what_was_there(archive, tmp_path, error):
    path = cook(archive, tmp_path / "a.h5", scale=0.5)
    before = path.read_bytes()
    with pytest.raises(error):
        cook(Broken(archive, 100, error()), path, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.h5"]


COOK_AND_DIE = """
import os, pickle, signal, sys
from companion.data import cooking, store

moment, archive_file, path = sys.argv[1:]
with open(archive_file, "rb") as file:
    archive = pickle.load(file)


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def before(function):
    return lambda *arguments: die()


def after(function):
    return lambda *arguments: (function(*arguments), die())


if moment == "among the images":
    cooking._BLOCK = 10
    image, calls = type(archive).image, []
    type(archive).image = lambda self, i: die() if i == 100 else image(self, i)
elif moment == "before the flush":
    os.fsync = before(os.fsync)
elif moment == "before the rename":
    os.replace = before(os.replace)
elif moment == "after the rename":
    os.replace = after(os.replace)
cooking.cook(archive, path, "32x32-RGB", seed=1, overwrite=True)
"""


@pytest.fixture(scope="module")
def archive_file(archive, tmp_path_factory):
    path = tmp_path_factory.mktemp("pickled") / "archive.pickle"
    path.write_bytes(pickle.dumps(archive))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", ["among the images", "before the flush", "before the rename", "after the rename"]
)
def test_killed_at_a_chosen_moment(archive, archive_file, tmp_path, moment):
    old = cook(archive, tmp_path / "old.h5", seed=0)
    for path in (tmp_path / "new.h5", old):
        before = path.exists()
        child = subprocess.run(
            [sys.executable, "-c", COOK_AND_DIE, moment, str(archive_file), str(path)], check=False
        )
        assert child.returncode == -signal.SIGKILL
        if moment == "after the rename":
            assert store.load(path).seed == 1
        elif before:
            assert store.load(path).seed == 0
        else:
            assert not path.exists()

    # What the dead leave does not disturb a later call, and goes with time.
    long_ago = time.time() - 2 * store.LEFTOVER_AFTER_SECONDS
    for leftover in tmp_path.glob("*.part"):
        os.utime(leftover, (long_ago, long_ago))
    for path in (tmp_path / "new.h5", old):
        assert store.load(cook(archive, path, seed=2, overwrite=True)).seed == 2
    assert sorted(os.listdir(tmp_path)) == ["new.h5", "old.h5"]


COOK_FOR_EVER = """
import itertools, pickle, sys
from companion.data import cooking

archive_file, path = sys.argv[1:]
with open(archive_file, "rb") as file:
    archive = pickle.load(file)
cooking._BLOCK = 16
print("ready", flush=True)
for seed in itertools.count():
    cooking.cook(archive, path, "24x24-L", seed=seed, overwrite=True)
"""


@pytest.mark.slow
def test_killed_at_random(archive_file, tmp_path):
    chance = random.Random(0)
    path = tmp_path / "a.h5"
    whole = 0
    for _ in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", COOK_FOR_EVER, str(archive_file), str(path)],
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.3))
            child.kill()
        was_there = path.exists()
        if was_there:
            cooked = store.load(path)
            assert len(cooked.x) == 122
            assert len(cooked._load_test()[0]) == 43
            whole += 1
        # In every other round the next process finds nothing.
        if chance.random() < 0.5:
            path.unlink(missing_ok=True)
    assert whole >= 3


def test_import_is_light():
    """Import neither Keras nor what only some recipes need."""
    code = "import companion.data.cooking, json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not {"keras", "jax", "skimage", "pandas", "matplotlib"} & set(json.loads(done.stdout))


# --- the real images

MEASURE = """
import json, sys, time
from companion.data import cooking, gtsrb, store

start = time.process_time()
path = cooking.cook(gtsrb.read_archive(sys.argv[1]), sys.argv[2], "24x24-L", progress=True)
seconds = time.process_time() - start  # of work: the machine may be busy with other things
# getrusage would count what the process that started this one held when it did.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps({"seconds": seconds, "peak": peak, **store.load(path).counts}))
"""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "counts"),
    [
        ("", {"train": 39209, "test": 12630, "classes": 43}),
        ("native", {"train": 6992, "test": 0, "classes": 43}),
    ],
)
def test_real_images_within_30_seconds_and_a_gigabyte(real_data, tmp_path, folder, counts):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(real_data / folder), str(tmp_path / "real.h5")],
        check=True,
        stdout=subprocess.PIPE,
    )
    measured = json.loads(done.stdout)
    assert measured.pop("seconds") < 30
    assert measured.pop("peak") < 1000
    assert measured == counts


@pytest.mark.real
@pytest.mark.slow
def test_real_images_split_by_track_at_a_small_scale(real_data, tmp_path):
    archive = gtsrb.read_archive(real_data)
    cooked = store.load(cook(archive, tmp_path / "small.h5", scale=0.02, seed=1))
    train, validation = splits.by_track(cooked.class_ids, cooked.tracks, fraction=0.2)
    expected = sum(max(2, round(0.02 * count)) for count in gtsrb.OFFICIAL_COUNTS["train"])
    assert len(train) + len(validation) == cooked.counts["train"] == expected
    assert set(cooked.class_ids[train]) == set(cooked.class_ids[validation]) == set(range(43))
