"""Part IV and the appendix: every answer, right or wrong, computed by another way."""

import math
import re
import statistics
from fractions import Fraction
from itertools import product

import numpy as np
from keras import layers
from recomputed import LEARNERS, Table, batches, count, megabytes, moments, through
from scipy.optimize import brentq
from scipy.signal import convolve2d
from scipy.special import expit, log_expit, logit, softmax

from companion.exercises.questions import part_4

FEW = LEARNERS[:8]  # where Keras builds layers
table = Table(part_4.CHAPTERS)


def test_keys_and_slips():
    assert table.faults() == []


def slope(function, x, by=1e-4):
    return (function(x + by) - function(x - by)) / (2 * by)


# --- What the network looks at -------------------------------------------------------------------


@table.row("insight-occlusion-size", "a window of {w} × {w} pixels at … picture of {n} × {n}")
def _(w, n):
    places = convolve2d(np.ones((n, n)), np.ones((w, w)), "valid").shape
    touching = np.zeros((n, n))[: n - w + 1 : w, : n - w + 1 : w]
    return math.prod(places), {
        "last place forgotten": math.prod(side - 1 for side in places),
        "every pixel": np.zeros((n, n)).size,
        "one axis": places[0],
        "windows that touch": touching.size,
    }


@table.row("insight-grad-cam")
def _(blocks):
    maps, gradients = blocks[:2], blocks[2:]

    def cam(weigh):
        """Add up the maps place by place: what a map counts there, times its value."""
        return np.array(
            [
                [sum(weigh(g)[i][j] * m[i, j] for m, g in zip(maps, gradients, strict=True))
                 for j in (0, 1)]
                for i in (0, 1)
            ]
        )  # fmt: skip

    def mean(gradient):
        return np.full((2, 2), statistics.mean(gradient.ravel().tolist()))

    def total(gradient):
        return np.full((2, 2), gradient[0].sum() + gradient[1].sum())

    return cam(mean).clip(min=0), {
        "not cut off": cam(mean),
        "place by place": cam(lambda gradient: gradient).clip(min=0),
        "sum for mean": cam(total).clip(min=0),
        "maps added unweighted": cam(np.ones_like),
    }


@table.row("insight-window-centre", "Conv {k} × {k}, pool 2, conv 3 × 3, … what place {i} of")
def _(k, i):
    def seen(place):
        """List the pixels that a place of the last map looks at."""
        pooled = [place + u for u in range(3)]
        convolved = [2 * p + u for p in pooled for u in range(2)]
        return [c + u for c in convolved for u in range(k)]

    first, last = min(seen(i)), max(seen(i))
    return (first + last) / 2, {
        "first pixel": first,
        "stride forgotten": i + (min(seen(0)) + max(seen(0))) / 2,
        "half a pixel too much": (first + last + 1) / 2,
        "last pixel": last,
    }


@table.row("insight-saturated", "The probability of the class is {p}.")
def _(p):
    score = logit(p)
    return slope(expit, score), {
        "the probability": expit(score),
        "what is missing": expit(-score),
        "square": expit(score) ** 2,
        "cross-entropy": slope(lambda score: -log_expit(score), score),
    }


@table.row("insight-brightest")
def _():
    return "Neither map says how sure the network is", {
        "rests on more evidence": "divided by its own maximum",
        "looked longer": "computes the same for each picture",
        "attention is spread": "to right answers as well as to wrong ones",
    }


# --- How fast, and why ---------------------------------------------------------------------------


@table.row(
    "how-fast-floor",
    "A network takes {m} multiply-adds for one image. Matrix products run at {g} GFLOPs a second. "
    "… a forward pass of {b} images",
)
def _(m, g, b):
    def milliseconds(operations):
        return float(Fraction(operations, g * 10**9) * 1000)

    forward = b * (m + m)
    return milliseconds(forward), {
        "multiply-adds for FLOPs": milliseconds(b * m),
        "one image": milliseconds(m + m),
        "training step": milliseconds(forward + 2 * forward),
        "seconds": milliseconds(forward) / 1000,
    }


@table.row("how-fast-faults", "outputs are {b} × {n} × {n} × {f} numbers in float32")
def _(b, n, f):
    def pages(*shape, dtype="float32"):
        return batches(np.broadcast_to(np.zeros((), dtype), shape).nbytes, 4096)

    return pages(b, n, n, f), {
        "numbers for bytes": pages(b, n, n, f, dtype="uint8"),
        "one image": pages(n, n, f),
        "a fault a number": np.broadcast_to(0, (b, n, n, f)).size,
        "float64": pages(b, n, n, f, dtype="float64"),
    }


