"""Part III: every answer, right or wrong, computed by another way: enumeration, SciPy, Keras."""

import heapq
import math
import re
from fractions import Fraction
from itertools import accumulate, product

import numpy as np
from keras import layers
from recomputed import LEARNERS, Table, batches, count, megabytes, moments, through
from scipy.ndimage import map_coordinates
from scipy.optimize import brentq

from companion.exercises.questions import part_3
from companion.training.signals import STOPPED

FEW = LEARNERS[:8]  # where Keras builds layers, or much is enumerated
table = Table(part_3.CHAPTERS)


def test_keys_and_slips():
    assert table.faults() == []


def either(chance, many):
    """List how many of independent events happen, and with which probability."""
    for happened in product([True, False], repeat=many):
        yield sum(happened), math.prod(chance if event else 1 - chance for event in happened)


# --- 1 The data ----------------------------------------------------------------------------------


@table.row("gtsrb-data-cooked-size", "{n} pictures are cooked to {side} × {side} in colours")
def _(n, side):
    return megabytes("uint8", n, side, side, 3), {
        "one channel only": megabytes("uint8", n, side, side),
        "floats": megabytes("float32", n, side, side, 3),
        "one axis": megabytes("uint8", n, side, 3),
        "MiB": megabytes("uint8", n, side, side, 3) * 10**6 / 2**20,
    }


@table.row(
    "gtsrb-data-margin",
    "{w} pixels wide and {h} high. … columns {x1} to {x2} and rows {y1} to {y2}, both ends incl",
)
def _(w, h, x1, x2, y1, y2):
    picture = np.zeros((h, w, 3))
    sign = picture[y1:][: y2 + 1 - y1][:, x1:][:, : x2 + 1 - x1]
    return sign.shape, {
        "last row and column forgotten": picture[y1:y2, x1:x2].shape,
        "width first": sign.swapaxes(0, 1).shape,
        "channels forgotten": sign[..., 0].shape,
        "whole picture": picture.shape,
    }


@table.row("gtsrb-data-tracks-held-out", "{tracks} tracks of 30 frames each; {percent} % of")
def _(tracks, percent):
    frames = np.repeat(np.arange(tracks), 30)
    held_out = frames * 100 < tracks * percent
    return (~held_out).sum(), {
        "held out": held_out.sum(),
        "tracks": len(set(frames[~held_out])),
        "a frame of each track": len(frames) - len(set(frames[held_out])),
        "nothing held out": len(frames),
    }


@table.row(
    "gtsrb-data-imbalance",
    "Of {total} validation pictures, {often} belong to the most frequent class and {rare} to the",
)
def _(total, often, rare):
    known = np.arange(total) >= rare
    return known.mean(), {
        "mean of the classes": np.mean([1] * 42 + [0]),
        "compared with the frequent class": 1 - known[: rare + 1].argmax() / often,
        "only the frequent class": known[-often:].sum() / total,
    }


@table.row("gtsrb-data-random-split", "held out with probability {percent} %")
def _(percent):
    trained_on = list(either(1 - percent / 100, 2))  # of the frames before and after
    return sum(chance for number, chance in trained_on if number >= 1), {
        "both of them": sum(chance for number, chance in trained_on if number == 2),
        "one neighbour": sum(chance for number, chance in either(1 - percent / 100, 1) if number),
        "none of them": sum(chance for number, chance in trained_on if number == 0),
        "shares added": sum(number * chance for number, chance in trained_on),
    }


# --- 2 First convolutions ------------------------------------------------------------------------


@table.row("first-scale", "Which float does {v} become")
def _(v):
    return np.interp(v, [0, 255], [0, 1]), {
        "divided by 256": np.interp(v, [0, 256], [0, 1]),
        "−1 … 1": np.interp(v, [0, 255], [-1, 1]),
        "upside down": np.interp(v, [0, 255], [1, 0]),
    }


