"""Keras' layers, computed on a CPU in the way that suits a CPU.

`Conv2D`, `DepthwiseConv2D`, `MaxPooling2D`, `BatchNormalization` and `Dropout` are Keras' own
layers with the same arguments, weights and saved format; a file written with them opens as Keras'
own. Only how they compute differs, and only for JAX on a CPU: everywhere else, and for the
arguments that are not named below, they call Keras' own code. Put them in place of Keras' layers in
a network, or let `faster` do it. Taught in the chapter *How fast, and why*.

What Keras on JAX spends its time on there, and what is done here instead:

==================  =============================================  ==============================
operation           where                                          here
==================  =============================================  ==============================
maximum             windows that do not overlap, no padding, up    one bit for each place that
                    to 16 values                                   holds the maximum, not a
                                                                   second search in the gradient
convolution         stride 1, windows of up to 36 values, such as  windows as rows (im2col), one
                    3×3 on four channels                           matrix product; another for
                                                                   the gradient of the kernel
gradient of inputs  stride 1, maps of up to 16 places              matrix product, then rows
                                                                   added back into their windows
                                                                   (col2im)
gradient of kernel  stride 1, longer windows, images of more than  the inputs are computed once,
                    100 pixels                                     and kept, not a second time
                                                                   while they are transposed
gradient of a bias  of a convolution of stride 1                   what it adds up is computed
                                                                   once, not again for the
                                                                   gradient of the kernel
sum over images     also over pixels: gradients of biases; mean,   a product with ones; the
                    variance and gradients of batch normalisation  gradient of the normalisation
                    over the last axis                             written out
depthwise           kernels as large as the map                    a product of numbers, and a
                                                                   sum
dropout             always                                         random bits from a few
                                                                   multiplications, not twenty
                                                                   rounds of threefry
==================  =============================================  ==============================

All other convolutions are XLA's, which are fast where `companion.training.runtime` leaves YNNPACK
out, and slow in a loop (`jax.lax.scan`, as in `companion.training.vectorised`). The limits come
from timings of whole training steps where it is not said otherwise: in a network XLA merges
operations with their neighbours, and single operations mislead. Only reverse-mode differentiation
(`jax.grad`, as in training) passes through convolution, bias, normalisation and maximum.
"""

import functools
import math

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

# Keras writes a class under the name that it is published under, or else under its own. The
# classes below are written as the ones they stand for: the table is Keras', and only added to.
from keras.src.api_export import REGISTERED_OBJS_TO_NAMES


def _on_cpu():
    return keras.backend.backend() == "jax" and jax.default_backend() == "cpu"


def _plain(*arrays):
    """Say whether the arrays are of one dtype, float32 or float64."""
    return len({a.dtype for a in arrays}) == 1 and arrays[0].dtype in (jnp.float32, jnp.float64)


def _total(x):
    """Add up a (N, ..., C) array to (C,).

    XLA adds over several axes by a loop of its own that takes several times as long as a product
    with ones. Images are added up first, so that the sums are short: the error is a few units in
    the last place of the sum of absolute values.
    """
    count = x.shape[0]
    image = jnp.ones((1, count), x.dtype) @ x.reshape(count, math.prod(x.shape[1:]))
    return image.reshape(-1, x.shape[-1]).sum(0)


def _once(x):
    """Give x back, computed once.

    What is cheap, such as ReLU, XLA computes again in each place that reads it. In a transposition,
    which the gradient of a kernel begins with, that takes several times as long as to read it; and
    where two places read it in two shapes, all that leads to it is computed twice. Reductions that
    are read twice it computes once, so this is the larger of x and minus infinity.
    """
    first = np.array([True, False]).reshape(2, *[1] * x.ndim)
    least = np.asarray(-np.inf, x.dtype)
    return lax.reduce(jnp.where(first, x[None], least), least, lax.max, (0,))


# --- convolution: x is (N, H, W, C), kernel (kh, kw, C, F), g and the result (N, H', W', F) ---


def _pad(x, padding):
    """Put zeros around the images: ((top, bottom), (left, right)) of them."""
    lines, columns = padding
    if padding == ((0, 0), (0, 0)):
        return x
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (*lines, 0), (*columns, 0), (0, 0, 0)])


