"""Reports written by hand, with answers whose accuracies are known."""

import json
import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from companion.data import gtsrb
from companion.experiments import predictions, ranking, reports, runs
from companion.training import intervals, scores

TRACKS, FRAMES = 60, 10


def answers(right, seed=0):
    """Give answers of sixty tracks of ten frames in three classes, the tracks `right` right."""
    track = np.repeat(np.arange(TRACKS), FRAMES)
    class_ids = track % 3
    hits = np.isin(track, right)
    return {
        "rows": (1000 * seed + np.arange(len(track))).astype(np.int32),
        "class_ids": class_ids.astype(np.uint8),
        "tracks": (100 * seed + track).astype(np.int32),
        "predicted": np.where(hits, class_ids, (class_ids + 1) % 3).astype(np.uint8),
        "confidence": np.full(len(track), 0.9, np.float16),
    }


def write(path, held=None, *, keep=True, seed=0, status="finished", data=(), **settings):
    """Write a report, and the answers that it speaks of beside it."""
    recipe = settings.get("recipe", "24x24-L")
    experiment = settings.get("experiment", "gtsrb-v1")
    chosen = {"experiment": experiment, "epochs": 5, "batch_size": 64, "split": "track"}
    described = {
        "name": "gtsrb",
        "origin": "official",
        "digest": "d" * 64,
        "note": "n",
        "counts": {},
        "scale": 1.0,
        "recipe": recipe,
        **dict(data),
    }
    chosen |= settings
    report = runs.Report(experiment, status, f"2026-01-0{seed + 1}", seed, chosen, described)
    if held is not None:
        tracks = held["tracks"] if chosen["split"] == "track" else None
        found = scores.score(held["predicted"], held["class_ids"], classes=43, tracks=tracks)
        report.validation = runs._score(found)
        report.model = {"name": experiment.replace("-", "_"), "parameters": 10, "multiply_adds": 9}
        report.history = {"loss": [1.0] * 5}
        report.seconds = 2.0 + seed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report)))
    if held is not None and keep:
        predictions.write(path.with_suffix(".npz"), held)
    return path


@pytest.fixture
def grid(tmp_path):
    """Write three cells of three seeds: v1 best, small as good within the noise, v2 far below."""
    for seed in range(3):
        write(tmp_path / f"v1-{seed}.json", answers(range(54), seed), seed=seed)
        near = [*range(53), 57] if seed else range(53)
        write(
            tmp_path / f"small-{seed}.json",
            answers(near, seed),
            seed=seed,
            experiment="gtsrb-small",
        )
        write(
            tmp_path / f"v2-{seed}.json", answers(range(30), seed), seed=seed, experiment="gtsrb-v2"
        )
    return tmp_path


def test_the_ranking_averages_seeds_and_tells_apart_what_differs(grid):
    ranked = ranking.rank(reports.table(grid))
    assert ranked["model"].tolist() == ["gtsrb_v1", "gtsrb_small", "gtsrb_v2"]
    assert ranked["rank"].tolist() == [1, 2, 3]
    assert ranked["seeds"].tolist() == [3, 3, 3]
    np.testing.assert_allclose(ranked["accuracy"], [0.9, (53 + 54 + 54) / 180, 0.5])
    assert ranked["told_apart"].tolist() == [None, False, True]
    assert ranked["covers"].tolist() == ["tracks and seeds"] * 3
    assert ranked["method"].tolist()[1:] == ["paired, tracks, 3 seeds"] * 2
    np.testing.assert_allclose(ranked["behind"], 0.9 - ranked["accuracy"])
    inside = ranked["behind"].between(ranked["behind_low"], ranked["behind_high"])
    assert inside.tolist()[1:] == [True, True]
    assert (ranked["low"] < ranked["accuracy"]).all()
    assert (ranked["accuracy"] < ranked["high"]).all()
    assert ranked["seconds"].tolist() == [3.0] * 3
    assert "augment" not in ranked


def test_the_interval_of_a_cell_is_that_of_its_answers(grid):
    ranked = ranking.rank(reports.table(grid), confidence=0.8)
    held = [predictions.read(grid / f"v1-{seed}.json") for seed in range(3)]
    expected = intervals.seeds_interval(
        [h.right for h in held], [h.groups for h in held], confidence=0.8
    )
    assert (ranked["low"][0], ranked["high"][0]) == expected


