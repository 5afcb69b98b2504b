"""Part I: every answer, right or wrong, computed by another way: Keras, SciPy, loops."""

import math
import re
from fractions import Fraction
from itertools import accumulate, product

import jax
import numpy as np
from keras import layers
from recomputed import LEARNERS, Table, count, through
from scipy.signal import convolve2d, correlate2d
from scipy.special import expit, softmax
from skimage.measure import block_reduce

from companion.exercises.questions import part_1

FEW = LEARNERS[:8]  # where Keras builds layers, or JAX compiles
table = Table(part_1.CHAPTERS)


def test_keys_and_slips():
    assert table.faults() == []


def places(n, k, stride=1):
    """Count the places of a window by walking along an axis."""
    return len(range(0, n - k + 1, stride))


def side(layer, n):
    """Let Keras say how long the first axis of a layer's output is, from n cells a side."""
    return through((n, 1) if "1D" in type(layer).__name__ else (n, n, 1), layer)[0]


# --- Why convolution -----------------------------------------------------------------------------


@table.row("why-neurons", "{n} neurons reads a grey picture of {h} × {w} pixels", learners=FEW)
def _(n, h, w):
    weights = count(layers.Dense(n, use_bias=False), h * w)
    return count(layers.Dense(n), h * w), {
        "bias forgotten": weights,
        "one bias for all": weights + 1,
        "a bias for each input": sum(n + 1 for _ in range(h * w)),
        "rows only": count(layers.Dense(n), h),
    }


@table.row("why-photo-memory", "{h} × {w} pixels. How many GB (10⁹ bytes) … layer of {n} neurons")
def _(h, w, n):
    pixels, float32 = h * w, np.dtype("float32").itemsize
    return n * pixels * 3 * float32 / 10**9, {
        "one channel only": n * pixels * float32 / 10**9,
        "weights, not bytes": n * pixels * 3 / 10**9,
        "bits": n * pixels * 3 * 32 / 10**9,
        "one channel and one byte": n * pixels / 10**9,
        "Adam's memory": n * pixels * 3 * (float32 + 3 * float32) / 10**9,
    }


@table.row("why-sharing", "{f} filters of {k} × {k} look at a grey picture of {n} × {n}")
def _(f, k, n):
    windows = list(product(range(places(n, k)), repeat=2))
    neurons = [(window, kernel) for window in windows for kernel in range(f)]
    return sum(k * k + 1 for _ in neurons), {
        "shared": sum(k * k + 1 for _ in range(f)),
        "bias forgotten": sum(k * k for _ in neurons),
        "places of the picture": sum(f * (k * k + 1) for _ in product(range(n), repeat=2)),
        "one filter": sum(k * k + 1 for _ in windows),
        "dense": sum(n * n + 1 for _ in neurons),
    }


@table.row(
    "why-alarms",
    "{people} people pass a camera, and {wanted} of them … finds {found} % of these, "
    "and takes {false} % of the others",
)
def _(people, wanted, found, false):
    found, false = Fraction(found, 100), Fraction(str(false)) / 100
    true_alarms, false_alarms = found * wanted, false * (people - wanted)
    alarms = true_alarms + false_alarms
    return float(true_alarms / alarms), {
        "share found": float(found),
        "share of false alarms": float(1 - true_alarms / alarms),
        "odds": float(true_alarms / false_alarms),
        "rates compared": float(found / (found + false)),
    }


# --- Images as arrays ----------------------------------------------------------------------------


@table.row("images-shape", "{n} photos in colours, each {w} pixels wide and {h} high")
def _(n, w, h):
    one = np.broadcast_to(np.uint8(0), (h, w, 3))
    stack = np.broadcast_to(one, (n, *one.shape))
    return stack.shape, {
        "width first": stack.swapaxes(1, 2).shape,
        "channels first": np.moveaxis(stack, -1, 1).shape,
        "batch forgotten": one.shape,
        "channels forgotten": stack[..., 0].shape,
        "width first, channels first": stack.T.shape[-1:] + stack.T.shape[:-1],
    }


@table.row("images-wrap", "Two uint8 pixels, {a} and {b}, are added")
def _(a, b):
    pixels = np.array([a, b])
    return int(pixels.astype(np.uint8).sum(dtype=np.uint8)), {
        "a wider type": int(pixels.sum()),
        "clipped": int(pixels.sum().clip(0, 255)),
        "modulo 255": a + b - 255,
        "mean": math.floor(pixels.mean()),
    }


