"""The cooked file: what is written comes back, and what is damaged is refused."""

import os
import shutil
import time
from dataclasses import FrozenInstanceError, replace

import h5py
import numpy as np
import pytest

from companion.data import store
from companion.data.registry import DataError

SHAPE = (6, 6, 3)
COUNTS = {"train": 150, "test": 70, "classes": 5}
HEADER = store.Header(
    recipe="6x6-RGB",
    origin="sample",
    digest="ab" * 32,
    note="noise, drawn for a test — 6×6 pixels",
    scale=0.3,
    seed=11,
    version="0.1.0",
    counts=COUNTS,
)


def make_part(count, seed):
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(0, 40, count) for name in store.COLUMNS}
    return columns, rng.integers(0, 256, (count, *SHAPE), dtype="uint8")


PARTS = {"train": make_part(COUNTS["train"], 1), "test": make_part(COUNTS["test"], 2)}


def write(path, header=HEADER, parts=PARTS):
    store.write(
        path,
        header,
        SHAPE,
        # Blocks that do not fit the chunks of the file.
        {split: (columns, [x[:50], x[50:]]) for split, (columns, x) in parts.items()},
    )
    return path


@pytest.fixture
def cooked_file(tmp_path):
    return write(tmp_path / "noise.h5")


def test_what_is_written_comes_back(cooked_file):
    cooked = store.load(cooked_file)
    columns, images = PARTS["train"]
    np.testing.assert_array_equal(cooked.x, images)
    assert cooked.x.dtype == np.uint8
    for name in store.COLUMNS:
        np.testing.assert_array_equal(getattr(cooked, name), columns[name])
        assert getattr(cooked, name).dtype == np.int32
    assert cooked.path == cooked_file
    assert store.read_header(cooked_file) == HEADER
    for name, value in vars(HEADER).items():
        assert getattr(cooked, name) == value
        assert type(getattr(cooked, name)) is type(value)

    test_images, test_classes = cooked._load_test()
    np.testing.assert_array_equal(test_images, PARTS["test"][1])
    np.testing.assert_array_equal(test_classes, PARTS["test"][0]["class_ids"])


def test_cooked_is_frozen_and_shows_itself_in_a_line(cooked_file):
    cooked = store.load(str(cooked_file))
    assert "6x6-RGB" in repr(cooked)
    assert "array" not in repr(cooked)
    with pytest.raises(FrozenInstanceError):
        cooked.x = None


def test_same_content_gives_the_same_bytes(tmp_path):
    first, second = write(tmp_path / "a.h5"), write(tmp_path / "b.h5")
    assert first.read_bytes() == second.read_bytes()


def test_file_is_chunked_compressed_and_checked(tmp_path):
    flat = {split: (columns, x * 0) for split, (columns, x) in PARTS.items()}
    path = write(tmp_path / "flat.h5", parts=flat)
    with h5py.File(path) as file:
        images = file["train/images"]
        assert images.chunks == (store.IMAGES_PER_CHUNK, *SHAPE)
        assert images.compression == "gzip"
        assert images.id.get_storage_size() < images.nbytes / 20
        assert all(file[f"train/{name}"].fletcher32 for name in ("images", *store.COLUMNS))
        assert file.attrs["complete"]
        assert file.attrs["recipe"] == HEADER.recipe
        assert file.attrs["digest"] == HEADER.digest
        assert file.attrs["scale"] == HEADER.scale
        assert file.attrs["count_test"] == COUNTS["test"]


def test_without_test_images(tmp_path):
    header = replace(HEADER, counts={**COUNTS, "test": 0})
    path = write(tmp_path / "none.h5", header, {**PARTS, "test": make_part(0, 3)})
    cooked = store.load(path)
    assert len(cooked.x) == 150
    with pytest.raises(DataError, match=r"none\.h5 holds no test images.*: cook an archive that"):
        cooked._load_test()


def test_file_replaced_since_it_was_loaded(cooked_file):
    cooked = store.load(cooked_file)
    write(cooked_file, replace(HEADER, seed=12))
    with pytest.raises(DataError, match="has changed since it was loaded: load it again"):
        cooked._load_test()


def test_missing_file(tmp_path):
    for path in (tmp_path / "no.h5", tmp_path):
        with pytest.raises(DataError, match=f"^there is no cooked file {path}: make it with"):
            store.load(path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"Filename;Width;Height\n" * 99])
def test_file_that_is_no_hdf5(tmp_path, content):
    path = tmp_path / "some.h5"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"some\.h5 is not an HDF5 file, or its beginning is dam"):
        store.load(path)


def test_random_bytes_behind_the_signature(tmp_path):
    path = tmp_path / "some.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError, match=r"some\.h5 is damaged, .*: delete it and cook again$"):
        store.load(path)


def test_truncated_anywhere(cooked_file):
    content = cooked_file.read_bytes()
    for length in np.linspace(8, len(content) - 1, 40).astype(int):
        cooked_file.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"noise\.h5 is damaged, .*: delete it and cook again$"):
            store.load(cooked_file)