def _windows(x, kernel_size, size):
    """Lay the window of each output out as a row: (N·H'·W', kh·kw·C)."""
    (kh, kw), (height, width) = kernel_size, size
    parts = [x[:, i : i + height, j : j + width] for i in range(kh) for j in range(kw)]
    rows = jnp.concatenate(parts, axis=-1)
    return rows.reshape(-1, rows.shape[-1])


def _library(x, kernel, padding):
    # XLA's convolution pads by itself; zeros that are laid out before cost it a copy.
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# Of more values than 3×3 on four channels hold, rows were not faster.
_LARGEST_ROW = 36
# So many pixels of an image, or fewer, are transposed in no time.
_FEW_PIXELS = 100
# Up to so many places of a map, XLA's convolution may take fifty times as long for the gradient of
# inputs as a product: 90 against 1.7 ms for the last one of `models.gtsrb_v2`, alone.
_FEW_OUTPUTS = 16


def _short(kernel):
    return math.prod(kernel.shape[:3]) <= _LARGEST_ROW


def _forward(x, kernel, padding):
    if not _short(kernel):
        return _library(x, kernel, padding)
    kh, kw, _, filters = kernel.shape
    x = _pad(x, padding)
    size = (x.shape[1] - kh + 1, x.shape[2] - kw + 1)
    rows = _windows(x, (kh, kw), size)
    return (rows @ kernel.reshape(-1, filters)).reshape(x.shape[0], *size, filters)


def _kernel_gradient(x, kernel, g, padding):
    if not _short(kernel):
        return jax.vjp(lambda kernel: _library(x, kernel, padding), kernel)[1](g)[0]
    # XLA finds that these rows are those of the forward pass.
    rows = _windows(_pad(x, padding), kernel.shape[:2], g.shape[1:3])
    return (rows.T @ g.reshape(-1, g.shape[3])).reshape(kernel.shape)


def _input_gradient(x, kernel, g, padding):
    if g.shape[1] * g.shape[2] > _FEW_OUTPUTS:
        # XLA leaves it out where nobody asks for it, as for a network's first layer.
        return jax.vjp(lambda x: _library(x, kernel, padding), x)[1](g)[0]
    kh, kw, channels, filters = kernel.shape
    (top, bottom), (left, right) = padding
    rows = g.reshape(-1, filters) @ kernel.reshape(-1, filters).T
    rows = rows.reshape(*g.shape[:3], kh, kw, channels)
    padded = sum(
        _pad(rows[:, :, :, i, j], ((i, kh - 1 - i), (j, kw - 1 - j)))
        for i in range(kh)
        for j in range(kw)
    )
    return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x, kernel, padding):
    """Compute a convolution of stride 1."""
    return _forward(x, kernel, padding)


def _convolve_keep(x, kernel, padding):
    if not _short(kernel) and x.shape[1] * x.shape[2] > _FEW_PIXELS:
        x = _once(x)
    return _forward(x, kernel, padding), (x, kernel)


def _convolve_back(padding, kept, g):
    x, kernel = kept
    return _input_gradient(x, kernel, g, padding), _kernel_gradient(x, kernel, g, padding)


_convolve.defvjp(_convolve_keep, _convolve_back)


@jax.custom_vjp
def _add_bias(y, bias):
    return y + bias


def _add_bias_back(_, g):
    # The sum reads it in another shape than the kernel's gradient: XLA would compute it for each.
    g = _once(g)
    return g, _total(g)


_add_bias.defvjp(lambda y, bias: (y + bias, None), _add_bias_back)


