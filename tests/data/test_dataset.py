"""Where a data set is looked for, what stands in for it, and which of the two it is."""

import gzip
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import companion.data
from companion.data import DataError, Dataset, dataset, gtsrb, mnist, open_dataset

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"


def write_signs(root, *, drawn=None):
    """Write one training image of each class."""
    for class_id in range(43):
        folder = root / f"GTSRB/Final_Training/Images/{class_id:05d}"
        folder.mkdir(parents=True)
        (folder / "00000_00000.ppm").write_bytes(b"P6\n2 2\n255\n" + bytes(12))
        row = f"00000_00000.ppm;2;2;0;0;1;1;{class_id}\n"
        (folder / f"GT-{class_id:05d}.csv").write_text(HEADER + row)
    if drawn:
        (root / "synthetic.json").write_text(drawn)
    return root


def write_digits(root):
    """Write two digits for training and one for the test."""
    (root / "mnist").mkdir(parents=True)
    for prefix, count in (("train", 2), ("t10k", 1)):
        header = bytes([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28])
        images = header + bytes([count]) * (784 * count)
        (root / f"mnist/{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        labels = bytes([0, 0, 8, 1, 0, 0, 0, count]) + bytes(range(count))
        (root / f"mnist/{prefix}-labels-idx1-ubyte").write_bytes(labels)
    return root


WRITERS = {"mnist": write_digits, "gtsrb": write_signs}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Give a cache folder, a temporary folder and no `COMPANION_DATA`, all of this test alone."""
    places = SimpleNamespace(cache=tmp_path / "cache", temporary=tmp_path / "temporary")
    places.temporary.mkdir()
    monkeypatch.setattr(dataset.registry, "cache_folder", lambda: places.cache)
    monkeypatch.setattr(dataset.tempfile, "tempdir", str(places.temporary))
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    return places


@pytest.fixture
def pen(monkeypatch):
    """Replace the drawing of signs, which takes long, and count how often it is asked for."""
    pen = SimpleNamespace(VERSION=7, asked=[])

    def write_archive(root, *, scale=1.0, seed=0):
        pen.asked.append((scale, seed))
        made = f'{{"origin": "synthetic", "scale": {scale}, "seed": {seed}, "version": 7}}'
        return write_signs(root, drawn=made)

    pen.write_archive = write_archive
    monkeypatch.setitem(sys.modules, "companion.data.synthetic", pen)
    monkeypatch.setattr(companion.data, "synthetic", pen, raising=False)
    return pen


# Search order -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "gtsrb"])
def test_root_goes_before_the_variable_and_the_variable_before_the_cache(
    name, places, tmp_path, monkeypatch
):
    roots = {place: WRITERS[name](tmp_path / place) for place in ("given", "named", "cache")}
    assert open_dataset(name).root == roots["cache"]
    monkeypatch.setenv("COMPANION_DATA", str(roots["named"]))
    assert open_dataset(name).root == roots["named"]
    assert open_dataset(name, roots["given"]).root == roots["given"]
    assert open_dataset(name, str(roots["given"])).root == roots["given"]


def test_an_empty_variable_counts_as_unset(places, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", "")
    assert open_dataset("mnist").root == mnist.SAMPLE_ROOT


def test_digits_fall_back_to_the_packaged_sample(places):
    digits = open_dataset("mnist")
    assert (digits.name, digits.origin, digits.archive) == ("mnist", "sample", None)
    assert digits.counts == {"train": 6000, "test": 1000, "classes": 10}
    assert digits.digest == mnist.SAMPLE_DIGEST
    assert not places.cache.exists()


def test_whoever_has_one_data_set_gets_the_stand_in_of_the_other(
    places, pen, tmp_path, monkeypatch
):
    monkeypatch.setenv("COMPANION_DATA", str(write_digits(tmp_path / "digits")))
    assert open_dataset("gtsrb").origin == "synthetic"
    monkeypatch.setenv("COMPANION_DATA", str(write_signs(tmp_path / "signs")))
    assert open_dataset("mnist").root == mnist.SAMPLE_ROOT


@pytest.mark.parametrize("name", ["mnist", "gtsrb"])
def test_a_folder_that_is_not_there_is_an_error(name, places, tmp_path, monkeypatch):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(DataError, match=rf"^root '{nowhere}' is not a folder: name the folder"):
        open_dataset(name, nowhere)
    monkeypatch.setenv("COMPANION_DATA", str(nowhere))
    with pytest.raises(DataError, match=rf"^COMPANION_DATA='{nowhere}' is not a folder: name"):
        open_dataset(name)


@pytest.mark.parametrize("name", ["mnist", "gtsrb"])
def test_a_folder_without_data_is_an_error(name, places, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    (empty / "mnist").mkdir(parents=True)
    (empty / "GTSRB").mkdir()
    with pytest.raises(DataError, match=f"holds no {name}: .* `companion fetch {name}`"):
        open_dataset(name, empty)
    monkeypatch.setenv("COMPANION_DATA", str(empty))
    with pytest.raises(DataError, match=f"^COMPANION_DATA=.* holds no {name}"):
        open_dataset(name)


@pytest.mark.parametrize(("name", "other"), [("mnist", "gtsrb"), ("gtsrb", "mnist")])
def test_a_given_root_must_hold_the_data_set_itself(name, other, places, tmp_path):
    with pytest.raises(DataError, match=f"holds no {name}"):
        open_dataset(name, WRITERS[other](tmp_path / "other"))


@pytest.mark.parametrize("name", ["MNIST", "cifar", "", None])
def test_name_must_be_known(name):
    with pytest.raises(ValueError, match=f"name must be 'mnist' or 'gtsrb', got {name!r}"):
        open_dataset(name)


# Half of it is not a reason to fall back ---------------------------------------------------------

HALVES = {
    "three of four files": ("mnist", "mnist/t10k-labels-idx1-ubyte"),
    "training csv": ("gtsrb", "GTSRB/Final_Training/Images/00042/GT-00042.csv"),
    "an image": ("gtsrb", "GTSRB/Final_Training/Images/00017/00000_00000.ppm"),
}


@pytest.mark.parametrize("where", ["root", "variable", "cache"])
@pytest.mark.parametrize(("name", "lost"), HALVES.values(), ids=HALVES.keys())
def test_half_a_data_set_is_an_error_wherever_it_lies(
    name, lost, where, places, pen, tmp_path, monkeypatch
):
    root = WRITERS[name](places.cache if where == "cache" else tmp_path / "data")
    (root / lost).unlink()
    if where == "variable":
        monkeypatch.setenv("COMPANION_DATA", str(root))
    with pytest.raises(DataError, match=f"{root / lost}(.gz)? is missing"):
        open_dataset(name, root if where == "root" else None)
    assert pen.asked == []


@pytest.mark.parametrize("part", ["GTSRB/Final_Test/Images/00000.ppm", "GT-final_test.csv"])
def test_the_test_set_alone_is_half_an_archive(part, places, pen):
    (places.cache / part).parent.mkdir(parents=True)
    (places.cache / part).write_text("")
    with pytest.raises(DataError, match="Final_Training/Images is missing"):
        open_dataset("gtsrb")


def test_a_download_that_was_cut_is_no_data_set_yet(places):
    (places.cache / "mnist").mkdir(parents=True)
    (places.cache / "mnist" / "train-images-idx3-ubyte.gz.part").write_bytes(b"half")
    assert open_dataset("mnist").root == mnist.SAMPLE_ROOT


# Signs that are drawn ----------------------------------------------------------------------------


def test_signs_are_drawn_once(places, pen):
    first = open_dataset("gtsrb")
    assert first.origin == "synthetic"
    assert first.note.endswith("(synthetic stand-in, scale 0.3, seed 0), not photographs")
    assert first.root == places.cache / "synthetic-7-0.3-0"
    assert isinstance(first.archive, gtsrb.Archive)
    assert open_dataset("gtsrb").digest == first.digest
    assert pen.asked == [(0.3, 0)]
    assert [path.name for path in places.cache.iterdir()] == ["synthetic-7-0.3-0"]


def test_each_scale_and_seed_and_version_has_its_folder(places, pen):
    folders = {open_dataset("gtsrb", scale=s, seed=n).root for s in (0.1, 1) for n in (0, 3)}
    assert len(folders) == len(pen.asked) == 4
    assert open_dataset("gtsrb", scale=1.0).root in folders
    assert len(pen.asked) == 4
    pen.VERSION = 8
    assert open_dataset("gtsrb").root not in folders


def test_two_chapters_may_draw_at_once(places, pen):
    both, draw = threading.Barrier(2), pen.write_archive

    def write_archive(root, **options):
        both.wait(20)
        draw(root, **options)
        both.wait(20)

    pen.write_archive = write_archive
    opened = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_dataset("gtsrb"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pen.asked) == 2
    assert opened[0].root == opened[1].root == places.cache / "synthetic-7-0.3-0"
    assert opened[0].digest == opened[1].digest
    assert [path.name for path in places.cache.iterdir()] == ["synthetic-7-0.3-0"]


def test_a_drawing_that_fails_leaves_nothing(places, pen):
    def write_archive(root, **options):
        write_signs(root)
        raise RuntimeError("stopped half-way")

    pen.write_archive = write_archive
    with pytest.raises(RuntimeError, match="stopped half-way"):
        open_dataset("gtsrb")
    assert list(places.cache.iterdir()) == []


def test_signs_go_to_the_temporary_folder_where_the_cache_cannot_be_written(places, pen):
    places.cache.write_text("a file where a folder should be")
    first = open_dataset("gtsrb")
    assert first.root.name == "synthetic-7-0.3-0"
    assert first.root.is_relative_to(places.temporary)
    assert open_dataset("gtsrb").root == first.root
    assert len(pen.asked) == 1


def test_drawn_signs_that_were_damaged_are_named(places, pen):
    root = open_dataset("gtsrb").root
    next(root.rglob("*.ppm")).unlink()
    with pytest.raises(DataError, match=rf"are damaged \(.*\): delete {root}, and they are drawn"):
        open_dataset("gtsrb")


def test_a_full_disk_is_said_in_a_sentence(places, pen):
    def write_archive(root, **options):
        with open("/dev/full", "wb") as file:
            file.write(b"image")

    pen.write_archive = write_archive
    with pytest.raises(DataError, match=r"No space left on device.*: free some space") as e:
        open_dataset("gtsrb")
    assert str(places.cache) in str(e.value)
    assert list(places.cache.iterdir()) == []


@pytest.mark.slow
def test_the_signs_that_are_really_drawn_can_be_opened(places):
    signs = open_dataset("gtsrb", scale=0.01, seed=1)
    assert signs.origin == "synthetic"
    assert signs.counts["classes"] == 43
    signs.archive.verify()
    assert open_dataset("gtsrb", scale=0.01, seed=1).digest == signs.digest


# What a data set gives ---------------------------------------------------------------------------


def test_digits_are_given_with_their_labels(tmp_path):
    digits = open_dataset("mnist", write_digits(tmp_path))
    images, labels = digits.load_train()
    assert images.shape == (2, 28, 28)
    assert (images == 2).all()
    assert labels.tolist() == [0, 1]
    images, labels = digits._load_test()
    assert images.shape == (1, 28, 28)
    assert (images == 1).all()
    assert labels.tolist() == [0]
    assert images.dtype == labels.dtype == np.uint8


def test_signs_must_be_cooked_first(tmp_path):
    signs = open_dataset("gtsrb", write_signs(tmp_path))
    with pytest.raises(ValueError, match=r"this data set is gtsrb.* cook it"):
        signs.load_train()


def test_a_line_for_the_page():
    digits = Dataset("mnist", mnist.SAMPLE_ROOT, "sample", "0123456789abcdef", {}, "some digits")
    assert digits.describe() == "MNIST — some digits, digest 0123456789ab"


@pytest.mark.real
def test_the_real_data_sets_are_official(real_data):
    for name, title in (("mnist", "MNIST — the official"), ("gtsrb", "GTSRB — official")):
        opened = open_dataset(name, real_data)
        assert opened.origin == "official"
        assert opened.describe().startswith(title)


def test_importing_the_package_is_quick():
    # Each of these takes longer to import than all of companion.data should.
    heavy = "('keras', 'jax', 'pandas', 'pooch', 'requests', 'matplotlib', 'skimage', 'h5py')"
    code = f"import sys, companion.data; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert output.decode().strip() == "[]"
