"""Part II: every answer, right or wrong, computed by another way: Keras, SciPy, loops."""

import math
from itertools import product

import numpy as np
from keras import layers
from recomputed import LEARNERS, Table, batches, count, through
from scipy.special import rel_entr

from companion.exercises.questions import part_2

FEW = LEARNERS[:8]  # where Keras builds layers
table = Table(part_2.CHAPTERS)


def test_keys_and_slips():
    assert table.faults() == []


# --- A dense baseline ----------------------------------------------------------------------------


@table.row("mnist-dense-parameters", "go through `Dense({n})` and `Dense(10)`", learners=FEW)
def _(n):
    def both(inputs=28 * 28, hidden=n, bias=True):
        first, last = layers.Dense(n, use_bias=bias), layers.Dense(10, use_bias=bias)
        return count(first, inputs) + count(last, hidden)

    return both(), {
        "biases forgotten": both(bias=False),
        "first layer only": count(layers.Dense(n), 784),
        "outputs read the pixels": both(hidden=784),
        "28 inputs": both(inputs=28),
    }


@table.row("mnist-dense-steps", "Of {n} pictures, {share} % are held out. … batches of {size}")
def _(n, share, size):
    held_out = len(range(0, n, 100)) * share
    return batches(n - held_out, size), {
        "short batch forgotten": math.floor((n - held_out) / size),
        "held-out pictures trained on": batches(n, size),
        "only the held-out": batches(held_out, size),
        "pictures": n - held_out,
    }


@table.row("mnist-dense-loss", "probabilities {a}, {b}, {c}, {d}; the true class is {true}")
def _(a, b, c, d, true):
    shares = [a, b, c, d]
    entropy = rel_entr(1, shares)  # the truth is one class with probability 1
    return entropy[true], {
        "sign forgotten": -entropy[true],
        "base ten": entropy[true] / math.log(10),
        "base two": entropy[true] / math.log(2),
        "of the answer": entropy.min(),
        "without the logarithm": 1 - shares[true],
    }


@table.row("mnist-dense-interval", "reads {percent} % of {n} independent pictures")
def _(percent, n):
    p = percent / 100
    one = p * (1 - p) ** 2 + (1 - p) * (0 - p) ** 2  # variance of a picture: right 1, wrong 0
    of_sum = n * one  # independent: variances add up
    return math.sqrt(of_sum) / n, {
        "root forgotten": of_sum / n**2,
        "not divided by n": math.sqrt(one),
        "of the count": math.sqrt(of_sum),
        "95 %": 1.96 * math.sqrt(of_sum) / n,
    }


@table.row("mnist-dense-shuffled")
def _():
    return "no more than another seed", {
        "falls to about 10 %": "One for all loses nothing",
        "strokes are torn apart": "never knew which pixels were neighbours",
        "It rises": "the same information is there",
    }


# --- The 42,358-parameter network ----------------------------------------------------------------


def of_network(f1, f2, u, padding="valid", channels=None):
    """Let Keras count the parameters of each layer of the network for digits."""
    first, second = (layers.Conv2D(f, 3, padding=padding) for f in (f1, f2))
    pooling = layers.MaxPooling2D(2)
    (flat,) = through((28, 28, 1), first, pooling, second, pooling, layers.Flatten())
    return [
        count(layers.Conv2D(f1, 3), 28, 28, 1),
        count(layers.Conv2D(f2, 3), 13, 13, channels or f1),
        count(layers.Dense(u), flat),
        count(layers.Dense(10), u),
    ]


def test_the_network_of_the_chapter_has_as_many_parameters_as_its_name_says():
    assert sum(of_network(8, 16, 100)) == 42_358


@table.row("mnist-cnn-second-layer", "3 × 3 have {f1} and {f2} filters", learners=FEW)
def _(f1, f2):
    return count(layers.Conv2D(f2, 3), 9, 9, f1), {
        "one channel only": count(layers.Conv2D(f2, 3), 9, 9, 1),
        "bias forgotten": count(layers.Conv2D(f2, 3, use_bias=False), 9, 9, f1),
        "first layer": count(layers.Conv2D(f1, 3), 9, 9, 1),
        "a bias for each kernel": sum(3 * 3 + 1 for _ in product(range(f1), range(f2))),
    }


@table.row("mnist-cnn-sides", "Pictures of {n} × {n} go through")
def _(n):
    def side(convolutions="valid", poolings="valid", stack="cpcp"):
        layer = {
            "c": layers.Conv2D(1, 3, padding=convolutions),
            "p": layers.MaxPooling2D(2, padding=poolings),
        }
        return through((n, n, 1), *(layer[kind] for kind in stack))[0]

    return side(), {
        "convolutions keep the size": side(convolutions="same"),
        "rounded up": side(poolings="same"),
        "before the last pooling": side(stack="cpc"),
        "poolings forgotten": side(stack="cc"),
    }


@table.row("mnist-cnn-total", "built with {f1} and {f2} filters and {u} neurons", learners=FEW)
def _(f1, f2, u):
    right = of_network(f1, f2, u)
    return sum(right), {
        "same, not valid": sum(of_network(f1, f2, u, padding="same")),
        "biases forgotten": sum(right) - sum((f1, f2, u, 10)),
        "one channel in the second layer": sum(of_network(f1, f2, u, channels=1)),
        "outputs forgotten": sum(right[:3]),
    }


@table.row(
    "mnist-cnn-share",
    "{f1} and {f2} filters and {u} neurons, the layers have {a}, {b}, {c}, {d} parameters",
    learners=FEW,
)
def _(f1, f2, u, a, b, c, d):
    assert [a, b, c, d] == of_network(f1, f2, u)
    others = a + b + d
    return c / (others + c), {
        "against the rest": c / others,
        "the rest": others / (others + c),
        "both dense layers": (c + d) / (others + c),
    }


@table.row("mnist-cnn-recall", "the recall of class {wanted} (counted from 0)")
def _(wanted, blocks):
    (matrix,) = blocks
    pictures = [
        (true, said)
        for true, said in product(range(3), repeat=2)
        for _ in range(matrix[true, said])
    ]

    def share(right, of):
        of = [picture for picture in pictures if of(*picture)]
        return sum(right(*picture) for picture in of) / len(of)

    return share(lambda _, said: said == wanted, lambda true, _: true == wanted), {
        "precision": share(lambda true, _: true == wanted, lambda _, said: said == wanted),
        "share of all pictures": share(lambda t, s: t == s == wanted, lambda *_: True),
        "accuracy": share(lambda true, said: true == said, lambda *_: True),
        "counted from 1": share(lambda _, s: s + 1 == wanted, lambda t, _: t + 1 == wanted),
    }


@table.row("mnist-cnn-adds", "With {f1} and {f2} filters")
def _(f1, f2):
    first, pooling = layers.Conv2D(f1, 3), layers.MaxPooling2D(2)

    def adds(shape, filters=f2, padding="valid"):
        """Multiply-adds of a convolution of 3 × 3 on maps of a shape."""
        outputs = through(shape, layers.Conv2D(filters, 3, padding=padding))
        return math.prod(outputs) * np.zeros((3, 3, shape[-1])).size

    convolved = through((28, 28, 1), first)
    read = through(convolved, pooling)
    return adds(read), {
        "first layer": adds((28, 28, 1), filters=f1),
        "pooling forgotten": adds(convolved),
        "same, not valid": adds(read, padding="same"),
        "one channel only": adds((*read[:2], 1)),
        "parameters": count(layers.Conv2D(f2, 3), *read),
    }
