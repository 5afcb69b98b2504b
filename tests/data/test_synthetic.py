"""Drawn signs: 43 that differ, tracks that grow, archives that are whole and reproducible."""

import hashlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from companion.data import drawn_signs, gtsrb, synthetic
from companion.data.registry import DataError

CLASSES = range(43)
TRAIN = "GTSRB/Final_Training/Images"


def drive(class_id=1, track=0, seed=0):
    return synthetic._Drive(class_id, synthetic._generator(seed, synthetic._TRAIN, class_id, track))


def cooked(image, size=24):
    """Make an image small and grey, brightness and contrast taken out."""
    small = Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BILINEAR)
    small = np.asarray(small, float)
    return (small - small.mean()) / (small.std() + 1e-3)


def likeness(a, b):
    return float((a * b).mean())


def digests(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


# The drawings


def on_grey(drawing, size=32):
    plain = Image.new("RGB", drawing.size, (100, 110, 100))
    plain.paste(drawing, mask=drawing)
    return np.asarray(plain.resize((size, size), Image.Resampling.BILINEAR), float)


def test_each_drawing_is_nearest_to_itself_when_disturbed():
    clean = np.stack([on_grey(drawn_signs.draw(class_id, 128)) for class_id in CLASSES])
    for class_id in CLASSES:
        drawing = drawn_signs.draw(class_id, 128, weight=0.9, zoom=1.03).rotate(1.5)
        blurred = on_grey(drawing.filter(ImageFilter.GaussianBlur(2)))
        distance = np.abs(clean - blurred).mean(axis=(1, 2, 3))
        assert distance.argmin() == class_id
        assert np.sort(distance)[1] > 1.1 * distance[class_id]


def test_no_two_drawings_are_the_same_in_grey():
    grey = np.stack([on_grey(drawn_signs.draw(class_id, 128)).mean(axis=2) for class_id in CLASSES])
    for class_id in CLASSES:
        distance = np.abs(grey - grey[class_id]).mean(axis=(1, 2))
        assert np.sort(distance)[1] > 2.5


@pytest.mark.parametrize(("left", "right"), [(33, 34), (36, 37), (38, 39), (19, 20)])
def test_a_flip_turns_these_signs_into_each_other(left, right):
    flipped = on_grey(drawn_signs.draw(left).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.abs(flipped - on_grey(drawn_signs.draw(right))).mean() < 0.5
    assert np.abs(on_grey(drawn_signs.draw(left)) - on_grey(drawn_signs.draw(right))).mean() > 5


@pytest.mark.parametrize("class_id", [11, 12, 13, 15, 17, 18, 26, 35])
def test_symmetric_signs_are_symmetric(class_id):
    flipped = on_grey(drawn_signs.draw(class_id).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.abs(flipped - on_grey(drawn_signs.draw(class_id))).mean() < 0.5


@pytest.mark.parametrize("class_id", CLASSES)
def test_an_outline_bounds_its_drawing(class_id):
    box = np.array(
        drawn_signs.draw(class_id, 200).getchannel("A").point(lambda a: a > 127).getbbox()
    )
    points = np.array(drawn_signs.outline(class_id))
    expected = 100 + 100 * np.concatenate([points.min(axis=0), points.max(axis=0)])
    np.testing.assert_allclose(box, expected, atol=5)


@pytest.mark.parametrize("class_id", [-1, 43, 1.5, "stop"])
def test_an_unknown_class_is_refused(class_id):
    with pytest.raises(ValueError, match="class_id must be a whole number from 0 to 42, got"):
        drawn_signs.draw(class_id)


# Tracks


@pytest.mark.parametrize(("class_id", "track"), [(1, 0), (13, 3), (12, 1), (25, 2)])
def test_a_sign_grows_along_its_track_and_its_region_lies_in_the_image(class_id, track):
    one = drive(class_id, track)
    sizes = []
    for frame in range(30):
        image, (x1, y1, x2, y2) = one.photograph(frame)
        height, width, channels = image.shape
        assert (channels, image.dtype) == (3, np.uint8)
        assert min(x1, y1, width - x2, height - y2) >= 5
        assert max(x1, y1, width - x2, height - y2) <= 0.1 * max(x2 - x1, y2 - y1) + 7
        assert x2 - x1 >= 14
        assert y2 - y1 >= 11
        assert width <= 266
        sizes.append(x2 - x1)
    assert np.all(np.diff(sizes) >= -0.05 * np.array(sizes[:-1]) - 1)
    assert sizes[-1] > 1.1 * sizes[0]
    assert np.corrcoef(sizes, range(30))[0, 1] > 0.8


def test_frames_of_a_track_are_near_duplicates():
    tracks = [[cooked(drive(1, t).photograph(f)[0]) for f in (10, 11)] for t in range(16)]
    neighbours = [likeness(a, b) for a, b in tracks]
    strangers = [likeness(a[0], b[1]) for a in tracks for b in tracks if a is not b]
    assert np.median(neighbours) > 0.75
    assert np.median(neighbours) > np.median(strangers) + 0.25


def test_images_range_from_dark_to_overexposed():
    images = [drive(c, 0, seed).photograph(15)[0] for c in range(0, 43, 4) for seed in range(4)]
    low, middle, high = np.quantile([image.mean() for image in images], (0.1, 0.5, 0.9))
    assert low < 50
    assert 40 < middle < 110
    assert high > 110


def test_a_bayer_pattern_keeps_flat_colours_and_ramps():
    y, x = np.mgrid[:20, :24].astype(np.float32)
    light = np.stack([40 + 3 * y, np.full_like(y, 90), 100 + 2 * x], axis=2)
    image = synthetic._measured(light, 0.0, 0.0, np.random.default_rng(0))
    # Red and blue are interpolated to the very pixel: a shift would show on the ramps.
    np.testing.assert_allclose(image[2:-2, 2:-2], light[4:-4, 4:-4], atol=1)


@pytest.mark.parametrize("direction", [0.0, 0.7, 2.0])
def test_blurring_keeps_brightness_and_place(direction):
    image = np.zeros((41, 41, 1), np.float32)
    image[20, 20] = 1.0
    blur, smear = synthetic._gaussian(1.3), synthetic._line(6.0, direction)
    result = synthetic._blurred(image, blur, smear)[..., 0]
    y, x = np.mgrid[: result.shape[0], : result.shape[1]]
    middle = (result.shape[0] - 1) / 2
    assert result.sum() == pytest.approx(1, abs=1e-5)
    assert (result * y).sum() == pytest.approx(middle, abs=0.01)
    assert (result * x).sum() == pytest.approx(middle, abs=0.01)


# Archives


def official(split):
    return gtsrb.OFFICIAL_COUNTS[split]


def test_the_whole_scale_has_the_official_numbers():
    tracks = [synthetic._tracks(class_id, 1.0) for class_id in CLASSES]
    # Class 33 has one track of 29 frames in the official archive, and 30 here.
    assert sum(tracks) == 1307
    assert [30 * n for n in tracks[:33] + tracks[34:]] == [
        *official("train")[:33],
        *official("train")[34:],
    ]
    assert [synthetic._test_images(class_id, 1.0) for class_id in CLASSES] == list(official("test"))


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_numbers_follow_the_scale(one, other):
    low, high = sorted((one, other))
    for class_id in CLASSES:
        assert 2 <= synthetic._tracks(class_id, low) <= synthetic._tracks(class_id, high)
        assert 2 <= synthetic._test_images(class_id, low) <= synthetic._test_images(class_id, high)
        tracks = official("train")[class_id] / 30
        assert abs(synthetic._tracks(class_id, high) - max(2, high * tracks)) <= 1


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Write the smallest archive, with tracks of three frames instead of thirty."""
    root = tmp_path_factory.mktemp("drawn") / "signs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "_FRAMES", 3)
        assert synthetic.write_archive(root, scale=1e-4, seed=5) == root
    return root


def test_read_archive_reads_it(small):
    archive = gtsrb.read_archive(small)
    archive.verify()
    assert archive.origin == "synthetic"
    assert archive.counts == {"train": 43 * 2 * 3, "test": 43 * 2, "classes": 43}
    assert json.loads((small / "synthetic.json").read_text()) == {
        "origin": "synthetic",
        "scale": 1e-4,
        "seed": 5,
        "version": synthetic.VERSION,
    }
    frames = archive.frames
    for split in ("train", "test"):
        assert set(frames.class_id[frames.split == split]) == set(CLASSES)
    assert (frames.roi_x1 >= 5).all()
    assert (frames.roi_y1 >= 5).all()
    assert (frames.width - frames.roi_x2 >= 5).all()
    assert (frames.height - frames.roi_y2 >= 5).all()


def test_the_test_folder_keeps_the_classes_to_itself(small):
    table = small / "GTSRB/Final_Test/Images/GT-final_test.test.csv"
    lines = table.read_text().splitlines()
    assert lines[0] == "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2"
    labelled = (small / "GT-final_test.csv").read_text().splitlines()
    assert [line.rsplit(";", 1)[0] for line in labelled] == lines
    classes = [int(line.rsplit(";", 1)[1]) for line in labelled[1:]]
    assert classes != sorted(classes)


def test_test_images_show_other_signs_than_training_images(small):
    frames = gtsrb.read_archive(small).frames
    contents = [(small / path).read_bytes() for path in frames.path]
    assert len(set(contents)) == len(contents)


IMAGE_DIGEST = """
import hashlib
from companion.data import synthetic
for class_id in {classes}:
    rng = synthetic._generator(3, synthetic._TRAIN, class_id, 1)
    drive = synthetic._Drive(class_id, rng)
    for frame in {frames}:
        print(class_id, frame, hashlib.sha256(drive.photograph(frame)[0].tobytes()).hexdigest())
"""


def test_another_process_and_another_order_draw_the_same_bytes():
    outputs = []
    for classes, frames, hash_seed in (([4, 27, 40], [0, 29], "1"), ([40, 4, 27], [29, 0], "2")):
        run = subprocess.run(
            [sys.executable, "-c", IMAGE_DIGEST.format(classes=classes, frames=frames)],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(sorted(run.stdout.splitlines()))
    assert len(outputs[0]) == 6
    assert outputs[0] == outputs[1]


def test_another_seed_draws_other_signs():
    assert not np.array_equal(
        cooked(drive(2, 0, seed=0).photograph(9)[0]), cooked(drive(2, 0, seed=1).photograph(9)[0])
    )


@pytest.mark.parametrize("scale", [0, -0.1, 1.001, float("nan"), float("inf"), "0.1", None, True])
def test_a_scale_out_of_range_is_refused(tmp_path, scale):
    with pytest.raises(ValueError, match=r"scale must be a number > 0 and <= 1, got "):
        synthetic.write_archive(tmp_path / "signs", scale=scale)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_a_seed_out_of_range_is_refused(tmp_path, seed):
    with pytest.raises(ValueError, match=r"seed must be a whole number >= 0, got "):
        synthetic.write_archive(tmp_path / "signs", seed=seed)
    assert not any(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"root must be a new or empty folder, got "):
        synthetic.write_archive(tmp_path, scale=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_interrupted_archive_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "_FRAMES", 3)
    monkeypatch.setattr(synthetic, "_CLASSES", 2)
    monkeypatch.setattr(synthetic, "_write_test", interrupt)
    with pytest.raises(KeyboardInterrupt):
        synthetic.write_archive(tmp_path / "signs", scale=1e-4)
    assert not any(tmp_path.iterdir())


def test_an_empty_folder_and_absent_parents_are_filled(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "_FRAMES", 3)
    monkeypatch.setattr(synthetic, "_CLASSES", 2)
    empty = tmp_path / "empty"
    empty.mkdir()
    for root in (empty, tmp_path / "new" / "signs"):
        synthetic.write_archive(root, scale=1e-4)
        assert (root / TRAIN / "00001" / "GT-00001.csv").is_file()
        assert [path.name for path in root.parent.iterdir() if ".part" in path.name] == []
    assert digests(empty) == digests(tmp_path / "new" / "signs")


@pytest.mark.slow
def test_a_larger_scale_holds_the_training_tracks_of_a_smaller_one(tmp_path):
    start = time.process_time()
    smaller = digests(synthetic.write_archive(tmp_path / "smaller", scale=0.05))
    larger = digests(synthetic.write_archive(tmp_path / "larger", scale=0.1))
    seconds = time.process_time() - start
    tracks = {name for name in smaller if name.startswith(TRAIN) and name.endswith(".ppm")}
    assert {name: smaller[name] for name in tracks} == {name: larger.get(name) for name in tracks}
    assert len(larger) > len(smaller) + 1500
    # Both together, in seconds of one core: scale 0.1 alone must stay under 30 s.
    assert seconds < 30


@pytest.mark.slow
@pytest.mark.real
def test_drawn_images_resemble_photographs(real_data, tmp_path):
    """Compare brightness, contrast and the likeness of neighbours with the real archive's."""

    def statistics(archive):
        table = archive.frames[archive.frames.split == "train"].reset_index(drop=True)
        tracks = table.groupby(["class_id", "track"]).ngroup()
        chosen = np.random.default_rng(0).permutation(tracks.max() + 1)[:80]
        brightness, contrast, alike, last = [], [], [], None
        for i in np.flatnonzero(np.isin(tracks, chosen)):
            image = archive.image(int(i))
            grey = np.asarray(Image.fromarray(image).convert("L").resize((32, 32)), float)
            brightness.append(grey.mean())
            contrast.append(grey.std() / (grey.mean() + 1))
            small = cooked(image)
            if last is not None and last[0] == tracks[i]:
                alike.append(likeness(last[1], small))
            last = (tracks[i], small)
        return np.quantile(brightness, (0.1, 0.5, 0.9)), np.median(contrast), np.median(alike)

    drawn = statistics(gtsrb.read_archive(synthetic.write_archive(tmp_path / "s", scale=0.02)))
    real = statistics(gtsrb.read_archive(real_data))
    assert np.all(np.abs(np.log(drawn[0] / real[0])) < np.log(1.6)), (drawn, real)
    assert abs(drawn[1] - real[1]) < 0.12, (drawn, real)
    assert abs(drawn[2] - real[2]) < 0.1, (drawn, real)
