"""Builders of the networks that more than one chapter uses, each spelled out in its own chapter."""

import keras
from keras import layers

MNIST_SHAPE, MNIST_CLASSES = (28, 28, 1), 10
GTSRB_CLASSES = 43


def mnist_dense():
    """Build the dense baseline for MNIST: two hidden layers of 100.

    Spelled out in the chapter *MNIST: a dense baseline*.

    Returns
    -------
    keras.Model
        Of (N, 28, 28, 1) images in 0 … 1 to (N, 10) probabilities.

    Examples
    --------
    >>> mnist_dense().count_params()
    89610
    """
    return keras.Sequential(
        [
            layers.Input(MNIST_SHAPE),
            layers.Flatten(),
            layers.Dense(100, activation="relu"),
            layers.Dense(100, activation="relu"),
            layers.Dense(MNIST_CLASSES, activation="softmax"),
        ],
        name="mnist_dense",
    )


def mnist_cnn():
    """Build the convolutional network for MNIST, of 42,358 parameters.

    Spelled out in the chapter *MNIST: the 42,358-parameter network*.

    Returns
    -------
    keras.Model
        Of (N, 28, 28, 1) images in 0 … 1 to (N, 10) probabilities.

    Examples
    --------
    >>> mnist_cnn().count_params()
    42358
    """
    return keras.Sequential(
        [
            layers.Input(MNIST_SHAPE),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(100, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(MNIST_CLASSES, activation="softmax"),
        ],
        name="mnist_cnn",
    )


def gtsrb_v1(input_shape=(24, 24, 1)):
    """Build the course's first network for traffic signs.

    Spelled out in the chapter *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width and channels of an image.

    Returns
    -------
    keras.Model
        Of (N, H, W, C) images in 0 … 1 to (N, 43) probabilities.

    Examples
    --------
    >>> gtsrb_v1().count_params()
    4841083
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(96, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(192, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(1500, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(GTSRB_CLASSES, activation="softmax"),
        ],
        name="gtsrb_v1",
    )