def test_pairing_tells_apart_what_overlapping_intervals_do_not(tmp_path):
    """One fails on tracks 0-5, the other on 0-11: each interval is wide, their difference not."""
    for name, first in (("gtsrb-v1", 6), ("gtsrb-v2", 12)):
        write(tmp_path / f"{name}.json", answers(range(first, TRACKS)), experiment=name)
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["low"][0] < ranked["high"][1]
    assert ranked["told_apart"][1] is True
    assert ranked["method"][1] == "paired, tracks, 1 seed"
    assert ranked["covers"].tolist() == ["tracks", "tracks"]
    for path in tmp_path.glob("*.npz"):
        path.unlink()
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["told_apart"][1] is False
    assert ranked["method"][1] == "intervals overlap?"
    assert ranked["covers"].tolist() == ["tracks", "tracks"]


def test_seeds_without_answers_get_students_interval(tmp_path):
    shares = [30, 33, 36]
    for seed, right in enumerate(shares):
        write(tmp_path / f"{seed}.json", answers(range(right), seed), seed=seed, keep=False)
    ranked = ranking.rank(reports.table(tmp_path))
    half = 4.302653 * 0.05 / math.sqrt(3)  # t of two degrees of freedom; s = 3 of 60
    np.testing.assert_allclose(ranked["low"][0], 0.55 - half, atol=1e-6)
    np.testing.assert_allclose(ranked["high"][0], 0.55 + half, atol=1e-6)
    assert ranked["covers"][0] == "seeds"


def test_answers_to_other_images_or_of_another_training_are_not_paired(tmp_path):
    write(tmp_path / "a.json", answers(range(54)))
    write(tmp_path / "b.json", answers(range(40), seed=1), experiment="gtsrb-v2")  # other rows
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["method"][1] == "intervals overlap?"
    predictions.write(tmp_path / "b.npz", answers(range(10)))  # not what its report says
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["method"][1] == "intervals overlap?"
    (tmp_path / "b.npz").write_bytes(b"PK, cut short")
    assert len(ranking.rank(reports.table(tmp_path))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"digest": "e" * 64}},
        {"data": {"origin": "synthetic"}},
        {"data": {"scale": 0.1}},
        {"split": "image"},
        {"fraction": 0.1},
    ],
)
def test_runs_of_different_data_are_ranked_apart(tmp_path, change):
    write(tmp_path / "a.json", answers(range(54)))
    write(tmp_path / "b.json", answers(range(30)), experiment="gtsrb-v2", **change)
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["rank"].tolist() == [1, 1]
    assert ranked["told_apart"].tolist() == [None, None]


def test_digits_of_two_budgets_are_ranked_apart(tmp_path):
    for budget in ("quick", "full"):
        path = tmp_path / f"{budget}.json"
        data = {"name": "mnist", "scale": None}
        write(path, answers(range(54)), data=data, split="image", budget=budget)
    assert ranking.rank(reports.table(tmp_path))["rank"].tolist() == [1, 1]


def test_a_random_split_is_judged_over_images(tmp_path):
    held = {key: value for key, value in answers(range(54)).items() if key != "tracks"}
    write(tmp_path / "a.json", held, split="image")
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["covers"][0] == "images"
    low, high = ranked["low"][0], ranked["high"][0]
    np.testing.assert_allclose((low, high), intervals.wilson_interval(540, 600), atol=0.01)


def test_a_setting_that_differs_makes_cells_of_its_own(tmp_path):
    write(tmp_path / "a.json", answers(range(54)), augment=True)
    write(tmp_path / "b.json", answers(range(50)))  # older: without augmentation
    table = reports.table(tmp_path)
    ranked = ranking.rank(table)
    assert ranked["augment"].tolist() == [True, False]
    with pytest.raises(ValueError, match="by must hold 'augment', in which the runs of gtsrb_v1"):
        ranking.rank(table, by=["model"])
    with pytest.raises(ValueError, match="by must name columns of the table, got 'color'"):
        ranking.rank(table, by=["color"])


def test_a_seed_run_twice_counts_once_by_its_last_run(tmp_path):
    first = write(tmp_path / "a.json", answers(range(30)))
    write(tmp_path / "b.json", answers(range(54)))
    held = json.loads(first.read_text()) | {"started": "2025-12-31"}
    first.write_text(json.dumps(held))
    ranked = ranking.rank(reports.table(tmp_path))
    assert (ranked["seeds"][0], ranked["accuracy"][0]) == (1, 0.9)


