"""Train on drawn signs alone, and see how far that carries on the real ones.

    COMPANION_DATA=<folder> python benchmarks/synthetic_to_real.py [--seed 0]

writes ``published/synthetic-to-real/seed0.json``: the course's first network, trained on an archive
drawn at scale 1; its *validation* is on the real training images, none of which it was trained on,
and its test on the real test images, opened once.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from companion.data import cooking, open_dataset, store, synthetic
from companion.experiments import experiment, runs
from companion.training import models, scores

OUTPUT = Path(__file__).resolve().parents[1] / "published" / "synthetic-to-real"


def classes_of(model, images):
    """Give the model's answers for images of bytes."""
    return model.predict(images.astype("float32") / 255, verbose=0).argmax(axis=1)


def main():
    """Draw, train, evaluate and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    dataset = open_dataset("gtsrb")
    if dataset.origin != "official":
        raise SystemExit(f"COMPANION_DATA must name the official images, found: {dataset.note}")

    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        synthetic.write_archive(drawn, scale=1.0, seed=seed)
        settings = experiment.settings("gtsrb-v1", budget="full", seed=seed)
        trained = experiment.train(settings, Path(folder) / "trained", root=drawn)
        print(f"drawn signs, held-out tracks: {trained.report.validation['accuracy']:.2%}")
        model = models.gtsrb_v1()
        model.load_weights(trained.folder / runs.WEIGHTS)

        path = Path(folder) / "real.h5"
        real = store.load(cooking.cook(dataset.archive, path, settings.recipe))
        run = runs.start(
            Path(folder) / "synthetic-to-real",
            data=real,
            seed=seed,
            trained_on=trained.report.data["note"],
            trained_on_digest=trained.report.data["digest"],
            trained_on_images=trained.report.data["counts"]["train"],
            accuracy_on_held_out_drawn_tracks=trained.report.validation["accuracy"],
            validated_on="all real training images",
            epochs=settings.epochs,
            batch_size=settings.batch_size,
        )
        answers = classes_of(model, real.x)
        score = scores.score(answers, real.class_ids, classes=43, tracks=real.tracks)
        run.finish(model, trained.report.history, score)
        x_test, y_test = runs.open_test_set(run)
        run.record_test(scores.score(classes_of(model, x_test), y_test, classes=43))
        run.report.seconds = trained.report.seconds
        run._save()
        print(f"real training images: {score}")
        print(f"real test images: {run.report.test['accuracy']:.2%}")
        OUTPUT.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.folder / runs.REPORT, OUTPUT / f"seed{seed}.json")


if __name__ == "__main__":
    main()
