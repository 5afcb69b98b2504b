import json
import signal

import keras
import numpy as np
import pytest

from companion.experiments import experiment, predictions, runs, sweep
from companion.training.signals import Interrupted, Stop

TINY = {"experiment": "mnist-dense", "epochs": 2, "scale": 0.02, "batch_size": 16}


@pytest.fixture(autouse=True)
def sample(monkeypatch):
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.delenv("COMPANION_BUDGET", raising=False)


def weights(folder, cell):
    model = keras.models.clone_model(experiment.network(cell, None))
    model.load_weights(folder / sweep.name(cell) / runs.WEIGHTS)
    return model.get_weights()


def trained(folder, cells):
    """Say when each cell's weights were written: a run that is not repeated keeps its time."""
    return [(folder / sweep.name(cell) / runs.WEIGHTS).stat().st_mtime_ns for cell in cells]


def test_a_grid_combines_every_choice_with_all_others():
    cells = sweep.grid(experiment=["gtsrb-v1", "gtsrb-v3"], recipe=["24x24-L"], seed=range(3))
    assert [(cell.experiment, cell.seed) for cell in cells] == [
        *[("gtsrb-v1", 0), ("gtsrb-v1", 1), ("gtsrb-v1", 2)],
        *[("gtsrb-v3", 0), ("gtsrb-v3", 1), ("gtsrb-v3", 2)],
    ]


ALL = [
    *sweep.grid(
        experiment=["gtsrb-v1", "gtsrb-small"],
        recipe=["24x24-L", "48x48-RGB-HE"],
        augment=[False, True],
        flips=[False, True],
        learning_rate=[1e-3, 3e-4],
        schedule=["constant", "cosine"],
        budget=["quick", "full"],
        scale=[None, 0.25],
        seed=[0, 7],
    ),
    *sweep.grid(experiment="gtsrb-compact", augment=True, strength=[1.0, 1.5], colour=[0.0, 0.5]),
    *sweep.grid(experiment="mnist-cnn", epochs=[1, 12], batch_size=[32, 128], fraction=[0.1, 0.2]),
]


def test_a_line_reads_back_as_the_settings_it_was_written_from():
    assert [sweep.parse(sweep.line(cell)) for cell in ALL] == ALL


def test_names_are_different_and_fit_for_folders():
    names = [sweep.name(cell) for cell in ALL]
    assert len(set(names)) == len(ALL)
    assert not any(set(name) & set(" /\\:*?\"'") for name in names)
    assert max(map(len, names)) < 200


def test_every_line_is_what_one_types_after_companion_train():
    """The command line's flags are those that a grid file knows, by name and by type."""
    from companion.__main__ import train

    for cell in ALL[:: len(ALL) // 40]:
        words = sweep.line(cell).split()
        read = train.make_context("train", [words[0], "folder", *words[1:]]).params
        for field, value in sweep._said(cell):
            assert read[field] == value


def test_a_grid_file_reads_back(tmp_path):
    path = sweep.write(ALL, tmp_path / "grid.txt")
    assert sweep.read(path) == ALL
    path.write_text(f"# networks\n\n  {sweep.line(ALL[0])}  \n#{sweep.line(ALL[1])}\n")
    assert sweep.read(path) == ALL[:1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no cell"),
        ("mnist-cnn --epoch 3", r"line 1: setting .*did you mean 'epochs'"),
        ("mnist-cnn\nmnist-cn", r"line 2: experiment .*did you mean 'mnist-cnn'"),
        ("mnist-cnn --epochs many", "--epochs needs a value of type int, got 'many'"),
        ("mnist-cnn --epochs", "--epochs needs a value"),
        ("mnist-cnn --epochs 0", "epochs must be >= 1, got 0"),
        ("mnist-cnn epochs 3", "a flag such as --epochs is expected, got 'epochs'"),
        ("--epochs 3", "must begin with the name of an experiment"),
        ("mnist-cnn\nmnist-cnn --seed 0", "cell 2 is cell 1 again"),
        ("gtsrb-v1 --recipe 24x24-LL", "recipe must be one of"),
    ],
)
def test_a_grid_file_that_cannot_be_read_is_refused_by_line(tmp_path, text, sentence):
    (tmp_path / "grid.txt").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        sweep.read(tmp_path / "grid.txt")


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"seed": 0}, "experiment must be given"),
        ({"experiment": "mnist-cnn", "sed": 0}, "did you mean 'seed'"),
        ({"experiment": "mnist-cnn", "seed": []}, "seed must have one value at least"),
    ],
)
def test_an_impossible_grid_is_refused(choices, sentence):
    with pytest.raises(ValueError, match=sentence):
        sweep.grid(**choices)


