"""Questions of Part III, traffic signs."""

import math

import numpy as np

from companion.arithmetic import dense_parameters, output_size
from companion.exercises.question import Chapter, Variant

# --- 1 The data ----------------------------------------------------------------------------------

data = Chapter("gtsrb-data")


@data.question("cooked-size", 1, hint="Bytes of a picture, times pictures.")
def _(rng):
    n, side = 1000 * rng.integer(5, 50), rng.one_of([24, 32, 48])
    right = n * side * side * 3 / 1e6
    return Variant(
        f"{n:,} pictures are cooked to {side} × {side} in colours and "
        "kept as uint8. How many MB (10⁶ bytes) is that, uncompressed?",
        right,
        f"{n:,} · {side} · {side} · 3 bytes = {right:,.1f} MB.",
        {
            "one channel only": (right / 3, "A picture in colours has three channels."),
            "floats": (right * 4, "Cooked pictures are kept as bytes; floats are made on use."),
            "one axis": (right / side, f"A picture has {side} rows of {side} pixels."),
            "MiB": (right / 1.048576, "You divided by 1024 · 1024, which gives MiB."),
        },
    )


@data.question("margin", 1, hint="Pictures come as height, width; a box as x1, y1, x2, y2.")
def _(rng):
    w, h = rng.integer(40, 90), rng.integer(40, 90)
    x1, y1 = rng.integer(3, 9), rng.integer(3, 9)
    x2, y2 = w - rng.integer(3, 9), h - rng.integer(3, 9)
    return Variant(
        f"A picture is {w} pixels wide and {h} high. Its sign sits in "
        f"columns {x1} to {x2} and rows {y1} to {y2}, both ends included. "
        "Which shape has the sign cut out of the array, in colours?",
        (y2 - y1 + 1, x2 - x1 + 1, 3),
        f"({y2} − {y1} + 1, {x2} − {x1} + 1, 3) = {(y2 - y1 + 1, x2 - x1 + 1, 3)}.",
        {
            "last row and column forgotten": (
                (y2 - y1, x2 - x1, 3),
                "Off by one: both ends are included, so add 1.",
            ),
            "width first": ((x2 - x1 + 1, y2 - y1 + 1, 3), "Rows come first in an array."),
            "channels forgotten": ((y2 - y1 + 1, x2 - x1 + 1), "Colours are an axis of three."),
            "whole picture": ((h, w, 3), "That is the picture with its margin."),
        },
    )


@data.question("tracks-held-out", 2, hint="Whole tracks are held out; each has 30 frames.")
def _(rng):
    tracks, percent = 10 * rng.integer(20, 130), rng.one_of([10, 20, 30])
    held = tracks * percent // 100
    return Variant(
        f"{tracks} tracks of 30 frames each; {percent} % of the *tracks* are "
        "held out for validation. How many pictures are left to train on?",
        (tracks - held) * 30,
        f"({tracks} − {held}) · 30 = {(tracks - held) * 30:,}.",
        {
            "held out": (held * 30, "Those are the pictures that are held out."),
            "tracks": (tracks - held, "Those are tracks; each has 30 frames."),
            "a frame of each track": (
                tracks * 30 - held,
                f"Whole tracks are held out, {held} of 30 frames each.",
            ),
            "nothing held out": (tracks * 30, "The held-out tracks must not be trained on."),
        },
    )


@data.question("imbalance", 2, hint="Accuracy counts pictures; give up the rare class and see.")
def _(rng):
    rare, often = 30 * rng.integer(5, 12), 30 * rng.integer(40, 75)
    others = 30 * rng.integer(100, 900)
    total = rare + often + others
    right = 1 - rare / total
    return Variant(
        f"Of {total:,} validation pictures, {often:,} belong to the most frequent class and "
        f"{rare:,} to the rarest. A network never answers the rarest class and is otherwise "
        "always right. What is its accuracy, as a share in 0 … 1? (Right within 0.05 %.)",
        right,
        f"1 − {rare:,} / {total:,} = {right:.4f}, although it knows nothing about one class.",
        {
            "mean of the classes": (
                42 / 43,
                "That is the mean recall over 43 classes; accuracy counts pictures.",
            ),
            "compared with the frequent class": (
                1 - rare / often,
                "Divide by all pictures, not by the frequent class.",
            ),
            "only the frequent class": (
                often / total,
                "It is right about all the other classes too.",
            ),
        },
        tolerance=0.0005,
    )


@data.question("random-split", 3, hint="What has a held-out frame in the training set, and when?")
def _(rng):
    p = rng.integer(10, 40)
    right = 1 - (p / 100) ** 2
    return Variant(
        f"Each picture is held out with probability {p} %, at random and one by one. What is the "
        "probability that of the frame before and the frame after a held-out frame at least one "
        "is in the training set? Give a share in 0 … 1. (Right within half a per cent.)",
        right,
        f"Both are held out with {p / 100} · {p / 100}; 1 − {(p / 100) ** 2:.4f} = "
        f"{right:.4f}: nearly every held-out picture has a twin that was trained on.",
        {
            "both of them": ((1 - p / 100) ** 2, "That is the probability for *both* neighbours."),
            "one neighbour": (1 - p / 100, "There are two neighbours, and one is enough."),
            "none of them": ((p / 100) ** 2, "That is the probability that neither is."),
            "shares added": (2 * (1 - p / 100), "Probabilities of two chances do not add up."),
        },
        tolerance=0.005,
    )


