"""Measure the real traffic signs: sizes, brightness, classes, and what a random split hides.

    COMPANION_DATA=<folder> python benchmarks/gtsrb_statistics.py [--sizes OFFICIAL.csv]

writes ``published/gtsrb-statistics.json``, which the chapter *GTSRB 1: the data, and cooking it*
shows beside what its own build measured. Where the images on disk were resized, ``--sizes`` names a
CSV (columns ``Width;Height``, gzipped or not) with the official rows.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from companion.data import cooking, open_dataset, splits, store
from companion.experiments import runs
from companion.training import neighbours, scores

OUTPUT = Path(__file__).resolve().parents[1] / "published" / "gtsrb-statistics.json"
SEEDS = range(5)


def quantiles(values):
    """Give the quantiles 0, 5, 25, 50, 75, 95 and 100 % of some numbers."""
    shares = [0, 5, 25, 50, 75, 95, 100]
    found = np.percentile(values, shares)
    return {str(share): round(float(v), 1) for share, v in zip(shares, found, strict=True)}


def accuracies(cooked):
    """Compare nearest-neighbour accuracies of splits by image and by track, over seeds."""
    found = {"image": [], "track": []}
    for seed in SEEDS:
        rows = {
            "image": splits.by_image(cooked.class_ids, fraction=0.2, seed=seed),
            "track": splits.by_track(cooked.class_ids, cooked.tracks, fraction=0.2, seed=seed),
        }
        for name, (train, held_out) in rows.items():
            answers = neighbours.nearest_neighbour(
                cooked.x[train], cooked.class_ids[train], cooked.x[held_out]
            )
            score = scores.score(answers, cooked.class_ids[held_out], classes=43)
            found[name].append(round(score.accuracy, 4))
    return found


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sizes", type=Path, help="CSV with the official Width and Height")
    arguments = parser.parse_args()
    dataset = open_dataset("gtsrb")
    frames = dataset.archive.frames
    rows = pd.read_csv(arguments.sizes, sep=";") if arguments.sizes else frames
    rows = rows.rename(columns=str.lower)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "24x24-L.h5"
        cooked = store.load(cooking.cook(dataset.archive, path, "24x24-L", progress=True))
    brightness = cooked.x.mean(axis=(1, 2, 3))
    report = {
        "data": {key: getattr(dataset, key) for key in ("origin", "digest", "note", "counts")},
        "sizes_of": "the official rows" if arguments.sizes else dataset.note,
        "width": quantiles(rows["width"]),
        "height": quantiles(rows["height"]),
        "square": round(float((rows["width"] == rows["height"]).mean()), 3),
        "aspect": quantiles(100 * rows["width"] / rows["height"]),
        "mean_grey": quantiles(brightness),
        "images_per_class": np.bincount(cooked.class_ids, minlength=43).tolist(),
        "nearest_neighbour": {
            "recipe": cooked.recipe,
            "seeds": list(SEEDS),
            "validation": accuracies(cooked),
        },
        "machine": runs.machine(),
        "measured": datetime.now(UTC).date().isoformat(),
    }
    OUTPUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
