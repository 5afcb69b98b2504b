"""Parameter formulas: the course's numbers, and every bad argument."""

import numpy as np
import pytest

from companion.arithmetic import conv_parameters, dense_parameters


def test_dense_layers_of_the_first_chapter():
    assert dense_parameters(28 * 28, 1000, bias=False) == 784_000
    assert dense_parameters(28 * 28, 1000) == 785_000
    assert dense_parameters(24_000_000 * 3, 1000, bias=False) == 72_000_000_000


def test_layers_of_the_mnist_network():
    layers = [
        conv_parameters(3, 1, 8),
        conv_parameters(3, 8, 16),
        dense_parameters(5 * 5 * 16, 100),
        dense_parameters(100, 10),
    ]
    assert layers == [80, 1_168, 40_100, 1_010]
    assert sum(layers) == 42_358


def test_an_integer_means_a_square_kernel():
    assert conv_parameters(5, 3, 1) == conv_parameters((5, 5), 3, 1) == 76
    assert conv_parameters((5,), 3, 1) == 16
    assert conv_parameters((5, 2), 3, 1) == 31
    assert conv_parameters((3, 3, 3), 2, 4, bias=False) == 216


def test_numpy_values_are_accepted():
    count = conv_parameters(np.int64(3), np.int32(8), np.uint8(16), bias=np.True_)
    assert count == 1_168
    assert type(count) is int
    # 72 billion does not fit 32 bits: the sums are Python's.
    assert dense_parameters(np.int32(72_000_000), np.int32(1000), bias=False) == 72_000_000_000


@pytest.mark.parametrize(
    ("function", "good", "integers"),
    [
        (dense_parameters, {"inputs": 4, "units": 2}, ["inputs", "units"]),
        (
            conv_parameters,
            {"kernel_size": 3, "channels": 4, "filters": 2},
            ["kernel_size", "channels", "filters"],
        ),
    ],
)
def test_bad_arguments(function, good, integers):
    for name in integers:
        for value, what in [
            (0, "must be >= 1, got 0"),
            (-3, "must be >= 1, got -3"),
            (2.0, "must be an integer, got 2.0"),
            (True, "must be an integer, got True"),
            (None, "must be an integer, got None"),
        ]:
            with pytest.raises(ValueError, match=f"^{name} {what}$"):
                function(**{**good, name: value})
    for value in (1, None, "yes", np.zeros(3)):
        with pytest.raises(ValueError, match=r"^bias must be True or False, got "):
            function(**good, bias=value)


def test_bad_kernel_sizes():
    with pytest.raises(ValueError, match=r"^kernel_size must be an integer or a tuple of some"):
        conv_parameters((), 1, 1)
    with pytest.raises(ValueError, match=r"^kernel_size must be >= 1, got 0$"):
        conv_parameters((3, 0), 1, 1)
