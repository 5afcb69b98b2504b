import json

import pytest
from click.testing import CliRunner

from companion.__main__ import main


@pytest.fixture
def companion(monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.delenv("COMPANION_BUDGET", raising=False)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("command", ["", "fetch", "cook", "train", "report", "doctor"])
def test_every_command_explains_itself(companion, command):
    result = companion(*command.split(), "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tran"], "did you mean 'train'?"),
        (["train", "mnist-cn", "x"], "did you mean 'mnist-cnn'?"),
        (["train", "mnist-cnn", "x", "--budget", "ful"], "did you mean 'full'?"),
        (["train", "mnist-cnn", "x", "--epochs", "0"], "epochs must be >= 1, got 0"),
        (["train", "mnist-cnn", "x", "--epoch", "1"], "--epochs"),
        (["train", "mnist-cnn", "x", "--split", "track"], "digits have no tracks"),
        (["train", "mnist-cnn", "x", "--recipe", "24x24-L"], "recipe must be left out"),
        (["report", "/nowhere"], "folder must be one that holds runs, got /nowhere"),
    ],
)
def test_a_mistake_ends_in_one_sentence(companion, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    result = companion(*words)
    assert result.exit_code != 0
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_train_then_report(companion, tmp_path):
    trained = companion("train", "mnist-dense", tmp_path / "run", "--epochs", 2, "--test")
    assert trained.exit_code == 0, trained.output
    assert "epoch 2/2" in trained.output
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["data"]["origin"] == "sample"
    assert len(report["test_openings"]) == 1
    assert report["test"]["accuracy"] > 0.8
    shown = companion("report", tmp_path, "--csv")
    assert shown.output.splitlines()[1].startswith("mnist-dense,finished,mnist,sample")
    assert "mnist-dense" in companion("report", tmp_path).output


def test_report_compares_runs_that_have_no_numbers_yet(companion, tmp_path):
    from companion.data import open_dataset
    from companion.experiments import runs

    for name, parameters in (("a", 89_610), ("b", None)):
        run = runs.start(tmp_path / name, data=open_dataset("mnist"), seed=0)
        run.report.model = parameters and {"parameters": parameters}
        run._save()
    shown = companion("report", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "89,610" in shown.output
    assert "nan" not in shown.output


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path, monkeypatch):
    from companion.experiments import experiment

    monkeypatch.delenv("COMPANION_DATA", raising=False)
    histories = []
    for number, seed in enumerate((0, 0, 1)):
        settings = experiment.settings("mnist-cnn", epochs=1, seed=seed)
        run = experiment.train(settings, tmp_path / str(number))
        histories.append(run.report.history)
    assert histories[0] == histories[1] != histories[2]


def test_doctor_says_what_is_missing(companion):
    result = companion("doctor")
    assert result.exit_code == 0
    assert "a packaged sample" in result.output
    assert "companion fetch mnist" in result.output
