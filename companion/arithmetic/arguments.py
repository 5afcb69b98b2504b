"""Check what the functions of this room are given, in one sentence each."""

from numbers import Integral

import numpy as np


def integer(name, value, minimum):
    """Give `value` as an `int`, or say what is wrong with it.

    NumPy's integers are accepted. Booleans are not, although Python counts them
    as integers: ``stride=True`` is a slip, not a stride of 1.

    Raises
    ------
    ValueError
        If `value` is not an integer, or is below `minimum`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be >= {minimum}, got {value}")
    return int(value)


def per_axis(name, value, axes):
    """Give one integer >= 1 for each of `axes` spatial axes, as a tuple.

    Raises
    ------
    ValueError
        If `value` is neither an integer nor a tuple of `axes` integers.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(values) != axes:
        raise ValueError(
            f"{name} must be an integer or a tuple of {axes}, one for each spatial axis, "
            f"got {value!r}"
        )
    return tuple(integer(name, each, 1) for each in values)


def numeric(name, value):
    """Give `value` as a NumPy array of numbers that is not empty.

    Raises
    ------
    ValueError
        If `value` is ragged, holds something else than numbers, has no axis
        or has an axis of size 0.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got rows of unequal lengths") from None
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{name} must hold numbers, got an array of dtype {array.dtype}")
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{name} must have at least one axis and none of size 0, got shape {array.shape}"
        )
    return array


def flag(name, value):
    """Give `value` as a `bool`, or say that it is none.

    Raises
    ------
    ValueError
        If `value` is neither true nor false.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)
