"""What widgets need to know and no module may type: one function for each, its result is JSON."""

import base64
from pathlib import Path

import numpy as np

DIGIT_READER = Path(__file__).resolve().parents[2] / "published" / "mnist-cnn"
LEVELS = 9  # grey levels above black: one figure in each cell, so that sums can be done by hand


def digit():
    """Give a handwritten digit of the packaged sample, 10 × 10 pixels of 0 to 9.

    MNIST draws every digit into the middle 20 × 20 of 28 × 28 pixels.
    """
    from companion.data import mnist

    root = mnist.SAMPLE_ROOT
    images, labels = mnist.read_images(root, "train"), mnist.read_labels(root, "train")
    index = int(np.flatnonzero(labels == 7)[0])
    blocks = images[index, 4:24, 4:24].reshape(10, 2, 10, 2).mean(axis=(1, 3))
    return {
        "label": int(labels[index]),
        "pixels": np.rint(blocks / 255 * LEVELS).astype(int).tolist(),
    }


def photograph():
    """Return a photograph of 320 × 240 grey pixels, as JPEG.

    It is scikit-image's *camera* (Lav Varshney, CC0), of which the man and his camera are kept.
    """
    import io
    from importlib.resources import files

    from PIL import Image

    with Image.open(files("skimage") / "data" / "camera.png") as picture:
        small = picture.convert("L").crop((0, 20, 512, 404)).resize((320, 240))
    held = io.BytesIO()
    small.save(held, "JPEG", quality=70, optimize=True)
    return {"label": "a photograph", "jpeg": text(held.getvalue())}


def digit_reader():
    """Tell of the trained network of *MNIST: the 42,358-parameter network*; give digits to show it.

    The digits are from MNIST's training images, since the test set is opened once, by `published/`.
    """
    from companion.data import mnist
    from companion.experiments import runs

    report = runs.read_report(DIGIT_READER / "seed0.json")
    arrays = digit_reader_arrays()
    if sum(array.size for array in arrays) != report.model["parameters"]:
        raise ValueError(f"{DIGIT_READER} must hold weights of the network that its report counted")
    images = mnist.read_images(mnist.SAMPLE_ROOT, "train")
    labels = mnist.read_labels(mnist.SAMPLE_ROOT, "train")
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    return {
        "name": report.name,
        "seed": report.seed,
        "parameters": report.model["parameters"],
        "epochs": report.settings["epochs"],
        "note": report.data["note"],
        "validation": {name: report.validation[name] for name in ("correct", "total")},
        "test": {name: report.test[name] for name in ("correct", "total")},
        "openings": len(report.test_openings),
        "shapes": [list(array.shape) for array in arrays],
        "samples": [{"label": int(labels[i]), "pixels": text(images[i].tobytes())} for i in first],
    }


def digit_reader_weights():
    """Give the weights of `digit_reader`, for which a page does not wait.

    They are base64 of little-endian float32, one array after another in Keras' order.
    """
    return text(b"".join(array.tobytes() for array in digit_reader_arrays()))


def digit_reader_arrays():
    """Read the weights, in Keras' order."""
    import h5py

    with h5py.File(DIGIT_READER / "seed0.weights.h5") as file:
        return [
            file[f"layers/{layer}/vars/{i}"][()].astype("<f4")
            for layer in ("conv2d", "conv2d_1", "dense", "dense_1")
            for i in (0, 1)
        ]


def text(data):
    """Write bytes as base64."""
    return base64.b64encode(data).decode()
