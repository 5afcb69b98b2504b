"""Pooling written out: one number for each window."""

import numpy as np

from .arguments import numeric, per_axis
from .shapes import output_size, padding_sides


def max_pool(x, window, *, stride=None, padding="valid"):
    """Keep the largest number of each window.

    Parameters
    ----------
    x : array_like
        An image (H, W) or feature maps (H, W, C), each channel pooled by itself.
        A `window` of n integers pools the first n axes instead, with or
        without channels after them.
    window : int or tuple of int
        Size of the window, in cells; an integer means a square on an image.
    stride : int or tuple of int, optional
        Step from one window to the next, in cells. By default the window:
        windows that touch and do not overlap.
    padding : {"valid", "same"}
        ``"valid"`` drops the cells at the end that do not fill a window;
        ``"same"`` lets windows reach over the border, where cells outside the
        image *do not count*.

    Returns
    -------
    ndarray
        Type and channels of `x`; `output_size` gives the size of each axis.

    Raises
    ------
    ValueError
        If an argument is not as above, or the window is larger than `x`.

    Notes
    -----
    Taught in the chapter *Pooling*.

    Examples
    --------
    >>> max_pool([[1, 2, 0], [3, 4, 0], [9, 9, 9]], 2)  # an odd row and column are lost
    array([[4]])
    >>> max_pool([[1, 2, 0], [3, 4, 0], [9, 9, 9]], 2, padding="same")
    array([[4, 0],
           [9, 9]])
    """
    return _pool(np.max, x, window, stride, padding)


def average_pool(x, window, *, stride=None, padding="valid"):
    """Keep the mean of each window.

    Parameters
    ----------
    x, window, stride, padding
        As for `max_pool`. With ``"same"``, a window over the border gives the
        mean of the cells inside alone.

    Returns
    -------
    ndarray
        As for `max_pool`, but integers give floating-point numbers.

    Raises
    ------
    ValueError
        As for `max_pool`.

    Notes
    -----
    Taught in the chapter *Pooling*.

    Examples
    --------
    >>> average_pool([[1, 2, 0], [3, 4, 0], [9, 9, 9]], 2, padding="same")
    array([[2.5, 0. ],
           [9. , 9. ]])
    """
    return _pool(np.mean, x, window, stride, padding)


def _pool(reduce, x, window, stride, padding):
    """Reduce the cells of each window to one number."""
    x = numeric("x", x)
    axes = len(window) if isinstance(window, tuple | list) else 2
    if axes == 0 or x.ndim not in (axes, axes + 1):
        raise ValueError(
            f"x must have the axes of the window, with or without channels, "
            f"got shape {x.shape} for window={window!r}"
        )
    window = per_axis("window", window, axes)
    stride = window if stride is None else per_axis("stride", stride, axes)
    # A wider padding could leave a window without a single cell of the image.
    if not isinstance(padding, str) or padding not in ("valid", "same"):
        raise ValueError(f'padding must be "valid" or "same" for pooling, got {padding!r}')
    if padding == "valid" and any(k > n for k, n in zip(window, x.shape, strict=False)):
        raise ValueError(f"window must be <= {x.shape[:axes]}, the size of x, got {window}")

    geometry = list(zip(x.shape, window, stride, strict=False))
    shape = [output_size(n, k, stride=s, padding=padding) for n, k, s in geometry]
    before = [padding_sides(n, k, s, padding, 1)[0] for n, k, s in geometry]
    cells = []
    for position in np.ndindex(*shape):
        starts = [i * s - b for i, (_, _, s), b in zip(position, geometry, before, strict=True)]
        inside = tuple(
            slice(max(start, 0), start + k) for start, k in zip(starts, window, strict=True)
        )
        cells.append(reduce(x[inside], axis=tuple(range(axes))))
    return np.array(cells).reshape(*shape, *x.shape[axes:])
