"""Convolutions against JAX, Keras and SciPy, by hand, and by their properties."""

from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import lax
from scipy import signal

from companion.arithmetic import conv_layer, convolve, cross_correlate, output_size

IMAGE = np.array(
    [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2], [3, 3, 2, 3, 2], [2, 1, 3, 2, 2]]
)
KERNEL = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
CHANNELS, FILTERS = 2, 3


def _fits(case):
    sizes, kernel_size, _, padding, dilation = case
    extra = 0 if padding in ("valid", "same") else 2 * padding
    dilation = np.broadcast_to(dilation, len(sizes))
    return padding == "same" or all(
        d * (k - 1) + 1 <= n + extra for n, k, d in zip(sizes, kernel_size, dilation, strict=True)
    )


# sizes, kernel sizes, strides, paddings, dilations
GRID = [
    case
    for axes in (
        ([(6,), (9,)], [(1,), (2,), (3,)], [1, (3,)], ["valid", "same", 2], [1, (2,)]),
        (
            [(7, 7), (6, 9)],
            [(3, 3), (2, 5)],
            [1, 2, (1, 3)],
            ["valid", "same", 1],
            [1, (3, 2)],
        ),
        ([(5, 6, 4)], [(2, 2, 2), (3, 1, 2)], [1, (2, 1, 3)], ["valid", "same", 1], [1, 2]),
    )
    for case in product(*axes)
    if _fits(case)
]


def _example(sizes, kernel_size):
    random = np.random.default_rng(0)
    x = random.normal(size=(*sizes, CHANNELS)).astype("float32")
    kernels = random.normal(size=(*kernel_size, CHANNELS, FILTERS)).astype("float32")
    return x, kernels, random.normal(size=FILTERS).astype("float32")


def _lax_conv(x, kernels, stride, padding, dilation):
    axes = x.ndim - 1
    space = "DHW"[-axes:]
    return lax.conv_general_dilated(
        x[np.newaxis],
        kernels,
        window_strides=np.broadcast_to(stride, axes).tolist(),
        padding=padding.upper() if isinstance(padding, str) else [(padding, padding)] * axes,
        rhs_dilation=np.broadcast_to(dilation, axes).tolist(),
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )[0]


@pytest.mark.parametrize(("sizes", "kernel_size", "stride", "padding", "dilation"), GRID)
def test_equals_jax(sizes, kernel_size, stride, padding, dilation):
    x, kernels, bias = _example(sizes, kernel_size)
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = np.asarray(_lax_conv(x, kernels, **how))

    layer = conv_layer(x, kernels, bias, **how)
    assert layer.dtype == np.float32
    np.testing.assert_allclose(layer, expected + bias, atol=1e-5, strict=True)

    # One filter is the sum of one cross-correlation per channel.
    for filter_ in range(FILTERS):
        maps = [cross_correlate(x[..., c], kernels[..., c, filter_], **how) for c in (0, 1)]
        np.testing.assert_allclose(sum(maps), expected[..., filter_], atol=1e-5, strict=True)


KERAS_GRID = [
    (sizes, kernel_size, *rest)
    for (sizes, kernel_size), rest in product(
        [((11,), (4,)), ((8, 11), (3, 2)), ((5, 6, 7), (3, 2, 1))],
        [
            (stride, padding, dilation)
            for stride, dilation in [(1, 1), (2, 1), (3, 1), (1, 2)]
            for padding in ("valid", "same", 1)
        ],
    )
]


@pytest.mark.parametrize(("sizes", "kernel_size", "stride", "padding", "dilation"), KERAS_GRID)
def test_equals_keras(sizes, kernel_size, stride, padding, dilation):
    x, kernels, bias = _example(sizes, kernel_size)
    batch, word = x[np.newaxis], padding
    if padding == 1:
        batch, word = np.pad(batch, [(0, 0), *[(1, 1)] * len(sizes), (0, 0)]), "valid"
    conv = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[len(sizes)]
    layer = conv(FILTERS, kernel_size, stride, word, dilation_rate=dilation)
    layer.build(batch.shape)
    layer.set_weights([kernels, bias])
    np.testing.assert_allclose(
        conv_layer(x, kernels, bias, stride=stride, padding=padding, dilation=dilation),
        np.asarray(layer(batch))[0],
        atol=1e-5,
        strict=True,
    )


@pytest.mark.parametrize("shape", [(9,), (7, 6), (4, 5, 4)])
def test_convolve_equals_scipy(shape):
    random = np.random.default_rng(0)
    x, kernel = random.integers(-9, 9, shape), random.integers(-9, 9, [3] * len(shape))
    for mode in ("valid", "same"):
        expected = signal.convolve(x, kernel, mode=mode, method="direct")
        np.testing.assert_array_equal(convolve(x, kernel, padding=mode), expected)
    full = signal.convolve(x, kernel, mode="full", method="direct")
    np.testing.assert_array_equal(convolve(x, kernel, padding=2), full)