def test_changed_bytes_are_refused_or_harmless(cooked_file):
    """Change a few bytes at a time: never may other images or labels come out."""
    content = cooked_file.read_bytes()
    good = store.load(cooked_file)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(250):
        broken = bytearray(content)
        start = rng.integers(len(content))
        for place in range(start, min(start + rng.integers(1, 9), len(content))):
            broken[place] ^= rng.integers(1, 256)
        cooked_file.write_bytes(broken)
        try:
            cooked = store.load(cooked_file)
            test_images, test_classes = cooked._load_test()
        except DataError:
            refused += 1
            continue
        np.testing.assert_array_equal(cooked.x, good.x)
        for name in store.COLUMNS:
            np.testing.assert_array_equal(getattr(cooked, name), getattr(good, name))
        np.testing.assert_array_equal(test_images, PARTS["test"][1])
        np.testing.assert_array_equal(test_classes, PARTS["test"][0]["class_ids"])
        assert store.read_header(cooked_file) == HEADER
    assert refused > 180


def test_foreign_hdf5(tmp_path):
    path = tmp_path / "other.h5"
    for value in (None, "another format", [1, 2, 3]):
        with h5py.File(path, "w") as file:
            file["x_train"] = np.zeros((4, 8, 8, 1))
            if value is not None:
                file.attrs["format"] = value
        with pytest.raises(DataError, match=r"is an HDF5 file that companion\.data\.cooking did"):
            store.load(path)


def test_newer_format(cooked_file):
    with h5py.File(cooked_file, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(DataError, match=r"has format version 99 and this companion reads"):
        store.load(cooked_file)


def test_incomplete_file(cooked_file):
    with h5py.File(cooked_file, "r+") as file:
        file.attrs["complete"] = False
    with pytest.raises(DataError, match=r"is incomplete: delete it and cook again$"):
        store.load(cooked_file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.__delitem__("header"), "its header is wrong"),
        (lambda f: f.attrs.__setitem__("header", np.bytes_("{}")), "its header is wrong"),
        (lambda f: f.attrs.__setitem__("header", np.bytes_("recipe")), "its header is wrong"),
        (
            lambda f: exchange(f, "images", np.zeros((9, *SHAPE), "u1")),
            "train/images must have 150",
        ),
        (lambda f: f.__delitem__("train"), "its train images cannot be read"),
        (lambda f: f.__delitem__("train/tracks"), "its train images cannot be read"),
        (lambda f: exchange(f, "tracks", np.zeros(149, "i4")), "train/tracks must have 150 rows"),
        (lambda f: exchange(f, "tracks", np.zeros(150)), "train/tracks must be int32 of shape"),
        (lambda f: exchange(f, "frames", np.zeros((150, 2), "i4")), "train/frames must be int32"),
        (lambda f: exchange(f, "rows", np.int32(4)), "its train images cannot be read"),
        (lambda f: exchange(f, "images", np.zeros((150, *SHAPE))), "train/images must be uint8"),
        (lambda f: exchange(f, "images", np.zeros((150, 6, 6), "u1")), "train/images must be uint"),
        (lambda f: exchange(f, "images", np.zeros((9, 6, 6, 2), "u1")), "train/images must be uin"),
    ],
)
def test_parts_that_do_not_agree(cooked_file, change, message):
    with h5py.File(cooked_file, "r+") as file:
        change(file)
    with pytest.raises(DataError, match=f"noise.h5 is damaged, {message}.*: delete it and cook "):
        store.load(cooked_file)


def exchange(file, name, values):
    del file["train"][name]
    file["train"][name] = values


def test_failure_half_way_leaves_what_was_there(cooked_file, monkeypatch):
    before = cooked_file.read_bytes()

    def blocks():
        yield PARTS["train"][1][:50]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(cooked_file, HEADER, SHAPE, {"train": (PARTS["train"][0], blocks())})
    assert cooked_file.read_bytes() == before
    assert os.listdir(cooked_file.parent) == ["noise.h5"]


def test_disk_with_too_little_space(tmp_path, monkeypatch):
    path = tmp_path / "noise.h5"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1_000_000))
    with pytest.raises(
        DataError, match=r"noise\.h5 may take 1 MB and its disk has 1 MB left: free"
    ):
        write(path)
    assert not os.listdir(tmp_path)


def test_leftovers_are_removed_once_they_are_old(tmp_path):
    old, fresh, other = (tmp_path / name for name in ("a.h5.1.part", "a.h5.2.part", "b.h5.1.part"))
    for leftover in (old, fresh, other):
        leftover.write_bytes(b"half")
    hours_ago = time.time() - 2 * store.LEFTOVER_AFTER_SECONDS
    os.utime(old, (hours_ago, hours_ago))
    os.utime(other, (hours_ago, hours_ago))
    write(tmp_path / "a.h5")
    assert sorted(os.listdir(tmp_path)) == ["a.h5", "a.h5.2.part", "b.h5.1.part"]


def test_folder_is_made_and_the_file_can_be_moved(tmp_path):
    path = write(tmp_path / "new [1]" / "deeper" / "noise.h5")
    shutil.move(path, tmp_path / "moved.h5")
    assert len(store.load(tmp_path / "moved.h5")._load_test()[0]) == 70