@table.row("images-grey", "(R, G, B) = ({r}, {g}, {b})")
def _(r, g, b):
    thousandths = 299 * r + 587 * g + 114 * b
    return (thousandths + 500) // 1000, {
        "cut off, not rounded": thousandths // 1000,
        "mean": (2 * (r + g + b) + 3) // 6,
        "order of the colours": (299 * b + 587 * g + 114 * r + 500) // 1000,
        "brightest channel": sorted([r, g, b])[-1],
    }


@table.row("images-memory", "do {n} pictures of {side} × {side} in colours take as float32")
def _(n, side):
    def megabytes(dtype, channels=3, mega=10**6):
        return np.broadcast_to(np.zeros((), dtype), (n, side, side, channels)).nbytes / mega

    return megabytes("float32"), {
        "bytes, not floats": megabytes("uint8"),
        "one channel only": megabytes("float32", 1),
        "float64": megabytes("float64"),
        "MiB": megabytes("float32", mega=2**20),
    }


@table.row("images-pixel-centre", "A row of {large} pixels is resized to {small}. … new pixel {i} ")
def _(large, small, i):
    def middle(cells, parts):
        """Cut a row of cells into parts; where is the middle of part i?"""
        edges = np.linspace(-0.5, cells - 0.5, parts + 1)
        return (edges[i] + edges[i + 1]) / 2

    return middle(large, small), {
        "half a pixel forgotten": np.linspace(0, large, small + 1)[i],
        "half a pixel too much": np.linspace(0, large, 2 * small + 1)[2 * i + 1],
        "ends aligned": np.linspace(0, large - 1, small)[i],
        "upside down": middle(small, large),
    }


# --- Convolution, worked by hand -----------------------------------------------------------------


@table.row("convolution-one-window")
def _(blocks):
    x, k = blocks
    return correlate2d(x, k, "valid").item(), {
        "kernel turned": convolve2d(x, k, "valid").item(),
        "kernel transposed": correlate2d(x.T, k, "valid").item(),
        "signs dropped": sum(a * abs(b) for a, b in zip(x.flat, k.flat, strict=True)),
        "matrix product": sum(x[i, j] * k[j, m] for i, j, m in product(range(3), repeat=3)),
    }


@table.row("convolution-signal")
def _(blocks):
    x, k = blocks
    return np.correlate(x, k, "valid"), {
        "convolution": np.convolve(x, k, "valid"),
        "same, not valid": np.correlate(x, k, "same"),
        "stride of 3": np.array([x[:3] @ k, x[3:] @ k]),
    }


@table.row("convolution-flip")
def _(blocks):
    x, k = blocks
    return convolve2d(x, k, "valid"), {
        "cross-correlation": correlate2d(x, k, "valid"),
        "turned along one axis: rows": correlate2d(x, np.flipud(k), "valid"),
        "turned along one axis: columns": correlate2d(x, np.fliplr(k), "valid"),
        "transposed": correlate2d(x, np.swapaxes(k, 0, 1), "valid"),
    }


@table.row("convolution-cost", "A {k} × {k} kernel slides over a grey picture of {h} × {w}")
def _(k, h, w):
    windows = list(product(range(places(h, k)), range(places(w, k))))
    return sum(k * k for _ in windows), {
        "same, not valid": sum(k * k for _ in product(range(h), range(w))),
        "places only": len(windows),
        "one axis of the kernel": sum(k for _ in windows),
        "off by one at the border": sum(k * k for i, j in windows if i > 0 and j > 0),
    }


@table.row(
    "convolution-linear",
    "answers {a} to image A and {b} to image B; its bias is {bias}, … image {s} · A + B",
)
def _(a, b, bias, s):
    def answer(pixel):
        """Let a filter of one weight, 1, answer to an image of one pixel."""
        return pixel * 1 + bias

    first, second = a - bias, b - bias
    assert (answer(first), answer(second)) == (a, b)
    return answer(s * first + second), {
        "bias scaled too": s * a + b,
        "bias forgotten": answer(s * first + second) - bias,
        "factor forgotten": answer(first + second),
        "all scaled": answer(s * (first + second)),
    }


# --- Padding, strides, dilation ------------------------------------------------------------------


@table.row("padding-output-size", "Input {n}, kernel {k}, stride {s}, padding {p} on both sides")
def _(n, k, s, p):
    begins = range(-p, n + p - k + 1, s)
    return len(begins), {
        "ceiling instead of floor": len(range(-p, n + p - k + s, s)),
        "last place forgotten": len(begins[1:]),
        "padding on one side": len(range(-p, n - k + 1, s)),
        "stride forgotten": len(range(-p, n + p - k + 1)),
        "padding forgotten": len(range(0, n - k + 1, s)),
    }