@table.row("first-sides", "Signs of ({n}, {n}, 3) … with {f} filters")
def _(n, f):
    def shape(convolutions="valid", poolings="valid", last=f, stack=4):
        layer = {"padding": convolutions}
        pooling = layers.MaxPooling2D(2, padding=poolings)
        every = [layers.Conv2D(9, 3, **layer), pooling, layers.Conv2D(last, 3, **layer), pooling]
        return through((n, n, 3), *every[:stack])

    return shape(), {
        "same, not valid": shape(convolutions="same"),
        "before the last pooling": shape(stack=3),
        "rounded up": shape(poolings="same"),
        "channels of the picture": shape(last=3),
    }


@table.row(
    "first-interval-width",
    "right on {percent} % of {frames} held-out frames. … only as much as {pictures} independent "
    "pictures (a part in {effect})",
)
def _(percent, frames, pictures, effect):
    assert frames == pictures * effect
    p = percent / 100
    one = p * (1 - p) ** 2 + (1 - p) * (0 - p) ** 2  # variance of a picture: right 1, wrong 0

    def width(pictures):
        low, high = (p + way * 1.96 * math.sqrt(one / pictures) for way in (-1, 1))
        return high - low

    return width(pictures), {
        "frames counted": width(frames),
        "half the width": width(pictures) / 2,
        "root forgotten": width(frames) * effect,
        "multiplied by the frames of a track": width(frames * effect),
    }


@table.row(
    "first-precision",
    "has {signs} pictures of *stop*. … *stop* {answers} times, and is right {right} times",
)
def _(signs, answers, right):
    sign, answer = np.zeros((2, signs + answers), bool)
    sign[:signs] = True
    answer[signs - right :][:answers] = True
    assert (sign & answer).sum() == right
    return sign[answer].mean(), {
        "recall": answer[sign].mean(),
        "share of false alarms": (~sign[answer]).mean(),
        "both sets together": (sign & answer).sum() / (sign | answer).sum(),
    }


@table.row("first-test-set", "trains {rates} networks … for {epochs} epochs")
def _(rates, epochs):
    return "opened once, for the chosen network", {
        f"best of the {rates} test scores": f"best of {rates} scores on one set is flattered",
        f"the best of the {epochs} epochs on the test set": "Choosing the epoch by the test score",
        "smallest training loss": "To stop by the test score",
    }


# --- 3 Monitoring and checkpoints ----------------------------------------------------------------


@table.row("gtsrb-monitoring-checkpoint-size", "A network has {p} parameters")
def _(p):
    return megabytes("float32", 1 + moments(), p), {
        "weights only": megabytes("float32", p),
        "one moment": megabytes("float32", p) + megabytes("float32", p),
        "gradients too": megabytes("float32", p, 1 + moments() + 1),
        "float64": megabytes("float64", 1 + moments(), p),
    }


@table.row(
    "gtsrb-monitoring-steps-done",
    "A training on {n} images in batches of {size} was stopped after {whole} whole epochs and "
    "{more} batches",
)
def _(n, size, whole, more):
    def step(whole=whole, more=more, images=n):
        return sum(batches(images, size) for _ in range(whole)) + more

    return step(), {
        "short batch forgotten": step(images=n - n % size),
        "epochs only": step(more=0),
        "stopped epoch counted whole": step(more=batches(n, size)),
        "epoch counted from 1": step(whole=whole - 1),
    }


@table.row("gtsrb-monitoring-resume-order", "are {a}, {b}, {c}, {d}, {e}, {f}. The order")
def _(a, b, c, d, e, f):
    lots = [a, b, c, d, e, f]
    order = [lots.index(lot) for lot in sorted(lots)]
    return np.array(order[2:]), {
        "from the start": np.array(order),
        "ranks, not images": np.array([sum(other < lot for other in lots) for lot in lots[2:]]),
        "falling lots": np.array([lots.index(lot) for lot in sorted(lots, reverse=True)][2:]),
        "one batch skipped too many": np.array(order[2:][2:]),
    }


