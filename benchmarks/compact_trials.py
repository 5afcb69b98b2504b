"""Try networks and settings for *How far one can go*, on held-out tracks of the real images.

    COMPANION_DATA=<folder> python benchmarks/compact_trials.py [NAME ...]

No trial opens the test set. Run one at a time: each rewrites the file. Each is one seed, so that a
difference of a few tenths of a point says little: a fifth of the tracks are some 260 signs. The
chapter shows what came out.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from keras.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Input,
    LayerNormalization,
    MaxPooling2D,
    ReLU,
)

from companion.experiments import experiment
from companion.experiments.runs import write_text
from companion.training import layers

OUTPUT = Path(__file__).resolve().parents[1] / "published" / "compact-trials.json"
COMMON = {
    "budget": "full",
    "seed": 1,
    "fraction": 0.2,
    "augment": True,
    "strength": 1.5,
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "weight_decay": 0.02,
    "epochs": 10,
}
NARROW, WIDE = (24, 32, 40, 56, 72, 128), (16, 32, 40, 56, 80, 128)
# name: filters, size of the first kernel, rate of dropout, and what else is set
TRIALS = {
    "3x3 first": (NARROW, 3, 0.3, {}),
    "3x3 first, flips": (NARROW, 3, 0.3, {"flips": True}),
    "5x5 first, 16 filters": ((16, *NARROW[1:]), 5, 0.3, {}),
    "5x5 first, flips, wider, less dropout": (WIDE, 5, 0.1, {"flips": True, "epochs": 8}),
    "the same, weaker changes": (WIDE, 5, 0.1, {"flips": True, "epochs": 8, "strength": 1.0}),
    "the fourth line, again": (WIDE, 5, 0.1, {"flips": True, "epochs": 8}),
    "the fourth line, changes of colour": (
        WIDE,
        5,
        0.1,
        {"flips": True, "epochs": 8, "colour": 1.0},
    ),
}


def build(filters, first, rate, changes):
    """Build a network that pools before it normalises."""

    def convolution(filters, size=3, *, pool=False):
        return [
            Conv2D(filters, size, padding="same", use_bias=False),
            *([MaxPooling2D(2)] if pool else []),
            BatchNormalization(momentum=0.9),
            ReLU(),
        ]

    a, b, c, d, e, f = filters
    return keras.Sequential(
        [
            Input((32, 32, 3)),
            *changes,
            LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-5),
            *convolution(a, first, pool=True),
            *convolution(b),
            *convolution(c, pool=True),
            *convolution(d),
            *convolution(e, pool=True),
            *convolution(f, 1),
            DepthwiseConv2D(4),
            Flatten(),
            Dropout(rate),
            Dense(43, activation="softmax"),
        ]
    )


def attempt(name):
    """Train one; give a row of the result."""
    filters, first, rate, more = TRIALS[name]
    settings = experiment.settings("gtsrb-compact", **{**COMMON, **more})
    prepared = experiment.prepare(settings, experiment.training_images(settings))
    if prepared.data.origin != "official":
        raise SystemExit("COMPANION_DATA names no folder of the real images: nothing was trained")
    x, y = prepared.x, prepared.class_ids
    train, held = prepared.train_rows, prepared.validation_rows
    keras.utils.set_random_seed(settings.seed)
    model = layers.faster(build(filters, first, rate, experiment.changes(settings)))
    model.compile(
        experiment.optimizer(settings, steps=-(-len(train) // settings.batch_size)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x[train],
        y[train],
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        validation_data=(x[held], y[held]),
        verbose=2,
    )
    return {
        "trial": name,
        "parameters": model.count_params(),
        "images": len(train),
        "held_out": len(held),
        "val_accuracy": [round(float(v), 5) for v in history.history["val_accuracy"]],
        "val_loss": [round(float(v), 5) for v in history.history["val_loss"]],
        "accuracy": [round(float(v), 5) for v in history.history["accuracy"]],
        "settings": {**COMMON, **more, "dropout": rate},
        "origin": prepared.data.origin,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def main():
    """Run the trials that are named, and put each into the file as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="*", metavar="NAME", help=f"of {', '.join(TRIALS)}")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    for name in arguments.trials:
        if name not in TRIALS:
            parser.error(f"NAME must be one of {', '.join(TRIALS)}, got {name!r}")
    for name in arguments.trials or TRIALS:
        row = attempt(name)
        done = json.loads(arguments.output.read_text()) if arguments.output.exists() else []
        rows = [other for other in done if other["trial"] != name] + [row]
        # What was tried by earlier code, and is not tried again, stays at the end.
        order = {name: place for place, name in enumerate(TRIALS)}
        rows.sort(key=lambda row: order.get(row["trial"], len(order)))
        write_text(arguments.output, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