@table.row("padding-same-or-valid", "kernel {k} and stride {s}. Its input has {n} rows")
def _(k, s, n):
    return side(layers.Conv1D(1, k, strides=s, padding="same"), n), {
        "valid": side(layers.Conv1D(1, k, strides=s), n),
        "size kept": side(layers.Conv1D(1, k, padding="same"), n),
        "floor instead of ceiling": math.floor(n / s),
    }


@table.row("padding-dilated", "Kernel {k} with dilation {d} slides over {n} cells")
def _(k, d, n):
    return side(layers.Conv1D(1, k, dilation_rate=d), n), {
        "dilation forgotten": side(layers.Conv1D(1, k), n),
        "span is d · k": side(layers.Conv1D(1, d * k), n),
        "last place forgotten": side(layers.Conv1D(1, k, dilation_rate=d), n - 1),
        "dilation as a stride": side(layers.Conv1D(1, k, strides=d), n),
    }


@table.row("padding-frame", "an axis of {n} cells, for kernel {k} and stride {s}")
def _(n, k, s):
    ((before, after),) = jax.lax.padtype_to_pads((n,), (k,), (s,), "SAME")
    (plain,) = jax.lax.padtype_to_pads((n,), (k,), (1,), "SAME")
    return (before, after), {
        "odd zero at the start": (after, before),
        "both sides alike": (max(before, after),) * 2,
        "as for stride 1": tuple(plain),
    }