@table.row("gtsrb-monitoring-best-of-many", "{k} checkpoints", learners=FEW)
def _(k):
    errors = np.random.default_rng(0).normal(size=(4000, k))
    best, fewer = errors.max(axis=1).mean(), errors[:, : k // 2].max(axis=1).mean()
    assert abs(errors.mean()) < 0.05 < fewer < best
    return "it is higher than the accuracy on new images, and more so", {
        "It is right on average": "the largest of them is not",
        "only if the training has overfitted": "flatters without any overfitting",
        "It is too low": "no reason for a lower value",
    }


@table.row(
    "gtsrb-monitoring-lost-work",
    "takes {c} s, one is written every {every} minutes, … interrupted every {life} hours",
)
def _(c, every, life):
    interval, mean_life = every * 60, life * 60 * 60
    moments = (np.arange(1000) + 0.5) / 1000 * interval  # of a stop, since the last checkpoint
    writing, repeating = c / interval, moments.mean() / mean_life
    return writing + repeating, {
        "writing only": writing,
        "repeating only": repeating,
        "a whole interval lost": writing + interval / mean_life,
        "minutes and seconds mixed": c / every + moments.mean() / 60 / life,
    }


# --- 4 Augmentation ------------------------------------------------------------------------------


@table.row("gtsrb-augmentation-shift", "is shifted to the right by {by}; what comes in is 0")
def _(by, blocks):
    row = blocks[0].tolist()
    shown = {x + by: value for x, value in enumerate(row)}
    to_the_left = {x - by: value for x, value in enumerate(row)}
    return np.array([shown.get(x, 0) for x in range(6)]), {
        "to the left": np.array([to_the_left.get(x, 0) for x in range(6)]),
        "rolled around": np.array([(row + row)[x + 6 - by] for x in range(6)]),
        "border repeated": np.array([shown.get(x, row[0]) for x in range(6)]),
    }


@table.row("gtsrb-augmentation-affine", "column x = {x}, row y = {y} come")
def _(x, y, blocks):
    (matrix,) = blocks
    zoom, shift, place = matrix[:, :2], matrix[:, 2], np.array([x, y])
    right = matrix @ [x, y, 1]
    return right, {
        "forwards": np.linalg.solve(zoom, place - shift),
        "row first": right[::-1],
        "shift forgotten": zoom @ place,
        "shift before the zoom": zoom @ (place + shift),
        "zoom forgotten": np.eye(2) @ place + shift,
    }


@table.row("gtsrb-augmentation-bilinear", "give {u} of the way to the right and {v} of the way dow")
def _(u, v, blocks):
    pixels = blocks[0].astype(float)

    def at(right, down, order=1):
        return map_coordinates(pixels, [[down], [right]], order=order)[0]

    return at(u, v), {
        "weights swapped": at(1 - u, 1 - v),
        "right and down swapped": at(v, u),
        "mean": at(0.5, 0.5),
        "nearest": at(u, v, order=0),
    }


@table.row(
    "gtsrb-augmentation-flip-label",
    "There are {right} pictures of *keep right* and {left} of *keep left*",
)
def _(right, left):
    labels = ["right"] * right + ["left"] * left
    mirrored = ["left" if label == "right" else "right" for label in labels]
    both = labels + mirrored
    return both.count("left"), {
        "label kept": (labels + labels).count("left"),
        "nothing changed": labels.count("left"),
        "swapped, not added": mirrored.count("left"),
        "both doubled": len(both),
    }


@table.row("gtsrb-augmentation-which-set")
def _():
    return "after the split, differently at each pass", {
        "before the split": "copies of one picture land on both sides",
        "training and validation pictures alike": "leave what judges as it is",
        "once, before the first epoch": "Fixed copies are learned by heart",
    }


# --- 5 Many models × many data sets --------------------------------------------------------------


@table.row("gtsrb-combining-grid", "{nets} networks, {recipes} recipes, … {seeds} seeds")
def _(nets, recipes, seeds):
    grid = set(product(range(nets), range(recipes), (True, False), range(seeds)))
    return len(grid), {
        "added": sum(len({cell[axis] for cell in grid}) for axis in range(4)),
        "augmentation forgotten": len({(net, recipe, seed) for net, recipe, _, seed in grid}),
        "one seed": len({cell[:3] for cell in grid}),
        "cells without seeds or augmentation": len({cell[:2] for cell in grid}),
    }


@table.row(
    "gtsrb-combining-one-at-a-time",
    "{a} networks, {b} recipes and {c} learning rates. … with {seeds} seeds",
)
def _(a, b, c, seeds):
    grid = list(product(range(a), range(b), range(c)))
    varied = [cell for cell in grid if sum(choice != 0 for choice in cell) <= 1]
    return len(varied) * seeds, {
        "grid": len(grid) * seeds,
        "starting point counted each time": (len(varied) + 2) * seeds,
        "starting point forgotten": sum(any(cell) for cell in varied) * seeds,
        "seeds forgotten": len(varied),
    }


@table.row(
    "gtsrb-combining-hours",
    "{trainings} trainings of {minutes} minutes each run on {workers} computers",
)
def _(trainings, minutes, workers):
    def last_end(workers, trainings=trainings):
        free = [0] * workers  # from which minute on
        for _ in range(trainings):
            heapq.heapreplace(free, free[0] + minutes)
        return max(free)

    return last_end(workers) / 60, {
        "one after the other": last_end(1) / 60,
        "last round forgotten": last_end(workers, trainings - workers) / 60,
        "fractions of a training": last_end(1) / workers / 60,
        "minutes": last_end(workers),
    }


@table.row(
    "gtsrb-combining-v2-dense",
    "Signs of {n} × {n} go through … has {f} filters. … `Dense({u})`",
    learners=FEW,
)
def _(n, f, u):
    def dense(padding="same", blocks=2, end=layers.Flatten, **options):
        block = layers.Conv2D(f, 3, padding=padding), layers.MaxPooling2D(2)
        (inputs,) = through((n, n, 3), *block * blocks, end())
        return count(layers.Dense(u, **options), inputs)

    return dense(), {
        "valid, not same": dense(padding="valid"),
        "bias forgotten": dense(use_bias=False),
        "one pooling": dense(blocks=1),
        "averaged, not flattened": dense(end=layers.GlobalAveragePooling2D),
    }


@table.row("gtsrb-combining-expected-best", "in {percent} % of the cases. Of {k} independent")
def _(percent, k):
    lucky = list(either(percent / 100, k))
    return sum(chance for number, chance in lucky if number > 0), {
        "one network": sum(chance for number, chance in either(percent / 100, 1) if number),
        "chances added": sum(number * chance for number, chance in lucky),
        "all of them": sum(chance for number, chance in lucky if number == k),
        "none of them": sum(chance for number, chance in lucky if number == 0),
    }


# --- 6 As a batch, on a cluster ------------------------------------------------------------------


@table.row("gtsrb-batch-exit-code", "minutes with exit code {code}")
def _(code):
    meanings = {
        0: "It has ended",
        1: "It made a mistake",
        STOPPED: "and has saved; submit it again",
    }
    others = {meanings[other]: f"exit code {other}." for other in meanings if other != code}
    return meanings[code], others | {"without warning": "128 and the signal"}


@table.row("gtsrb-batch-backfill", learners=FEW)
def _(blocks):
    jobs = blocks[0].tolist()

    def first(allowed):
        """Return the first starts, in the order of A, B, C, D, for which there are nodes."""
        latest = [0, *accumulate(hours for _, hours in jobs[:3])]
        every = product(*(range(hour + 1) for hour in latest))
        return next(s for s in every if allowed(s) and most_nodes(s) <= 4)

    def most_nodes(starts):
        running = list(zip(jobs, starts, strict=True))
        return max(
            sum(nodes for (nodes, hours), start in running if start <= hour < start + hours)
            for hour in starts
        )

    backfilled = first(lambda starts: True)
    return backfilled, {
        "order of arrival": first(lambda starts: sorted(starts) == list(starts)),
        "no room looked for": (*backfilled[:2], 0, 0),
        "all at once": (0, 0, 0, 0),
        "one after the other": (0, *accumulate(hours for _, hours in jobs[:3])),
    }


@table.row(
    "gtsrb-batch-limits", "needs {work} hours. Jobs may last {limit} hours, and each loses {lost} m"
)
def _(work, limit, lost):
    def jobs(minutes, lost):
        number = 0
        while minutes > 0:
            minutes -= limit * 60 - lost
            number += 1
        return number

    return jobs(work * 60, lost), {
        "losses forgotten": jobs(work * 60, 0),
        "rounded down": math.floor(Fraction(work * 60, limit * 60 - lost)),
        "lost once": jobs(work * 60 + lost, 0),
    }


@table.row(
    "gtsrb-batch-array",
    "{nets} networks, and for each network {seeds} seeds, … network {i} with seed {j} (both",
)
def _(nets, seeds, i, j):
    lines = list(product(range(nets), range(seeds)))
    return lines.index((i, j)), {
        "networks fastest": list(product(range(seeds), range(nets))).index((j, i)),
        "counted from 1": dict(zip(lines, range(1, len(lines) + 1), strict=True))[i, j],
        "network counted from 1": lines.index((i - 1, j)),
        "multiplied by the networks": sum(nets for _ in range(i)) + j,
    }


@table.row("gtsrb-batch-young", "takes {c} s, and jobs are interrupted every {m} hours")
def _(c, m):
    def best(life, repeated=1 / 2):
        """Return where the lost share, c / t + repeated · t / life, has no slope."""
        return brentq(lambda t: repeated / life - c / t**2, 1e-3, 1e6, xtol=1e-12)

    seconds = best(m * 60 * 60)
    return seconds / 60, {
        "seconds": seconds,
        "two forgotten": best(m * 60 * 60, repeated=1) / 60,
        "hours not converted": best(m) / 60,
        "root forgotten": round(seconds**2 / 60),
    }


# --- 7 Reports -----------------------------------------------------------------------------------


@table.row("gtsrb-reports-errors", "right on {a} % of the pictures, another on {b} %")
def _(a, b):
    first, second = (Fraction(str(percent)) / 100 for percent in (a, b))
    still = (1 - second) / (1 - first)
    return float(still), {
        "accuracies compared": float(second / first),
        "points": float(second - first),
        "share avoided": float((second - first) / (1 - first)),
        "upside down": float((1 - first) / (1 - second)),
    }


@table.row(
    "gtsrb-reports-paired",
    "the same {n} pictures: {both} both right, {only_a} only A, {only_b} only B, {none} neither",
)
def _(n, both, only_a, only_b, none):
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, none])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, none])
    assert len(a) == n
    return 100 * (a - b).mean(), {
        "share, not points": (a - b).mean(),
        "among the disagreements": 100 * (a - b)[a != b].mean(),
        "the wrong way round": 100 * (b - a).mean(),
        "only A's": 100 * (a > b).mean(),
    }


