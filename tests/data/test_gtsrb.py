"""Reading an archive of traffic signs: its table, its origin, and every damage by its path."""

import hashlib
import json
import shutil
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companion.data import gtsrb
from companion.data.registry import DataError

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
TRAIN = "GTSRB/Final_Training/Images"
TEST = "GTSRB/Final_Test/Images"


def pixels(seed, width=5, height=4):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_ppm(path, image):
    height, width, _ = image.shape
    path.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + image.tobytes())


def build(root, *, test=True):
    """Write two frames of one track for each class, 5×4 pixels, and three test images."""
    for class_id in range(43):
        folder = root / TRAIN / f"{class_id:05d}"
        folder.mkdir(parents=True)
        rows = ""
        for frame in (1, 0):
            write_ppm(folder / f"00007_{frame:05d}.ppm", pixels(100 * class_id + frame))
            rows += f"00007_{frame:05d}.ppm;5;4;1;0;3;2;{class_id}\n"
        (folder / f"GT-{class_id:05d}.csv").write_text(HEADER + rows)
    if test:
        (root / TEST).mkdir(parents=True)
        rows = ""
        for i, class_id in enumerate((16, 1, 38)):
            write_ppm(root / TEST / f"{i:05d}.ppm", pixels(9000 + i, 6, 7))
            rows += f"{i:05d}.ppm;6;7;1;2;3;4;{class_id}\n"
        (root / "GT-final_test.csv").write_text(HEADER + rows)
    return root


@pytest.fixture
def root(tmp_path):
    return build(tmp_path / "data")


def test_table_has_a_row_for_every_image_sorted_by_path(root):
    archive = gtsrb.read_archive(root)
    frames = archive.frames
    assert tuple(frames.columns) == gtsrb.FRAME_COLUMNS
    assert len(archive) == len(frames) == 89
    assert archive.counts == {"train": 86, "test": 3, "classes": 43}
    assert frames.iloc[3].tolist() == [
        *("train", 1, 7, 1, 5, 4, 1, 0, 3, 2),
        f"{TRAIN}/00001/00007_00001.ppm",
    ]
    assert frames.iloc[88].tolist() == [
        *("test", 38, -1, -1, 6, 7, 1, 2, 3, 4),
        f"{TEST}/00002.ppm",
    ]
    assert frames["path"][:86].is_monotonic_increasing


def test_images_are_those_of_their_rows(root):
    archive = gtsrb.read_archive(root)
    np.testing.assert_array_equal(archive.image(3), pixels(101))
    np.testing.assert_array_equal(archive.image(87), pixels(9001, 6, 7))
    assert archive.image(3).dtype == np.uint8
    assert archive.image(3).flags.writeable
    archive.verify()


@pytest.mark.parametrize("i", [-1, 89])
def test_no_image_beyond_the_table(root, i):
    with pytest.raises(IndexError, match=f"i must be between 0 and 88, got {i}"):
        gtsrb.read_archive(root).image(i)


@pytest.mark.parametrize("place", ["", "GTSRB", TEST])
def test_labels_of_the_test_set_may_lie_in_three_places(root, place):
    before = gtsrb.read_archive(root)
    shutil.move(root / "GT-final_test.csv", root / place / "GT-final_test.csv")
    after = gtsrb.read_archive(root)
    assert after.digest == before.digest
    assert after.frames.equals(before.frames)


def test_windows_line_ends_and_a_byte_order_mark_are_read(root):
    before = gtsrb.read_archive(root).digest
    table = root / TRAIN / "00003/GT-00003.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert gtsrb.read_archive(root).digest == before


def test_hidden_files_and_other_files_are_passed_over(root):
    before = gtsrb.read_archive(root).digest
    (root / TRAIN / ".DS_Store").write_text("")
    (root / TRAIN / "00000/._00007_00000.ppm").write_text("")
    (root / TRAIN / "00000/Thumbs.db").write_text("")
    (root / TRAIN / "readme.txt").write_text("")
    assert gtsrb.read_archive(root).digest == before


# Origin and digest ------------------------------------------------------------------------------