@table.row("how-fast-im2col", "Of {b} images of {n} × {n} with {c} channels, … kernel size {k}, w")
def _(b, n, c, k):
    def windows(images=b, channels=c):
        """Let NumPy lay out windows; rows are the axes of the places, columns those within."""
        stack = np.broadcast_to(0, (images, n, n, channels))
        shape = np.lib.stride_tricks.sliding_window_view(stack, (k, k), axis=(1, 2)).shape
        return math.prod(shape[:3]), math.prod(shape[3:])

    return windows(), {
        "size kept": (b * len(list(product(range(n), repeat=2))), windows()[1]),
        "channels forgotten": windows(channels=1),
        "one image": windows(images=1),
        "transposed": windows()[::-1],
    }


@table.row("how-fast-intensity", "A {k} × {k} convolution … makes {f} maps of {c}, in float32")
def _(k, f, c):
    shape = 8, 8, c
    outputs = math.prod(through(shape, layers.Conv2D(f, k, padding="same")))
    inputs, operations = math.prod(shape), 2 * outputs * c * k**2
    return operations / (4 * (inputs + outputs)), {
        "multiply-adds for FLOPs": operations / 2 / (4 * (inputs + outputs)),
        "numbers for bytes": operations / (inputs + outputs),
        "outputs only": operations / (4 * outputs),
        "inputs only": operations / (4 * inputs),
    }


@table.row(
    "how-fast-whole",
    "Of a step of {whole} ms, the gradient of pooling takes {part} ms. It is made {factor} times",
)
def _(whole, part, factor):
    other = whole - part
    after = Fraction(part, factor) + other
    return float(whole / after), {
        "the part's factor": factor,
        "part gone": whole / other,
        "upside down": float(after / whole),
        "gain for ratio": float(1 - after / whole),
        "weighted mean": (other * 1 + part * factor) / whole,
    }


# --- How far one can go --------------------------------------------------------------------------


@table.row("how-far-wrong", "right on {percent} % of the {n} test pictures")
def _(percent, n):
    share = Fraction(str(percent)) / 100
    return n - round(n * share), {
        "right ones": round(n * share),
        "of all training pictures": 39_209 - round(39_209 * share),
        "of a hundred": round(100 - 100 * share),
    }


@table.row("how-far-depthwise", "kernel size {k} on {c} maps", learners=FEW)
def _(k, c):
    return count(layers.DepthwiseConv2D(k), 9, 9, c), {
        "an ordinary convolution": count(layers.Conv2D(c, k), 9, 9, c),
        "biases forgotten": count(layers.DepthwiseConv2D(k, use_bias=False), 9, 9, c),
        "one kernel for all": count(layers.DepthwiseConv2D(k), 9, 9, 1),
    }


@table.row("how-far-strided", "stride 2 makes {f} maps of {c} of {n} × {n}")
def _(f, c, n):
    def adds(filters=f, channels=c, strides=2):
        layer = layers.Conv2D(filters, 3, strides=strides, padding="same")
        return math.prod(through((n, n, channels), layer)) * np.zeros((3, 3, channels)).size

    return adds(), {
        "stride forgotten": adds(strides=1),
        "half the places": adds(strides=(1, 2)),
        "one input map": adds(channels=1),
        "one filter": adds(filters=1),
    }


@table.row(
    "how-far-epochs",
    "compiling takes {before} s, an epoch {epoch} s. … accuracy of epoch {number},",
)
def _(before, epoch, number):
    ends = np.cumsum([before] + [epoch] * (number + 1))  # of the start, of epoch 1, of epoch 2 …
    return ends[number], {
        "start forgotten": ends[number] - ends[0],
        "counted from 0": ends[number - 1],
        "start in each epoch": sum([before, epoch] * number),
        "one epoch more": ends[number + 1],
    }


@table.row("how-far-chosen", "reach {a}, {b}, {c} % on")
def _(a, b, c):
    worst, _, best = sorted([a, b, c])
    return statistics.mean([a, b, c]), {
        "the best": best,
        "the worst": worst,
        "the sum": math.fsum([a, b, c]),
    }


# --- Things to keep in mind ----------------------------------------------------------------------


