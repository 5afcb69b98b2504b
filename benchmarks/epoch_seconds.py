"""Time epochs of the network of *How far one can go* on all the real images.

    COMPANION_DATA=<folder> python benchmarks/epoch_seconds.py

On a machine that does nothing else. The chapter multiplies the median by the epochs that its
published trainings took to an accuracy; those took longer, three of them side by side.
"""

import argparse
import json
import os
import statistics
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["COMPANION_COMPILED"] = "off"  # compiling is part of what is waited for
START, LOAD = time.perf_counter(), os.getloadavg()[0]

import keras  # noqa: E402  (importing is part of what is timed)
from speed import processor  # noqa: E402  (the script beside this one)

from companion.experiments import experiment  # noqa: E402
from companion.experiments.runs import machine, write_text  # noqa: E402

OUTPUT = Path(__file__).resolve().parents[1] / "published" / "epoch-seconds.json"


class Clock(keras.callbacks.Callback):
    """Note when each epoch ends, validation included."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        """Note the time."""
        self.ends.append(time.perf_counter())


def main():
    """Train for some epochs, and write how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="the first one compiles")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    settings = experiment.settings(
        "gtsrb-compact",
        budget="full",
        fraction=0.1,
        augment=True,
        strength=1.5,
        colour=1.0,
        flips=True,
        schedule="cosine",
        weight_decay=0.02,
        learning_rate=3e-3,
        epochs=30,
    )
    prepared = experiment.prepare(settings, experiment.training_images(settings))
    if prepared.data.origin != "official":
        raise SystemExit("COMPANION_DATA names no folder of the real images: nothing was timed")
    x, y, train, held = (
        prepared.x,
        prepared.class_ids,
        prepared.train_rows,
        prepared.validation_rows,
    )
    clock = Clock()
    prepared.model.fit(
        x[train],
        y[train],
        batch_size=settings.batch_size,
        epochs=arguments.epochs,
        validation_data=(x[held], y[held]),
        callbacks=[clock],
        verbose=0,
    )
    epochs = [b - a for a, b in zip(clock.ends, clock.ends[1:], strict=False)]
    median = statistics.median(epochs)
    result = {
        "settings": asdict(settings),
        "parameters": prepared.model.count_params(),
        "data": {"origin": prepared.data.origin, "digest": prepared.data.digest},
        "images": len(train),
        # All that is waited for besides epochs: importing, reading, compiling.
        "before_s": round(clock.ends[0] - START - median, 1),
        "epoch_s": [round(seconds, 2) for seconds in epochs],
        "processor": processor(),
        "cores": machine()["cores"],
        "load": round(LOAD, 2),  # of the minute before
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(arguments.output, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
