"""What is published was measured on the official images, with the test set opened once."""

from pathlib import Path

import pytest

from companion.experiments import runs
from companion.training.metrics import wilson_interval

PUBLISHED = Path(__file__).resolve().parents[1] / "published"
REPORTS = sorted(PUBLISHED.glob("*/*.json"))
TEST_IMAGES = {"mnist": 10_000, "gtsrb": 12_630}


def test_the_promised_runs_are_there():
    seeds = {
        name: {runs.read_report(path).seed for path in (PUBLISHED / name).glob("*.json")}
        for name in ("mnist-dense", "mnist-cnn", "gtsrb-v1")
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