# --- 2 First convolutions ------------------------------------------------------------------------

first = Chapter("gtsrb-first-network", "first")


@first.question("scale", 1, hint="Bytes end at 255.")
def _(rng):
    v = rng.integer(10, 250)
    return Variant(
        f"Bytes become floats in 0 … 1. Which float does {v} become? (Right within 0.1 %.)",
        v / 255,
        f"{v} / 255 = {v / 255:.4f}: 255 must become 1.",
        {
            "divided by 256": (v / 256, "There are 256 values, but the largest is 255."),
            "−1 … 1": (v / 127.5 - 1, "That goes from −1 to 1."),
            "upside down": (1 - v / 255, "That makes a negative: black would be 1."),
        },
        tolerance=0.001,
    )


@first.question("sides", 1, hint="Valid convolutions take k − 1 away; poolings round down.")
def _(rng):
    n, f = rng.integer(24, 60), rng.integer(40, 120)
    a = n - 2
    b = output_size(output_size(a, 2, stride=2), 3)
    c = output_size(b, 2, stride=2)
    return Variant(
        f"Signs of ({n}, {n}, 3) go through conv 3 × 3, pool 2, conv 3 × 3 "
        f"with {f} filters, pool 2, all `valid`. Which shape is flattened?",
        (c, c, f),
        f"{n} → {a} → {a // 2} → {b} → {c}.",
        {
            "same, not valid": ((n // 4, n // 4, f), "`valid` takes two rows and columns away."),
            "before the last pooling": ((b, b, f), "One more pooling follows."),
            "rounded up": (
                (-(-(-(-a // 2) - 2) // 2),) * 2 + (f,),
                "A pooling without padding drops the odd row.",
            ),
            "channels of the picture": ((c, c, 3), "Each filter makes a map."),
        },
    )


@first.question(
    "interval-width", 2, hint="Half the width is 1.96 standard errors; it goes both ways."
)
def _(rng):
    effect = rng.one_of([9, 16, 25])
    frames = 30 * effect * rng.integer(4, 20)
    p = rng.integer(80, 97) / 100
    naive = 1.96 * math.sqrt(p * (1 - p) / frames)
    return Variant(
        f"A network is right on {100 * p:.0f} % of {frames:,} held-out frames. Its frames "
        f"come in tracks, so that they tell only as much as {frames // effect:,} "
        f"independent pictures (a part in {effect}). How wide is the 95 % interval, from "
        "end to end, as a share in 0 … 1? Use the normal approximation. (Right within 3 %.)",
        2 * naive * math.sqrt(effect),
        f"2 · 1.96 · √({p} · {1 - p:.2f} / {frames // effect:,}) = {2 * naive * effect**0.5:.4f}, "
        f"{math.isqrt(effect)} times as wide as the one that counts frames.",
        {
            "frames counted": (
                2 * naive,
                "That takes frames of one track for independent pictures.",
            ),
            "half the width": (naive * math.sqrt(effect), "That is from the middle to one end."),
            "root forgotten": (
                2 * naive * effect,
                "A width shrinks with the *root* of the number of pictures.",
            ),
            "multiplied by the frames of a track": (
                2 * naive / math.sqrt(effect),
                "Fewer independent pictures make the interval *wider*.",
            ),
        },
        tolerance=0.03,
    )


@first.question("precision", 2, hint="Precision: of the answers. Recall: of the signs.")
def _(rng):
    signs, right = 30 * rng.integer(4, 20), rng.integer(60, 115)
    false = rng.integer(8, 50)
    return Variant(
        f"The validation set has {signs} pictures of *stop*. The network "
        f"answers *stop* {right + false} times, and is right {right} "
        "times. What is the precision of *stop*, as a share in 0 … 1?",
        right / (right + false),
        f"{right} / {right + false} = {right / (right + false):.3f}.",
        {
            "recall": (right / signs, "That is the recall: the share of the *signs* it found."),
            "share of false alarms": (
                false / (right + false),
                "That is the share of its answers that are wrong.",
            ),
            "both sets together": (
                right / (signs + false),
                "That counts signs and answers together, which is another measure.",
            ),
        },
        tolerance=0.005,
    )


@first.question("test-set", 3, hint="Which of them chooses something by the score?")
def _(rng):
    epochs, rates = rng.integer(12, 60), rng.integer(3, 9)
    return Variant(
        f"Somebody trains {rates} networks with different learning rates for "
        f"{epochs} epochs each. Which report of the test score is honest?",
        "Learning rate and epoch are chosen on validation data; "
        "the test set is opened once, for the chosen network.",
        "What chooses must not judge. The test set has chosen nothing, so "
        "that its score is neither flattered by the rates nor by the epochs.",
        {
            f"The best of the {rates} test scores, since all of them are published.": (
                f"The best of {rates} scores on one set is flattered by choosing, published or not."
            ),
            "The learning rate is chosen on validation data, "
            f"the best of the {epochs} epochs on the test set.": (
                "Choosing the epoch by the test score is choosing too: it trained on the test set."
            ),
            "The test score of the network with the smallest training "
            "loss, looked at after every epoch to stop in time.": (
                "To stop by the test score is a choice by the test score."
            ),
        },
    )


# --- 3 Monitoring and checkpoints ----------------------------------------------------------------

monitoring = Chapter("gtsrb-monitoring")


@monitoring.question("checkpoint-size", 1, hint="Weights and Adam's two moments, 4 bytes each.")
def _(rng):
    p = 1000 * rng.integer(60, 6000)
    right = 12 * p / 1e6
    return Variant(
        f"A network has {p:,} parameters, all trained with Adam in float32. About "
        "how many MB (10⁶ bytes) has a checkpoint from which the training can go on?",
        right,
        f"3 numbers of 4 bytes for each parameter: {right:.2f} MB.",
        {
            "weights only": (right / 3, "Adam's moments are needed to go on."),
            "one moment": (right * 2 / 3, "Adam keeps two moments for each parameter."),
            "gradients too": (
                right * 4 / 3,
                "Gradients are computed anew at each step; they need not be kept.",
            ),
            "float64": (right * 2, "float32 takes 4 bytes."),
        },
    )


@monitoring.question("steps-done", 1, hint="Whole epochs times their steps, and the steps since.")
def _(rng):
    n, batch = rng.integer(2000, 30000), rng.one_of([32, 64, 128])
    if n % batch == 0:
        return None
    per = -(-n // batch)
    whole, more = rng.integer(2, 20), rng.integer(3, per - 2)
    right = whole * per + more
    return Variant(
        f"A training on {n:,} images in batches of {batch} was stopped after {whole} whole "
        f"epochs and {more} batches of the next. Which step does the optimizer count?",
        right,
        f"{whole} · ⌈{n:,} / {batch}⌉ + {more} = {whole} · {per} + {more} = {right:,}.",
        {
            "short batch forgotten": (
                whole * (per - 1) + more,
                "The last, shorter batch of an epoch is a step too.",
            ),
            "epochs only": (whole * per, f"The {more} batches since count as well."),
            "stopped epoch counted whole": (
                (whole + 1) * per,
                f"Of the last epoch only {more} batches are done.",
            ),
            "epoch counted from 1": (
                (whole - 1) * per + more,
                f"Off by one: {whole} epochs are complete.",
            ),
        },
    )


@monitoring.question("resume-order", 2, hint="Sort the images by their lots; skip what is done.")
def _(rng):
    lots = [v / 100 for v in rng.shuffled(range(2, 99))[:6]]
    order = np.argsort(lots)
    shown = ", ".join(f"{v:.2f}" for v in lots)
    return Variant(
        f"The lots of images 0 to 5 for (seed, epoch) are {shown}. The order is by rising "
        "lot, and batches have two images. The process ended after the first batch. On "
        "which images does the new one go on, in which order? Answer with a list.",
        order[2:],
        f"The order is {order.tolist()}; the first two are passed over: {order[2:].tolist()}.",
        {
            "from the start": (order, "The first batch is done: pass over its two images."),
            "ranks, not images": (
                np.argsort(order)[2:],
                "Those are the ranks of images 2 to 5; an order lists images.",
            ),
            "falling lots": (order[::-1][2:], "The image with the *smallest* lot comes first."),
            "one batch skipped too many": (order[4:], "One batch is done, not two."),
        },
    )


@monitoring.question("best-of-many", 2, hint="What is a maximum of equally good networks?")
def _(rng):
    k = rng.integer(8, 40)
    return Variant(
        f"{k} checkpoints of a training are, in truth, equally good, and each is measured "
        "on the same kind of validation images with a random error. The one with the "
        "highest validation accuracy is kept. Which sentence about that number is true?",
        "On average it is higher than the accuracy on new "
        "images, and more so the more checkpoints there are.",
        "The largest of many random errors is positive on average, "
        "and grows with their number; the network is no better for it.",
        {
            "It is right on average, since each single measurement is.": (
                "Each one is right on average; the largest of them is not."
            ),
            "It is too high, but only if the training has overfitted.": (
                "Choosing flatters without any overfitting: all the networks are equally good."
            ),
            "It is too low, since validation images were not trained on.": (
                "That is no reason for a lower value than on other new images."
            ),
        },
    )


@monitoring.question("lost-work", 3, hint="On average half an interval is lost at a random stop.")
def _(rng):
    c, every, life = rng.integer(5, 40), rng.integer(5, 60), rng.integer(3, 24)
    t, m = every * 60, life * 3600
    right = c / t + t / (2 * m)
    return Variant(
        f"Writing a checkpoint takes {c} s, one is written every {every} minutes, and "
        f"a job is interrupted every {life} hours on average, at a random moment and "
        "without warning. Which share of the time is lost, writing and repeating "
        "together, to first order? Give a share in 0 … 1. (Right within 3 %.)",
        right,
        f"{c}/{t} + {t}/(2 · {m}) = {c / t:.4f} + {t / (2 * m):.4f} = {right:.4f}.",
        {
            "writing only": (c / t, "Each interruption loses what was done since the last one."),
            "repeating only": (t / (2 * m), f"Writing costs {c} s each time."),
            "a whole interval lost": (
                c / t + t / m,
                "An interruption comes at a random moment: half an interval is lost on average.",
            ),
            "minutes and seconds mixed": (
                c / every + every / (2 * life),
                "Use one unit of time for all three.",
            ),
        },
        tolerance=0.03,
    )


# --- 4 Augmentation ------------------------------------------------------------------------------

augmentation = Chapter("gtsrb-augmentation")


@augmentation.question("shift", 1, hint="New column x shows what stood at x − shift.")
def _(rng):
    row = rng.array(6, 1, 9)
    by = rng.integer(1, 2)
    right = np.concatenate([np.zeros(by, int), row[:-by]])
    return Variant(
        f"The row of pixels\n    {'  '.join(map(str, row.tolist()))}\nis shifted "
        f"to the right by {by}; what comes in is 0. Give the new row as a list.",
        right,
        f"{right.tolist()}.",
        {
            "to the left": (
                np.concatenate([row[by:], np.zeros(by, int)]),
                "You shifted to the left.",
            ),
            "rolled around": (np.roll(row, by), "What leaves at the right does not come back."),
            "border repeated": (
                np.concatenate([np.full(by, row[0]), row[:-by]]),
                "What comes in is 0, not the border's value.",
            ),
        },
    )


@augmentation.question(
    "affine", 2, hint="The matrix leads backwards: from the result to the picture."
)
def _(rng):
    tx, ty = rng.integer(-4, 4), rng.integer(-4, 4)
    zoom = rng.one_of([0.5, 2.0, 1.25])
    x, y = rng.integer(5, 20), rng.integer(5, 20)
    fx, fy = zoom * x + tx, zoom * y + ty
    m = f"    {zoom:g}   0  {tx:>2}\n      0  {zoom:g}  {ty:>2}"
    return Variant(
        "An affine map leads from a pixel of the *result* to the place "
        f"in the original:\n{m}\nFrom which place does the pixel at "
        f"column x = {x}, row y = {y} come? Answer with a list [x, y].",
        np.array([fx, fy]),
        f"x: {zoom:g} · {x} + {tx} = {fx:g}; y: {zoom:g} · {y} + {ty} = {fy:g}.",
        {
            "forwards": (
                np.array([(x - tx) / zoom, (y - ty) / zoom]),
                "You went from the original to the result; the matrix leads the other way.",
            ),
            "row first": (np.array([fy, fx]), "x, the column, comes first here."),
            "shift forgotten": (np.array([zoom * x, zoom * y]), "The last column is added."),
            "shift before the zoom": (
                np.array([zoom * (x + tx), zoom * (y + ty)]),
                "First the products, then the shift is added.",
            ),
            "zoom forgotten": (
                np.array([x + tx, y + ty]),
                f"The coordinates are scaled by {zoom:g}.",
            ),
        },
    )


@augmentation.question("bilinear", 2, hint="Mix along the row first, then between the rows.")
def _(rng):
    a, b, c, d = (10 * rng.integer(0, 25) for _ in range(4))
    u, v = rng.one_of([0.2, 0.25, 0.4]), rng.one_of([0.6, 0.75, 0.9])

    def mix(u, v):
        return (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)

    right = mix(u, v)
    return Variant(
        f"Four neighbouring pixels are\n    {a:>3}  {b:>3}\n    {c:>3}  {d:>3}\nWhat does "
        f"bilinear interpolation give {u} of the way to the right and {v} of the way down?",
        float(right),
        f"Upper row {(1 - u) * a + u * b:g}, lower row {(1 - u) * c + u * d:g}, mixed {right:g}.",
        {
            "weights swapped": (mix(1 - u, 1 - v), "A pixel that is nearer counts for more."),
            "right and down swapped": (mix(v, u), "You took the way down for the way right."),
            "mean": ((a + b + c + d) / 4, "The four do not count alike."),
            "nearest": (float(c if u < 0.5 else d), "That is the nearest pixel alone."),
        },
        tolerance=0.005,
    )


@augmentation.question("flip-label", 1, hint="The label follows what the sign has become.")
def _(rng):
    right_sign, left_sign = 30 * rng.integer(30, 80), 30 * rng.integer(4, 12)
    return Variant(
        f"There are {right_sign:,} pictures of *keep right* and {left_sign} of "
        "*keep left*. Each is mirrored left to right, and the mirrored pictures "
        "are *added* with the right label. How many pictures has *keep left* then?",
        left_sign + right_sign,
        f"Its own {left_sign}, and {right_sign:,} mirrored "
        f"*keep right*: {left_sign + right_sign:,}.",
        {
            "label kept": (2 * left_sign, "A mirrored *keep left* is a *keep right*."),
            "nothing changed": (left_sign, "A mirrored *keep right* is a *keep left*."),
            "swapped, not added": (right_sign, f"Its own {left_sign} pictures stay."),
            "both doubled": (
                2 * (left_sign + right_sign),
                "That counts the pictures of both classes.",
            ),
        },
    )


@augmentation.question("which-set", 3, hint="What may the held-out pictures have to do with it?")
def _(rng):
    degrees = rng.integer(5, 20)
    return Variant(
        f"Pictures are turned by up to {degrees}° and mirrored where that is legal. Where?",
        "On the training pictures, after the split, differently at each pass.",
        "A changed copy of a picture must not stand on both "
        "sides of the split, and what judges stays as it is.",
        {
            "On all pictures, before the split into training and validation.": (
                "Then copies of one picture land on both sides, and validation measures memory."
            ),
            "On training and validation pictures alike, after the split.": (
                "Validation would judge on pictures that do not occur: leave what judges as it is."
            ),
            "On the training pictures once, before the first epoch.": (
                "Fixed copies are learned by heart: the changes are drawn anew at each pass."
            ),
        },
    )


# --- 5 Many models × many data sets --------------------------------------------------------------

combining = Chapter("gtsrb-combining")


@combining.question("grid", 1, hint="A grid multiplies.")
def _(rng):
    nets, recipes, seeds = rng.integer(2, 5), rng.integer(3, 12), rng.integer(2, 5)
    return Variant(
        f"{nets} networks, {recipes} recipes, with and without augmentation, "
        f"{seeds} seeds: how many trainings has the whole grid?",
        nets * recipes * 2 * seeds,
        f"{nets} · {recipes} · 2 · {seeds} = {nets * recipes * 2 * seeds}.",
        {
            "added": (nets + recipes + 2 + seeds, "Each combination is trained: multiply."),
            "augmentation forgotten": (nets * recipes * seeds, "With and without: twice as many."),
            "one seed": (nets * recipes * 2, f"Each cell is trained with {seeds} seeds."),
            "cells without seeds or augmentation": (
                nets * recipes,
                "Those are networks times recipes alone.",
            ),
        },
    )


@combining.question("one-at-a-time", 2, hint="One starting point, and what differs from it.")
def _(rng):
    a, b, c, seeds = (rng.integer(2, 7) for _ in range(4))
    settings = 1 + (a - 1) + (b - 1) + (c - 1)
    return Variant(
        f"There are {a} networks, {b} recipes and {c} learning rates. From "
        "one starting point, one choice at a time is varied; each setting "
        f"is trained with {seeds} seeds. How many trainings is that?",
        settings * seeds,
        f"(1 + {a - 1} + {b - 1} + {c - 1}) · {seeds} = {settings * seeds}.",
        {
            "grid": (a * b * c * seeds, "That is the whole grid."),
            "starting point counted each time": (
                (a + b + c) * seeds,
                "The starting point is one setting, and belongs to all three lists.",
            ),
            "starting point forgotten": (
                (settings - 1) * seeds,
                "The starting point itself is trained too.",
            ),
            "seeds forgotten": (settings, f"Each setting has {seeds} seeds."),
        },
    )


@combining.question("hours", 1, hint="Trainings times minutes, side by side on the workers.")
def _(rng):
    cells, minutes, workers = 6 * rng.integer(5, 40), rng.integer(4, 30), rng.integer(3, 12)
    rounds = -(-cells // workers)
    if cells % workers == 0:
        return None
    right = rounds * minutes / 60
    return Variant(
        f"{cells} trainings of {minutes} minutes each run on {workers} computers, one at "
        "a time on each. After how many hours is the last one done? (Right within 0.2 %.)",
        right,
        f"⌈{cells} / {workers}⌉ = {rounds} rounds of {minutes} minutes: {right:.2f} hours.",
        {
            "one after the other": (cells * minutes / 60, f"{workers} of them run side by side."),
            "last round forgotten": (
                (rounds - 1) * minutes / 60,
                "Off by one: the trainings that are left need a round of their own.",
            ),
            "fractions of a training": (
                cells * minutes / workers / 60,
                "A training cannot be divided: round up to whole rounds.",
            ),
            "minutes": (rounds * minutes, "Those are minutes."),
        },
        tolerance=0.002,
    )


@combining.question(
    "v2-dense", 2, hint="Follow the sides; the dense layer reads what is flattened."
)
def _(rng):
    n, f, u = 4 * rng.integer(6, 16), rng.integer(20, 120), rng.integer(40, 300)
    side = n // 4
    valid = output_size(n - 2, 2, stride=2)
    valid = output_size(valid - 2, 2, stride=2)
    right = dense_parameters(side * side * f, u)
    return Variant(
        f"Signs of {n} × {n} go through two blocks of conv 3 × 3 with "
        f"`padding='same'` and pool 2; the last convolution has {f} filters. Then "
        f"come `Flatten()` and `Dense({u})`. How many parameters has the dense layer?",
        right,
        f"{n} → {n // 2} → {side}; {u} · ({side} · {side} · {f} + 1) = {right:,}.",
        {
            "valid, not same": (
                dense_parameters(valid * valid * f, u),
                "`same` keeps the size; only the poolings halve it.",
            ),
            "bias forgotten": (side * side * f * u, f"There are {u} biases."),
            "one pooling": (dense_parameters((n // 2) ** 2 * f, u), "There are two poolings."),
            "averaged, not flattened": (
                dense_parameters(f, u),
                "That would be after a global average pooling.",
            ),
        },
    )


@combining.question(
    "expected-best", 3, hint="What is true of one of them is not true of the largest."
)
def _(rng):
    k = rng.integer(2, 6)
    p = rng.one_of([10, 20, 25])
    right = 1 - (1 - p / 100) ** k
    return Variant(
        "By luck alone a network's validation accuracy lies a point or more above its "
        f"true accuracy in {p} % of the cases. Of {k} independent and equally good "
        "networks the best is reported. With which probability is the reported number a "
        "point or more too high? Give a share in 0 … 1. (Right within half a per cent.)",
        right,
        f"It is not if none of the {k} is: 1 − {1 - p / 100}^{k} = {right:.3f}.",
        {
            "one network": (p / 100, f"The best of {k} has {k} chances to be lucky."),
            "chances added": (
                k * p / 100,
                "Probabilities of independent chances do not add up: some are lucky together.",
            ),
            "all of them": ((p / 100) ** k, "One lucky network is enough."),
            "none of them": (1 - right, "That is the probability that none is."),
        },
        tolerance=0.005,
    )


# --- 6 As a batch, on a cluster ------------------------------------------------------------------

batch = Chapter("gtsrb-batch")


@batch.question("exit-code", 1, hint="0 for success; one code of the companion says: again.")
def _(rng):
    code, after = rng.one_of([0, 1, 99]), rng.integer(2, 30)
    meaning = {
        0: "It has ended; nothing is to be done.",
        1: "It made a mistake that is said in its last line; running it again changes nothing.",
        99: "It was told to stop and has saved; submit it again and it goes on.",
    }
    return Variant(
        f"`companion train` ends after {after} minutes with exit code {code}. What does that mean?",
        meaning[code],
        {0: "0 is success.", 1: "1 is a mistake.", 99: "99 stands for *again*."}[code],
        {text: f"That is exit code {other}." for other, text in meaning.items() if other != code}
        | {
            "It was killed by the scheduler without warning.": (
                "Who is killed leaves no code of its own "
                "choice; the shell shows 128 and the signal."
            )
        },
    )


def _plan(jobs, nodes, backfill):
    """Return the hour at which each job starts, in the order in which they came."""
    used, starts, before = {}, [], 0
    for wanted, hours in jobs:
        start = 0 if backfill else before
        while any(used.get(start + h, 0) + wanted > nodes for h in range(hours)):
            start += 1
        for h in range(hours):
            used[start + h] = used.get(start + h, 0) + wanted
        starts.append(start)
        before = start
    return starts


@batch.question("backfill", 2, hint="A later job may go first if nobody before it waits longer.")
def _(rng):
    first_hours, b_hours = rng.integer(3, 8), rng.integer(2, 5)
    jobs = [(rng.integer(1, 3), first_hours), (4, b_hours), (1, rng.integer(1, first_hours)),
            (2, rng.integer(1, 6))]  # fmt: skip
    starts, orderly = _plan(jobs, 4, True), _plan(jobs, 4, False)
    if starts == orderly or starts[3] == 0:
        return None
    alone = [*starts[:2], 0, 0]
    rows = "\n".join(
        f"    {name}  nodes {w}  hours {h}" for name, (w, h) in zip("ABCD", jobs, strict=True)
    )
    slips = {
        "order of arrival": (tuple(orderly), "That is without backfilling."),
        "no room looked for": (
            tuple(alone),
            "C and D do not both fit beside A: count the nodes hour by hour.",
        ),
        "all at once": ((0, 0, 0, 0), "B needs all four nodes, and A has some of them."),
        "one after the other": (
            tuple(sum(h for _, h in jobs[:i]) for i in range(4)),
            "Jobs run side by side where there are nodes for them.",
        ),
    }
    return Variant(
        f"Four nodes; the jobs came in this order:\n{rows}\nAt which hours "
        "do A, B, C and D start, with backfilling? Answer with a tuple.",
        tuple(starts),
        f"{tuple(starts)}: a job takes the first hour at "
        "which it fits without moving an earlier one.",
        slips,
    )


@batch.question("limits", 2, hint="Each job loses its start-up; the last one need not be full.")
def _(rng):
    work, limit, lost = rng.integer(9, 60), rng.integer(2, 6), rng.integer(4, 15)
    useful = limit * 60 - lost
    right = -(-work * 60 // useful)
    if work * 60 % useful == 0:
        return None
    return Variant(
        f"A training needs {work} hours. Jobs may last {limit} hours, and each loses {lost} "
        "minutes to its start and its checkpoint. How many jobs does the training take?",
        right,
        f"⌈{work * 60} / ({limit * 60} − {lost})⌉ = {right}.",
        {
            "losses forgotten": (
                -(-work // limit),
                f"Of each job only {useful} minutes are training.",
            ),
            "rounded down": (right - 1, "Off by one: what is left needs one more job."),
            "lost once": (
                -(-(work * 60 + lost) // (limit * 60)),
                "*Each* job loses these minutes, not the first alone.",
            ),
        },
    )


@batch.question("array", 1, hint="Tasks of an array are numbered from 0 here, both ends included.")
def _(rng):
    nets, seeds = rng.integer(3, 9), rng.integer(2, 6)
    i, j = rng.integer(1, nets - 1), rng.integer(0, seeds - 1)
    right = i * seeds + j
    return Variant(
        f"A sweep has a line for each training: {nets} networks, and for each network "
        f"{seeds} seeds, seeds running fastest. Lines are numbered from 0 and each is a task "
        f"of a job array. Which task trains network {i} with seed {j} (both counted from 0)?",
        right,
        f"{i} · {seeds} + {j} = {right}.",
        {
            "networks fastest": (j * nets + i, "Seeds run fastest: networks are the outer loop."),
            "counted from 1": (right + 1, "Off by one: lines are numbered from 0."),
            "network counted from 1": (
                (i - 1) * seeds + j,
                f"Before network {i} come {i} networks, since the first is number 0.",
            ),
            "multiplied by the networks": (
                i * nets + j,
                f"Each network takes {seeds} lines, one for each seed.",
            ),
        },
    )


@batch.question("young", 3, hint="The best interval is √(2 c M).")
def _(rng):
    c, m = rng.integer(5, 60), rng.integer(2, 24)
    right = math.sqrt(2 * c * m * 3600) / 60
    return Variant(
        f"Writing a checkpoint takes {c} s, and jobs are interrupted every {m} hours on average, "
        "without warning. How many *minutes* apart should checkpoints be? (Right within 3 %.)",
        right,
        f"√(2 · {c} · {m * 3600}) s = {right * 60:.0f} s = {right:.1f} minutes.",
        {
            "seconds": (right * 60, "Those are seconds."),
            "two forgotten": (
                right / math.sqrt(2),
                "Half an interval is lost on average: the 2 stays under the root.",
            ),
            "hours not converted": (
                math.sqrt(2 * c * m) / 60,
                "Write the hours in seconds first.",
            ),
            "root forgotten": (2 * c * m * 60, "Take the root of 2 c M."),
        },
        tolerance=0.03,
    )


# --- 7 Reports -----------------------------------------------------------------------------------

reports = Chapter("gtsrb-reports")


@reports.question("errors", 1, hint="Count the mistakes of both, then divide.")
def _(rng):
    a, b = rng.integer(930, 965), rng.integer(970, 995)
    right = (1000 - b) / (1000 - a)
    return Variant(
        f"One network is right on {a / 10} % of the pictures, another on {b / 10} %. Which "
        "share of the first one's mistakes does the second still make, as a share in 0 … 1?",
        right,
        f"{(1000 - b) / 10:g} % / {(1000 - a) / 10:g} % = "
        f"{right:.3f}: a few points may be most of the mistakes.",
        {
            "accuracies compared": (b / a, "Compare the mistakes, not the right answers."),
            "points": ((b - a) / 1000, "That is the difference of the accuracies."),
            "share avoided": (1 - right, "That is the share it no longer makes."),
            "upside down": (1 / right, "Divide the second one's mistakes by the first one's."),
        },
    )


@reports.question(
    "paired", 2, hint="Pictures on which both agree say nothing about the difference."
)
def _(rng):
    both, a_only, b_only = rng.integer(800, 2400), rng.integer(12, 60), rng.integer(12, 60)
    none = rng.integer(10, 90)
    if abs(a_only - b_only) < 5:
        return None
    n = both + a_only + b_only + none
    right = 100 * (a_only - b_only) / n
    return Variant(
        f"Networks A and B answer the same {n:,} pictures: {both:,} both "
        f"right, {a_only} only A, {b_only} only B, {none} neither. By how many "
        "percentage points is A better than B? (Negative if it is worse.)",
        right,
        f"({a_only} − {b_only}) / {n:,} = {right:.2f} points.",
        {
            "share, not points": (right / 100, "Percentage points are asked for: times 100."),
            "among the disagreements": (
                100 * (a_only - b_only) / (a_only + b_only),
                "Divide by all pictures.",
            ),
            "the wrong way round": (-right, "A minus B, not B minus A."),
            "only A's": (
                100 * a_only / n,
                "Take off the pictures that B alone has right.",
            ),
        },
    )


@reports.question("calibration", 2, hint="|said − right| of each bin, weighted by its pictures.")
def _(rng):
    counts = [10 * rng.integer(2, 12) for _ in range(3)]
    said = [0.55, 0.75, 0.95]
    right = [rng.integer(30, 60) / 100, rng.integer(55, 85) / 100, rng.integer(80, 99) / 100]
    gaps = [abs(s - r) for s, r in zip(said, right, strict=True)]
    signed = [s - r for s, r in zip(said, right, strict=True)]
    error = float(np.average(gaps, weights=counts))
    if min(gaps) < 0.01:
        return None
    table = "\n".join(
        f"    {c:>3} answers  said {s:.2f}  right {r:.2f}"
        for c, s, r in zip(counts, said, right, strict=True)
    )
    return Variant(
        f"Three bins of answers:\n{table}\nHow large is the expected "
        "calibration error, as a share in 0 … 1? (Right within 1 %.)",
        error,
        " + ".join(f"{c} · {g:.2f}" for c, g in zip(counts, gaps, strict=True))
        + f", divided by {sum(counts)}: {error:.4f}.",
        {
            "bins counted alike": (
                float(np.mean(gaps)),
                "Each *answer* counts once, not each bin.",
            ),
            "signs kept": (
                float(np.average(signed, weights=counts)),
                "Too sure and too modest must not cancel: take the distances.",
            ),
            "largest gap": (max(gaps), "That is the largest distance, another measure."),
            "squared": (
                float(np.average(np.square(gaps), weights=counts)),
                "The distances are not squared.",
            ),
        },
    )


@reports.question("front", 1, hint="A run is on the front if none is both smaller and better.")
def _(rng):
    sizes = sorted(rng.shuffled(range(20, 900))[:5])
    scores = [v / 10 for v in rng.shuffled(range(900, 990))[:5]]
    best, front = 0, []
    for place, score in enumerate(scores):
        if score > best:
            best = score
            front.append(place)
    if not 2 <= len(front) <= 4:
        return None
    # A reader who looks from the large networks down, or who takes the best alone.
    worst, backward = 0, []
    for place in reversed(range(5)):
        if scores[place] > worst:
            worst = scores[place]
            backward.append(place)
    rows = "\n".join(
        f"    run {i}  {s:>3} thousand parameters  {a:.1f} %"
        for i, (s, a) in enumerate(zip(sizes, scores, strict=True))
    )
    return Variant(
        f"Five runs:\n{rows}\nWhich lie on the front of accuracy against "
        "parameters? Answer with a tuple of their numbers, rising.",
        tuple(front),
        f"{tuple(front)}: each of these is better than all that are smaller.",
        {
            "the best alone": (
                (int(np.argmax(scores)),),
                "A smaller one that is less accurate can be on the front too.",
            ),
            "more is better": (
                tuple(sorted(backward)),
                "You looked for runs that are better than all *larger* ones.",
            ),
            "all": (tuple(range(5)), "Some are beaten by a run that is smaller and better."),
            "the smallest forgotten": (
                tuple(front[1:]),
                "None is smaller than the smallest: it is always on the front.",
            ),
        },
    )


@reports.question("interval", 3, hint="Tracks are drawn, and all their frames come along.")
def _(rng):
    shares = rng.several([0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0], 3)
    frames = rng.shuffled([10, 20, 30])
    picked = [0, rng.integer(1, 2)]
    picked = [picked[1], picked[1], 0]
    right = sum(shares[i] * frames[i] for i in picked) / sum(frames[i] for i in picked)
    plain = float(np.mean([shares[i] for i in picked]))
    whole = sum(s * f for s, f in zip(shares, frames, strict=True)) / sum(frames)
    once = sorted(set(picked))
    names = "ABC"
    rows = "\n".join(
        f"    track {names[i]}  {frames[i]} frames  {shares[i]:.0%} right" for i in range(3)
    )
    return Variant(
        f"A network was validated on three tracks:\n{rows}\nA bootstrap "
        f"resample over tracks draws {', '.join(names[i] for i in picked)}. "
        "Which accuracy over frames has this resample, as a share in 0 … 1?",
        right,
        f"{right:.4f}: a track that is drawn twice counts twice, with all its frames.",
        {
            "tracks counted alike": (
                plain,
                "Accuracy counts frames, and some tracks have more of them.",
            ),
            "no resampling": (whole, "That is the accuracy of the tracks as they are."),
            "each track once": (
                sum(shares[i] * frames[i] for i in once) / sum(frames[i] for i in once),
                f"{names[picked[0]]} was drawn twice, and counts twice.",
            ),
        },
    )


CHAPTERS = (data, first, monitoring, augmentation, combining, batch, reports)
