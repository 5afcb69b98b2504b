"""Sizes: what comes out of a layer, and how far back it looks."""

from .arguments import integer


def output_size(size, kernel_size, *, stride=1, padding="valid", dilation=1):
    """Compute the size of a convolution's or pooling's output on one axis.

    The kernel spans ``d (k - 1) + 1`` cells and moves by `stride` cells as long
    as it lies inside the padded axis, hence the floor in::

        floor((n + padding - (d (k - 1) + 1)) / s) + 1

    With ``"same"`` this is ``ceil(n / s)``: the size is kept at stride 1 alone.

    Parameters
    ----------
    size : int
        Size n of the axis, in cells (pixels, samples), >= 1.
    kernel_size : int
        Number k of weights along the axis, >= 1. For pooling, the window.
    stride : int
        Step s from one position to the next, in cells, >= 1.
    padding : {"valid", "same"} or int
        ``"valid"`` adds nothing, ``"same"`` adds what `same_padding` says, and
        an integer p >= 0 adds p cells on *both* sides.
    dilation : int
        Distance d between neighbouring weights, in cells, >= 1.

    Returns
    -------
    int
        Number of positions of the kernel, >= 1.

    Raises
    ------
    ValueError
        If an argument is not as above, or the kernel spans more than the padded axis.

    Notes
    -----
    Taught in the chapter *Padding, strides, dilation*.

    Examples
    --------
    >>> output_size(28, 3)
    26
    >>> output_size(11, 2, stride=2)  # the last of 11 cells is never seen
    5
    >>> output_size(28, 3, stride=2, padding="same")
    14
    """
    size = integer("size", size, 1)
    kernel_size = integer("kernel_size", kernel_size, 1)
    stride = integer("stride", stride, 1)
    dilation = integer("dilation", dilation, 1)
    before, after = padding_sides(size, kernel_size, stride, padding, dilation)

    span = dilation * (kernel_size - 1) + 1
    room = before + size + after
    if span > room:
        raise ValueError(
            f"kernel_size must be <= {(room - 1) // dilation + 1} on an axis of {size} cells "
            f"with padding={padding!r} and dilation={dilation}, got {kernel_size}"
        )
    return (room - span) // stride + 1


def same_padding(size, kernel_size, *, stride=1, dilation=1):
    """Compute the cells that ``padding="same"`` adds to one axis.

    Just enough zeros for ``ceil(n / s)`` positions: an odd number of them puts
    the odd one at the end. This is the rule of Keras and TensorFlow; PyTorch
    and older papers pad both sides alike.

    Parameters
    ----------
    size : int
        Size n of the axis, in cells, >= 1.
    kernel_size : int
        Number k of weights along the axis, >= 1.
    stride : int
        Step from one position to the next, in cells, >= 1.
    dilation : int
        Distance between neighbouring weights, in cells, >= 1.

    Returns
    -------
    before, after : int
        Number of zeros at the start and at the end of the axis.

    Raises
    ------
    ValueError
        If an argument is not an integer >= 1.

    Notes
    -----
    Taught in the chapter *Padding, strides, dilation*.

    Examples
    --------
    >>> same_padding(28, 3)
    (1, 1)
    >>> same_padding(28, 3, stride=2)
    (0, 1)
    """
    size = integer("size", size, 1)
    kernel_size = integer("kernel_size", kernel_size, 1)
    stride = integer("stride", stride, 1)
    dilation = integer("dilation", dilation, 1)

    positions = -(-size // stride)
    span = dilation * (kernel_size - 1) + 1
    total = max((positions - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def padding_sides(size, kernel_size, stride, padding, dilation):
    """Give the cells that `padding` adds before and after one axis.

    Raises
    ------
    ValueError
        If `padding` is not ``"valid"``, ``"same"`` or an integer >= 0.
    """
    if not isinstance(padding, str):
        try:
            padding = integer("padding", padding, 0)
        except ValueError:
            raise ValueError(
                f'padding must be "valid", "same" or an integer >= 0, got {padding!r}'
            ) from None
        return padding, padding
    if padding == "same":
        return same_padding(size, kernel_size, stride=stride, dilation=dilation)
    if padding == "valid":
        return 0, 0
    raise ValueError(f'padding must be "valid", "same" or an integer >= 0, got {padding!r}')


def receptive_field(layers):
    """Compute how many input cells one output cell of a stack depends on.

    Each layer adds ``d (k - 1)`` steps, and a step is as long as the product of
    the strides before it.

    Parameters
    ----------
    layers : iterable of tuple
        From the input on, ``(kernel_size, stride)`` or
        ``(kernel_size, stride, dilation)`` of each convolution or pooling.

    Returns
    -------
    int
        Size of the receptive field along one axis, in input cells, padding
        included; 1 for no layer at all.

    Raises
    ------
    ValueError
        If a layer is not such a tuple of integers >= 1.

    Notes
    -----
    Taught in the chapter *The typical architecture*.

    Examples
    --------
    >>> receptive_field([(3, 1), (3, 1)])  # two 3×3 layers see as much as one 5×5
    5
    >>> receptive_field([(3, 1), (2, 2), (3, 1), (2, 2)])
    10
    """
    field, step = 1, 1
    for layer in layers:
        if not isinstance(layer, tuple | list) or len(layer) not in (2, 3):
            raise ValueError(
                "layers must hold (kernel_size, stride) or (kernel_size, stride, dilation), "
                f"got {layer!r}"
            )
        kernel_size, stride, dilation = (*layer, 1)[:3]
        kernel_size = integer("kernel_size", kernel_size, 1)
        stride = integer("stride", stride, 1)
        dilation = integer("dilation", dilation, 1)
        field += dilation * (kernel_size - 1) * step
        step *= stride
    return field