@table.row("keep-blocks", "{n} pictures of {side} × {side} × {channels} bytes")
def _(n, side, channels):
    block, content = 4096, np.zeros((side, side, channels), "uint8").nbytes
    taken = block
    while taken < content:
        taken += block
    return n * taken / 10**6, {
        "bytes of the pictures": megabytes("uint8", n, side, side, channels),
        "one block too many": n * (taken + block) / 10**6,
        "MiB": n * taken / 2**20,
    }


@table.row("keep-one-more", "A grid has {a} networks, {b} recipes and {c} seeds")
def _(a, b, c):
    before = set(product(range(a), range(b), range(c)))
    after = set(product(range(a), range(b + 1), range(c)))
    return len(after - before), {
        "one": len({recipe for _, recipe, _ in after - before}),
        "the whole grid": len(after),
        "the old grid": len(before),
        "one seed": len({cell[:2] for cell in after - before}),
    }


@table.row("keep-effective", "{ratio} times as wide as the one that counts {n} frames")
def _(ratio, n):
    def pictures(wider):
        """Return how many pictures make an interval wider: widths go with 1 / √pictures."""
        return brentq(lambda m: math.sqrt(n / m) - wider, n / 1000, n * 1000, xtol=1e-9)

    return pictures(ratio), {
        "root forgotten": n / ratio,
        "multiplied": pictures(1 / ratio),
        "frames": n,
        "root taken twice": pictures(ratio**0.25),
    }


@table.row("keep-adam", "A network has {p} parameters")
def _(p):
    weights = gradients = p
    return weights + moments() * p, {
        "weights only": weights,
        "weights forgotten": moments() * p,
        "gradients too": weights + gradients + moments() * p,
    }


@table.row("keep-leak")
def _():
    return "the mean for normalising comes from the others", {
        "A fifth of the slices": "Neighbouring slices of one patient land on both sides",
        "The last slices": "knows these patients from their other slices",
        "comes from all slices": "the held-out slices have changed what the training sees",
    }


# --- The concepts assumed ------------------------------------------------------------------------


@table.row("concepts-step", "and w = {w}. … learning rate {rate}?")
def _(w, rate, text):
    sign, size = re.search(r"\(w ([−+]) (\d+)\)²", text).groups()
    goal = int(size) if sign == "−" else -int(size)

    def loss(w):
        return (w - goal) ** 2

    return w - rate * slope(loss, w), {
        "uphill": w + rate * slope(loss, w),
        "factor two forgotten": w - rate * slope(lambda w: loss(w) / 2, w),
        "loss for slope": w - rate * loss(w),
        "step only": -rate * slope(loss, w),
    }


@table.row("concepts-softmax-two", "the scores {a} and {b}. Which")
def _(a, b):
    first, second = softmax([a, b])
    return first, {
        "other class": second,
        "sigmoid of its own score": expit(a),
        "base two": softmax(np.log(2) * np.array([a, b]))[0],
        "argmax": np.argmax([b, a]),
    }


@table.row("concepts-batches", "{n} examples, batches of {size}, {epochs} epochs")
def _(n, size, epochs):
    return sum(batches(n, size) for _ in range(epochs)), {
        "short batch forgotten": sum(math.floor(n / size) for _ in range(epochs)),
        "one epoch": batches(n, size),
        "rounded at the end": batches(sum(n for _ in range(epochs)), size),
        "examples": sum(n for _ in range(epochs)),
    }


@table.row("concepts-standardise", "values are {a}, {b}, {c}, {d}. A validation value is {new}.")
def _(a, b, c, d, new):
    values = [a, b, c, d]
    mean = statistics.fmean(values)
    all_values = [*values, new]
    return (new - mean) / statistics.pstdev(values), {
        "validation value in the mean": (new - statistics.fmean(all_values))
        / statistics.pstdev(all_values),
        "divided by the variance": (new - mean) / statistics.pvariance(values),
        "not divided": new - mean,
        "n − 1": (new - mean) / statistics.stdev(values),
    }


@table.row("concepts-threshold", "finds {found} of {rings} rings and gives {false} false alarms")
def _(found, rings, false):
    ring, alarm = np.zeros((2, rings + false), bool)
    ring[:rings] = True
    alarm[rings - found :] = True
    precision, recall = ring[alarm].mean(), alarm[ring].mean()
    return 2 * (ring & alarm).sum() / (ring.sum() + alarm.sum()), {
        "arithmetic mean": statistics.fmean([precision, recall]),
        "precision": precision,
        "recall": recall,
        "product": precision * recall,
    }