class Conv2D(keras.layers.Conv2D):
    """Compute a 2D convolution as `keras.layers.Conv2D` does.

    Takes the same arguments. For float32 and float64, "channels_last", stride 1, without dilation
    or groups, these have a fast way: outputs and the kernel's gradient where a window holds up to
    36 values, that gradient for longer windows where an image has more than 100 pixels, the
    gradient of the inputs where a map of outputs has up to 16 places, and that of the bias.
    Results agree with Keras' to rounding. Taught in the chapter *How fast, and why*.

    Examples
    --------
    >>> Conv2D(8, 3)(np.zeros((1, 28, 28, 1), "float32")).shape
    (1, 26, 26, 8)
    """

    def _has_fast_way(self, *arrays):
        return (
            _on_cpu()
            and self.data_format == "channels_last"
            and self.strides == self.dilation_rate == (1, 1)
            and self.groups == 1
            and _plain(*arrays)
        )

    def call(self, inputs):
        """Compute the convolution, add the bias, and apply the activation."""
        given = (inputs, self.kernel, self.bias)
        if not self.use_bias or not self._has_fast_way(*map(keras.ops.convert_to_tensor, given)):
            return super().call(inputs)
        outputs = self.convolution_op(inputs, self.kernel)
        outputs = _add_bias(outputs, keras.ops.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)

    def convolution_op(self, inputs, kernel):
        """Compute the convolution alone, before bias and activation."""
        x, kernel = (keras.ops.convert_to_tensor(given) for given in (inputs, kernel))
        if not self._has_fast_way(x, kernel):
            return super().convolution_op(inputs, kernel)
        if self.padding == "same":
            # An even kernel's odd zero goes to the end, as in Keras.
            padding = tuple(((k - 1) // 2, k // 2) for k in self.kernel_size)
        else:
            padding = ((0, 0), (0, 0))
        return _convolve(x, kernel, padding)


class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Compute a depthwise convolution as `keras.layers.DepthwiseConv2D` does.

    Takes the same arguments. The fast way is for float32 and float64, "channels_last", without
    padding or dilation, where a kernel is as large as the map and so has a single place to stand.
    Results agree with Keras' to rounding. Taught in the chapter *How fast, and why*.

    Examples
    --------
    >>> DepthwiseConv2D(4)(np.zeros((1, 4, 4, 3), "float32")).shape
    (1, 1, 1, 3)
    """

    def call(self, inputs):
        """Compute the convolution, add the bias, and apply the activation."""
        x, kernel = (keras.ops.convert_to_tensor(given) for given in (inputs, self.kernel))
        if not (
            _on_cpu()
            and self.data_format == "channels_last"
            and self.padding == "valid"
            and self.dilation_rate == (1, 1)
            and x.shape[1:3] == self.kernel_size
            and _plain(x, kernel)
        ):
            return super().call(inputs)
        outputs = (x[..., None] * kernel).sum((1, 2), keepdims=True)
        outputs = outputs.reshape(-1, 1, 1, kernel.shape[2] * kernel.shape[3])
        if self.use_bias:
            outputs = outputs + keras.ops.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)


# --- batch normalisation over the last axis: x is (..., C) ------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalise(x, gamma, beta, epsilon):
    """Normalise by a batch's own mean and variance; give these, too, which have no gradient."""
    return _normalise_keep(x, gamma, beta, epsilon)[0]


def _normalise_keep(x, gamma, beta, epsilon):
    count = x.size // x.shape[-1]
    mean = _total(x) / count
    variance = _total((x - mean) ** 2) / count
    inverse = lax.rsqrt(variance + epsilon)
    factor = gamma * inverse
    return (x * factor + (beta - mean * factor), mean, variance), (x, gamma, mean, inverse)


def _normalise_back(epsilon, kept, gradients):
    (x, gamma, mean, inverse), g = kept, gradients[0]
    count = x.size // x.shape[-1]
    of_beta = _total(g)
    of_gamma = _total(g * (x - mean)) * inverse
    # gamma / deviation * (g - mean of g - normalised x * mean of (g * normalised x))
    factor = gamma * inverse
    slope = factor * inverse * of_gamma / count
    of_x = (g - of_beta / count) * factor - (x - mean) * slope
    return of_x, of_gamma, of_beta


_normalise.defvjp(_normalise_keep, _normalise_back)


class BatchNormalization(keras.layers.BatchNormalization):
    """Normalise by the mean and variance of a batch as `keras.layers.BatchNormalization` does.

    Takes the same arguments. The fast way is for training with float32 or float64 over the last
    axis, without a mask or ``renorm``. Results and running means agree with Keras' to rounding.
    Taught in the chapter *How fast, and why*.

    Examples
    --------
    >>> BatchNormalization()(np.zeros((2, 4, 4, 3), "float32"), training=True).shape
    (2, 4, 4, 3)
    """

    def call(self, inputs, training=None, mask=None):
        """Normalise by the batch while training, by the running means otherwise."""
        x = keras.ops.convert_to_tensor(inputs)
        weights = [
            None if weight is None else keras.ops.convert_to_tensor(weight)
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        ]
        if not (
            _on_cpu()
            and training
            and self.trainable
            and mask is None
            and not self.renorm
            and self.axis in (-1, x.ndim - 1)
            and _plain(x, *(weight for weight in weights if weight is not None))
        ):
            return super().call(inputs, training=training, mask=mask)
        gamma, beta, moving_mean, moving_variance = weights
        gamma = jnp.ones(x.shape[-1:], x.dtype) if gamma is None else gamma
        beta = jnp.zeros(x.shape[-1:], x.dtype) if beta is None else beta
        outputs, mean, variance = _normalise(x, gamma, beta, self.epsilon)
        keep = self.momentum
        self.moving_mean.assign(moving_mean * keep + lax.stop_gradient(mean) * (1 - keep))
        self.moving_variance.assign(
            moving_variance * keep + lax.stop_gradient(variance) * (1 - keep)
        )
        return keras.ops.cast(outputs, self.compute_dtype)


# --- the largest of each window: x is (N, H, W, C), the result (N, H/ph, W/pw, C) -------------

# A number has 32 bits, one for each place of a window; more than 16 were not timed.
_LARGEST_WINDOW = 16


def _first_larger(a, b):
    """Take the larger of two, or one that is not a number.

    XLA knows the maximum by name and then hands the reduction to a library that is slow at this
    shape; spelled like this it compiles one loop, together with what comes before.
    """
    return jnp.where((a > b) | (a != a), a, b)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _largest(x, window):
    # Without a gradient there is nothing to keep, and XLA's own is fast.
    size = (1, *window, 1)
    return lax.reduce_window(x, np.asarray(-np.inf, x.dtype), lax.max, size, size, "VALID")


def _largest_keep(x, window):
    n, h, w, c = x.shape
    ph, pw = window
    lines = x.reshape(n, h // ph, ph, w, c)
    columns = [lines[:, :, :, j::pw] for j in range(pw)]
    # XLA computes reductions once and keeps them. What is not reduced it would compute again in
    # each place that reads it, and in the gradient once for each value of a window.
    largest = functools.reduce(jnp.maximum, columns)
    largest = lax.reduce(largest, np.asarray(-np.inf, x.dtype), _first_larger, (2,))
    bits = 0
    for j, column in enumerate(columns):
        bit = np.array([1 << (i * pw + j) for i in range(ph)], np.uint32).reshape(1, 1, ph, 1, 1)
        bits = bits | jnp.where(column == largest[:, :, None], bit, np.uint32(0))
    return largest, lax.reduce_or(bits, (2,))


def _largest_back(window, bits, g):
    n, h, w, c = g.shape
    ph, pw = window
    place = np.arange(ph * pw).reshape(1, 1, ph, 1, pw, 1)
    own, up_to_own = ((1 << place).astype(np.uint32), ((2 << place) - 1).astype(np.uint32))
    # Of equal values the first gets the gradient, as in XLA's own.
    first = (bits.reshape(n, h, 1, w, 1, c) & up_to_own) == own
    spread = jnp.where(first, g.reshape(n, h, 1, w, 1, c), jnp.zeros((), g.dtype))
    return (spread.reshape(n, h * ph, w * pw, c),)


_largest.defvjp(_largest_keep, _largest_back)


class MaxPooling2D(keras.layers.MaxPooling2D):
    """Take the maximum of each window as `keras.layers.MaxPooling2D` does.

    Takes the same arguments. The fast way is for float32 and float64, "channels_last", windows of
    at most 16 values that do not overlap, without padding; results and gradients are Keras' bit
    for bit, also where a window holds its maximum more than once. Taught in the chapter
    *How fast, and why*.

    Examples
    --------
    >>> MaxPooling2D(2)(np.zeros((1, 5, 5, 3), "float32")).shape
    (1, 2, 2, 3)
    """

    def call(self, inputs):
        """Take the maximum of each window."""
        if not (
            _on_cpu()
            and self.data_format == "channels_last"
            and self.padding == "valid"
            and self.strides == self.pool_size
            and math.prod(self.pool_size) <= _LARGEST_WINDOW
        ):
            return super().call(inputs)
        x = jnp.asarray(inputs)
        ph, pw = self.pool_size
        if not _plain(x) or x.shape[1] < ph or x.shape[2] < pw:
            return super().call(inputs)
        # What does not fill a window at the end is left out, as in Keras.
        return _largest(x[:, : x.shape[1] // ph * ph, : x.shape[2] // pw * pw], self.pool_size)


# --- dropout ----------------------------------------------------------------------------------


def _mixed(bits):
    """Mix 32 bits: the last step of MurmurHash3, after which each bit hangs on all."""
    bits = (bits ^ (bits >> 16)) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * np.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)


def _random_bits(key, shape):
    """Draw 32 bits for each element: its number, mixed with two pairs of words of the key."""
    first, second = jnp.split(jax.random.bits(key, (2, 2), jnp.uint32), 2, axis=1)
    number = lax.iota(jnp.uint32, math.prod(shape))[None]
    words = _mixed((number ^ first) * np.uint32(0x9E3779B1) + second)
    # As a reduction XLA computes them once, and not again for the gradient.
    return lax.reduce_xor(words, (0,)).reshape(shape)


class Dropout(keras.layers.Dropout):
    """Drop elements at random while training, as `keras.layers.Dropout` does.

    Takes the same arguments, and the state of its seed goes on as in Keras: runs repeat and resume
    bit for bit. From one seed other elements are dropped than by Keras, with the same probability.
    With ``noise_shape`` it is Keras'. Taught in the chapter *How fast, and why*.

    Examples
    --------
    >>> Dropout(0.5, seed=1)(np.ones((2, 3), "float32")).shape
    (2, 3)
    """

    def call(self, inputs, training=False):
        """Drop while training; give the inputs back otherwise."""
        if not (training and 0 < self.rate < 1 and self.noise_shape is None and _on_cpu()):
            return super().call(inputs, training=training)
        x = jnp.asarray(inputs)
        bits = _random_bits(self.seed_generator.next(), x.shape)
        kept = bits >= np.uint32(min(round(self.rate * 2**32), 2**32 - 1))
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros((), x.dtype))


FAST = {
    keras.layers.Conv2D: Conv2D,
    keras.layers.DepthwiseConv2D: DepthwiseConv2D,
    keras.layers.MaxPooling2D: MaxPooling2D,
    keras.layers.BatchNormalization: BatchNormalization,
    keras.layers.Dropout: Dropout,
}
for _stock, _own in FAST.items():
    REGISTERED_OBJS_TO_NAMES[_own] = REGISTERED_OBJS_TO_NAMES[_stock]


def _is_input(layer):
    return isinstance(layer, keras.layers.InputLayer)


def faster(model):
    """Copy a network with the layers of this module in place of Keras' own.

    Taught in the chapter *How fast, and why*.

    Parameters
    ----------
    model : keras.Model
        A `Sequential` or functional network, built. Layers of other classes are copied as they
        are.

    Returns
    -------
    keras.Model
        The same network, with the same names and weights; compile it to train it.

    Examples
    --------
    >>> model = keras.Sequential([keras.layers.Input((9, 9, 1)), keras.layers.Conv2D(2, 3)])
    >>> isinstance(faster(model).layers[0], Conv2D)
    True
    """

    def clone(layer):
        return FAST.get(type(layer), type(layer)).from_config(layer.get_config())

    inputs = None
    if not isinstance(model, keras.Sequential):
        # Keras would name the copies of the inputs anew, and a weights file holds the names.
        names = {id(layer.output): layer.name for layer in model.layers if _is_input(layer)}
        inputs = keras.tree.map_structure(
            lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=names[id(t)]),
            model.input,
        )
    copy = keras.models.clone_model(model, input_tensors=inputs, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