@table.row("padding-unread", "A kernel of {k} moves over {n} cells with stride {s}")
def _(k, n, s):
    windows = [range(i, i + k) for i in range(0, n - k + 1, s)]
    unread = [cell for cell in range(n) if not any(cell in window for window in windows)]
    after = [cell for cell in unread if cell > windows[-1][-1]]
    return len(unread), {
        "gaps forgotten": len(after),
        "end forgotten": len(unread) - len(after),
        "a gap after the last window": len(unread) + s - k,
        "remainder of n": n - s * (n // s),
    }


# --- Channels, filters, and more dimensions ------------------------------------------------------


@table.row("channels-count", "`Conv2D({f}, {k})` on an input of {c} channels", learners=FEW)
def _(f, k, c):
    return count(layers.Conv2D(f, k), 9, 9, c), {
        "bias forgotten": count(layers.Conv2D(f, k, use_bias=False), 9, 9, c),
        "one channel only": count(layers.Conv2D(f, k), 9, 9, 1),
        "a bias for each kernel": sum(k * k + 1 for _ in product(range(f), range(c))),
        "one axis of the kernel": count(layers.Conv1D(f, k), 9, c),
        "biases of the inputs": count(layers.Conv2D(c, k), 9, 9, f),
    }


@table.row("channels-output-shape", "shape ({h}, {w}, {c}) goes through `Conv2D({f}, {k})`")
def _(h, w, c, f, k):
    def shape(filters, **options):
        return through((h, w, c), layers.Conv2D(filters, k, **options))

    return shape(f), {
        "same, not valid": shape(f, padding="same"),
        "channels kept": shape(c),
        "a map for each kernel": shape(c * f),
        "off by one": (places(h, k + 1), places(w, k + 1), f),
        "channels first": shape(f)[-1:] + shape(f)[:-1],
    }


@table.row("channels-two-channels", "its bias is {bias}.")
def _(bias, blocks):
    x, k = blocks[:2], blocks[2:]

    def answer(pairs):
        return sum(int(correlate2d(x[i], k[j], "valid").item()) for i, j in pairs)

    return answer([(0, 0), (1, 1)]) + bias, {
        "bias forgotten": answer([(0, 0), (1, 1)]),
        "a bias for each channel": answer([(0, 0), (1, 1)]) + bias + bias,
        "first channel only": answer([(0, 0)]) + bias,
        "second channel only": answer([(1, 1)]) + bias,
        "kernels swapped": answer([(0, 1), (1, 0)]) + bias,
    }


@table.row("channels-separable", "`SeparableConv2D({f}, {k})` on {c} channels", learners=FEW)
def _(f, k, c):
    shape = 9, 9, c
    return count(layers.SeparableConv2D(f, k), *shape), {
        "full convolution": count(layers.Conv2D(f, k), *shape),
        "bias forgotten": count(layers.SeparableConv2D(f, k, use_bias=False), *shape),
        "depthwise part only": count(layers.DepthwiseConv2D(k, use_bias=False), *shape),
        "biases in both parts": count(layers.DepthwiseConv2D(k), *shape)
        + count(layers.Conv2D(f, 1), *shape),
    }


@table.row("channels-volume", "`Conv3D({f}, {k})` reads a video of shape ({d}, {h}, {w}, {c})")
def _(f, k, d, h, w, c):
    def adds(filters=f, channels=c, kernel=(k, k, k), padding="valid"):
        outputs = through((d, h, w, c), layers.Conv3D(filters, k, padding=padding))
        return math.prod(outputs) * channels * math.prod(kernel)

    return adds(), {
        "flat kernel": adds(kernel=(k, k)),
        "one channel only": adds(channels=1),
        "one filter": adds(filters=1),
        "same, not valid": adds(padding="same"),
    }


# --- Pooling -------------------------------------------------------------------------------------


@table.row("pooling-max")
def _(blocks):
    (x,) = blocks
    every = np.lib.stride_tricks.sliding_window_view(x, (2, 2))
    return block_reduce(x, (2, 2), np.max), {
        "average": block_reduce(x, (2, 2), np.mean),
        "stride of 1": every.max(axis=(2, 3)),
        "minimum": block_reduce(x, (2, 2), np.min),
        "first cells": np.array([[x[0, 0], x[0, 2]], [x[2, 0], x[2, 2]]]),
    }


@table.row("pooling-lost-cells", "A map of {n} × {n} is pooled with windows of {w} × {w}")
def _(n, w):
    pooled = np.zeros((n, n), int)
    for i, j in product(range(0, n - w + 1, w), repeat=2):
        pooled[i : i + w, j : j + w] = 1
    lost_rows = (pooled.sum(axis=1) == 0).sum() * n
    lost_columns = (pooled.sum(axis=0) == 0).sum() * n
    corner = ((~pooled.any(0))[:, None] & ~pooled.any(1)).sum()
    lost = (pooled == 0).sum()
    return lost, {
        "one axis": (~pooled.any(0)).sum(),
        "corner counted twice": lost_rows + lost_columns,
        "corner forgotten": lost - corner,
        "windows": pooled.sum() // (w * w),
    }


@table.row("pooling-size", "`MaxPooling2D({w}, strides={s})` reads maps of {n} × {n}")
def _(w, s, n):
    return side(layers.MaxPooling2D(w, strides=s), n), {
        "divided by the window": side(layers.MaxPooling2D(w), n),
        "ceiling instead of floor": side(layers.MaxPooling2D(w, strides=s), n + s - 1),
        "last place forgotten": side(layers.MaxPooling2D(w, strides=s), n - s),
        "stride forgotten": side(layers.MaxPooling2D(w, strides=1), n),
    }


@table.row("pooling-gradient", "and the gradient that comes back for it is {g}.", learners=FEW)
def _(g, blocks):
    x = blocks[0].astype(float)

    def gradient(function):
        return np.asarray(jax.grad(lambda x: g * function(x))(x))

    return gradient(lambda x: x.max()), {
        "shared equally": gradient(lambda x: x.mean()),
        "to all": gradient(lambda x: x.sum()),
        "to the smallest": gradient(lambda x: x.min()),
        "value times gradient": gradient(lambda x: x.max() ** 2 / 2),
    }


@table.row("pooling-global", "shape ({a}, {a}, {c}) are flattened … dense layer of {n} neurons")
def _(a, c, n):
    cells = a * a
    return sum(cells * c - c for _ in range(n)), {
        "what stays": sum(c + 1 for _ in range(n)),
        "what was there": sum(cells * c + 1 for _ in range(n)),
        "one map": sum(cells - 1 for _ in range(n)),
        "biases saved too": sum(cells * c + 1 - c for _ in range(n)),
    }


# --- Counting parameters -------------------------------------------------------------------------


@table.row("counting-dense", "`Dense({n})` reads {m} numbers", learners=FEW)
def _(n, m):
    weights = count(layers.Dense(n, use_bias=False), m)
    return count(layers.Dense(n), m), {
        "bias forgotten": weights,
        "a bias for each input": sum(n + 1 for _ in range(m)),
        "one bias for all": weights + 1,
    }


@table.row("counting-batch-norm", "follows maps of shape ({h}, {h}, {c})", learners=FEW)
def _(h, c):
    layer = layers.BatchNormalization()
    every = count(layer, h, h, c)
    return sum(math.prod(weight.shape) for weight in layer.trainable_weights), {
        "all of them": every,
        "one for each channel": layer.gamma.shape[0],
        "one for each place": count(layers.LayerNormalization(axis=(1, 2, 3)), h, h, c),
        "none": 0,
    }


@table.row(
    "counting-flattened",
    "A grey picture of {n} × {n} goes through `Conv2D({f}, 3)`, … and `Dense({u})`",
)
def _(n, f, u):
    def dense(*before):
        (inputs,) = through((n, n, 1), *before, layers.Flatten())
        return sum(inputs + 1 for _ in range(u))

    convolution, pooling = layers.Conv2D(f, 3), layers.MaxPooling2D(2)
    right = dense(convolution, pooling)
    return right, {
        "bias forgotten": right - u,
        "same, not valid": dense(layers.Conv2D(f, 3, padding="same"), pooling),
        "one map": dense(layers.Conv2D(1, 3), pooling),
        "pooling forgotten": dense(convolution),
        "whole network": right + count(convolution, n, n, 1),
    }


@table.row("counting-training-memory", "A network has {p} parameters")
def _(p):
    weights = np.broadcast_to(np.float32(0), p).nbytes / 10**6
    gradient, mean, square = weights, weights, weights
    return weights + gradient + mean + square, {
        "weights only": weights,
        "three numbers for each": weights + gradient + mean,
        "averages forgotten": weights + gradient,
        "float64": 4 * np.broadcast_to(np.float64(0), p).nbytes / 10**6,
    }


@table.row(
    "counting-adds-per-parameter",
    "`Conv2D({f}, {k})`, `valid`, reads a picture of {n} × {n} with {c} channels",
)
def _(f, k, n, c):
    weights = k * k * c * f
    uses = sum(weights for _ in product(range(places(n, k)), repeat=2))
    return uses // weights, {
        "one": 1,
        "same, not valid": len(list(product(range(n), repeat=2))),
        "times filters": uses // (k * k * c),
        "times channels": uses // (k * k * f),
        "one axis": places(n, k),
    }


