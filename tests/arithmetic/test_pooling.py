"""Pooling against JAX and Keras, by hand, and by its properties."""

from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax

from companion.arithmetic import average_pool, max_pool, output_size

GRID = [
    (sizes, window, stride, padding)
    for sizes, window, stride, padding in product(
        [(7, 7), (5, 8)], [2, 3, (3, 2)], [None, 1, (2, 3)], ["valid", "same"]
    )
]


def _maps(sizes):
    """Feature maps below zero, so that a padded zero would win every maximum."""
    return -1 - np.random.default_rng(0).random((*sizes, 2), "float32")


@pytest.mark.parametrize(("sizes", "window", "stride", "padding"), GRID)
def test_equals_jax(sizes, window, stride, padding):
    x = _maps(sizes)
    cells = (*np.broadcast_to(window, 2).tolist(), 1)
    steps = cells if stride is None else (*np.broadcast_to(stride, 2).tolist(), 1)

    def reduce(values, start, add):
        return np.asarray(lax.reduce_window(values, start, add, cells, steps, padding.upper()))

    how = {"stride": stride, "padding": padding}
    largest = reduce(x, -np.inf, lax.max)
    mean = reduce(x, 0.0, lax.add) / reduce(np.ones_like(x), 0.0, lax.add)
    np.testing.assert_array_equal(max_pool(x, window, **how), largest, strict=True)
    np.testing.assert_allclose(average_pool(x, window, **how), mean, atol=1e-5, strict=True)
    # Without channels, each map by itself.
    np.testing.assert_array_equal(max_pool(x[..., 0], window, **how), largest[..., 0])
    np.testing.assert_allclose(average_pool(x[..., 1], window, **how), mean[..., 1], atol=1e-5)


KERAS_LAYERS = {
    1: (keras.layers.MaxPooling1D, keras.layers.AveragePooling1D),
    2: (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D),
    3: (keras.layers.MaxPooling3D, keras.layers.AveragePooling3D),
}


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("window", "stride"), [((2,), None), ((3, 2), None), ((3, 3), 2), ((2, 2, 3), (1, 2, 2))]
)
def test_equals_keras(window, stride, padding):
    x = _maps((7, 8, 5)[: len(window)])
    for ours, layer in zip((max_pool, average_pool), KERAS_LAYERS[len(window)], strict=True):
        expected = np.asarray(layer(window, stride, padding)(x[np.newaxis]))[0]
        output = ours(x, window, stride=stride, padding=padding)
        np.testing.assert_allclose(output, expected, atol=1e-5, strict=True)


def test_an_odd_row_is_lost_or_kept():
    x = np.arange(9).reshape(3, 3)
    assert max_pool(x, 2).tolist() == [[4]]
    assert max_pool(x, 2, padding="same").tolist() == [[4, 5], [7, 8]]
    assert average_pool(x, 2, padding="same").tolist() == [[2, 3.5], [6.5, 8]]
    assert max_pool(np.ones((11, 11)), 2).shape == (5, 5)


def test_windows_may_overlap():
    assert max_pool([[1, 5, 2, 3]], (1, 2), stride=1).tolist() == [[5, 5, 3]]
    assert average_pool([[1, 5, 2, 3]], (1, 2), stride=1).tolist() == [[3, 3.5, 2.5]]


def test_types():
    pixels = np.full((2, 2), 255, np.uint8)
    assert max_pool(pixels, 2).dtype == np.uint8
    assert average_pool(pixels, 2).tolist() == [[255.0]]
    assert average_pool(np.ones((2, 2), "float32"), 2).dtype == np.float32


IMAGES = st.tuples(st.integers(3, 8), st.integers(3, 8)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(-99, 99))
)
WINDOWS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=80, deadline=None)
@given(IMAGES, WINDOWS, WINDOWS, st.sampled_from(["valid", "same"]))
def test_bounds_and_shapes(x, window, stride, padding):
    how = {"stride": stride, "padding": padding}
    largest, mean = max_pool(x, window, **how), average_pool(x, window, **how)
    assert largest.shape == mean.shape
    assert largest.shape == tuple(
        output_size(n, k, stride=s, padding=padding)
        for n, k, s in zip(x.shape, window, stride, strict=True)
    )
    assert set(largest.flat) <= set(x.flat)
    smallest = -max_pool(-x, window, **how)
    assert np.all((smallest <= mean + 1e-9) & (mean <= largest + 1e-9))
    np.testing.assert_array_equal(max_pool(x + 7, window, **how), largest + 7)
    np.testing.assert_allclose(average_pool(3 * x, window, **how), 3 * mean)


def test_a_shift_inside_its_window_changes_nothing():
    x = np.zeros((4, 4))
    x[0, 0] = 1
    np.testing.assert_array_equal(max_pool(x, 2), max_pool(np.roll(x, 1, axis=1), 2))
    assert np.any(max_pool(x, 2) != max_pool(np.roll(x, 2, axis=1), 2))


@pytest.mark.parametrize("function", [max_pool, average_pool])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "^window must be >= 1, got 0$"),
        ({"window": 2.0}, "^window must be an integer, got 2.0$"),
        ({"window": True}, "^window must be an integer, got True$"),
        ({"window": ()}, r"^x must have the axes of the window, .*window=\(\)$"),
        ({"window": 5}, r"^window must be <= \(4, 4\), the size of x, got \(5, 5\)$"),
        ({"window": (2, 5)}, r"^window must be <= \(4, 4\), the size of x, got \(2, 5\)$"),
        ({"window": (2, 2, 2, 2)}, r"^x must have the axes .*got shape \(4, 4, 1\) for window="),
        ({"window": (2,)}, r"^x must have the axes .*got shape \(4, 4, 1\) for window=\(2,\)$"),
        ({"window": 2, "stride": 0}, "^stride must be >= 1, got 0$"),
        ({"window": 2, "stride": (1, 1, 1)}, "^stride must be an integer or a tuple of 2, "),
        ({"window": 2, "padding": "full"}, "^padding must be .* for pooling, got 'full'$"),
        ({"window": 2, "padding": 1}, "^padding must be .* for pooling, got 1$"),
        ({"window": 2, "x": [1, 2]}, r"^x must have the axes of the window, .*got shape \(2,\)"),
        ({"window": 2, "x": np.ones((0, 4))}, r"^x must have at least one axis .*\(0, 4\)$"),
        ({"window": 2, "x": [["a"]]}, "^x must hold numbers, "),
    ],
)
def test_bad_arguments(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**{"x": np.ones((4, 4, 1)), **arguments})
