"""Questions of Part IV, Beyond, and of the appendix on concepts."""

import math

import numpy as np

from companion.arithmetic import output_size, receptive_field
from companion.exercises.question import Chapter, Variant, rows

# --- What the network looks at -------------------------------------------------------------------

insight = Chapter("insight")


@insight.question("occlusion-size", 1, hint="The window's places along an axis, squared.")
def _(rng):
    n, w = rng.integer(20, 56), rng.integer(3, 12)
    right = output_size(n, w) ** 2
    return Variant(
        f"Occlusion hides a window of {w} × {w} pixels at every place of "
        f"a picture of {n} × {n}, moving by one pixel. How many times "
        "must the network answer, the untouched picture not counted?",
        right,
        f"({n} − {w} + 1)² = {right:,}.",
        {
            "last place forgotten": ((n - w) ** 2, "Off by one: n − w + 1 places along an axis."),
            "every pixel": (n * n, "The window must lie inside the picture."),
            "one axis": (n - w + 1, "The window moves along rows and columns."),
            "windows that touch": (
                (n // w) ** 2,
                "It moves by one pixel, so that windows overlap.",
            ),
        },
    )


def _maps(rng):
    a = np.array([rng.array((2, 2), 0, 5), rng.array((2, 2), 0, 5)])
    w = np.array([rng.array((2, 2), -4, 4), rng.array((2, 2), -4, 4)])
    return a, w


@insight.question(
    "grad-cam", 2, hint="Average each map's gradient, weigh the maps, cut off below 0."
)
def _(rng):
    a, w = _maps(rng)
    alpha = w.mean(axis=(1, 2))
    raw = np.tensordot(alpha, a, axes=1)
    right = np.maximum(raw, 0)
    if not (raw > 0).any() or not (raw < 0).any():
        return None
    return Variant(
        f"Two feature maps are\n{rows(a[0])}\nand\n{rows(a[1])}\nand the gradients "
        f"of the score with respect to them\n{rows(w[0])}\nand\n{rows(w[1])}\nGive "
        "the map of Grad-CAM, before it is stretched and divided by its largest value.",
        right,
        f"The gradients average to {alpha[0]:g} and {alpha[1]:g}; "
        f"the weighted sum, cut off below 0, is {right.tolist()}.",
        {
            "not cut off": (raw, "What speaks against the class is cut off: negative becomes 0."),
            "place by place": (
                np.maximum((a * w).sum(axis=0), 0),
                "Grad-CAM averages each gradient over its map first.",
            ),
            "sum for mean": (
                np.maximum(4 * raw, 0),
                "The weight of a map is the *mean* of its gradient.",
            ),
            "maps added unweighted": (a.sum(axis=0), "Each map has a weight."),
        },
    )


@insight.question("window-centre", 2, hint="Steps add up to a jump, the field begins at pixel 0.")
def _(rng):
    k = rng.one_of([3, 5])
    layers = [(k, 1), (2, 2), (3, 1)]
    i = rng.integer(2, 9)
    centre = 2 * i + (receptive_field(layers) - 1) / 2
    return Variant(
        f"Conv {k} × {k}, pool 2, conv 3 × 3, all `valid`. Which pixel "
        "coordinate (the first pixel's centre is 0) is the centre of "
        f"what place {i} of the last map looks at, along one axis?",
        centre,
        f"It begins at pixel 2 · {i} and spans {receptive_field(layers)}: centre {centre:g}.",
        {
            "first pixel": (float(2 * i), "That is where the field begins, not its centre."),
            "stride forgotten": (
                i + (receptive_field(layers) - 1) / 2,
                "After a pooling by 2, a step on the map is two pixels.",
            ),
            "half a pixel too much": (
                2 * i + receptive_field(layers) / 2,
                "Centres count from 0: the middle of n pixels is (n − 1) / 2.",
            ),
            "last pixel": (float(2 * i + receptive_field(layers) - 1), "That is where it ends."),
        },
        tolerance=0.002,
    )


@insight.question("saturated", 1, hint="The slope of softmax for its own score is p (1 − p).")
def _(rng):
    p = rng.integer(60, 99) / 100
    return Variant(
        f"The probability of the class is {p}. How fast does it grow with "
        "the class's own score: what is the derivative of the softmax?",
        p * (1 - p),
        f"p (1 − p) = {p} · {1 - p:.2f} = {p * (1 - p):.4f}: the "
        "surer, the flatter, so that maps take the score's gradient.",
        {
            "the probability": (p, "A probability near 1 can hardly grow any more."),
            "what is missing": (1 - p, "Multiply that by p."),
            "square": (p * p, "The derivative is p (1 − p)."),
            "cross-entropy": (p - 1, "That is the derivative of the cross-entropy."),
        },
    )


@insight.question("brightest", 3, hint="Every map is divided by its largest value.")
def _(rng):
    a, b = rng.integer(70, 99), rng.integer(12, 40)
    return Variant(
        "Grad-CAM maps of two pictures are shown, each from 0 to 1. "
        f"The network is {a} % sure of the first and {b} % sure of the "
        "second. The second map has a larger bright area. What follows?",
        "Neither map says how sure the network is; each says only where, compared with itself.",
        "A map is divided by its largest value: brightness cannot be compared between pictures.",
        {
            "The second answer rests on more evidence.": (
                "Each map is divided by its own maximum, so that areas say nothing about amounts."
            ),
            "The network looked longer at the second picture.": (
                "A network computes the same for each picture."
            ),
            "The second answer is wrong, since attention is spread.": (
                "A spread map belongs to right answers as well as to wrong ones."
            ),
        },
    )


# --- How fast, and why ---------------------------------------------------------------------------

fast = Chapter("how-fast")


@fast.question(
    "floor", 1, hint="Two operations for each multiply-add, for each image of the batch."
)
def _(rng):
    m, b, g = 1000 * rng.integer(100, 900), rng.one_of([32, 64, 128, 256]), rng.integer(40, 300)
    right = 2 * m * b / g / 1e6
    return Variant(
        f"A network takes {m:,} multiply-adds for one image. Matrix products run at {g} "
        f"GFLOPs a second. Where is the floor of a forward pass of {b} images, in ms?",
        right,
        f"2 · {m:,} · {b} = {2 * m * b:,} FLOPs, at {g} million a millisecond: {right:.4g} ms.",
        {
            "multiply-adds for FLOPs": (
                right / 2,
                "A multiply-add is two floating-point operations.",
            ),
            "one image": (right / b, "That is one image; the batch holds more."),
            "training step": (
                3 * right,
                "That is about a training step; the forward pass is a third of it.",
            ),
            "seconds": (right / 1000, "The answer is asked for in milliseconds."),
        },
    )


@fast.question("faults", 1, hint="Bytes, divided by the bytes of a page.")
def _(rng):
    b, n, f = rng.one_of([64, 128, 256, 512]), 2 * rng.integer(6, 16), rng.one_of([16, 32, 64])
    right = b * n * n * f // 1024
    return Variant(
        f"A layer's outputs are {b} × {n} × {n} × {f} numbers in float32. The "
        "allocator gives them back after each step. How many page faults "
        "does touching them cost in the next step, with pages of 4,096 bytes?",
        right,
        f"4 · {b} · {n}² · {f} = {4 * b * n * n * f:,} bytes, divided by 4,096: {right:,}.",
        {
            "numbers for bytes": (
                -(-b * n * n * f // 4096),
                "A float32 number takes four bytes.",
            ),
            "one image": (
                -(-4 * n * n * f // 4096),
                "Each image of the batch has outputs of its own.",
            ),
            "a fault a number": (
                b * n * n * f,
                "A fault brings a whole page, with 1,024 such numbers.",
            ),
            "float64": (2 * right, "That would be right for numbers of eight bytes."),
        },
    )


@fast.question("im2col", 2, hint="A row for each place of the window in each image.")
def _(rng):
    b, n, c, k = rng.integer(2, 64), rng.integer(8, 40), rng.integer(2, 32), rng.one_of([3, 5])
    m = output_size(n, k)
    right = (b * m * m, k * k * c)
    return Variant(
        f"Of {b} images of {n} × {n} with {c} channels, the windows of a "
        f"convolution with kernel size {k}, without padding, are laid out "
        "as rows. Which shape has the matrix? Answer as (rows, columns).",
        right,
        f"{b} · {m}² = {right[0]:,} places, and {k}² · {c} = {right[1]:,} numbers in a window.",
        {
            "size kept": ((b * n * n, k * k * c), "Without padding there are n − k + 1 places."),
            "channels forgotten": ((b * m * m, k * k), "A window has all channels."),
            "one image": ((m * m, k * k * c), "Every image has its own rows."),
            "transposed": ((k * k * c, b * m * m), "Each window is a *row*."),
        },
    )


@fast.question("intensity", 2, hint="FLOPs are twice the multiply-adds; a number has four bytes.")
def _(rng):
    c, f, k = rng.integer(1, 64), rng.one_of([8, 16, 32, 64, 128]), rng.one_of([1, 3, 5])
    right = k * k * c * f / (2 * (c + f))
    return Variant(
        f"A {k} × {k} convolution with `same` padding makes {f} maps of {c}, "
        "in float32. It reads each input once and writes each output once; "
        "the kernel counts for nothing. How many FLOPs does it do for a byte?",
        right,
        f"At each place 2 · {k}² · {c} · {f} FLOPs, and 4 · ({c} + {f}) bytes: {right:.4g}.",
        {
            "multiply-adds for FLOPs": (right / 2, "A multiply-add is two FLOPs."),
            "numbers for bytes": (4 * right, "A float32 number takes four bytes."),
            "outputs only": (k * k * c / 2, "The inputs must be read as well."),
            "inputs only": (k * k * f / 2, "The outputs must be written as well."),
        },
    )


@fast.question("whole", 3, hint="What is not changed takes as long as before.")
def _(rng):
    whole, part, factor = rng.integer(40, 120), rng.integer(8, 35), rng.integer(3, 20)
    after = whole - part + part / factor
    right = whole / after
    return Variant(
        f"Of a step of {whole} ms, the gradient of pooling takes {part} ms. It is made "
        f"{factor} times as fast; nothing else changes. How many times as fast is the step?",
        right,
        f"{whole} − {part} + {part} / {factor} = {after:.4g} "
        f"ms; {whole} / {after:.4g} = {right:.4g}.",
        {
            "the part's factor": (float(factor), "That is the gain of the part alone."),
            "part gone": (
                whole / (whole - part),
                "The part still takes some time: its own, divided by its factor.",
            ),
            "upside down": (after / whole, "That is the share of the time that is left."),
            "gain for ratio": (
                (whole - after) / whole,
                "That is the share of the time that is saved.",
            ),
            "weighted mean": (
                1 + (factor - 1) * part / whole,
                "Times add up, not speeds: compute the new time first.",
            ),
        },
        tolerance=0.002,
    )


# --- How far one can go --------------------------------------------------------------------------

far = Chapter("how-far")


@far.question("wrong", 1, hint="What is not right is wrong.")
def _(rng):
    percent = rng.integer(9601, 9985) / 100
    right = 12_630 - round(12_630 * percent / 100)
    return Variant(
        f"A network is right on {percent:.2f} % of the 12,630 test pictures. How many are wrong?",
        right,
        f"12,630 · {percent:.2f} % = {12_630 - right:,} are right, and {right:,} are left.",
        {
            "right ones": (12_630 - right, "Those are the pictures that it gets right."),
            "of all training pictures": (
                39_209 - round(39_209 * percent / 100),
                "The training pictures are 39,209; the test pictures 12,630.",
            ),
            "of a hundred": (round(100 - percent), "That is of a hundred pictures."),
        },
    )


@far.question("depthwise", 1, hint="One kernel for each map, and no map sees another.")
def _(rng):
    k, c = rng.integer(2, 7), rng.one_of([32, 48, 64, 96, 128])
    right = c * (k * k + 1)
    return Variant(
        "How many parameters has a depthwise convolution of "
        f"kernel size {k} on {c} maps, with a bias for each?",
        right,
        f"{c} · ({k}² + 1) = {right:,}.",
        {
            "an ordinary convolution": (
                c * (k * k * c + 1),
                "That is a convolution of as many filters, each of which sees all maps.",
            ),
            "biases forgotten": (c * k * k, "Each map has a bias as well."),
            "one kernel for all": (k * k + 1, "Each map has a kernel of its own."),
        },
    )


@far.question("strided", 2, hint="Count the outputs, and what each takes.")
def _(rng):
    n, c, f = 2 * rng.integer(8, 32), rng.one_of([8, 16, 24, 32]), rng.one_of([16, 32, 48])
    right = (n // 2) ** 2 * 9 * c * f
    return Variant(
        f"A 3 × 3 convolution with `same` padding and stride 2 makes {f} "
        f"maps of {c} of {n} × {n}. How many multiply-adds does it take?",
        right,
        f"({n} / 2)² = {(n // 2) ** 2:,} places, each 9 · {c} · {f}: {right:,}.",
        {
            "stride forgotten": (
                n * n * 9 * c * f,
                "That is stride 1, as it would be before a "
                "pooling; stride 2 has a quarter of the places.",
            ),
            "half the places": (
                n * n // 2 * 9 * c * f,
                "The stride halves the rows and the columns: a quarter of the places is left.",
            ),
            "one input map": ((n // 2) ** 2 * 9 * f, "Each filter sees all input maps."),
            "one filter": ((n // 2) ** 2 * 9 * c, "That is one filter."),
        },
    )


@far.question("epochs", 2, hint="What comes before the first epoch is waited for once.")
def _(rng):
    before, epoch, number = rng.integer(10, 40), rng.integer(12, 45), rng.integer(3, 25)
    right = before + epoch * number
    return Variant(
        f"Reading the pictures and compiling takes {before} s, an epoch {epoch} "
        f"s. The validation accuracy of epoch {number}, counted from 1, is the "
        "first above 98 %. After how many seconds is the level reached?",
        right,
        f"{before} + {epoch} · {number} = {right:,} s: an epoch's accuracy is known at its end.",
        {
            "start forgotten": (epoch * number, "The time before the first epoch counts too."),
            "counted from 0": (
                before + epoch * (number - 1),
                "That is the beginning of the epoch; it is validated at its end.",
            ),
            "start in each epoch": (
                (before + epoch) * number,
                "A program is compiled once, not in each epoch.",
            ),
            "one epoch more": (before + epoch * (number + 1), "Epochs are counted from 1 here."),
        },
    )


@far.question("chosen", 3, hint="Which number had a say in the choice?")
def _(rng):
    seeds = rng.several(range(10), 3)
    values = [rng.integer(9780, 9910) / 100 for _ in seeds]
    if len(set(values)) < 3:
        return None
    best, mean = max(values), sum(values) / 3
    listed = ", ".join(f"{v:.2f}" for v in values)
    return Variant(
        f"Three seeds of a network reach {listed} % on the test pictures, each "
        "opened once. Which number says, in %, what to expect of a fourth seed?",
        mean,
        f"({' + '.join(f'{v:.2f}' for v in values)}) / 3 = {mean:.4g}.",
        {
            "the best": (best, "It was chosen by the test pictures, and flatters."),
            "the worst": (min(values), "A fourth seed is worse than that only now and then."),
            "the sum": (3 * mean, "Divide by the number of seeds."),
        },
        tolerance=0.0002,
    )


# --- Things to keep in mind ----------------------------------------------------------------------

keep = Chapter("keep-in-mind", "keep")


@keep.question("blocks", 1, hint="Every file takes whole blocks.")
def _(rng):
    n, side = 1000 * rng.integer(5, 60), rng.one_of([16, 24, 32, 48])
    channels = rng.one_of([1, 3])
    size = side * side * channels
    if size % 4096 == 0:
        return None
    blocks = -(-size // 4096)
    right = n * blocks * 4096 / 1e6
    return Variant(
        f"A file system gives out blocks of 4,096 bytes. {n:,} "
        f"pictures of {side} × {side} × {channels} bytes are kept as a "
        "file each. How many MB (10⁶ bytes) of the disk do they take?",
        right,
        f"{size:,} bytes take {blocks} {'blocks' if blocks > 1 else 'block'}: "
        f"{n:,} · {blocks} · 4,096 = {right:,.1f} MB.",
        {
            "bytes of the pictures": (n * size / 1e6, "A file takes whole blocks."),
            "one block too many": (
                n * (blocks + 1) * 4096 / 1e6,
                "Count blocks by rounding up, no further.",
            ),
            "MiB": (right / 1.048576, "You divided by 1024 · 1024, which gives MiB."),
        },
    )


@keep.question("one-more", 1, hint="One more value multiplies its own factor only.")
def _(rng):
    a, b, c = (rng.integer(2, 6) for _ in range(3))
    return Variant(
        f"A grid has {a} networks, {b} recipes and {c} seeds. How "
        "many trainings come *on top* if one more recipe is tried?",
        a * c,
        f"{a} · 1 · {c} = {a * c}.",
        {
            "one": (1, "The recipe is tried with each network and each seed."),
            "the whole grid": (a * (b + 1) * c, "That is the whole grid, the old part included."),
            "the old grid": (a * b * c, "That is the grid as it was."),
            "one seed": (a, f"Each cell has {c} seeds."),
        },
    )


@keep.question("effective", 2, hint="Intervals shrink with the root of the number of pictures.")
def _(rng):
    n, ratio = 100 * rng.integer(20, 130), rng.integer(15, 45) / 10
    return Variant(
        f"The interval over tracks is {ratio} times as wide as the one that counts "
        f"{n:,} frames. As how many independent pictures do the frames tell?",
        n / ratio**2,
        f"{n:,} / {ratio}² = {n / ratio**2:,.0f}.",
        {
            "root forgotten": (n / ratio, "Widths go with the root: square the ratio."),
            "multiplied": (n * ratio**2, "A wider interval tells of *fewer* pictures."),
            "frames": (n, "Frames of one track are alike: they tell less."),
            "root taken twice": (n / math.sqrt(ratio), "Square the ratio, do not take its root."),
        },
    )


@keep.question("adam", 2, hint="Weights, and two moments for each.")
def _(rng):
    p = 1000 * rng.integer(50, 3000)
    return Variant(
        f"A network has {p:,} parameters, all trained with Adam. How many numbers must "
        "be kept to *go on* with the training, the step count and the like left out?",
        3 * p,
        f"Each weight and its two moments: 3 · {p:,} = {3 * p:,}.",
        {
            "weights only": (p, "Those are enough to use the network, not to go on."),
            "weights forgotten": (2 * p, "Those are the moments; the weights come on top."),
            "gradients too": (4 * p, "Gradients are computed anew."),
        },
    )


@keep.question("leak", 3, hint="Has what judges seen anything of what chose or trained?")
def _(rng):
    n = rng.integer(20, 90)
    return Variant(
        f"A medical data set has {n} slices of each patient. Which "
        "split gives an accuracy that can be believed for new patients?",
        "Whole patients are held out, and the mean for normalising comes from the others.",
        "Nothing of a held-out patient reaches the training, not even through a mean.",
        {
            "A fifth of the slices, drawn at random, is held out.": (
                "Neighbouring slices of one patient land on both sides: the split lies."
            ),
            "The last slices of every patient are held out.": (
                "The network knows these patients from their other slices."
            ),
            "Whole patients are held out, and the mean for normalising comes from all slices.": (
                "Close, but the held-out slices have changed what the "
                "training sees: take the mean from the training slices."
            ),
        },
    )


# --- The concepts assumed ------------------------------------------------------------------------

concepts = Chapter("concepts")


@concepts.question("step", 1, hint="New weight: old weight minus rate times slope.")
def _(rng):
    w, goal = rng.integer(3, 9), rng.integer(-2, 2)
    rate = rng.one_of([0.1, 0.2, 0.3, 0.4])
    slope = 2 * (w - goal)
    right = w - rate * slope
    shown = f"(w − {goal})²" if goal >= 0 else f"(w + {-goal})²"
    return Variant(
        f"The loss is {shown} and w = {w}. Where is w after one "
        f"step of gradient descent with learning rate {rate}?",
        float(right),
        f"The slope is 2 · ({w} − ({goal})) = {slope}; {w} − {rate} · {slope} = {right:g}.",
        {
            "uphill": (w + rate * slope, "Descent goes *against* the slope: subtract."),
            "factor two forgotten": (w - rate * slope / 2, "The derivative of a square has a 2."),
            "loss for slope": (w - rate * (w - goal) ** 2, "Use the slope, not the loss."),
            "step only": (-rate * slope, "That is the step; add it to w."),
        },
        tolerance=0.002,
    )


@concepts.question("softmax-two", 2, hint="e to the score, divided by the sum.")
def _(rng):
    a, b = rng.integer(-2, 3), rng.integer(-2, 3)
    if a == b:
        return None
    right = 1 / (1 + math.exp(b - a))
    return Variant(
        f"Two classes have the scores {a} and {b}. Which probability has the first, by softmax?",
        right,
        f"e^{a} / (e^{a} + e^{b}) = {right:.4f}: only the difference of the scores counts.",
        {
            "other class": (1 - right, "That is the second class."),
            "sigmoid of its own score": (
                1 / (1 + math.exp(-a)),
                "The other score counts as well: take the difference.",
            ),
            "base two": (1 / (1 + 2.0 ** (b - a)), "The base is e."),
            "argmax": (float(a > b), "That is the decision, not a probability."),
        },
        tolerance=0.005,
    )


@concepts.question("batches", 1, hint="Round up: the last batch may be shorter.")
def _(rng):
    n, b, e = rng.integer(500, 9000), rng.one_of([16, 32, 50, 64]), rng.integer(2, 12)
    if n % b == 0:
        return None
    per = -(-n // b)
    return Variant(
        f"{n:,} examples, batches of {b}, {e} epochs: how many steps does the training take?",
        per * e,
        f"{e} · ⌈{n:,} / {b}⌉ = {e} · {per} = {per * e:,}.",
        {
            "short batch forgotten": ((per - 1) * e, "The shorter batch is a step too."),
            "one epoch": (per, f"There are {e} epochs."),
            "rounded at the end": (
                -(-n * e // b),
                "Each epoch ends with a short batch: round up for one epoch first.",
            ),
            "examples": (n * e, "A step takes a batch, not an example."),
        },
    )


@concepts.question("standardise", 2, hint="Mean and deviation of the training data alone.")
def _(rng):
    values = [rng.integer(1, 20) for _ in range(4)]
    new = rng.integer(5, 30)
    mean, deviation = float(np.mean(values)), float(np.std(values))
    if deviation < 1:
        return None
    every = [*values, new]
    return Variant(
        f"The training values are {', '.join(map(str, values))}. A validation value is "
        f"{new}. What is it after standardisation? (Use the deviation that divides by n.)",
        (new - mean) / deviation,
        f"({new} − {mean:g}) / {deviation:.3f} = {(new - mean) / deviation:.3f}.",
        {
            "validation value in the mean": (
                (new - np.mean(every)) / np.std(every),
                "Mean and deviation come from the training values alone.",
            ),
            "divided by the variance": (
                (new - mean) / deviation**2,
                "Divide by the standard deviation, the root of the variance.",
            ),
            "not divided": (new - mean, "Divide by the standard deviation."),
            "n − 1": (
                (new - mean) / float(np.std(values, ddof=1)),
                "That deviation divides by n − 1.",
            ),
        },
    )


@concepts.question("threshold", 3, hint="Precision among the answers, recall among the cases.")
def _(rng):
    found, missed, false = rng.integer(20, 90), rng.integer(4, 40), rng.integer(4, 60)
    p, r = found / (found + false), found / (found + missed)
    right = 2 * p * r / (p + r)
    return Variant(
        f"A classifier finds {found} of {found + missed} rings and gives {false} "
        "false alarms. What is its F1, the harmonic mean of precision and recall?",
        right,
        f"Precision {p:.3f}, recall {r:.3f}: 2 · {p:.3f} "
        f"· {r:.3f} / ({p:.3f} + {r:.3f}) = {right:.3f}.",
        {
            "arithmetic mean": ((p + r) / 2, "That is the arithmetic mean."),
            "precision": (p, "That is the precision alone."),
            "recall": (r, "That is the recall alone."),
            "product": (p * r, "The harmonic mean is 2 p r / (p + r)."),
        },
        tolerance=0.002,
    )


CHAPTERS = (insight, fast, far, keep, concepts)
