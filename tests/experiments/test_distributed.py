"""One network in several processes; the schedulers' part of it is in tests/hpc."""

import json
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from companion.experiments import distributed, runs


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
def test_processes_share_each_batch_without_gap_or_overlap(processes):
    order = np.random.default_rng(0).permutation(100)
    for batch in range(8):
        shares = [
            distributed.rows_of_batch(order, batch, 12, rank, processes)
            for rank in range(processes)
        ]
        assert {len(share) for share in shares} == {12 // processes}
        np.testing.assert_array_equal(np.concatenate(shares), order[12 * batch : 12 * (batch + 1)])


MODULE = [sys.executable, "-m", "companion.experiments.distributed"]
ENV = {**os.environ, "KERAS_BACKEND": "jax", "COMPANION_DATA": ""}


def run(folder, *words, check=True):
    command = [*MODULE, *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENV)
    assert not check or not done.returncode, done.stderr
    return done


@pytest.mark.slow
def test_a_stopped_training_goes_on_after_its_last_whole_epoch(tmp_path):
    words = ("--epochs", 3, "--batch-size", 18, "--seed", 1)
    run(tmp_path, "mnist-cnn", "whole", *words)
    command = [*MODULE, "mnist-cnn", "parts", *map(str, words)]
    pipe = {"stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=ENV, **pipe) as first:
        for line in first.stdout:
            if line.startswith("epoch 1/3"):
                first.send_signal(signal.SIGUSR1)
    assert first.returncode == 99
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    report = runs.read_report(parts)
    assert report.status == "interrupted"
    again = run(tmp_path, "mnist-cnn", "parts", *words)
    assert "epoch 1/3" not in again.stdout
    report = runs.read_report(parts)
    assert report.status == "finished"
    assert report.history == runs.read_report(whole).history
    steps = (parts / "steps.csv").read_text()
    assert steps == (whole / "steps.csv").read_text()
    assert len(steps.splitlines()) == 1 + 3 * 300
    with h5py.File(parts / runs.WEIGHTS) as here, h5py.File(whole / runs.WEIGHTS) as there:
        names = []
        here.visititems(
            lambda name, item: names.append(name) if item.__class__ is h5py.Dataset else None
        )
        assert len(names) == 8
        for name in names:
            np.testing.assert_array_equal(here[name][()], there[name][()])
    assert not (parts / "last.npz").exists()
    # A finished run is left alone.
    before = (parts / runs.REPORT).read_bytes()
    run(tmp_path, "mnist-cnn", "parts", *words)
    assert (parts / runs.REPORT).read_bytes() == before


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    said = {"settings": {"seed": 0, "epochs": 2}, "epoch": 1, "history": {}, "losses": []}
    np.savez(tmp_path / "run" / "last.npz", said=np.array(json.dumps(said)))
    done = run(tmp_path, "mnist-dense", "run", "--seed", 1, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        "is of a training with seed 0, not 1: go on with the same settings, or choose another "
        "folder"
    )


def test_what_cannot_be_shared_is_refused_in_one_sentence(tmp_path):
    done = run(tmp_path, "gtsrb-small", "run", "--batch-size", 0, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: batch_size must be >= 1")
    assert not list(tmp_path.iterdir())
