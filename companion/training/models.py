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


def gtsrb_v1(input_shape=(24, 24, 1), *, augmentation=()):
    """Build the course's first network for traffic signs.

    Spelled out in the chapter *GTSRB 2: a first network for traffic signs*.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width and channels of an image.
    augmentation : sequence of keras.layers.Layer
        Layers put right after the input, such as `companion.training.augmentation.layers()`.

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
            *augmentation,
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


def gtsrb_v2(input_shape=(24, 24, 1), *, augmentation=()):
    """Build the course's second network: pairs of convolutions.

    Of each pair the first keeps the size ("same" padding), the second does not ("valid").
    Spelled out in the chapter *GTSRB 5: many models, many data sets*.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width and channels of an image.
    augmentation : sequence of keras.layers.Layer
        Layers put right after the input, such as `companion.training.augmentation.layers()`.

    Returns
    -------
    keras.Model
        Of (N, H, W, C) images in 0 … 1 to (N, 43) probabilities.

    Examples
    --------
    >>> gtsrb_v2().count_params()
    1297899
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            *augmentation,
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.Conv2D(128, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(256, 3, padding="same", activation="relu"),
            layers.Conv2D(256, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(GTSRB_CLASSES, activation="softmax"),
        ],
        name="gtsrb_v2",
    )


def gtsrb_v3(input_shape=(24, 24, 1), *, augmentation=()):
    """Build the course's third network: 5×5 kernels, batch normalisation.

    Spelled out in the chapter *GTSRB 5: many models, many data sets*.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width and channels of an image.
    augmentation : sequence of keras.layers.Layer
        Layers put right after the input, such as `companion.training.augmentation.layers()`.

    Returns
    -------
    keras.Model
        Of (N, H, W, C) images in 0 … 1 to (N, 43) probabilities.

    Examples
    --------
    >>> gtsrb_v3().count_params()
    2641835
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            *augmentation,
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(128, 5, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(GTSRB_CLASSES, activation="softmax"),
        ],
        name="gtsrb_v3",
    )


def gtsrb_small(input_shape=(24, 24, 1), *, augmentation=()):
    """Build a network of under 100,000 parameters for traffic signs.

    Global average pooling takes the place of the large dense layer, so the number of parameters
    does not depend on the size of the image. The running means of batch normalisation follow with
    momentum 0.9, since those of Keras' default, 0.99, are not there yet after a few epochs of a
    small data set. Spelled out in the chapter *GTSRB 3: monitoring and checkpoints*.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height and width, at least 8, and channels of an image.
    augmentation : sequence of keras.layers.Layer
        Layers put right after the input, such as `companion.training.augmentation.layers()`.

    Returns
    -------
    keras.Model
        Of (N, H, W, C) images in 0 … 1 to (N, 43) probabilities.

    Examples
    --------
    >>> gtsrb_small().count_params()
    93643
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            *augmentation,
            layers.Conv2D(24, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(48, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(88, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(GTSRB_CLASSES, activation="softmax"),
        ],
        name="gtsrb_small",
    )


def gtsrb_compact(input_shape=(32, 32, 3), *, width=1.0, augmentation=()):
    """Build a network of under 100,000 parameters for signs of 32×32 pixels in colour.

    Each image is first brought to mean 0 and variance 1, whatever its light. Pooling comes before
    normalisation and ReLU, which then have a quarter of the numbers to work on. Most parameters are
    in the convolutions after the second pooling, where the maps are small and arithmetic is cheap.
    A depthwise convolution as large as what is left of the image, one kernel for each map, takes
    the place of the average: it can weigh the middle of a sign otherwise than its rim. Spelled out
    in the chapter *How far one can go*. A `width` above 1 makes it larger than 100,000 parameters.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height and width, at least 32, and channels of an image.
    width : float
        What the numbers of filters are multiplied by, above 0; they are rounded, to at least 1.
    augmentation : sequence of keras.layers.Layer
        Layers put right after the input, such as `companion.training.augmentation.layers()`.

    Returns
    -------
    keras.Model
        Of (N, H, W, C) images in 0 … 1 to (N, 43) probabilities.

    Raises
    ------
    ValueError
        Where ``width`` is not a finite number above 0.

    Examples
    --------
    >>> [gtsrb_compact(width=width).count_params() for width in (1, 0.75, 0.5)]
    [97179, 56611, 26899]
    """
    if not 0 < width < float("inf"):
        raise ValueError(f"width must be a finite number > 0, got {width}")
    a, b, c, d, e, f = (max(1, round(width * n)) for n in (16, 32, 40, 56, 80, 128))

    def convolution(filters, size=3, *, pool=False):
        return [
            layers.Conv2D(filters, size, padding="same", use_bias=False),
            *([layers.MaxPooling2D(2)] if pool else []),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]

    return keras.Sequential(
        [
            layers.Input(input_shape),
            *augmentation,
            layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-5),
            *convolution(a, 5, pool=True),
            *convolution(b),
            *convolution(c, pool=True),
            *convolution(d),
            *convolution(e, pool=True),
            *convolution(f, 1),
            layers.DepthwiseConv2D(4),
            layers.Flatten(),
            layers.Dropout(0.1),
            layers.Dense(GTSRB_CLASSES, activation="softmax"),
        ],
        name="gtsrb_compact" if width == 1 else f"gtsrb_compact_{100 * width:g}",
    )
