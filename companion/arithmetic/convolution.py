"""Convolution written out: slide, multiply, add. Readable, not fast."""

import numpy as np

from .arguments import numeric, per_axis
from .shapes import output_size, padding_sides


def cross_correlate(x, kernel, *, stride=1, padding="valid", dilation=1):
    """Slide a kernel over an array; at each position multiply and add.

    This is what deep learning calls a convolution::

        y[i, j] = sum over a, b of x[i s + a d, j s + b d] · kernel[a, b]

    Parameters
    ----------
    x : array_like
        A signal (W,), an image (H, W), a volume (D, H, W), ...: any number of
        axes, one channel.
    kernel : array_like
        The weights: as many axes as `x`.
    stride : int or tuple of int
        Step s between positions, for all axes or one for each, >= 1.
    padding : {"valid", "same"} or int
        Zeros around `x`: none, those of `same_padding`, or so many on both
        sides of every axis.
    dilation : int or tuple of int
        Distance d between neighbouring weights, for all axes or one for each, >= 1.

    Returns
    -------
    ndarray
        One number for each position; `output_size` gives the size of each axis.
        Integers and booleans are added as 64-bit integers, so that pixels
        (uint8) do not overflow.

    Raises
    ------
    ValueError
        If an argument is not as above, the axes do not match, or the kernel
        spans more than the padded `x`.

    See Also
    --------
    convolve : the convolution of mathematics, which flips the kernel.

    Notes
    -----
    Taught in the chapter *Convolution, worked by hand*.

    Examples
    --------
    >>> image = [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2]]
    >>> cross_correlate(image, [[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    array([[10, 11, 12]])
    """
    x, kernel = _same_type(numeric("x", x), numeric("kernel", kernel))
    if kernel.ndim != x.ndim:
        raise ValueError(
            f"kernel must have as many axes as x, {x.ndim}, got {kernel.ndim}: "
            f"shape {kernel.shape} for x of shape {x.shape}"
        )
    shape, patches = _patches(x, kernel.shape, stride, padding, dilation)
    output = np.empty(shape, x.dtype)
    for position, patch in patches:
        output[position] = np.sum(patch * kernel)
    return output


def convolve(x, kernel, *, stride=1, padding="valid", dilation=1):
    """Convolve as mathematics does: flip the kernel, then cross-correlate.

    Only the flip distinguishes the two. A network learns its kernels, so that it
    makes no difference to it; it makes one to a kernel written by hand.

    Parameters
    ----------
    x : array_like
        Any number of axes, one channel.
    kernel : array_like
        The weights: as many axes as `x`. Flipped along every axis before use.
    stride, padding, dilation
        As for `cross_correlate`.

    Returns
    -------
    ndarray
        As for `cross_correlate`.

    Raises
    ------
    ValueError
        As for `cross_correlate`.

    Notes
    -----
    Taught in the chapter *Convolution, worked by hand*.

    Examples
    --------
    >>> convolve([1, 2, 3, 4], [1, 0, -1])  # what comes minus what was
    array([2, 2])
    >>> cross_correlate([1, 2, 3, 4], [1, 0, -1])
    array([-2, -2])
    """
    flipped = np.flip(numeric("kernel", kernel))
    return cross_correlate(x, flipped, stride=stride, padding=padding, dilation=dilation)


def conv_layer(x, kernels, bias=None, *, stride=1, padding="valid", dilation=1):
    """Compute a convolutional layer: F filters over C channels.

    A filter has one kernel for each channel of `x`; what they give is added, then
    the filter's bias. Channels come last, as in Keras.

    Parameters
    ----------
    x : array_like
        (W, C), (H, W, C), (D, H, W, C), ...: one example.
    kernels : array_like
        (k, C, F), (k, k, C, F), (k, k, k, C, F), ...: the weights, in the layout of Keras.
    bias : array_like, optional
        (F,): one number for each filter.
    stride, padding, dilation
        As for `cross_correlate`, one for each axis but the channels.

    Returns
    -------
    ndarray
        The feature maps: the axes of `x`, with F channels; `output_size` gives
        their sizes. No activation.

    Raises
    ------
    ValueError
        If shapes do not match, or an argument is not as for `cross_correlate`.

    Notes
    -----
    Taught in the chapter *Channels, filters, and more dimensions*.

    Examples
    --------
    >>> image = np.ones((28, 28, 3))
    >>> conv_layer(image, np.ones((3, 3, 3, 8)), np.zeros(8), padding="same").shape
    (28, 28, 8)
    """
    x, kernels = _same_type(numeric("x", x), numeric("kernels", kernels))
    if kernels.ndim < 3 or x.ndim != kernels.ndim - 1:
        raise ValueError(
            "kernels must have shape (*k, C, F) where x has (*space, C), "
            f"got shape {kernels.shape} for x of shape {x.shape}"
        )
    *kernel_size, channels, filters = kernels.shape
    if channels != x.shape[-1]:
        raise ValueError(
            f"kernels must have as many input channels as x, {x.shape[-1]}, got {channels}: "
            f"shape {kernels.shape} for x of shape {x.shape}"
        )
    bias = np.zeros(filters, x.dtype) if bias is None else numeric("bias", bias)
    if bias.shape != (filters,):
        raise ValueError(
            f"bias must have shape ({filters},), one number for each filter, got {bias.shape}"
        )
    shape, patches = _patches(x, kernel_size, stride, padding, dilation)
    output = np.empty((*shape, filters), np.result_type(x, bias))
    for position, patch in patches:
        output[position] = np.tensordot(patch, kernels, axes=patch.ndim) + bias
    return output


def _patches(x, kernel_size, stride, padding, dilation):
    """Give the output's shape, and every position with the patch of x below it."""
    axes = len(kernel_size)
    stride = per_axis("stride", stride, axes)
    dilation = per_axis("dilation", dilation, axes)
    geometry = list(zip(x.shape, kernel_size, stride, dilation, strict=False))
    shape = [output_size(n, k, stride=s, padding=padding, dilation=d) for n, k, s, d in geometry]
    sides = [padding_sides(n, k, s, padding, d) for n, k, s, d in geometry]
    padded = np.pad(x, sides + [(0, 0)] * (x.ndim - axes))

    def window(position):
        return tuple(
            slice(i * s, i * s + d * (k - 1) + 1, d)
            for i, (_, k, s, d) in zip(position, geometry, strict=True)
        )

    return shape, ((position, padded[window(position)]) for position in np.ndindex(*shape))


def _same_type(x, kernel):
    """Give both arrays one type in which sums of their products are safe."""
    dtype = np.result_type(x, kernel)
    if dtype.kind in "biu":
        dtype = np.result_type(dtype, np.int64)
    return x.astype(dtype), kernel.astype(dtype)
