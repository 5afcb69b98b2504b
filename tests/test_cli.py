import json

import pytest
from click.testing import CliRunner

from companion.__main__ import main


@pytest.fixture
def companion(monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.delenv("COMPANION_BUDGET", raising=False)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("command", ["", "fetch", "cook", "train", "sweep", "report", "doctor"])
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
        (["train", "gtsrb-v1", "x", "--epohcs", "1"], "--epochs"),
        (["train", "gtsrb-v1", "x", "--recipe", "24x24-LL"], "did you mean '24x24-L'?"),
        (["train", "gtsrb-v1", "x", "--schedule", "cosin"], "schedule must be one of"),
        (["train", "gtsrb-v1", "x", "--learning-rate", "0"], "learning_rate must be > 0, got 0"),
        (["train", "gtsrb-v1", "x", "--strength", "0"], "strength must be > 0, got 0"),
        (["train", "gtsrb-v1", "x", "--strength", "2"], "strength is that of augment: set augment"),
        (["train", "gtsrb-v1", "x", "--colour", "-1"], "colour must be >= 0, got -1.0"),
        (
            ["train", "gtsrb-v1", "x", "--augment", "--strength", "1.5", "--colour", "2"],
            "colour must be <= 1.66667 with strength 1.5, got 2",
        ),
        (["train", "gtsrb-v1", "x", "--colour", "nan"], "colour must be >= 0, got nan"),
        (["train", "gtsrb-v1", "x", "--colour", "1"], "colour is of augment: set augment too"),
        (["train", "mnist-cnn", "x", "--augment"], "augment and flips are for traffic signs"),
        (["sweep", "grid.txt", "runs"], "grid must be a file with a cell a line, got grid.txt"),
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


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.txt"
    line = "mnist-dense --epochs 1 --scale 0.02 --batch-size 16 --seed"
    path.write_text(f"# two seeds\n{line} 0\n{line} 1\n")
    return path


@pytest.mark.slow
def test_a_sweep_runs_what_is_missing_and_says_how_far_it_is(companion, grid, tmp_path):
    runs = tmp_path / "runs"
    listed = companion("sweep", grid, runs, "--list")
    assert listed.exit_code == 0
    assert "2 to do" in listed.output
    assert not runs.exists()
    second = companion("sweep", grid, runs, "--cell", 2)
    assert second.exit_code == 0, second.output
    assert len(list(runs.iterdir())) == 1
    both = companion("sweep", grid, runs, "--json")
    assert both.exit_code == 0, both.output
    assert [row["status"] for row in json.loads(both.output)] == ["finished"] * 2
    shown = companion("sweep", grid, runs)
    assert "begins" not in shown.output
    assert "2 finished" in shown.output
    close = companion("report", runs, "--run", json.loads(both.output)[0]["name"])
    assert close.exit_code == 0, close.output
    assert "taken for" in close.output
    unknown = companion("report", runs, "--run", "mnist-dens")
    assert (unknown.exit_code, "no run is called 'mnist-dens'" in unknown.output) == (1, True)


def test_a_sweep_with_a_cell_that_fails_says_so_with_its_exit_code(companion, grid, tmp_path):
    (tmp_path / "runs").mkdir()
    for name in ("mnist-dense_epochs-1_batch-size-16_scale-0.02_seed-0",):
        (tmp_path / "runs" / name).write_text("a file where the folder should be")
    result = companion("sweep", grid, tmp_path / "runs", "--cell", 1)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize("cell", [0, 3])
def test_a_cell_that_is_not_there_is_refused(companion, grid, tmp_path, cell):
    result = companion("sweep", grid, tmp_path / "runs", "--cell", cell)
    assert result.exit_code == 1
    assert f"cell must lie between 1 and 2, got {cell}" in result.output


def test_doctor_fails_in_one_sentence_for_each_need(companion, tmp_path):
    result = companion(
        "doctor", "--need", "gpu", "--need", "official-gtsrb", "--space", tmp_path / "new", "1e9"
    )
    assert result.exit_code == 1
    sentences = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(sentences) == 3
    for words in ("a GPU is asked for and JAX sees cpu", "companion fetch gtsrb", "1e+09 GB are"):
        assert any(words in sentence for sentence in sentences)


def test_doctor_speaks_json(companion):
    result = companion("doctor", "--json")
    found = json.loads(result.output)
    assert found["data"]["mnist"]["origin"] == "sample"
    assert found["missing"] == []


@pytest.mark.slow
def test_the_exit_code_of_a_training_that_a_signal_stops_is_99(tmp_path):
    """The whole program is run: the signal comes while it loads, trains or evaluates."""
    import signal
    import subprocess
    import sys
    import time

    words = ["train", "mnist-dense", tmp_path / "run", "--epochs", "2000", "--batch-size", "8"]
    start = [sys.executable, "-m", "companion", *map(str, words)]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            if line.startswith("epoch 2/"):
                program.send_signal(signal.SIGUSR1)
                break
        program.stdout.read()
        begun = time.monotonic()
        assert program.wait(60) == 99
        assert time.monotonic() - begun < 30
    assert json.loads((tmp_path / "run" / "report.json").read_text())["status"] == "interrupted"
    assert (tmp_path / "run" / "last.npz").exists()
