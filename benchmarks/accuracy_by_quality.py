"""Measure on which real traffic signs a network fails: small ones, dark ones or blurred ones.

    COMPANION_DATA=<folder> python benchmarks/accuracy_by_quality.py [--sizes OFFICIAL.csv]

writes ``published/accuracy-by-quality.json`` from the answers that the runs of
``published/gtsrb-small`` gave to their held-out tracks; the chapter *What the network looks at*
shows it. Where the images on disk were resized, ``--sizes`` names a CSV (columns
``split;Filename;Width;Height;…;ClassId``, gzipped or not) with the official rows.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from companion.data import open_dataset, quality
from companion.experiments import predictions, runs
from companion.training import intervals, scores

PUBLISHED = Path(__file__).resolve().parents[1] / "published"
RUNS, OUTPUT = PUBLISHED / "gtsrb-small", PUBLISHED / "accuracy-by-quality.json"
BANDS = 5
KEYS = ("rows", "class_ids", "tracks", "predicted")


def official_sizes(path, frames):
    """Give the shorter side of each frame, as the official rows say it."""
    rows = pd.read_csv(path, sep=";")
    rows = rows[rows["split"] == "train"].set_index(["ClassId", "Filename"])
    names = frames["path"].str.rsplit("/", n=1).str[-1]
    found = rows.loc[list(zip(frames["class_id"], names, strict=True)), ["Width", "Height"]]
    return found.min(axis=1).to_numpy()


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sizes", type=Path, help="CSV with the official Width and Height")
    arguments = parser.parse_args()
    dataset = open_dataset("gtsrb")
    found = []
    for path in sorted(RUNS.glob("*.json")):
        report, answers = runs.read_report(path), predictions.read(path)
        if report.data["digest"] != dataset.digest or report.data["scale"] != 1.0:
            raise SystemExit(f"{path} is not of all the images found: {dataset.note}")
        found.append(pd.DataFrame({key: getattr(answers, key) for key in KEYS}))
    # A track that several runs held out is one group: its frames fail together in all of them.
    answers = pd.concat(found, ignore_index=True)
    # At scale 1 the cooked training images are the archive's training rows, in their order.
    frames = dataset.archive.frames.iloc[answers["rows"]]
    if (frames["class_id"].to_numpy() != answers["class_ids"]).any():
        raise SystemExit(f"{RUNS} does not hold answers to the rows of this archive")
    rows, place = np.unique(answers["rows"], return_inverse=True)
    qualities = quality.frame_qualities(dataset.archive, rows).iloc[place]
    if arguments.sizes:
        qualities["size"] = official_sizes(arguments.sizes, frames)
    right = answers["predicted"] == answers["class_ids"]
    groups = intervals.class_track_groups(answers["class_ids"], answers["tracks"])
    names = ["size", "brightness", "sharpness"]
    bands = {name: scores.accuracy_by(qualities[name], right, BANDS, groups) for name in names}
    written = {
        "data": report.data,
        "model": report.model["name"],
        "runs": len(found),
        "sizes_of": "the official rows" if arguments.sizes else dataset.note,
        "answers": len(right),
        "images": len(rows),
        "tracks": len(set(groups.tolist())),
        "accuracy": float(right.mean()),
        "bands": {name: table.to_dict("records") for name, table in bands.items()},
        "rank_correlations": qualities[names].corr("spearman").round(3).to_dict(),
        "measured": datetime.now(UTC).date().isoformat(),
    }
    OUTPUT.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