def test_digest_covers_what_its_docstring_says(root):
    archive = gtsrb.read_archive(root)
    lines = "".join(
        f"{row.path};{row.width};{row.height};{row.roi_x1};{row.roi_y1};{row.roi_x2};{row.roi_y2};"
        f"{row.class_id};{(root / row.path).stat().st_size}\n"
        for row in archive.frames.itertuples()
    )
    assert archive.digest == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: edit(root / "GT-final_test.csv", "3;4;1\n", "3;5;1\n"),
        lambda root: edit(root / "GT-final_test.csv", ";16\n", ";17\n"),
        lambda root: write_ppm(root / TEST / "00000.ppm", pixels(0, 6, 8)),
        lambda root: write_synthetic(root, seed=0),
    ],
    ids=["region", "class", "file size", "drawn"],
)
def test_digest_tells_archives_apart(root, change):
    before = gtsrb.read_archive(root).digest
    change(root)
    assert gtsrb.read_archive(root).digest != before


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def write_synthetic(root, **changes):
    made = {"origin": "synthetic", "scale": 0.1, "seed": 0, "version": 1, **changes}
    (root / "synthetic.json").write_text(json.dumps(made))


def test_a_training_set_alone_is_a_sample(tmp_path):
    archive = gtsrb.read_archive(build(tmp_path, test=False))
    assert archive.origin == "sample"
    assert archive.counts == {"train": 86, "test": 0, "classes": 43}
    assert archive.note == "a sample in GTSRB's layout: 86 training images, no test images"


def test_a_drawn_archive_says_how_it_was_drawn(root):
    write_synthetic(root, seed=4)
    archive = gtsrb.read_archive(root)
    assert archive.origin == "synthetic"
    assert archive.note == (
        "43 drawn signs (synthetic stand-in, scale 0.1, seed 4), not photographs"
    )
    other = build(root.parent / "other")
    write_synthetic(other, seed=5)
    assert gtsrb.read_archive(other).digest != archive.digest


@pytest.mark.parametrize("text", ["", "[]", "3", '{"origin": "synthetic"}', '{"origin": "real"}'])
def test_a_damaged_synthetic_json_is_named(root, text):
    (root / "synthetic.json").write_text(text)
    with pytest.raises(DataError, match=r"synthetic\.json does not say how"):
        gtsrb.read_archive(root)


def table_digest(frames, split, columns):
    rows = frames[frames["split"] == split][columns].itertuples(index=False)
    return hashlib.sha256("".join(";".join(map(str, r)) + "\n" for r in rows).encode()).hexdigest()


def test_official_is_said_of_the_official_labels_alone(root, monkeypatch):
    frames = gtsrb.read_archive(root).frames
    for split in ("train", "test"):
        labels = table_digest(frames, split, ["path", "class_id"])
        sizes = table_digest(frames, split, ["path", "width", "height"])
        monkeypatch.setitem(gtsrb.OFFICIAL_LABELS, split, labels)
        monkeypatch.setitem(gtsrb.OFFICIAL_SIZES, split, sizes)

    archive = gtsrb.read_archive(root)
    assert (archive.origin, archive.note) == ("official", "official GTSRB images")

    edit(root / "GT-final_test.csv", "00000.ppm;6;7", "00000.ppm;7;6")
    archive = gtsrb.read_archive(root)
    assert (archive.origin, archive.note) == ("official", "official GTSRB images, here resized")

    edit(root / "GT-final_test.csv", ";16\n", ";17\n")
    assert gtsrb.read_archive(root).origin == "sample"


# Damage -----------------------------------------------------------------------------------------


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


