"""Random changes of images that leave their class alone, as layers of the network.

They work while the network is trained, within the compiled step, and pass images on untouched
otherwise. Their random state is a variable of the model, so that a checkpoint holds it.

Keras has layers of this kind, and none is used here, for what was found in Keras 3.15 on JAX:

- `RandomTranslation`, `RandomZoom`, `RandomShear` and `RandomRotation` declare that they cannot be
  compiled, and then nothing of the model is; each resamples the image anew, too.
- All of them change images whenever ``training`` is not given: in ``model(x)``, too, and in a
  model made of some of its layers, where dropout, say, is off.
- `RandomContrast` never lowers the contrast, unless it is given a pair of numbers.
- `RandomGaussianBlur` draws one strength for a whole batch.
"""

import math

import keras
import numpy as np
from keras import ops


def layers(
    *,
    shift=0.08,
    zoom=0.12,
    shear=0.1,
    rotation=8.0,
    brightness=0.15,
    contrast=0.3,
    blur=0.6,
    saturation=0.0,
    tint=0.0,
    shade=0.0,
    strength=1,
    seed=None,
):
    """Make the layers that change training images at random.

    Each image of a batch is changed by an amount of its own, drawn uniformly within the bounds
    given here; 0 leaves a change out. The defaults are meant for traffic signs of 24 to 48
    pixels. Put the list right after the input of one model, as
    ``models.gtsrb_small(augmentation=layers(seed=0))`` does; a second model needs a list of its
    own. Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    shift : float
        Share of the width and of the height, in 0 … 1: each way at most.
    zoom : float
        The sign becomes 1 - `zoom` to 1 + `zoom` times as large; in 0 … 1, 1 excluded.
    shear : float
        A row moves sideways by at most this many times its distance from the middle, a column up
        or down likewise; in 0 … 1, 1 excluded.
    rotation : float
        Degrees, each way at most, in 0 … 180.
    brightness : float
        Added to all values of an image, or taken off, at most; in 0 … 1. Values stay in 0 … 1.
    contrast : float
        Differences from the mean of an image become 1 - `contrast` to 1 + `contrast` times as
        large; in 0 … 1. Values stay in 0 … 1.
    blur : float
        Standard deviation, at most, of the Gaussian that an image is blurred with; in pixels,
        0 … 5.
    saturation : float
        Differences of a pixel's channels from their mean become 1 - `saturation` to
        1 + `saturation` times as large; in 0 … 1. Values stay in 0 … 1.
    tint : float
        Each channel of an image becomes 1 - `tint` to 1 + `tint` times as bright; in 0 … 1. Values
        stay in 0 … 1.
    shade : float
        Natural logarithm, at most, of how many times as bright or dark an image becomes from its
        middle to the middle of each edge, and twice that in a corner; in 0 … 5. Values stay in
        0 … 1.
    strength : float
        All amounts above are multiplied by it, and then have to be in their range; at least 0.
    seed : int, optional
        Of all layers, each drawing from a state of its own; by default from the seed that
        ``keras.utils.set_random_seed`` set, or none.

    Returns
    -------
    list of keras.layers.Layer
        Each of (N, H, W, C) images in 0 … 1 to images of the same shape, in 0 … 1.

    Raises
    ------
    ValueError
        If an amount or the seed is out of its range.

    Examples
    --------
    >>> [type(layer).__name__ for layer in layers(seed=0)]
    ['RandomAffine', 'RandomBlur', 'RandomLight']
    >>> layers(shift=0, zoom=0, shear=0, rotation=0, brightness=0, contrast=0, blur=0)
    []
    """
    if not strength >= 0:
        raise ValueError(f"strength must be >= 0, got {strength}")
    affine_seed, blur_seed, light_seed, colour_seed, shade_seed = _seeds(seed, 5)
    geometric = {"shift": shift, "zoom": zoom, "shear": shear, "rotation": rotation}
    geometric = {name: strength * amount for name, amount in geometric.items()}
    light = {"brightness": strength * brightness, "contrast": strength * contrast}
    colour = {"saturation": strength * saturation, "tint": strength * tint}
    blur, shade = strength * blur, strength * shade
    # Made even where one changes nothing, so that its arguments are checked.
    made = [
        (any(colour.values()), RandomColour(**colour, seed=colour_seed)),
        (shade, RandomShade(shade, seed=shade_seed)),
        (any(geometric.values()), RandomAffine(**geometric, seed=affine_seed)),
        (blur, RandomBlur(blur, seed=blur_seed)),
        (any(light.values()), RandomLight(**light, seed=light_seed)),
    ]
    return [layer for wanted, layer in made if wanted]