def test_the_worked_example():
    expected = [[10, 11, 12], [13, 13, 12], [9, 9, 11]]
    output = cross_correlate(IMAGE, KERNEL)
    assert output.tolist() == expected
    assert output.dtype == np.int64
    # This kernel is its own mirror image, so both operations agree on it.
    assert convolve(IMAGE, KERNEL).tolist() == expected


def test_the_worked_example_with_strides_and_padding():
    assert cross_correlate(IMAGE, KERNEL, stride=2).tolist() == [[10, 12], [9, 11]]
    assert cross_correlate(IMAGE, KERNEL, stride=(1, 2)).tolist() == [[10, 12], [13, 12], [9, 11]]
    padded = cross_correlate(IMAGE, KERNEL, padding="same")
    assert padded.shape == (5, 5)
    assert padded[0, 0] == 5 + 3
    assert padded[0, 1] == 2 + 4 + 2
    assert cross_correlate(IMAGE, KERNEL, dilation=2).tolist() == [[5 + 5 + 1 + 2 + 2]]


def test_the_flip_matters_for_a_kernel_that_is_no_mirror_image():
    step = [0, 0, 1, 1]
    assert cross_correlate(step, [-1, 1]).tolist() == [0, 1, 0]
    assert convolve(step, [-1, 1]).tolist() == [0, -1, 0]


def test_an_edge_filter_answers_at_the_edge_alone():
    image = np.zeros((4, 6))
    image[:, 3:] = 1
    vertical = np.array([[-1, 0, 1]] * 3)
    assert cross_correlate(image, vertical).tolist() == [[0, 3, 3, 0]] * 2
    assert not cross_correlate(image, vertical.T).any()


def test_conv_layer_by_hand():
    x = np.arange(8).reshape(4, 2)
    kernels = np.array([[[1, 0], [0, 1]], [[1, 1], [0, 1]]])
    # Filter 0 adds channel 0 here and next; filter 1 channel 1 here and both next.
    expected = [[0 + 2, 1 + 2 + 3], [2 + 4, 3 + 4 + 5], [4 + 6, 5 + 6 + 7]]
    assert conv_layer(x, kernels).tolist() == expected
    assert conv_layer(x, kernels, [10, -1])[0].tolist() == [12, 5]


def test_pixels_do_not_overflow():
    white = np.full((3, 3), 255, np.uint8)
    assert cross_correlate(white, np.full((3, 3), 255, np.uint8)).tolist() == [[255 * 255 * 9]]
    assert cross_correlate(white > 0, np.ones((3, 3), bool)).tolist() == [[9]]
    layer = conv_layer(white[..., np.newaxis], np.full((3, 3, 1, 1), 2, np.uint8))
    assert layer.tolist() == [[[255 * 2 * 9]]]
    assert cross_correlate(white, np.ones((3, 3), np.float32)).dtype == np.float32


def test_inputs_are_left_alone():
    x, kernels, bias = _example((6, 6), (3, 3))
    copies = x.copy(), kernels.copy(), bias.copy()
    conv_layer(x, kernels, bias, padding="same")
    convolve(x[..., 0], kernels[..., 0, 0])
    for now, before in zip((x, kernels, bias), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def _images(ndim=None, min_side=4):
    shape = st.lists(st.integers(min_side, 7), min_size=ndim or 1, max_size=ndim or 3)
    return shape.flatmap(
        lambda shape: arrays(np.int64, tuple(shape), elements=st.integers(-99, 99))
    )


@st.composite
def _problems(draw):
    """An image, two kernels of one shape, and how to slide them."""
    x = draw(_images())
    shape = draw(st.tuples(*[st.integers(1, 3)] * x.ndim))
    one, two = (draw(arrays(np.int64, shape, elements=st.integers(-9, 9))) for _ in range(2))
    stride = draw(st.tuples(*[st.integers(1, 3)] * x.ndim))
    padding = draw(st.sampled_from(["valid", "same", 0, 1, 2]))
    dilation = 1 if padding in ("valid", 0) else draw(st.integers(1, 2))
    return x, one, two, {"stride": stride, "padding": padding, "dilation": dilation}


QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(_problems(), st.integers(-5, 5))
def test_linear_in_the_kernel_and_in_the_image(problem, factor):
    x, one, two, how = problem
    both = cross_correlate(x, one + factor * two, **how)
    parts = cross_correlate(x, one, **how) + factor * cross_correlate(x, two, **how)
    np.testing.assert_array_equal(both, parts)
    other = np.flip(x)
    np.testing.assert_array_equal(
        cross_correlate(x + factor * other, one, **how),
        cross_correlate(x, one, **how) + factor * cross_correlate(other, one, **how),
    )


@QUICK
@given(_problems())
def test_convolve_is_cross_correlate_with_the_kernel_flipped(problem):
    x, kernel, _, how = problem
    flipped = kernel[(slice(None, None, -1),) * kernel.ndim]
    np.testing.assert_array_equal(convolve(x, kernel, **how), cross_correlate(x, flipped, **how))


@QUICK
@given(_problems())
def test_shapes_are_those_of_output_size(problem):
    x, kernel, _, how = problem
    strides, rest = how["stride"], {key: how[key] for key in ("padding", "dilation")}
    expected = tuple(
        output_size(n, k, stride=s, **rest)
        for n, k, s in zip(x.shape, kernel.shape, strides, strict=True)
    )
    assert cross_correlate(x, kernel, **how).shape == expected
    layer = conv_layer(np.stack([x, x], -1), np.ones((*kernel.shape, 2, 3)), **how)
    assert layer.shape == (*expected, 3)


@QUICK
@given(
    _images(ndim=2, min_side=5),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 2),
)
def test_equivariant_to_shifts_by_whole_strides(x, down, right, stride):
    kernel = np.array([[1, -2], [3, 5]])
    # Around the shifted copy the image is new; what both see must be the same.
    canvas = np.zeros((x.shape[0] + 4, x.shape[1] + 4), int)
    shifted = canvas.copy()
    canvas[: x.shape[0], : x.shape[1]] = x
    top, left = down * stride, right * stride
    shifted[top : top + x.shape[0], left : left + x.shape[1]] = x
    output = cross_correlate(canvas, kernel, stride=stride)
    moved = cross_correlate(shifted, kernel, stride=stride)
    rows, columns = (output_size(n, 2, stride=stride) for n in x.shape)
    np.testing.assert_array_equal(
        moved[down : down + rows, right : right + columns], output[:rows, :columns]
    )