DAMAGE = {
    "no archive": (lambda r: remove(r / "GTSRB"), f"{TRAIN} is missing: give the folder that"),
    "no training images": (lambda r: remove(r / TRAIN), f"{TRAIN} is missing: unpack"),
    "no class folder": (lambda r: remove(r / TRAIN / "00011"), "lacks 1 of its 43 class folders"),
    "class out of range": (lambda r: (r / TRAIN / "00043").mkdir(), "00043 is no class folder"),
    "no csv": (lambda r: remove(r / TRAIN / "00042/GT-00042.csv"), "GT-00042.csv is missing"),
    "empty csv": (
        lambda r: (r / TRAIN / "00042/GT-00042.csv").write_text(""),
        "GT-00042.csv has the columns '', but must",
    ),
    "csv without rows": (
        lambda r: (r / TRAIN / "00042/GT-00042.csv").write_text(HEADER),
        "GT-00042.csv lists no image",
    ),
    "binary csv": (
        lambda r: (r / TRAIN / "00042/GT-00042.csv").write_bytes(b"\xff\xfe\0"),
        "GT-00042.csv cannot be read",
    ),
    "other columns": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", "Roi.X1", "Left"),
        "GT-00002.csv has the columns",
    ),
    "comma-separated": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", HEADER, HEADER.replace(";", ",")),
        "GT-00002.csv has the columns",
    ),
    "value missing": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", ";3;2;2\n", ";3;2\n"),
        r"GT-00002.csv, line 2 \(00007_00001.ppm\), is not a file name and seven whole",
    ),
    "value too many": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", ";3;2;2\n", ";3;2;2;2\n"),
        "GT-00002.csv, line 2",
    ),
    "no number": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", "00000.ppm;5", "00000.ppm;five"),
        "GT-00002.csv, line 3",
    ),
    "width 0": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", "00000.ppm;5", "00000.ppm;0"),
        "GT-00002.csv, line 3",
    ),
    "class 43": (
        lambda r: edit(r / "GT-final_test.csv", ";38\n", ";43\n"),
        "GT-final_test.csv says class 43 for 00002.ppm, but classes go from 0 to 42",
    ),
    "class of another folder": (
        lambda r: edit(r / TRAIN / "00002/GT-00002.csv", ";3;2;2\n", ";3;2;5\n"),
        "GT-00002.csv says class 5 for 00007_00001.ppm, but its folder is that of class 2",
    ),
    "row twice": (
        lambda r: edit(r / "GT-final_test.csv", "00001.ppm", "00000.ppm"),
        "GT-final_test.csv lists 00000.ppm twice",
    ),
    "row without its file": (
        lambda r: remove(r / TRAIN / "00009/00007_00001.ppm"),
        "00009/00007_00001.ppm is missing, but .*GT-00009.csv lists it",
    ),
    "folder for a file": (
        lambda r: (remove(r / TEST / "00001.ppm"), (r / TEST / "00001.ppm").mkdir()),
        "00001.ppm is missing, but .*GT-final_test.csv lists it",
    ),
    "file without its row": (
        lambda r: shutil.copy(r / TEST / "00001.ppm", r / TEST / "00003.ppm"),
        "Images/00003.ppm has no row in .*GT-final_test.csv",
    ),
    "other name": (
        lambda r: (
            (r / TRAIN / "00002/00007_00001.ppm").rename(r / TRAIN / "00002/one.ppm"),
            edit(r / TRAIN / "00002/GT-00002.csv", "00007_00001", "one"),
        ),
        "GT-00002.csv names one.ppm, but training images are called",
    ),
    "image cut short": (
        lambda r: (r / TRAIN / "00009/00007_00001.ppm").write_bytes(b"P6\n5 4\n255\n" + bytes(40)),
        "00009/00007_00001.ppm holds 51 bytes, too few for the 5×4 pixels of its row",
    ),
    "test images without labels": (
        lambda r: remove(r / "GT-final_test.csv"),
        "GT-final_test.csv is missing although .*Final_Test/Images is there",
    ),
    "labels without test images": (
        lambda r: remove(r / "GTSRB/Final_Test"),
        f"{TEST} is missing although .*GT-final_test.csv is there",
    ),
    "test folder without images": (lambda r: remove(r / TEST), f"{TEST} is missing"),
    "test labels empty": (
        lambda r: (r / "GT-final_test.csv").write_text(HEADER),
        "GT-final_test.csv lists no image",
    ),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_by_path_in_one_sentence(root, damage, sentence):
    damage(root)
    with pytest.raises(DataError, match=sentence) as e:
        gtsrb.read_archive(root)
    assert str(root) in str(e.value)
    assert "\n" not in str(e.value)


def test_an_image_of_another_size_is_named(root):
    archive = gtsrb.read_archive(root)
    write_ppm(root / TRAIN / "00009/00007_00001.ppm", pixels(1, width=4, height=6))
    with pytest.raises(DataError, match=r"00009/00007_00001\.ppm is 4×6 pixels, .* says 5×4") as e:
        archive.image(19)
    assert str(root) in str(e.value)
    with pytest.raises(DataError, match="00009/00007_00001"):
        archive.verify()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P6\n5 4\n255\n",
        b"P6\n5 4\n255\n" + bytes(59),
        b"P6\n5 x\n255\n" + bytes(60),
        b"P6\n5 4\n0\n" + bytes(60),
        b"not an image at all, but long enough to pass for one by its number of bytes",
        b"P6\n99999 99999\n255\n" + bytes(60),
        b"\x89PNG\r\n\x1a\n" + bytes(60),
    ],
)
def test_an_undecodable_image_is_named(root, content):
    archive = gtsrb.read_archive(root)
    (root / TRAIN / "00009/00007_00001.ppm").write_bytes(content)
    with pytest.raises(DataError, match=r"00009/00007_00001\.ppm cannot be decoded"):
        archive.image(19)


