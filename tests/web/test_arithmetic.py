"""The widgets' arithmetic gives what companion.arithmetic gives, or its reason."""

import json
from itertools import product
from math import prod

import numpy as np
import pytest

from companion import arithmetic

CAMEL = {
    "output_size": "outputSize",
    "same_padding": "samePadding",
    "receptive_field": "receptiveField",
    "cross_correlate": "crossCorrelate",
    "convolve": "convolve",
    "conv_layer": "convLayer",
    "max_pool": "maxPool",
    "average_pool": "averagePool",
    "dense_parameters": "denseParameters",
    "conv_parameters": "convParameters",
}


def vector(name, *args, **options):
    """Call the companion's function; write down the call and what came of it."""
    made = {"name": CAMEL[name], "args": args, "options": options}
    try:
        value = getattr(arithmetic, name)(*args, **options)
        made["expected"] = np.asarray(value).tolist()
    except ValueError as error:
        made["error"] = str(error)
    return made


def sizes():
    grid = product((1, 2, 4, 5, 28), (1, 2, 3, 5), (1, 2, 3), ("valid", "same", 0, 1, 2), (1, 2, 3))
    for n, k, s, p, d in grid:
        yield vector("output_size", n, k, stride=s, padding=p, dilation=d)
        if p == "same":
            yield vector("same_padding", n, k, stride=s, dilation=d)
    yield vector("output_size", 11, 2)
    for wrong in (0, -1, 2.5, "3", None, True):
        yield vector("output_size", wrong, 3)
        yield vector("output_size", 5, wrong)
        for option in ("stride", "dilation"):
            yield vector("output_size", 5, 3, **{option: wrong})
            yield vector("same_padding", 5, 3, **{option: wrong})
    for wrong in (-1, 0.5, "full", None, True):
        yield vector("output_size", 5, 3, padding=wrong)


def fields():
    for layers in ([], [(3, 1)], [(3, 1), (2, 2), (3, 1), (2, 2)], [(3, 2, 2), (5, 3), (2, 2, 4)]):
        yield vector("receptive_field", layers)
    for wrong in ([3], [(3,)], [(3, 1, 1, 1)], [(0, 1)], [(3, 1.5)], [(3, 1, 0)]):
        yield vector("receptive_field", wrong)


def convolutions():
    rng = np.random.default_rng(0)
    shapes = [((7,), (3,)), ((5, 6), (3, 2)), ((4, 4), (3, 3)), ((3, 4, 5), (2, 2, 3))]
    shapes.append(((2, 2), (3, 3)))
    grid = product(shapes, (1, 2, (2,), (1, 2)), ("valid", "same", 1), (1, 2))
    for (x, k), s, p, d in grid:
        image, kernel = rng.integers(-9, 10, x).tolist(), rng.normal(size=k).tolist()
        for name in ("cross_correlate", "convolve"):
            yield vector(name, image, kernel, stride=s, padding=p, dilation=d)
        image, kernels = rng.normal(size=(*x, 3)).tolist(), rng.normal(size=(*k, 3, 2)).tolist()
        yield vector("conv_layer", image, kernels, [0.5, -1], stride=s, padding=p, dilation=d)
    yield vector("conv_layer", image, kernels)
    yield vector("conv_layer", np.eye(4)[..., None].tolist(), np.ones((2, 2, 1, 3)).tolist())
    for x, k in (
        ([1, 2], [[1]]),
        ([[1], [1, 2]], [[1]]),
        ([], [1]),
        ([[]], [[1]]),
        (3, [1]),
        ([1], 2),
    ):
        yield vector("cross_correlate", x, k)
        yield vector("convolve", x, k)
    ones = np.ones
    yield vector("conv_layer", ones((3, 3)).tolist(), ones((2, 2)).tolist())
    yield vector("conv_layer", ones((3, 3, 2)).tolist(), ones((2, 2, 3, 1)).tolist())
    yield vector("conv_layer", ones((3, 3, 2)).tolist(), ones((2, 2, 2, 1)).tolist(), [1, 2])


def poolings():
    rng = np.random.default_rng(1)
    shapes = ((4, 4), (5, 7), (1, 3), (5, 4, 3))
    grid = product(shapes, (1, 2, 3, (2, 3), (2,), ()), (None, 1, 2, 3, (1, 2)), ("valid", "same"))
    for x, k, s, p in grid:
        image = rng.integers(-20, 20, x).tolist()
        for name in ("max_pool", "average_pool"):
            yield vector(name, image, k, stride=s, padding=p)
    for wrong in (1, 0, "full"):
        yield vector("max_pool", image, 2, padding=wrong)
    for wrong in (0, 1.5, "2"):
        yield vector("max_pool", image, wrong)
        yield vector("max_pool", image, 2, stride=wrong)
    yield vector("max_pool", image, 2)


def parameters():
    for inputs, units, bias in product((1, 784, 72_000_000), (1, 1000), (True, False)):
        yield vector("dense_parameters", inputs, units, bias=bias)
    for k, c, f, b in product((1, 3, (5,), (3, 5), (3, 3, 3)), (1, 8), (1, 16), (True, False)):
        yield vector("conv_parameters", k, c, f, bias=b)
    for wrong in (0, -3, 1.5, "8", None, True):
        yield vector("dense_parameters", wrong, 3)
        yield vector("dense_parameters", 3, wrong)
        yield vector("conv_parameters", wrong, 1, 1)
        yield vector("conv_parameters", 3, wrong, 1)
        yield vector("conv_parameters", 3, 1, wrong)
    yield vector("conv_parameters", (), 1, 1)
    yield vector("dense_parameters", 3, 3, bias=1)
    yield vector("conv_parameters", (3, 0), 1, 1)


def multiply_adds():
    """By the definition: positions × weights, summed over layers."""
    for n, k, f in product((8, 28), (3, 5), (8, 16)):
        side = arithmetic.output_size(n, k)
        conv = {"kernelSize": k, "channels": 1, "filters": f, "outputSize": [side, side]}
        dense = {"inputs": side * side * f, "units": 10}
        expected = prod((k, k, f, side, side)) + side * side * f * 10
        yield {"name": "multiplyAdds", "args": [[conv, dense]], "expected": expected}


@pytest.fixture(scope="module")
def vectors():
    makers = (sizes, fields, convolutions, poolings, parameters, multiply_adds)
    return [vector for maker in makers for vector in maker()]


def test_there_are_hundreds_of_vectors_and_many_impossible_ones(vectors):
    impossible = [vector for vector in vectors if "error" in vector]
    assert len(vectors) > 1000
    assert len(impossible) > 200
    assert {vector["name"] for vector in vectors} == {*CAMEL.values(), "multiplyAdds"}


def test_javascript_gives_the_same(vectors, run_node, tmp_path):
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(vectors))
    run_node("arithmetic.test.mjs", KC_VECTORS=path)
