import json
import subprocess

import pytest

import companion
from companion.data import open_dataset
from companion.experiments import reports, runs
from companion.training import models
from companion.training.scores import score


@pytest.fixture
def data(monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    return open_dataset("mnist")


def finished(folder, data, **settings):
    run = runs.start(folder, data=data, seed=3, **settings)
    history = {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}
    run.finish(models.mnist_dense(), history, score([0, 1, 1], [0, 1, 0], classes=10))
    return run


def test_a_finished_run_reads_back_as_it_was_written(tmp_path, data):
    run = finished(tmp_path / "a", data, epochs=2)
    report = runs.read_report(run.folder)
    assert report == run.report
    assert report.status == "finished"
    assert report.settings == {"epochs": 2}
    assert report.data["digest"] == data.digest
    assert report.model["parameters"] == 89_610
    assert report.model["multiply_adds"] == 784 * 100 + 100 * 100 + 100 * 10
    assert report.validation["accuracy"] == pytest.approx(2 / 3)
    assert (run.folder / runs.HISTORY).read_text() == "epoch,loss,val_loss\n1,2.0,2.5\n2,1.0,1.5\n"
    assert sorted(p.name for p in run.folder.iterdir()) == sorted(
        [runs.REPORT, runs.HISTORY, runs.WEIGHTS]
    )


def test_its_weights_load_into_the_same_network(tmp_path, data):
    run = runs.start(tmp_path / "a", data=data, seed=0)
    model = models.mnist_dense()
    run.finish(model, {"loss": [1.0]}, score([0], [0], classes=10))
    other = models.mnist_dense()
    other.load_weights(run.folder / runs.WEIGHTS)
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        assert (mine == theirs).all()


def test_a_second_run_of_a_name_keeps_the_first(tmp_path, data):
    first = finished(tmp_path / "a", data)
    second = runs.start(tmp_path / "a", data=data, seed=0)
    assert second.folder == tmp_path / "a-2"
    assert second.report.name == "a"
    assert runs.read_report(first.folder).status == "finished"
    assert runs.read_report(second.folder).status == "running"


def test_a_failed_run_says_why(tmp_path, data):
    run = runs.start(tmp_path / "a", data=data, seed=0)
    run.fail(MemoryError("no memory left"))
    report = runs.read_report(run.folder)
    assert (report.status, report.error) == ("failed", "MemoryError: no memory left")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', "\x00\x01"])
def test_a_damaged_report_is_refused_by_name(tmp_path, text):
    (tmp_path / runs.REPORT).write_text(text)
    with pytest.raises(ValueError, match=r"report\.json is not a whole report"):
        runs.read_report(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": runs.SCHEMA + 1}, "update it"),
        ({"colour": "red"}, "see colour"),
        ({"seed": ...}, "see seed"),
    ],
)
def test_a_report_of_other_making_is_refused(tmp_path, data, change, words):
    run = finished(tmp_path / "a", data)
    values = json.loads((run.folder / runs.REPORT).read_text()) | change
    values = {key: value for key, value in values.items() if value is not ...}
    (run.folder / runs.REPORT).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=words):
        runs.read_report(run.folder)


def test_the_table_holds_finished_and_unfinished_runs(tmp_path, data):
    run = finished(tmp_path / "a", data, split="image")
    runs.start(tmp_path / "deeper" / "b", data=data, seed=1)
    table = reports.table(tmp_path)
    assert table["run"].tolist() == ["a", "b"]
    assert table["status"].tolist() == ["finished", "running"]
    assert table["split"][0] == "image"
    assert table["split"].isna().tolist() == [False, True]
    row = table.iloc[0]
    assert row["validation"] == run.report.validation["accuracy"]
    assert [row["validation_low"], row["validation_high"]] == run.report.validation["interval"]
    assert table["test"].isna().all()


def test_the_table_names_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder must be one that holds runs"):
        reports.table(tmp_path / "none")


def test_the_table_passes_over_json_files_that_are_no_reports(tmp_path, data):
    finished(tmp_path / "a", data)
    (tmp_path / "statistics.json").write_text('{"mean": 1}')
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "notes.json").write_text("not JSON")
    assert reports.table(tmp_path)["run"].tolist() == ["a"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / runs.REPORT).write_text('{"mean": 1}')
    table = reports.table(tmp_path)
    assert table["status"].tolist() == ["finished", "damaged"]
    assert "is not a whole report" in table["error"][1]


@pytest.mark.parametrize("here", [".", "", "../here"])
def test_a_run_in_the_working_folder_goes_beside_it(tmp_path, monkeypatch, data, here):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert runs.start(here, data=data, seed=0).folder.resolve() == tmp_path / "here-2"


def test_the_commit_is_of_the_companions_own_repository(tmp_path, monkeypatch):
    def git(*words):
        name = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "companion").mkdir()
    source = tmp_path / "companion" / "__init__.py"
    source.write_text("")
    monkeypatch.setattr(companion, "__file__", str(source))
    assert runs.commit() is None
    git("init")
    git("add", ".")
    git("commit", "-m", "Begin")
    assert len(runs.commit()) == 12
    source.write_text("changed = True")
    assert runs.commit().endswith("+")
    (tmp_path / "within" / "companion").mkdir(parents=True)
    monkeypatch.setattr(companion, "__file__", str(tmp_path / "within/companion/__init__.py"))
    assert runs.commit() is None
