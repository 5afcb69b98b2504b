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
convolution          3×3, stride 1, from 32 channels on, images     Winograd's: 16 products for four
                     from 9×9 on                                    outputs that take 36
convolution          stride 1, from 96 channels on, smaller         windows as rows (im2col), one
                     images, while training                         matrix product
gradient of kernels  stride 1, up to 16 channels, or from 64 on     windows as rows, one matrix
                                                                    product
gradient of kernels  stride 1, up to 16 channels and 16 filters,    whole lines of the image as
                     images up to 32 wide                           rows, one matrix product for
                                                                    each line of the kernel
gradient of inputs   stride 1, up to 16 outputs a channel           matrix product, then rows
                                                                    added back into their windows
                                                                    (col2im)
dropout              always                                         random bits from a few
                                                                    multiplications, not twenty
                                                                    rounds of threefry
===================  =============================================  ==============================

The limits come from timings of whole training steps, not of single operations, which mislead: in
a network XLA merges operations with their neighbours. Only reverse-mode differentiation
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


def _transposed_product(a, b):
    """Compute the product of the transpose of a, (K, M), and b, (K, N)."""
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def _library(x, kernel, padding):
    # XLA's convolution pads by itself; zeros that are laid out before cost it a copy.
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# Winograd's F(2×2, 3×3): Lavin and Gray, "Fast algorithms for convolutional neural networks"
# (2016), equation 8. Each says how its outputs are made of its inputs, along one axis.
_OF_IMAGE = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_OF_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OF_PRODUCTS = ((1, 1, 1, 0), (0, 1, -1, -1))


def _combined(signs, parts):
    """Add and subtract arrays as each line of signs, of -1, 0 and 1, says."""
    lines = (
        [part if sign > 0 else -part for sign, part in zip(line, parts, strict=True) if sign]
        for line in signs
    )
    return [functools.reduce(jnp.add, line) for line in lines]


def _along_both(signs, grid):
    """Combine a square grid of arrays along its columns, then along its lines."""
    half = [_combined(signs, line) for line in grid]
    return list(zip(*[_combined(signs, column) for column in zip(*half, strict=True)], strict=True))


def _winograd(x, kernel, padding):
    """Compute a 3×3 convolution, four outputs (2×2) from each 4×4 piece of an image."""
    _, _, channels, filters = kernel.shape
    (top, bottom), (left, right) = padding
    height, width = x.shape[1] + top + bottom - 2, x.shape[2] + left + right - 2
    # An odd size is computed one larger, of zeros.
    x = _pad(x, ((top, bottom + height % 2), (left, right + width % 2)))
    lines, columns = -(-height // 2), -(-width // 2)
    corners = [[x[:, i::2, j::2][:, :lines, :columns] for j in range(4)] for i in range(4)]
    pieces = jnp.stack(sum(_along_both(_OF_IMAGE, corners), ()))
    matrix = jnp.asarray(_OF_KERNEL, kernel.dtype)
    kernels = jnp.einsum("ai,bj,ijcf->abcf", matrix, matrix, kernel)
    products = jnp.matmul(
        pieces.reshape(16, -1, channels), kernels.reshape(16, channels, filters)
    ).reshape(4, 4, x.shape[0], lines, columns, filters)
    found = _along_both(_OF_PRODUCTS, [list(line) for line in products])
    found = jnp.stack([jnp.stack(line, axis=3) for line in found], axis=2)
    return found.reshape(x.shape[0], 2 * lines, 2 * columns, filters)[:, :height, :width]


def _suits_winograd(x, kernel):
    kh, kw, channels, _ = kernel.shape
    return (kh, kw) == (3, 3) and channels >= 32 and min(x.shape[1:3]) >= 9


def _alone(x, kernel, padding):
    """Compute a convolution that nobody asks a gradient of."""
    way = _winograd if _suits_winograd(x, kernel) else _library
    return way(x, kernel, padding)


def _forward(x, kernel, padding):
    kh, kw, channels, filters = kernel.shape
    if channels < 96 or _suits_winograd(x, kernel):
        return _alone(x, kernel, padding)
    x = _pad(x, padding)
    size = (x.shape[1] - kh + 1, x.shape[2] - kw + 1)
    rows = _windows(x, (kh, kw), size)
    return (rows @ kernel.reshape(-1, filters)).reshape(x.shape[0], *size, filters)


def _kernel_gradient(x, kernel, g, padding):
    kh, kw, channels, filters = kernel.shape
    if 16 < channels < 64:
        return jax.vjp(lambda kernel: _library(x, kernel, padding), kernel)[1](g)[0]
    x = _pad(x, padding)
    if channels <= 16 and filters <= 16 and x.shape[2] <= 32:
        return _kernel_gradient_by_lines(x, kernel, g)
    rows = _windows(x, (kh, kw), g.shape[1:3])
    return _transposed_product(rows, g.reshape(-1, filters)).reshape(kernel.shape)


def _kernel_gradient_by_lines(x, kernel, g):
    """Multiply whole lines: more arithmetic, but in one product of a size that runs fast.

    Of all pairs of a place in a line of x and one in a line of g, the kernel's gradient is the sum
    of those that lie 0 … kw - 1 apart.
    """
    kh, kw, channels, filters = kernel.shape
    batch, height, width, _ = g.shape
    lines, places, found = g.reshape(batch * height, -1), np.arange(width), []
    for i in range(kh):
        pairs = _transposed_product(x[:, i : i + height].reshape(batch * height, -1), lines)
        pairs = pairs.reshape(x.shape[2], channels, width, filters)
        found.append(jnp.stack([pairs[places + j, :, places].sum(0) for j in range(kw)]))
    return jnp.stack(found)


def _input_gradient(kernel, g, padding):
    kh, kw, channels, filters = kernel.shape
    (top, bottom), (left, right) = padding
    if g.shape[1] * g.shape[2] > 16:
        around = ((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right))
        return _library(g, kernel[::-1, ::-1].swapaxes(2, 3), around)
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
    return _alone(x, kernel, padding)


def _convolve_keep(x, kernel, padding):
    return _forward(x, kernel, padding), (x, kernel)


def _convolve_back(padding, kept, g):
    x, kernel = kept
    # XLA leaves the first out where nobody asks for it, as for a network's first layer.
    return _input_gradient(kernel, g, padding), _kernel_gradient(x, kernel, g, padding)


_convolve.defvjp(_convolve_keep, _convolve_back)


class Conv2D(keras.layers.Conv2D):
    """Compute a 2D convolution as `keras.layers.Conv2D` does.

    Takes the same arguments. The fast way is for float32 and float64, "channels_last", stride 1,
    without dilation or groups; results agree with Keras' to rounding. Taught in the chapter
    *How fast, and why*.

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