def test_not_equivariant_to_a_shift_of_half_a_stride():
    x = np.array([0, 0, 1, 0, 0, 0])
    assert cross_correlate(x, [1], stride=2).tolist() == [0, 1, 0]
    assert cross_correlate(np.roll(x, 1), [1], stride=2).tolist() == [0, 0, 0]


BAD_SLIDING = [
    ({"stride": 0}, "^stride must be >= 1, got 0$"),
    ({"stride": (1, 0)}, "^stride must be >= 1, got 0$"),
    ({"stride": 1.5}, "^stride must be an integer, got 1.5$"),
    ({"stride": True}, "^stride must be an integer, got True$"),
    ({"stride": (1, 2, 3)}, r"^stride must be an integer or a tuple of 2, .*, got \(1, 2, 3\)$"),
    ({"dilation": -1}, "^dilation must be >= 1, got -1$"),
    ({"dilation": (2,)}, r"^dilation must be an integer or a tuple of 2, .*, got \(2,\)$"),
    ({"dilation": 3}, "^kernel_size must be <= 2 on an axis of 5 cells .*dilation=3, got 3$"),
    ({"padding": "full"}, "^padding must be .*, got 'full'$"),
    ({"padding": -1}, "^padding must be .*, got -1$"),
    ({"padding": 0.5}, "^padding must be .*, got 0.5$"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_SLIDING)
def test_bad_sliding(arguments, message):
    for function in (cross_correlate, convolve):
        with pytest.raises(ValueError, match=message):
            function(IMAGE, KERNEL, **arguments)
    with pytest.raises(ValueError, match=message):
        conv_layer(IMAGE[..., np.newaxis], KERNEL[..., np.newaxis, np.newaxis], **arguments)


@pytest.mark.parametrize(
    ("x", "kernel", "message"),
    [
        (IMAGE, [1, 2], "^kernel must have as many axes as x, 2, got 1: shape "),
        (IMAGE, np.ones((6, 1)), "^kernel_size must be <= 5 on an axis of 5 cells .*, got 6$"),
        (3, [1], r"^x must have at least one axis and none of size 0, got shape \(\)$"),
        (IMAGE, np.ones((0, 3)), r"^kernel must have at least one axis .*, got shape \(0, 3\)$"),
        (np.ones((0, 3)), KERNEL, r"^x must have at least one axis .*, got shape \(0, 3\)$"),
        ([[1, 2], [3]], KERNEL, "^x must be an array, got rows of unequal lengths$"),
        (IMAGE, [["a"]], "^kernel must hold numbers, got an array of dtype <U1$"),
    ],
)
def test_bad_arrays(x, kernel, message):
    for function in (cross_correlate, convolve):
        with pytest.raises(ValueError, match=message):
            function(x, kernel)


@pytest.mark.parametrize(
    ("kernels", "bias", "message"),
    [
        (np.ones((3, 3)), None, r"^kernels must have shape \(\*k, C, F\) .*, got shape \(3, 3\)"),
        (np.ones((3, 2, 4)), None, r"^kernels must have shape .*, got shape \(3, 2, 4\) for x of"),
        (np.ones((3, 3, 3, 4)), None, "^kernels must have as many input channels as x, 2, got 3: "),
        (np.ones((9, 3, 2, 4)), None, "^kernel_size must be <= 8 .*, got 9$"),
        (np.ones((3, 3, 2, 4)), np.ones(3), r"^bias must have shape \(4,\), .*, got \(3,\)$"),
        (np.ones((3, 3, 2, 4)), 1.0, r"^bias must have at least one axis .*, got shape \(\)$"),
    ],
)
def test_bad_layers(kernels, bias, message):
    with pytest.raises(ValueError, match=message):
        conv_layer(np.ones((8, 8, 2)), kernels, bias)