def test_an_image_that_vanished_is_named(root):
    archive = gtsrb.read_archive(root)
    (root / TEST / "00001.ppm").unlink()
    with pytest.raises(DataError, match=r"00001\.ppm cannot be decoded"):
        archive.image(87)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    position=st.integers(0, 70),
    byte=st.integers(0, 255),
    length=st.integers(0, 71),
)
def test_any_damaged_byte_or_cut_gives_the_right_size_or_a_named_error(
    whole_archive, position, byte, length
):
    archive, path, content = whole_archive
    damaged = bytearray(content)
    damaged[position] = byte
    path.write_bytes(bytes(damaged[: max(length, position)]))
    shape, error = (4, 5, 3), str(path)
    try:
        shape = archive.image(0).shape
    except DataError as e:
        error = str(e)
    assert shape == (4, 5, 3)
    assert str(path) in error


@pytest.fixture(scope="module")
def whole_archive(tmp_path_factory):
    root = build(tmp_path_factory.mktemp("whole"))
    archive = gtsrb.read_archive(root)
    path = root / archive.frames["path"][0]
    return archive, path, path.read_bytes()


# The real images --------------------------------------------------------------------------------


def test_official_counts_add_up():
    assert [sum(gtsrb.OFFICIAL_COUNTS[split]) for split in ("train", "test")] == [39209, 12630]
    assert len(gtsrb.CLASS_NAMES) == len(set(gtsrb.CLASS_NAMES)) == 43
    assert all(len(counts) == 43 for counts in gtsrb.OFFICIAL_COUNTS.values())
    assert gtsrb.CLASS_NAMES[14] == "stop"
    assert gtsrb.CLASS_NAMES[42] == "end of no passing over 3.5 t"


@pytest.mark.real
def test_the_real_archive_is_recognised_quickly(real_data):
    start = time.process_time()
    archive = gtsrb.read_archive(real_data)
    seconds = time.process_time() - start
    frames = archive.frames
    assert archive.origin == "official"
    assert archive.note.startswith("official GTSRB images")
    assert archive.counts == {"train": 39209, "test": 12630, "classes": 43}
    for split, expected in gtsrb.OFFICIAL_COUNTS.items():
        found = frames[frames["split"] == split]["class_id"].value_counts().sort_index()
        assert tuple(found) == expected
    tracks = frames[frames["split"] == "train"].groupby(["class_id", "track"]).size()
    assert len(tracks) == 1307
    assert tracks[tracks != 30].to_dict() == {(33, tracks[tracks != 30].index[0][1]): 29}
    assert (frames["roi_x2"] < frames["width"]).all()
    # Three seconds are promised; here is room for a busy machine.
    assert seconds < 6


@pytest.mark.real
def test_the_native_images_are_a_sample_that_decodes(real_data):
    archive = gtsrb.read_archive(real_data / "native")
    assert archive.origin == "sample"
    assert archive.counts == {"train": 6992, "test": 0, "classes": 43}
    assert archive.frames["width"].nunique() > 100
    for i in range(0, 6992, 50):
        row = archive.frames.iloc[i]
        assert archive.image(i).shape == (row["height"], row["width"], 3)


def test_each_class_is_of_one_family():
    found = sorted(class_id for family in gtsrb.FAMILIES.values() for class_id in family)
    assert found == list(range(43))


@pytest.mark.parametrize(
    ("family", "word"),
    [("speed limits", "speed limit"), ("end of limits", "end of")],
)
def test_a_family_holds_all_signs_of_its_name(family, word):
    named = {i for i, name in enumerate(gtsrb.CLASS_NAMES) if name.startswith(word)}
    assert set(gtsrb.FAMILIES[family]) == named


def test_families_are_closed_under_a_mirror():
    """Left and right are of one family: turn, keep, straight or, dangerous curve."""
    family = {i: name for name, ids in gtsrb.FAMILIES.items() for i in ids}
    for i, name in enumerate(gtsrb.CLASS_NAMES):
        if "left" in name:
            mirrored = gtsrb.CLASS_NAMES.index(name.replace("left", "right"))
            assert family[i] == family[mirrored]
