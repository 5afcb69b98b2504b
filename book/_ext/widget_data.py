"""What widgets need to know and no module may type: one function for each, its result is JSON."""

import numpy as np

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
