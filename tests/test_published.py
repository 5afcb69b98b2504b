"""What is published was measured on the official images, with the test set opened once."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from companion.experiments import ranking, reports, runs
from companion.training.intervals import wilson_interval

PUBLISHED = Path(__file__).resolve().parents[1] / "published"
ALL = sorted(PUBLISHED.glob("*/*.json"))
SWEEP = [path for path in ALL if path.parent.name == "sweep"]
CLOSED = [path for path in ALL if path.parent.name in ("augmentation", "grid")]
REPORTS = [path for path in ALL if path not in SWEEP + CLOSED]
PREDICTIONS = sorted(PUBLISHED.glob("*/*.npz"))
TEST_IMAGES = {"mnist": 10_000, "gtsrb": 12_630}


def test_the_promised_runs_are_there():
    seeds = {
        name: {runs.read_report(path).seed for path in (PUBLISHED / name).glob("*.json")}
        for name in (
            "mnist-dense",
            "mnist-cnn",
            "gtsrb-v1",
            "gtsrb-small",
            "gtsrb-small-augmented",
            "gtsrb-compact",
            "gtsrb-compact-75",
            "gtsrb-compact-50",
            "gtsrb-colours",
            "gtsrb-flips",
            "gtsrb-pooled",
            "gtsrb-strides",
        )
    }
    assert all(found == {0, 1, 2} for found in seeds.values()), seeds


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_published_report_is_of_the_whole_official_data(path):
    report = runs.read_report(path)
    assert report.status == "finished"
    assert report.data["origin"] == "official"
    assert report.data.get("scale", 1.0) == 1.0
    assert len(report.test_openings) == 1
    test = report.test
    assert test["total"] == TEST_IMAGES[report.data["name"]]
    assert sum(map(sum, test["confusion"])) == test["total"]
    assert sum(row[i] for i, row in enumerate(test["confusion"])) == test["correct"]
    assert test["interval"] == pytest.approx(wilson_interval(test["correct"], test["total"]))


def test_the_sweep_is_a_whole_grid_of_real_images_with_the_test_opened_once():
    reports = [runs.read_report(path) for path in SWEEP]
    settings = [r.settings for r in reports]
    axes = [{s[name] for s in settings} for name in ("experiment", "recipe")]
    assert len(axes[0]) == 4
    assert len(reports) == len(axes[0]) * len(axes[1]) * len({r.seed for r in reports})
    for report in reports:
        assert report.status == "finished"
        assert report.data["origin"] == "official"
        share = report.data["scale"] * TEST_IMAGES["gtsrb"]  # cooked as the training images
        assert report.test["total"] == pytest.approx(share, abs=1)
        assert len(report.test_openings) == 1
    assert len({r.data["scale"] for r in reports}) == 1
    assert len({s["epochs"] for s in settings}) == 1


def test_the_grids_on_all_frames_are_whole_and_left_the_test_set_closed():
    seeds = {}
    for path in CLOSED:
        report = runs.read_report(path)
        assert report.status == "finished"
        assert (report.data["origin"], report.data["scale"]) == ("official", 1.0)
        assert report.test is None
        assert report.test_openings == []
        cell = (path.parent.name, path.stem.rpartition("_")[0])
        seeds.setdefault(cell, set()).add(report.seed)
    assert len(seeds) == 6 + 8
    for (folder, _), found in seeds.items():
        assert found == set(range(8 if folder == "augmentation" else 3))


@pytest.mark.parametrize("path", PREDICTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_published_answers_are_those_that_the_report_counted(path):
    validation = runs.read_report(path.with_suffix(".json")).validation
    with np.load(path) as answers:
        right = answers["predicted"] == answers["class_ids"]
    assert (int(right.sum()), len(right)) == (validation["correct"], validation["total"])


def test_no_cell_of_the_ranking_holds_two_networks():
    found = reports.table(PUBLISHED)
    found["parameters"] = found["parameters"].astype(float)
    cells = found.groupby([*reports.SETTINGS, *reports.EXAMINATION], dropna=False)
    assert cells["parameters"].nunique().max() == 1
    assert len(ranking.rank(found)) == len(cells)


@pytest.mark.parametrize("name", ["speed.json", "speed-earlier.json"])
def test_every_network_was_timed_in_every_way_and_computed_the_same(name):
    bench = json.loads((PUBLISHED / name).read_text())
    rows = {(row["model"], row["variant"]): row for row in bench["rows"]}
    models = {"mnist", "v1", "v2", "v2-48", "own"}
    variants = {"stock", "ours", "tensorflow", "pytorch"}
    assert set(rows) == set(itertools.product(models, variants))
    assert bench["rounds"] >= 7
    assert bench["starts"] >= (7 if name == "speed.json" else 1)
    for (model, _), row in rows.items():
        assert row["losses"] == pytest.approx(rows[model, "stock"]["losses"], rel=1e-3)
        if row["settings"] is not None:
            stock = row["variant"] == "stock"
            assert all(("=system" in said) == stock for said in row["settings"].values())
        low, high = row["step_ms_spread"]
        assert low <= row["step_ms"] <= high
    assert bench["processor"]
    assert bench["date"]


@pytest.mark.slow
def test_the_published_weights_answer_what_their_report_counted(real_data):
    """Of three hundred of the pictures that seed 0 held out, cooked one by one."""
    from companion.data import cooking, open_dataset
    from companion.training import models

    network = models.gtsrb_compact()
    network.load_weights(PUBLISHED / "gtsrb-compact" / "seed0.weights.h5")
    archive = open_dataset("gtsrb", real_data).archive
    with np.load(PUBLISHED / "gtsrb-compact" / "seed0.npz") as answers:
        some = np.random.default_rng(0).choice(len(answers["rows"]), 300, replace=False)
        rows, predicted = answers["rows"][some], answers["predicted"][some]
        right = answers["class_ids"][some]
    frames = archive.frames[archive.frames["split"] == "train"]
    assert frames["class_id"].to_numpy()[rows].tolist() == right.tolist()
    images = [archive.image(int(frames.index[row])) for row in rows]
    x = np.stack([cooking.enhance(image, "32x32-RGB") for image in images]) / np.float32(255)
    # Stock layers here, the fast ones in training: a tie may fall the other way.
    assert (network.predict(x, verbose=0).argmax(axis=1) == predicted).sum() >= 299
