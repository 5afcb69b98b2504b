import ast
from pathlib import Path

import numpy as np
import pytest

from companion.data import open_dataset
from companion.experiments import runs
from companion.experiments.runs import open_test_set
from companion.training.scores import score

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    run = runs.start(tmp_path / "run", data=open_dataset("mnist"), seed=0)
    run.report.validation = {"accuracy": 0.9}  # as a finished run has it
    return run


def test_each_opening_is_in_the_report_on_disk(run):
    for times in (1, 2):
        x, class_ids = open_test_set(run)
        assert len(runs.read_report(run.folder).test_openings) == times
    assert len(x) == len(class_ids) == run.data.counts["test"]


def test_it_stays_closed_before_validation(run):
    run.report.validation = None
    with pytest.raises(ValueError, match="no validation result"):
        open_test_set(run)
    assert run.report.test_openings == []


def test_a_test_score_needs_an_opening(run):
    result = score([0, 1], [0, 1], classes=2)
    with pytest.raises(ValueError, match="open_test_set"):
        run.record_test(result)
    _, true = open_test_set(run)
    run.record_test(score(np.asarray(true), true, classes=10))
    assert runs.read_report(run.folder).test["accuracy"] == 1.0


def test_nothing_else_reads_the_test_set():
    """`_load_test` is called in runs.py alone; the rooms of the data only define it."""
    callers = set()
    for path in [*ROOT.glob("companion/**/*.py"), *ROOT.glob("benchmarks/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "_load_test"
            ):
                callers.add(path.relative_to(ROOT).as_posix())
    assert callers == {"companion/experiments/runs.py"}
    for chapter in ROOT.glob("book/*.md"):
        assert "_load_test" not in chapter.read_text(), chapter
