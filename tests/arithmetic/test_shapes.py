"""Sizes, paddings and receptive fields against counting, and against values by hand."""

from itertools import product
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.arithmetic import output_size, receptive_field, same_padding

SMALL = st.integers(1, 6)


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_output_size_counts_the_positions_of_the_kernel(padding):
    fitting = 0
    for n, k, s, d in product(range(1, 14), range(1, 6), range(1, 5), range(1, 4)):
        last_cell = [i + d * (k - 1) for i in range(0, n + 2 * padding, s)]
        positions = sum(cell < n + 2 * padding for cell in last_cell)
        if positions:
            assert output_size(n, k, stride=s, padding=padding, dilation=d) == positions
            fitting += 1
        else:
            with pytest.raises(ValueError, match="kernel_size must be <= "):
                output_size(n, k, stride=s, padding=padding, dilation=d)
    assert fitting > 300


@given(n=st.integers(1, 50), k=SMALL, s=SMALL, d=SMALL)
def test_same_gives_one_position_per_stride_with_the_odd_zero_at_the_end(n, k, s, d):
    before, after = same_padding(n, k, stride=s, dilation=d)
    assert output_size(n, k, stride=s, padding="same", dilation=d) == ceil(n / s)
    assert before <= after <= before + 1


@given(n=st.integers(1, 50), k=SMALL, s=SMALL, d=SMALL)
def test_same_adds_no_more_zeros_than_needed(n, k, s, d):
    zeros = sum(same_padding(n, k, stride=s, dilation=d))
    span = d * (k - 1) + 1
    if zeros:
        assert len(range(0, n + zeros - span + 1, s)) == ceil(n / s)
        assert len(range(0, n + zeros - 1 - span + 1, s)) < ceil(n / s)


def test_valid_is_no_padding():
    assert output_size(9, 3, stride=2) == output_size(9, 3, stride=2, padding=0) == 4


def test_shapes_of_the_mnist_network():
    sizes = [28]
    for k, s in [(3, 1), (2, 2), (3, 1), (2, 2)]:
        sizes.append(output_size(sizes[-1], k, stride=s))
    assert sizes == [28, 26, 13, 11, 5]


def test_five_by_five_ten_times_turns_240_into_200():
    size = 240
    for _ in range(10):
        size = output_size(size, 5)
    assert size == 200


def test_same_padding_by_hand():
    assert same_padding(5, 3) == (1, 1)
    assert same_padding(5, 2) == (0, 1)
    assert same_padding(6, 3, stride=2) == (0, 1)
    assert same_padding(5, 3, stride=2) == (1, 1)
    assert same_padding(5, 3, dilation=2) == (2, 2)
    assert same_padding(5, 1, stride=2) == (0, 0)


@given(st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=5))
def test_receptive_field_is_the_smallest_input_with_one_output(layers):
    field = receptive_field(layers)

    def outputs(size):
        for k, s, d in layers:
            size = output_size(size, k, stride=s, dilation=d)
        return size

    assert outputs(field) == 1
    if field > 1:
        with pytest.raises(ValueError, match=r"kernel_size must be <= "):
            outputs(field - 1)


def test_receptive_fields_by_hand():
    assert receptive_field([]) == 1
    assert receptive_field([(3, 1)] * 3) == 7
    assert receptive_field([(3, 1), (3, 1, 2), (3, 1, 4)]) == 15
    assert receptive_field([(5, 1), (2, 2), (5, 1), (2, 2)]) == 16
    assert receptive_field(iter([(7, 2), (3, 2)])) == 11


def test_numpy_integers_are_integers():
    size = output_size(np.int64(28), np.uint8(3), stride=np.int32(2), padding=np.int16(1))
    assert size == 14
    assert type(size) is int
    assert receptive_field([(np.int64(3), np.int64(1))]) == 3


@pytest.mark.parametrize("name", ["size", "kernel_size", "stride", "dilation"])
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (0, "must be >= 1, got 0"),
        (-2, "must be >= 1, got -2"),
        (1.0, "must be an integer, got 1.0"),
        (True, "must be an integer, got True"),
        ("3", "must be an integer, got '3'"),
        (None, "must be an integer, got None"),
        ((3, 3), r"must be an integer, got \(3, 3\)"),
    ],
)
def test_bad_integers(name, value, what):
    arguments = {"size": 9, "kernel_size": 3, name: value}
    for function in (output_size, same_padding):
        size, kernel_size = arguments["size"], arguments["kernel_size"]
        rest = {key: v for key, v in arguments.items() if key in ("stride", "dilation")}
        with pytest.raises(ValueError, match=f"^{name} {what}$"):
            function(size, kernel_size, **rest)


@pytest.mark.parametrize("padding", [-1, 0.5, True, None, "full", "SAME", (1, 1), np.ones(2)])
def test_bad_padding(padding):
    with pytest.raises(ValueError, match=r'^padding must be "valid", "same" or an integer >= 0, '):
        output_size(9, 3, padding=padding)


def test_a_kernel_too_large_is_told_how_large_it_may_be():
    with pytest.raises(ValueError, match=r"kernel_size must be <= 5 on an axis of 5 cells .*got 6"):
        output_size(5, 6)
    with pytest.raises(ValueError, match=r"kernel_size must be <= 3 .* dilation=2, got 4"):
        output_size(5, 4, dilation=2)
    assert output_size(5, 3, dilation=2) == 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([3], r"layers must hold \(kernel_size, stride\) or .*, got 3"),
        ([(3,)], r"layers must hold .*, got \(3,\)"),
        ([(3, 1, 1, 1)], r"layers must hold .*, got \(3, 1, 1, 1\)"),
        ([(3, 1), (0, 1)], "kernel_size must be >= 1, got 0"),
        ([(3, 0)], "stride must be >= 1, got 0"),
        ([(3, 1, -1)], "dilation must be >= 1, got -1"),
        ([(3.0, 1)], "kernel_size must be an integer, got 3.0"),
    ],
)
def test_bad_layers(layers, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(layers)