def affine_matrix(height, width, *, zoom=1.0, shear=(0.0, 0.0), rotation=0.0, shift=(0.0, 0.0)):
    """Give the matrix that says where each pixel of a changed image comes from.

    The image is zoomed, sheared and rotated about its middle, in this order, and then shifted.
    The value at column x and row y of the result is that of the original at ``M @ (x, y, 1)``:
    the matrix leads back from the result to the original, so that each pixel of the result has
    a value. Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    zoom : float or (N,)
        Above 1 enlarges.
    shear : pair of float or (N,)
        How far columns x and rows y move for each pixel of distance from the middle: the point
        (x, y) goes to (x + shear[0]·y, y + shear[1]·x). Their product is not 1.
    rotation : float or (N,)
        Degrees; clockwise as the image is seen.
    shift : pair of float or (N,)
        To the right and down, in pixels.

    Returns
    -------
    tensor, (N, 2, 3)
        One matrix for each image; N = 1 if all arguments are single numbers.

    Examples
    --------
    Shifted by 2 to the right and 1 up, the pixel at column 10 and row 5 comes from (8, 6):

    >>> np.asarray(affine_matrix(24, 24, shift=(2, -1)))[0] @ (10, 5, 1)
    array([8., 6.])
    """
    zoom, angle = _row(zoom), _row(rotation) * (math.pi / 180)
    (shear_x, shear_y), (shift_x, shift_y) = map(_row, shear), map(_row, shift)
    cos, sin = ops.cos(angle), ops.sin(angle)
    scale = 1 / (zoom * (1 - shear_x * shear_y))
    # The inverses of the three steps, the last one first: un-rotate, un-shear, un-zoom.
    xx, xy = scale * (cos + shear_x * sin), scale * (sin - shear_x * cos)
    yx, yy = -scale * (sin + shear_y * cos), scale * (cos - shear_y * sin)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = middle_x + shift_x, middle_y + shift_y
    x0 = middle_x - xx * from_x - xy * from_y
    y0 = middle_y - yx * from_x - yy * from_y
    xx, xy, x0, yx, yy, y0 = _alike(xx, xy, x0, yx, yy, y0)
    return ops.stack([ops.stack([xx, xy, x0], axis=1), ops.stack([yx, yy, y0], axis=1)], axis=1)


def resample(images, matrices):
    """Read images at other places, as the matrices say, between pixels too.

    Bilinear; beyond the edge the nearest pixel's value holds. Taught in the chapter
    *GTSRB 4: augmentation*.

    Parameters
    ----------
    images : tensor, (N, H, W, C)
        In any units.
    matrices : tensor, (N, 2, 3)
        As `affine_matrix` gives them; a single one serves for all images.

    Returns
    -------
    tensor, (N, H, W, C)

    Examples
    --------
    >>> row = np.array([1, 2, 3], dtype="float32").reshape(1, 1, 3, 1)
    >>> np.asarray(resample(row, affine_matrix(1, 3, shift=(0.5, 0)))).ravel()
    array([1. , 1.5, 2.5], dtype=float32)
    """
    images = ops.convert_to_tensor(images)
    count = ops.shape(images)[0]
    flat = ops.reshape(matrices, (-1, 6))
    if flat.shape[0] == 1:
        flat = ops.broadcast_to(flat, (count, 6))
    moved = ops.image.affine_transform(
        images,
        ops.concatenate([flat, ops.zeros((count, 2), dtype="float32")], axis=1),
        interpolation="bilinear",
        fill_mode="nearest",
        data_format="channels_last",
    )
    return ops.cast(moved, images.dtype)


