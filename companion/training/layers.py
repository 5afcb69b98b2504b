"""Keras' layers, computed on a CPU in the way that suits a CPU.

`Conv2D`, `MaxPooling2D` and `Dropout` are Keras' own layers with the same arguments, weights and
saved format; a file written with them opens as Keras' own. Only how they compute differs, and
only for JAX on a CPU: everywhere else, and for the arguments that are not named below, they call
Keras' own code. Put them in place of Keras' layers in a network, or let `faster` do it. Taught in
the chapter *How fast, and why*.

What Keras on JAX spends its time on there, and what is done here instead:

===================  =============================================  ==============================
operation            where                                          here
===================  =============================================  ==============================
maximum              windows that do not overlap, no padding, up    one bit for each place that
                     to 16 values                                   holds the maximum, not a second
                                                                    search in the gradient
convolution          stride 1, windows of up to 36 values, such as  windows as rows (im2col), one
                     3×3 on four channels                           matrix product
gradient of inputs   stride 1, maps of up to 16 places              matrix product, then rows
                                                                    added back into their windows
                                                                    (col2im)
dropout              always                                         random bits from a few
                                                                    multiplications, not twenty
                                                                    rounds of threefry
===================  =============================================  ==============================

All other convolutions are XLA's, which are fast where `companion.training.runtime` leaves YNNPACK
out, and slow in a loop (`jax.lax.scan`, as in `companion.training.vectorised`). The limits come
from timings of whole training steps where it is not said otherwise: in a network XLA merges
operations with their neighbours, and single operations mislead. Only reverse-mode differentiation
(`jax.grad`, as in training) passes through convolution and maximum.
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
# Up to so many places of a map, XLA's convolution may take fifty times as long for the gradient of
# inputs as a product: 90 against 1.7 ms for the last one of `models.gtsrb_v2`, alone.
_FEW_OUTPUTS = 16


def _forward(x, kernel, padding):
    kh, kw, channels, filters = kernel.shape
    if kh * kw * channels > _LARGEST_ROW:
        return _library(x, kernel, padding)
    x = _pad(x, padding)
    size = (x.shape[1] - kh + 1, x.shape[2] - kw + 1)
    rows = _windows(x, (kh, kw), size)
    return (rows @ kernel.reshape(-1, filters)).reshape(x.shape[0], *size, filters)


def _input_gradient(kernel, g, padding):
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
    return _forward(x, kernel, padding), (x, kernel)


def _convolve_back(padding, kept, g):
    x, kernel = kept
    if g.shape[1] * g.shape[2] > _FEW_OUTPUTS:
        # XLA leaves the first out where nobody asks for it, as for a network's first layer.
        return jax.vjp(lambda x, kernel: _library(x, kernel, padding), x, kernel)[1](g)
    (of_kernel,) = jax.vjp(lambda kernel: _library(x, kernel, padding), kernel)[1](g)
    return _input_gradient(kernel, g, padding), of_kernel


_convolve.defvjp(_convolve_keep, _convolve_back)


class Conv2D(keras.layers.Conv2D):
    """Compute a 2D convolution as `keras.layers.Conv2D` does.

    Takes the same arguments. Two things have a fast way, for float32 and float64, "channels_last",
    stride 1, without dilation or groups: the outputs where a window holds up to 36 values, and the
    gradient of the inputs where a map of outputs has up to 16 places. Results agree with Keras' to
    rounding. Taught in the chapter *How fast, and why*.

    Examples
    --------
    >>> Conv2D(8, 3)(np.zeros((1, 28, 28, 1), "float32")).shape
    (1, 26, 26, 8)
    """

    def convolution_op(self, inputs, kernel):
        """Compute the convolution alone, before bias and activation."""
        if not (
            _on_cpu()
            and self.data_format == "channels_last"
            and self.strides == self.dilation_rate == (1, 1)
            and self.groups == 1
        ):
            return super().convolution_op(inputs, kernel)
        x, kernel = jnp.asarray(inputs), keras.ops.convert_to_tensor(kernel)
        if not _plain(x, kernel):
            return super().convolution_op(inputs, kernel)
        if self.padding == "same":
            # An even kernel's odd zero goes to the end, as in Keras.
            padding = tuple(((k - 1) // 2, k // 2) for k in self.kernel_size)
        else:
            padding = ((0, 0), (0, 0))
        return _convolve(x, kernel, padding)


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
    keras.layers.MaxPooling2D: MaxPooling2D,
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