def test_no_run_one_run_and_no_finished_run_are_ranked(tmp_path):
    assert len(ranking.rank(reports.table(tmp_path))) == 0
    write(tmp_path / "a.json", status="failed")
    ranked = ranking.rank(reports.table(tmp_path))
    assert np.isnan(ranked["rank"][0])
    assert (ranked["seeds"][0], ranked["unfinished"][0]) == (0, 1)
    write(tmp_path / "b.json", answers(range(54)), seed=1)
    ranked = ranking.rank(reports.table(tmp_path))
    assert (ranked["rank"][0], ranked["seeds"][0], ranked["unfinished"][0]) == (1, 1, 1)
    write(tmp_path / "c.json", status="running", experiment="gtsrb-v2")
    ranked = ranking.rank(reports.table(tmp_path))
    assert ranked["model"].tolist() == ["gtsrb_v1", "gtsrb_v2"]
    assert ranked["told_apart"].tolist() == [None, None]
    assert np.isnan(ranked["accuracy"][1])


def test_a_run_that_failed_before_it_opened_its_data_stands_with_its_cell(tmp_path):
    write(tmp_path / "a.json", answers(range(54)))
    nothing = {"digest": None, "origin": None, "scale": None, "recipe": None}
    write(tmp_path / "b.json", status="failed", seed=1, data=nothing, recipe="24x24-L")
    ranked = ranking.rank(reports.table(tmp_path))
    assert (len(ranked), ranked["seeds"][0], ranked["unfinished"][0]) == (1, 1, 1)
    write(tmp_path / "c.json", answers(range(54)), data={"scale": 0.1})  # whose examination?
    assert len(ranking.rank(reports.table(tmp_path))) == 3


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "\x00", '{"schema": 1}', '{"schema": 99}', '{"schema": "x"}'],
)
def test_a_damaged_report_is_a_row_and_stops_nothing(tmp_path, text):
    write(tmp_path / "whole" / "report.json", answers(range(54)))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / runs.REPORT).write_text(text)
    table = reports.table(tmp_path)
    assert table["run"].tolist() == ["cut", "gtsrb-v1"]
    assert table["status"].tolist() == ["damaged", "finished"]
    assert str(tmp_path / "cut") in table["error"][0]
    assert table["seed"][1] == 0
    assert str(table["seed"][1]) == "0"
    assert len(ranking.rank(table)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"data": []},
        {"history": None},
        {"validation": {"accuracy": 1}},
        {"settings": 3},
    ],
)
def test_a_report_with_odd_entries_is_damaged(tmp_path, change):
    path = write(tmp_path / "a.json", answers(range(54)))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    table = reports.table(tmp_path)
    assert table["status"].tolist() == ["damaged"]
    assert table["error"].notna().all()


def test_a_published_report_that_was_cut_short_is_not_passed_over(tmp_path):
    path = write(tmp_path / "seed0.json", answers(range(54)))
    text = path.read_text()
    path.write_text(text[: len(text) - 30])
    assert reports.table(tmp_path)["run"].tolist() == ["seed0"]
    assert reports.table(tmp_path)["status"].tolist() == ["damaged"]


def test_a_table_holds_the_settings(tmp_path):
    write(tmp_path / "a.json", answers(range(54)), augment=True, learning_rate=1e-4)
    write(tmp_path / "b.json", status="interrupted", experiment="gtsrb-small")
    table = reports.table(tmp_path)
    first, second = table.to_dict("records")
    assert (first["model"], second["model"]) == ("gtsrb_v1", "gtsrb_small")
    assert (first["augment"], second["augment"]) == (True, False)
    assert (first["learning_rate"], second["learning_rate"]) == (1e-4, 1e-3)
    assert (first["epochs"], first["epochs_wanted"], first["resumed"]) == (5, 5, 0)
    assert (second["status"], second["epochs"], second["epochs_wanted"]) == ("interrupted", 0, 5)
    assert second["parameters"] is None
    assert np.isnan(second["validation"])


@pytest.mark.parametrize("as_folder", [True, False])
def test_two_runs_are_compared_by_their_answers(tmp_path, as_folder):
    paths = []
    for name, right in (("a", range(54)), ("b", range(48))):
        path = write(
            tmp_path / name / "report.json",
            answers(right),
            keep=False,
            experiment=f"gtsrb-{name}",
        )
        predictions.write(path.parent / predictions.PREDICTIONS, answers(right))
        paths.append(path.parent if as_folder else path)
    found = ranking.compare(*paths)
    assert (found.accuracy_a, found.accuracy_b) == (0.9, 0.8)
    assert found.difference == pytest.approx(0.1)
    assert found.told_apart
    assert (found.mcnemar.only_a, found.mcnemar.only_b) == (60, 0)
    groups = predictions.read(paths[0]).groups
    right = [predictions.read(path).right for path in paths]
    assert found.interval == intervals.difference_interval(*right, groups)
    assert "difference +10.00 points" in str(found)
    assert "told apart (paired bootstrap over tracks)" in str(found)
    same = ranking.compare(paths[0], paths[0])
    assert same.interval == (0, 0)
    assert not same.told_apart