@table.row("gtsrb-reports-calibration")
def _(blocks):
    gaps = [Fraction(str(said)) - Fraction(str(right)) for _, said, right in blocks[0]]
    bins = [abs(gap) for gap in gaps]
    answers = np.repeat(gaps, blocks[0][:, 0].astype(int))
    return float(sum(map(abs, answers)) / len(answers)), {
        "bins counted alike": float(sum(bins) / 3),
        "signs kept": float(sum(answers) / len(answers)),
        "largest gap": float(max(bins)),
        "squared": float(sum(gap**2 for gap in answers) / len(answers)),
    }


@table.row("gtsrb-reports-front")
def _(blocks):
    runs = [(size, score) for _, size, score in blocks[0].tolist()]

    def unbeaten(beats):
        return tuple(i for i, run in enumerate(runs) if not any(beats(o, run) for o in runs))

    front = unbeaten(lambda other, run: other[0] < run[0] and other[1] > run[1])
    return front, {
        "the best alone": unbeaten(lambda other, run: other[1] > run[1]),
        "more is better": unbeaten(lambda other, run: other[0] > run[0] and other[1] > run[1]),
        "all": unbeaten(lambda other, run: False),
        "the smallest forgotten": tuple(i for i in front if runs[i] != min(runs)),
    }


@table.row("gtsrb-reports-interval")
def _(text, blocks):
    tracks = {
        name: [True] * (frames * percent // 100) + [False] * (frames - frames * percent // 100)
        for name, (frames, percent) in zip("ABC", blocks[0].tolist(), strict=True)
    }
    drawn = re.search("draws (.), (.), (.)[.]", text).groups()

    def accuracy(names):
        return np.mean([right for name in names for right in tracks[name]])

    return accuracy(drawn), {
        "tracks counted alike": np.mean([np.mean(tracks[name]) for name in drawn]),
        "no resampling": accuracy("ABC"),
        "each track once": accuracy(set(drawn)),
    }
