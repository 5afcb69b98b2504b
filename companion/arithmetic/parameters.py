"""Parameters counted by formula."""

from math import prod

from .arguments import flag, integer, per_axis


def dense_parameters(inputs, units, *, bias=True):
    """Count the parameters of a fully connected layer: n (m + 1).

    Parameters
    ----------
    inputs : int
        Number m of inputs, >= 1.
    units : int
        Number n of neurons, >= 1.
    bias : bool
        Whether every neuron has a bias beside its m weights.

    Returns
    -------
    int
        Number of weights, and of biases where there are some.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    Taught in the chapter *Counting parameters*.

    Examples
    --------
    >>> dense_parameters(28 * 28, 1000)
    785000
    >>> dense_parameters(24_000_000 * 3, 1000, bias=False)
    72000000000
    """
    inputs = integer("inputs", inputs, 1)
    units = integer("units", units, 1)
    return units * (inputs + flag("bias", bias))


def conv_parameters(kernel_size, channels, filters, *, bias=True):
    """Count the parameters of a convolutional layer: F (C k k + 1).

    The size of the image is not in the formula: all positions share the weights.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the kernel, in cells: an integer means a *square* k × k; give
        ``(k,)`` for a signal and ``(k, k, k)`` for a volume.
    channels : int
        Number C of channels that come in, >= 1.
    filters : int
        Number F of filters, >= 1: the channels that go out.
    bias : bool
        Whether every filter has a bias.

    Returns
    -------
    int
        Number of weights, and of biases where there are some.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Notes
    -----
    Taught in the chapter *Counting parameters*.

    Examples
    --------
    >>> conv_parameters(3, 1, 8)
    80
    >>> conv_parameters(3, 8, 16)
    1168
    >>> conv_parameters((3, 3, 3), 1, 8)
    224
    """
    axes = len(kernel_size) if isinstance(kernel_size, tuple | list) else 2
    if axes == 0:
        raise ValueError("kernel_size must be an integer or a tuple of some, got ()")
    kernel_size = per_axis("kernel_size", kernel_size, axes)
    channels = integer("channels", channels, 1)
    filters = integer("filters", filters, 1)
    return filters * (channels * prod(kernel_size) + flag("bias", bias))