# --- The typical architecture --------------------------------------------------------------------


@table.row("architecture-pyramid", "{b} blocks of … ({n}, {n}, 3). The first has {f} filters")
def _(b, n, f):
    pooled, filters = (n, n, 3), [f]
    for _ in range(b):
        convolved = through(pooled, layers.Conv2D(filters[-1], 3, padding="same"))
        pooled = through(convolved, layers.MaxPooling2D(2))
        filters.append(2 * filters[-1])
    return pooled, {
        "doubled once too often": (*pooled[:2], filters[-1]),
        "one pooling too few": convolved,
        "channels added up": (*pooled[:2], sum(filters[:-1])),
        "channels of the image": (*pooled[:2], 3),
    }


@table.row("architecture-receptive-field", "How many pixels along one axis does a neuron see")
def _(text):
    stack = [(int(k), int(s or 1)) for k, s in re.findall(r"of (\d)(?: with stride (\d))?", text)]

    def field(stack):
        """Go back from one neuron to the pixels."""
        pixels = 1
        for k, s in reversed(stack):
            pixels = (pixels - 1) * s + k
        return pixels

    jumps = accumulate((s for _, s in stack), lambda a, b: a * b)
    return field(stack), {
        "strides forgotten": field([(k, 1) for k, _ in stack]),
        "own stride counted": 1 + sum((k - 1) * j for (k, _), j in zip(stack, jumps, strict=True)),
        "poolings see nothing": field([(k if s == 1 else 1, s) for k, s in stack]),
        "kernels multiplied": math.prod(k for k, _ in stack),
    }


@table.row(
    "architecture-two-small",
    "{m} layers of 3 × 3 take the place of one of {k} × {k}; all have {c} channels",
)
def _(m, k, c):
    small, large = np.zeros((3, 3, c, c)).size, np.zeros((k, k, c, c)).size
    saved = large - m * small
    return saved / large, {
        "what stays": m * small / large,
        "one small layer": (large - small) / large,
        "in terms of the new": saved / (m * small),
    }


@table.row("architecture-softmax", "scores are {a}, {b} and {c}.")
def _(a, b, c):
    first, second, third = softmax([a, b, c])
    return first, {
        "share of the scores": a / (a + b + c) if a + b + c else 2,
        "powers of two": softmax(np.log(2) * np.array([a, b, c]))[0],
        "another class: the second": second,
        "another class: the third": third,
        "sigmoid": expit(a),
    }


@table.row("architecture-dropout", "`Dropout({rate})` reads the value {v}", learners=FEW)
def _(rate, v):
    kept = np.asarray(layers.Dropout(rate, seed=1)(np.full(64, v, "float32"), training=True)).max()
    used = np.asarray(layers.Dropout(rate)(np.full(64, v, "float32"), training=False)).max()
    share = Fraction(str(rate))
    return kept, {
        "not scaled": used,
        "scaled down": float(v * (1 - share)),
        "divided by the rate": float(v / share),
        "dropped": 0,
    }
