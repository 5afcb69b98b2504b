"""Reading MNIST: the IDX format, every damage by its path, and the packaged sample."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.data import mnist
from companion.data.registry import DataError

NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


def idx(array, *, magic=None, shape=None):
    """Give the bytes of an IDX file, with a wrong header where asked."""
    shape = array.shape if shape is None else shape
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def digits(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)


def build(root, *, zipped=True):
    (root / "mnist").mkdir(parents=True)
    for split, count in (("train", 20), ("test", 7)):
        for kind, array in zip(("images", "labels"), digits(count), strict=True):
            write(root, split, kind, idx(array), zipped=zipped)
    return root


def write(root, split, kind, data, *, zipped=True):
    path = root / "mnist" / (NAMES[split, kind] + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(data, mtime=0) if zipped else data)
    return path


@pytest.fixture
def root(tmp_path):
    return build(tmp_path / "data")


def test_an_idx_file_written_by_hand(tmp_path):
    path = tmp_path / "array"
    path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255]))
    array = mnist.read_idx(path)
    assert array.dtype == np.uint8
    assert array.tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize("zipped", [True, False])
def test_images_and_labels_come_back(tmp_path, zipped):
    root = build(tmp_path, zipped=zipped)
    for split, count in (("train", 20), ("test", 7)):
        images, labels = digits(count)
        np.testing.assert_array_equal(mnist.read_images(root, split), images)
        np.testing.assert_array_equal(mnist.read_labels(root, split), labels)
    assert mnist.read_images(root, "train").flags.writeable


def test_digest_is_that_of_the_decompressed_files(root, tmp_path):
    plain = mnist.read_archive(build(tmp_path / "plain", zipped=False))
    zipped = mnist.read_archive(root)
    assert zipped.digest == plain.digest
    assert zipped.counts == {"train": 20, "test": 7, "classes": 10}
    parts = [
        hashlib.sha256((tmp_path / "plain/mnist" / name).read_bytes()).hexdigest() + "\n"
        for name in NAMES.values()
    ]
    assert plain.digest == hashlib.sha256("".join(parts).encode()).hexdigest()
    write(root, "test", "labels", idx(np.zeros(7, np.uint8)))
    assert mnist.read_archive(root).digest != plain.digest


def test_unknown_digits_are_not_called_official(root):
    archive = mnist.read_archive(root)
    assert archive.origin == "sample"
    assert archive.note == "digits in MNIST's layout, 20 + 7, which are not the official ones"


def test_official_is_said_of_the_official_files_alone(root, monkeypatch):
    for name in NAMES.values():
        data = gzip.decompress((root / "mnist" / f"{name}.gz").read_bytes())
        monkeypatch.setitem(mnist.OFFICIAL_SHA256, name, hashlib.sha256(data).hexdigest())
    assert mnist.read_archive(root).origin == "official"
    assert mnist.read_archive(root).note == "the official MNIST, 20 + 7 digits"
    write(root, "test", "labels", idx(np.zeros(7, np.uint8)))
    assert mnist.read_archive(root).origin == "sample"


def test_the_plain_file_is_read_where_both_are(root):
    write(root, "test", "labels", idx(np.full(7, 3, np.uint8)), zipped=False)
    assert mnist.read_labels(root, "test").tolist() == [3] * 7


def test_split_must_be_known(root):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'validation'"):
        mnist.read_images(root, "validation")


# Damage -----------------------------------------------------------------------------------------

X, Y = digits(7)
DAMAGE = {
    "other magic": ("images", idx(X, magic=b"\x00\x01\x08\x03"), "is no IDX file"),
    "other type": ("images", idx(X, magic=b"\x00\x00\x0d\x03"), "is no IDX file"),
    "nothing": ("images", b"", "starts with nothing"),
    "two bytes": ("images", b"\0\0", "is no IDX file"),
    "header only": ("images", idx(X)[:16], "holds no element"),
    "header cut": ("images", idx(X)[:9], "ends within its header of 16 bytes"),
    "cut short": ("images", idx(X)[:-1], r"holds 5487 elements, .* says 7×28×28 = 5488"),
    "too long": ("images", idx(X) + b"x", r"holds 5489 elements, .* says 7×28×28 = 5488"),
    "huge header": ("images", idx(X, shape=(2**32 - 1,) * 3), "holds 5488 elements"),
    "many dimensions": ("images", b"\0\0\x08\xff" + bytes(5000), "is no IDX file"),
    "no dimension": ("images", b"\0\0\x08\0x", "is no IDX file"),
    "labels for images": ("images", idx(Y), r"has the shape \(7,\)"),
    "other size": ("images", idx(X[:, 1:]), r"has the shape \(7, 27, 28\)"),
    "images for labels": ("labels", idx(X), "has 3 dimensions, but labels have 1"),
    "digit 10": ("labels", idx(Y + np.uint8(10)), "but digits go from 0 to 9"),
    "one label less": ("labels", idx(Y[1:]), "holds 7 test images but 6 test labels"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("kind", "data", "sentence"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_by_path_in_one_sentence(root, kind, data, sentence, zipped):
    path = write(root, "test", kind, data, zipped=zipped)
    with pytest.raises(DataError, match=sentence) as e:
        mnist.read_archive(root)
    assert str(path if "test labels" not in sentence else root / "mnist") in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", NAMES.values())
def test_a_missing_file_is_named(root, name):
    (root / "mnist" / f"{name}.gz").unlink()
    with pytest.raises(DataError, match=rf"{name}\.gz is missing"):
        mnist.read_archive(root)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.gz is missing"):
        mnist.read_idx(tmp_path / "nothing.gz")


def test_plain_bytes_called_gz_are_named(root):
    path = root / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(idx(Y))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz cannot be read"):
        mnist.read_labels(root, "test")


def array_or_error(path):
    try:
        return mnist.read_idx(path), None
    except DataError as e:
        return None, str(e)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.integers(0, 60), byte=st.integers(0, 255), length=st.integers(0, 60))
def test_any_damaged_byte_or_cut_gives_an_array_or_a_named_error(tmp_path, position, byte, length):
    whole = bytearray(gzip.compress(idx(np.arange(20, dtype=np.uint8)), mtime=0))
    whole[min(position, len(whole) - 1)] = byte
    path = tmp_path / "damaged.gz"
    path.write_bytes(bytes(whole[: max(length, position)]))
    array, error = array_or_error(path)
    if error:
        assert str(path) in error
    else:
        # A byte of gzip's own header, such as the time, may change and leave the contents whole.
        np.testing.assert_array_equal(array, np.arange(20))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(dimensions=st.integers(0, 3), data=st.binary(max_size=40))
def test_any_bytes_after_the_magic_give_an_array_or_a_named_error(tmp_path, dimensions, data):
    path = tmp_path / "any"
    path.write_bytes(bytes([0, 0, 8, dimensions]) + data)
    array, error = array_or_error(path)
    if error:
        assert str(path) in error
    else:
        assert array.tobytes() == data[4 * dimensions :]


# The sample that comes with the package ---------------------------------------------------------


def test_the_sample_is_known_and_near_the_right_proportions():
    archive = mnist.read_archive(mnist.SAMPLE_ROOT)
    assert archive.origin == "sample"
    assert archive.note == "a packaged sample of MNIST: 6,000 + 1,000 of its digits"
    assert archive.counts == {"train": 6000, "test": 1000, "classes": 10}
    # A tenth of 5923 6742 5958 6131 5842 5421 5918 6265 5851 5949, rounded to add up to 6,000.
    assert np.bincount(mnist.read_labels(mnist.SAMPLE_ROOT, "train")).tolist() == [
        *(592, 674, 596, 613, 584, 542, 592, 627, 585, 595),
    ]


def test_the_sample_carries_its_notice_and_digests():
    text = (mnist.SAMPLE_ROOT / "mnist" / "README.md").read_text()
    assert "CC BY-SA 3.0" in text
    assert "Yann LeCun and Corinna Cortes" in text
    for name in NAMES.values():
        content = (mnist.SAMPLE_ROOT / "mnist" / f"{name}.gz").read_bytes()
        data = gzip.decompress(content)
        assert f"`{name}.gz`" in text
        assert hashlib.sha256(data).hexdigest() in text
        assert content[4:8] == bytes(4), "a time stamp would make the file differ at each writing"


def draw(labels, count):
    """Choose images as the sample's README says."""
    rng = np.random.default_rng(2024)
    quota, remainder = np.divmod(np.bincount(labels) * count, len(labels))
    for digit in np.argsort(-remainder, kind="stable")[: count - quota.sum()]:
        quota[digit] += 1
    chosen = [
        rng.choice(np.flatnonzero(labels == digit), quota[digit], replace=False)
        for digit in range(10)
    ]
    return np.sort(np.concatenate(chosen))


@pytest.mark.real
def test_the_sample_is_drawn_as_its_readme_says(real_data):
    for split, count in (("train", 6000), ("test", 1000)):
        labels = mnist.read_labels(real_data, split)
        chosen = draw(labels, count)
        sample = mnist.SAMPLE_ROOT
        np.testing.assert_array_equal(mnist.read_labels(sample, split), labels[chosen])
        images = mnist.read_images(real_data, split)
        np.testing.assert_array_equal(mnist.read_images(sample, split), images[chosen])


@pytest.mark.real
def test_the_real_files_are_recognised(real_data):
    archive = mnist.read_archive(real_data)
    assert archive.origin == "official"
    assert archive.note == "the official MNIST, 60,000 + 10,000 digits"
    assert mnist.read_labels(real_data, "test")[:5].tolist() == [7, 2, 1, 0, 4]