def test_runs_of_other_images_or_data_are_not_compared(tmp_path):
    a = write(tmp_path / "a.json", answers(range(54)))
    b = write(tmp_path / "b.json", answers(range(54), seed=1), seed=1)
    with pytest.raises(ValueError, match=r"the same images as run_a.*got seeds 0 and 1"):
        ranking.compare(a, b)
    c = write(tmp_path / "c.json", answers(range(54)), data={"scale": 0.1})
    with pytest.raises(ValueError, match=r"same data as run_a, but their scale is 0.1 and 1.0"):
        ranking.compare(a, c)


def test_answers_that_cannot_be_read_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="this run kept no answers"):
        predictions.read(tmp_path)
    path = tmp_path / predictions.PREDICTIONS
    held = answers(range(54))
    predictions.write(path, held)
    whole = path.read_bytes()
    # In the compressed bytes of an array, where zlib raises an error of its own.
    flipped = whole[:150] + bytes(byte ^ 0xFF for byte in whole[150:170]) + whole[170:]
    for text in (b"", b"not a zip", b"PK\x03\x04 cut", flipped):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r"predictions\.npz is damaged"):
            predictions.read(tmp_path)
    strange = {"confidence": np.array(["sure"] * 600)}
    for change in ({"predicted": np.zeros(3, int)}, {"rows": None}, {"confidence": None}, strange):
        predictions.write(path, held | change)
        with pytest.raises(ValueError, match="does not hold a run's answers"):
            predictions.read(tmp_path)


def test_tracks_of_two_classes_are_two_groups(tmp_path):
    held = answers(range(54)) | {"tracks": np.zeros(600, np.int32)}
    predictions.write(tmp_path / predictions.PREDICTIONS, held)
    assert len(np.unique(predictions.read(tmp_path).groups)) == 3


def test_classes_and_confused_pairs_bear_names(tmp_path):
    path = write(tmp_path / "a.json", answers(range(54)))  # the last six tracks: two of each class
    classes = reports.per_class(path)
    assert classes["name"].tolist() == list(gtsrb.CLASS_NAMES)
    assert classes["images"][:4].tolist() == [200, 200, 200, 0]
    np.testing.assert_allclose(classes["recall"][:4], [0.9, 0.9, 0.9, np.nan])
    assert classes["family"][0] == "speed limits"
    pairs = reports.most_confused(runs.read_report(path), n=10)
    assert pairs["images"].tolist() == [20, 20, 20]
    assert pairs["share"].tolist() == [0.1] * 3
    assert list(zip(pairs["true"], pairs["predicted"], strict=True)) == [(0, 1), (1, 2), (2, 0)]
    assert pairs["true_name"].tolist() == list(gtsrb.CLASS_NAMES[:3])
    assert pairs["predicted_name"][2] == gtsrb.CLASS_NAMES[0]
    assert pairs["one_family"].all()
    assert len(reports.most_confused(path, n=2)) == 2


def test_digits_have_no_names(tmp_path):
    path = write(tmp_path / "a.json", answers(range(54)), data={"name": "mnist"})
    assert "true_name" not in reports.most_confused(path)
    assert "name" not in reports.per_class(path)


def test_a_result_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path / "a.json", status="running")
    with pytest.raises(ValueError, match="has no validation result: the run is running"):
        reports.per_class(path)
    with pytest.raises(ValueError, match="of must be 'validation' or 'test', got 'tests'"):
        reports.most_confused(path, of="tests")


def test_an_export_reads_back(tmp_path):
    write(tmp_path / "runs" / "a.json", answers(range(54)))
    write(tmp_path / "runs" / "b.json", status="failed", seed=1)
    table = reports.table(tmp_path / "runs")
    path = reports.export(table, tmp_path / "new" / "table.csv")
    back = pd.read_csv(path)
    assert back.columns.tolist() == table.columns.tolist()
    assert back["seed"].tolist() == [0, 1]
    assert back["validation"][0] == table["validation"][0]
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]