class _Random(keras.layers.Layer):
    """Change images while training; a subclass says how in `change`."""

    def __init__(self, *, seed, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    # Off unless asked for: Keras fills in this default where nothing says that it trains.
    def call(self, images, training=False):
        """Change the images while training, and pass them on otherwise."""
        return self.change(images) if training else images

    def compute_output_shape(self, input_shape):
        """Give the shape of the output, which is that of the input."""
        return input_shape

    def get_config(self):
        """Give what the layer is made from."""
        amounts = {name: getattr(self, name) for name in self.amounts}
        return {**super().get_config(), **amounts, "seed": self.seed}


@keras.saving.register_keras_serializable("companion")
class RandomAffine(_Random):
    """Shift, zoom, shear and rotate each image at random, in one resampling.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    shift, zoom, shear, rotation : float
        As for `layers`.
    seed : int, optional
        By default from the seed that ``keras.utils.set_random_seed`` set, or none.

    Raises
    ------
    ValueError
        If an amount is out of its range.

    Examples
    --------
    >>> images = np.random.default_rng(0).random((2, 24, 24, 1), dtype="float32")
    >>> layer = RandomAffine(shift=0.1, seed=0)
    >>> bool((layer(images) == images).all())
    True
    >>> bool((layer(images, training=True) == images).all())
    False
    """

    amounts = ("shift", "zoom", "shear", "rotation")

    def __init__(self, shift=0.0, zoom=0.0, shear=0.0, rotation=0.0, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.shift = _checked("shift", shift, 1)
        self.zoom = _checked("zoom", zoom, 1, included=False)
        self.shear = _checked("shear", shear, 1, included=False)
        self.rotation = _checked("rotation", rotation, 180)

    def draw(self, count, height, width):
        """Draw the changes of the next batch.

        Parameters
        ----------
        count : int
            Images of the batch.
        height, width : int
            Of an image, in pixels.

        Returns
        -------
        dict
            Arguments of `affine_matrix`, each drawn for every image.
        """
        drawn = keras.random.uniform((6, count), -1, 1, seed=self.seed_generator)
        return {
            "zoom": 1 + self.zoom * drawn[0],
            "shear": (self.shear * drawn[1], self.shear * drawn[2]),
            "rotation": self.rotation * drawn[3],
            "shift": (self.shift * width * drawn[4], self.shift * height * drawn[5]),
        }

    def change(self, images):
        """Draw for each image, and resample it."""
        count, height, width, _ = ops.shape(images)
        drawn = self.draw(count, height, width)
        return resample(images, affine_matrix(height, width, **drawn))


@keras.saving.register_keras_serializable("companion")
class RandomBlur(_Random):
    """Blur each image at random with a Gaussian of its own width.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    blur : float
        As for `layers`.
    seed : int, optional
        By default from the seed that ``keras.utils.set_random_seed`` set, or none.

    Raises
    ------
    ValueError
        If `blur` is out of its range.

    Examples
    --------
    >>> images = np.zeros((1, 9, 9, 1), dtype="float32")
    >>> images[0, 4, 4] = 1
    >>> blurred = np.asarray(RandomBlur(1.0, seed=0)(images, training=True))
    >>> f"{blurred.max():.2f} {blurred.sum():.2f}"
    '0.18 1.00'
    """

    amounts = ("blur",)

    def __init__(self, blur, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.blur = _checked("blur", blur, 5)

    def draw(self, count):
        """Draw the standard deviations of the next batch, in pixels."""
        return keras.random.uniform((count,), 0, self.blur, seed=self.seed_generator)

    def change(self, images):
        """Draw for each image, and blur it, first along columns, then along rows."""
        count, height, width, _ = ops.shape(images)
        radius = min(max(1, math.ceil(3 * self.blur)), height, width)
        offsets = np.arange(-radius, radius + 1, dtype="float32")
        # Near 0 the Gaussian is a single pixel; the floor keeps the division finite.
        sigma = ops.maximum(self.draw(count), 1e-2)[:, None]
        weights = ops.exp(-0.5 * (offsets / sigma) ** 2)
        weights = weights / ops.sum(weights, axis=1, keepdims=True)
        weights = ops.cast(weights, images.dtype)[:, :, None, None, None]
        padding = [[0, 0], [radius, radius], [radius, radius], [0, 0]]
        blurred = ops.pad(images, padding, mode="symmetric")
        taps = range(2 * radius + 1)
        blurred = sum(weights[:, k] * blurred[:, k : k + height] for k in taps)
        return sum(weights[:, k] * blurred[:, :, k : k + width] for k in taps)


@keras.saving.register_keras_serializable("companion")
class RandomLight(_Random):
    """Change contrast and brightness of each image at random.

    Taught in the chapter *GTSRB 4: augmentation*.

    Parameters
    ----------
    brightness, contrast : float
        As for `layers`.
    seed : int, optional
        By default from the seed that ``keras.utils.set_random_seed`` set, or none.

    Raises
    ------
    ValueError
        If an amount is out of its range.

    Examples
    --------
    >>> images = np.array([[0.4, 0.6]], dtype="float32").reshape(1, 1, 2, 1)
    >>> np.asarray(RandomLight(brightness=0.3, seed=0)(images, training=True)).ravel().round(2)
    array([0.69, 0.89], dtype=float32)
    """

    amounts = ("brightness", "contrast")

    def __init__(self, brightness=0.0, contrast=0.0, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.brightness = _checked("brightness", brightness, 1)
        self.contrast = _checked("contrast", contrast, 1)

    def draw(self, count):
        """Draw the factors of contrast, and what is added, of the next batch."""
        drawn = keras.random.uniform((2, count), -1, 1, seed=self.seed_generator)
        return 1 + self.contrast * drawn[0], self.brightness * drawn[1]

    def change(self, images):
        """Draw for each image, and change its values."""
        factor, added = (
            ops.cast(drawn, images.dtype)[:, None, None, None]
            for drawn in self.draw(ops.shape(images)[0])
        )
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return ops.clip(mean + factor * (images - mean) + added, 0, 1)


@keras.saving.register_keras_serializable("companion")
class RandomColour(_Random):
    """Change the colours of each image at random: how strong they are, and in what light.

    Parameters
    ----------
    saturation, tint : float
        As for `layers`.
    seed : int, optional
        By default from the seed that ``keras.utils.set_random_seed`` set, or none.

    Raises
    ------
    ValueError
        If an amount is out of its range.

    Examples
    --------
    >>> images = np.array([0.2, 0.4, 0.6], dtype="float32").reshape(1, 1, 1, 3)
    >>> np.asarray(RandomColour(saturation=0.9, seed=0)(images, training=True)).ravel().round(2)
    array([0.04, 0.4 , 0.76], dtype=float32)
    """

    amounts = ("saturation", "tint")

    def __init__(self, saturation=0.0, tint=0.0, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.saturation = _checked("saturation", saturation, 1)
        self.tint = _checked("tint", tint, 1)

    def draw(self, count, channels):
        """Draw the factors of saturation (N,), and of each channel (N, C), of the next batch."""
        drawn = keras.random.uniform((count, 1 + channels), -1, 1, seed=self.seed_generator)
        return 1 + self.saturation * drawn[:, 0], 1 + self.tint * drawn[:, 1:]

    def change(self, images):
        """Draw for each image, and change its channels."""
        count, _, _, channels = ops.shape(images)
        saturation, tint = (ops.cast(d, images.dtype) for d in self.draw(count, channels))
        grey = ops.mean(images, axis=3, keepdims=True)
        changed = grey + saturation[:, None, None, None] * (images - grey)
        return ops.clip(changed * tint[:, None, None, :], 0, 1)


@keras.saving.register_keras_serializable("companion")
class RandomShade(_Random):
    """Make each image brighter towards one side, and darker towards the other, at random.

    Parameters
    ----------
    shade : float
        As for `layers`.
    seed : int, optional
        By default from the seed that ``keras.utils.set_random_seed`` set, or none.

    Raises
    ------
    ValueError
        If `shade` is out of its range.

    Examples
    --------
    >>> images = np.full((1, 1, 3, 1), 0.5, dtype="float32")
    >>> np.asarray(RandomShade(0.5, seed=0)(images, training=True)).ravel().round(2)
    array([0.32, 0.5 , 0.78], dtype=float32)
    """

    amounts = ("shade",)

    def __init__(self, shade, *, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.shade = _checked("shade", shade, 5)

    def draw(self, count):
        """Draw the logarithms at the right and at the lower edge, (2, N), of the next batch."""
        return keras.random.uniform((2, count), -1, 1, seed=self.seed_generator) * self.shade

    def change(self, images):
        """Draw for each image, and change its light across the image."""
        count, height, width, _ = ops.shape(images)
        right, down = (ops.cast(d, images.dtype)[:, None, None] for d in self.draw(count))
        # Symmetric about the middle, also where a side is one pixel long.
        across, along = (
            ops.cast(np.linspace(-1, 1, n) if n > 1 else np.zeros(1), images.dtype)
            for n in (width, height)
        )
        exponent = right * across[None, None, :] + down * along[None, :, None]
        return ops.clip(images * ops.exp(exponent)[..., None], 0, 1)


def _row(value):
    return ops.reshape(ops.convert_to_tensor(value, dtype="float32"), (-1,))


def _alike(*rows):
    count = max(row.shape[0] for row in rows)
    return [ops.broadcast_to(row, (count,)) for row in rows]


def _seeds(seed, count):
    """Give each layer a seed of its own: with one seed they would draw the same numbers."""
    if seed is None:
        return [None] * count
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}")
    # Halved, since some backends keep seeds as signed integers.
    return [int(state) // 2 for state in np.random.SeedSequence(seed).generate_state(count)]


def _checked(name, value, most, *, included=True):
    if not (0 <= value <= most if included else 0 <= value < most):
        excluded = "" if included else f", {most} excluded"
        raise ValueError(f"{name} must lie in 0 … {most}{excluded}, got {value}")
    return value