def test_finished_cells_are_not_run_again_and_a_deleted_one_is(tmp_path):
    cells = sweep.grid(**TINY, seed=[0, 1])
    said = []
    table = sweep.run(cells, tmp_path, progress=lambda *words: said.append((words[0], words[3])))
    assert table["status"].tolist() == ["finished"] * 2
    assert said == [(1, "begins"), (1, "finished"), (2, "begins"), (2, "finished")]
    before = trained(tmp_path, cells)
    sweep.run(cells, tmp_path)
    assert trained(tmp_path, cells) == before
    kept = weights(tmp_path, cells[0])
    (tmp_path / sweep.name(cells[0]) / runs.REPORT).unlink()
    sweep.run(cells, tmp_path)
    after = trained(tmp_path, cells)
    assert (after[0] > before[0], after[1] == before[1]) == (True, True)
    for a, b in zip(kept, weights(tmp_path, cells[0]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_cell_that_fails_is_reported_and_tried_again_and_the_others_go_on(tmp_path, monkeypatch):
    cells = sweep.grid(**TINY, seed=[0, 1, 2])
    build = experiment.network

    def broken(settings, shape):
        if settings.seed == 1:
            raise MemoryError("no memory left")
        return build(settings, shape)

    with monkeypatch.context() as full:
        full.setattr(experiment, "network", broken)
        table = sweep.run(cells, tmp_path)
    assert table["status"].tolist() == ["finished", "failed", "finished"]
    assert table["error"][1] == "MemoryError: no memory left"
    before = trained(tmp_path, cells[::2])
    assert sweep.run(cells, tmp_path)["status"].tolist() == ["finished"] * 3
    assert trained(tmp_path, cells[::2]) == before


@pytest.mark.slow
def test_a_sweep_that_is_stopped_goes_on_within_the_cell(tmp_path):
    cells = sweep.grid(**TINY, seed=[0, 1])
    sweep.run(cells, tmp_path / "whole")

    class Signal(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                signal.raise_signal(signal.SIGUSR1)

    with Stop() as stop, pytest.raises(Interrupted):
        sweep.run(
            cells,
            tmp_path / "cut",
            stop=stop,
            callbacks=lambda cell: [Signal()] if cell.seed else [],
        )
    assert sweep.state(cells, tmp_path / "cut")["status"].tolist() == ["finished", "interrupted"]
    table = sweep.run(cells, tmp_path / "cut")
    assert table["status"].tolist() == ["finished"] * 2
    report = runs.read_report(tmp_path / "cut" / sweep.name(cells[1]))
    assert len(report.resumed) == 1
    for a, b in zip(*(weights(tmp_path / f, cells[1]) for f in ("whole", "cut")), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_names_what_is_to_do_and_what_is_damaged(tmp_path):
    cells = sweep.grid(**TINY, seed=[0, 1])
    folder = tmp_path / sweep.name(cells[1])
    folder.mkdir()
    (folder / runs.REPORT).write_text("{")
    table = sweep.state(cells, tmp_path)
    assert table["status"].tolist() == ["to do", "damaged"]
    assert "is not a whole report" in table["error"][1]


def test_a_run_of_other_settings_is_not_gone_on_with(tmp_path):
    cell, other = sweep.grid(**TINY, learning_rate=[1e-3, 1e-2])
    experiment.train(cell, tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match=r"holds a run with learning_rate 0.001, not 0.01"):
        experiment.train(other, tmp_path / "run", resume=True)


def test_the_test_set_of_a_finished_run_can_be_opened_later_and_once(tmp_path):
    cell = sweep.grid(**TINY)[0]
    experiment.train(cell, tmp_path / "run", resume=True)
    report = experiment.train(cell, tmp_path / "run", resume=True, test=True).report
    assert len(report.test_openings) == 1
    again = experiment.train(cell, tmp_path / "run", resume=True, test=True).report
    assert again.test == report.test
    assert len(again.test_openings) == 1
    whole = experiment.train(cell, tmp_path / "whole", test=True).report
    assert whole.test == report.test


def test_two_processes_do_not_train_in_one_folder(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("filelock.FileLock", lambda path, timeout: FileLock(path, timeout=0))
    cell = sweep.grid(**TINY)[0]
    with (
        experiment.alone(tmp_path / "run"),
        pytest.raises(ValueError, match="is being trained in by another process"),
    ):
        experiment.train(cell, tmp_path / "run", resume=True)


@pytest.mark.slow
def test_submitit_runs_cells_in_processes_of_their_own(tmp_path):
    cells = sweep.grid(**TINY, seed=[0, 1])
    here = sweep.run(cells, tmp_path / "here")
    there = sweep.run(cells, tmp_path / "local", executor="local", workers=2)
    assert there["status"].tolist() == ["finished"] * 2
    assert there["validation"].tolist() == here["validation"].tolist()
    for cell in cells:
        pairs = zip(*(weights(tmp_path / f, cell) for f in ("here", "local")), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_cells_that_are_trained_together_end_as_each_does_alone(tmp_path):
    # Two networks of two seeds and two rates: two programs. The last cell cannot be trained at all.
    cells = [
        *sweep.grid(**TINY, seed=[0, 1], learning_rate=[1e-3, 4e-3]),
        *sweep.grid(**{**TINY, "experiment": "mnist-cnn"}, seed=[0, 1]),
        *sweep.grid(**{**TINY, "scale": 0.0001}),
    ]
    said = []
    here = sweep.run(cells, tmp_path / "here", test=True)
    together = sweep.run(
        cells,
        tmp_path / "together",
        executor="together",
        test=True,
        progress=lambda number, total, cell, status: said.append((number, status)),
    )
    assert together["status"].tolist() == ["finished"] * 6 + ["failed"]
    assert together["error"].tolist() == here["error"].tolist()
    assert sorted(said) == sorted(
        [(7, "failed"), *((n, s) for n in range(1, 7) for s in ("begins", "finished"))]
    )
    for cell in cells[:-1]:
        reports = [runs.read_report(tmp_path / f / sweep.name(cell)) for f in ("here", "together")]
        for key, values in reports[0].history.items():
            np.testing.assert_allclose(reports[1].history[key], values, atol=1e-4, err_msg=key)
        assert reports[1].settings == reports[0].settings
        assert len(reports[1].test_openings) == 1
        pairs = zip(*(weights(tmp_path / f, cell) for f in ("here", "together")), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(b, a, atol=1e-4)
        names = {path.name for path in (tmp_path / "here" / sweep.name(cell)).iterdir()}
        assert {path.name for path in (tmp_path / "together" / sweep.name(cell)).iterdir()} == names


@pytest.mark.slow
def test_of_cells_trained_together_one_that_cannot_begin_does_not_stop_the_others(
    tmp_path, monkeypatch
):
    from filelock import FileLock

    monkeypatch.setattr("filelock.FileLock", lambda path, timeout: FileLock(path, timeout=0))
    cells = sweep.grid(**TINY, seed=[0, 1])
    with experiment.alone(tmp_path / sweep.name(cells[0])):
        table = sweep.run(cells, tmp_path, executor="together")
    assert table["status"].tolist() == ["failed", "finished"]
    assert "is being trained in by another process" in table["error"][0]


class SignalAfter(keras.callbacks.Callback):
    """Ask to stop within an epoch, as a scheduler does."""

    def __init__(self, stop, epoch):
        super().__init__()
        self.stop, self.at = stop, epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            self.stop.name = "SIGTERM"


@pytest.mark.slow
def test_cells_that_are_trained_together_go_on_together_or_alone(tmp_path):
    cells = sweep.grid(**{**TINY, "epochs": 3}, seed=[0, 1])
    whole = sweep.run(cells, tmp_path / "whole", executor="together")
    with Stop() as stop, pytest.raises(Interrupted):
        sweep.run(
            cells,
            tmp_path / "parts",
            executor="together",
            stop=stop,
            callbacks=lambda cell: [SignalAfter(stop, 1)] if cell.seed == 0 else [],
        )
    left = sweep.state(cells, tmp_path / "parts")
    assert left["status"].tolist() == ["interrupted"] * 2
    # The first cell goes on alone; then the other does, in a group of its own.
    sweep.run(cells[:1], tmp_path / "parts")
    parts = sweep.run(cells, tmp_path / "parts", executor="together")
    assert parts["status"].tolist() == ["finished"] * 2
    np.testing.assert_allclose(parts["validation"], whole["validation"], atol=0.02)
    for cell in cells:
        report = runs.read_report(tmp_path / "parts" / sweep.name(cell))
        assert len(report.resumed) == 1
        assert len(report.history["loss"]) == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"executor": "slrm"}, "did you mean 'slurm'"), ({"workers": 0}, "workers must be >= 1")],
)
def test_an_impossible_way_to_run_is_refused(tmp_path, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        sweep.run(sweep.grid(**TINY), tmp_path, **change)


def test_predictions_are_kept_for_comparisons(tmp_path):
    cell = sweep.grid(**TINY)[0]
    report = experiment.train(cell, tmp_path / "run").report
    with np.load(tmp_path / "run" / predictions.PREDICTIONS) as kept:
        right = kept["predicted"] == kept["class_ids"]
        assert right.sum() == report.validation["correct"]
        assert len(kept["rows"]) == len(kept["confidence"]) == report.validation["total"]
        assert ((kept["confidence"] > 0) & (kept["confidence"] <= 1)).all()
    assert json.loads((tmp_path / "run" / runs.REPORT).read_text())["best"]["epoch"] in (1, 2)
