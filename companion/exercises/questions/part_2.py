"""Questions of Part II, MNIST."""

import numpy as np

from companion.arithmetic import conv_parameters, dense_parameters, output_size
from companion.exercises.question import Chapter, Variant, rows

# --- A dense baseline ----------------------------------------------------------------------------

dense = Chapter("mnist-dense")


@dense.question("parameters", 1, hint="Two dense layers, each n (m + 1).")
def _(rng):
    n = rng.integer(30, 500)
    first, second = dense_parameters(784, n), dense_parameters(n, 10)
    return Variant(
        f"28 × 28 pixels are flattened and go through `Dense({n})` "
        "and `Dense(10)`. How many parameters has the network?",
        first + second,
        f"{n} · 785 + 10 · ({n} + 1) = {first + second:,}.",
        {
            "biases forgotten": (784 * n + 10 * n, f"There are {n} + 10 biases."),
            "first layer only": (first, "The layer of ten outputs has parameters too."),
            "outputs read the pixels": (
                first + dense_parameters(784, 10),
                f"The last layer reads the {n} numbers of the first, not the pixels.",
            ),
            "28 inputs": (
                dense_parameters(28, n) + second,
                "Flattening makes 784 inputs of 28 × 28.",
            ),
        },
    )


@dense.question("steps", 1, hint="What is held out does not train; the last batch may be short.")
def _(rng):
    n, share, batch = 1000 * rng.integer(5, 60), rng.one_of([10, 20]), rng.one_of([32, 64, 128])
    kept = n * (100 - share) // 100
    if kept % batch == 0:
        return None
    right = -(-kept // batch)
    return Variant(
        f"Of {n:,} pictures, {share} % are held out. How many steps "
        f"does an epoch of training have, in batches of {batch}?",
        right,
        f"{kept:,} pictures make ⌈{kept / batch:.2f}⌉ = {right} batches; the last one is shorter.",
        {
            "short batch forgotten": (
                right - 1,
                "Off by one: the pictures that are left make a shorter batch.",
            ),
            "held-out pictures trained on": (
                -(-n // batch),
                "The pictures that are held out must not be trained on.",
            ),
            "only the held-out": (-(-(n - kept) // batch), "Those are the held-out pictures."),
            "pictures": (kept, "Those are the pictures; a step takes a batch of them."),
        },
    )


@dense.question("loss", 2, hint="Minus the natural logarithm of what the true class got.")
def _(rng):
    p = [rng.integer(1, 9) for _ in range(4)]
    p = [v / sum(p) for v in p]
    true = rng.integer(0, 3)
    shown = ", ".join(f"{v:.3f}" for v in p)
    given = round(p[true], 3)
    if true == int(np.argmax(p)):
        return None
    return Variant(
        f"Softmax gives the classes 0 to 3 the probabilities {shown}; the true "
        f"class is {true}. How large is the cross-entropy of this picture?",
        float(-np.log(given)),
        f"−ln {given:.3f} = {-np.log(given):.3f}.",
        {
            "sign forgotten": (float(np.log(given)), "The logarithm is negative: take minus it."),
            "base ten": (float(-np.log10(given)), "The logarithm is the natural one."),
            "base two": (float(-np.log2(given)), "The logarithm is the natural one, not base 2."),
            "of the answer": (
                float(-np.log(round(max(p), 3))),
                "That is the loss if the network's answer were the truth.",
            ),
            "without the logarithm": (1 - given, "That is one minus the probability."),
        },
    )


@dense.question("interval", 2, hint="The standard error is √(p (1 − p) / n); it goes both ways.")
def _(rng):
    n, p = 500 * rng.integer(1, 20), rng.integer(850, 985) / 1000
    error = float(np.sqrt(p * (1 - p) / n))
    return Variant(
        f"A network reads {100 * p:.1f} % of {n:,} independent pictures. How large is "
        "the standard error of this accuracy, as a share in 0 … 1? (Right within 3 %.)",
        error,
        f"√({p} · {1 - p:.3f} / {n:,}) = {error:.4f}.",
        {
            "root forgotten": (error**2, "That is the variance: take its root."),
            "not divided by n": (float(np.sqrt(p * (1 - p))), "More pictures, smaller error."),
            "of the count": (error * n, "That is the error of the *number* of right answers."),
            "95 %": (1.96 * error, "That is half the 95 % interval: 1.96 standard errors."),
        },
        tolerance=0.03,
    )


@dense.question("shuffled", 3, hint="What does a dense layer know about neighbours?")
def _(rng):
    seed = rng.integer(2, 99)
    return Variant(
        f"One permutation of the 784 pixels, drawn with seed {seed}, "
        "is applied to *all* pictures, and the dense network is "
        "trained again. What happens to its validation accuracy?",
        "It changes by no more than another seed would change it.",
        "Each weight belongs to a pixel, wherever that "
        "stands: only the first layer's rows change places.",
        {
            "It falls to about 10 %, the level of chance.": (
                "That would be so if each picture had a permutation of its "
                "own. One for all loses nothing that a dense layer could use."
            ),
            "It falls clearly, since strokes are torn apart.": (
                "A reader loses the strokes; a dense layer never knew which pixels were neighbours."
            ),
            "It rises, since the network cannot overfit to strokes.": (
                "It can overfit as before: the same information is there, in another order."
            ),
        },
    )


# --- The 42,358-parameter network ----------------------------------------------------------------

cnn = Chapter("mnist-cnn")


def _network(f1, f2, units, side=28):
    """Count the course's network with other numbers of filters and neurons."""
    a = output_size(output_size(side, 3), 2, stride=2)
    b = output_size(output_size(a, 3), 2, stride=2)
    return (
        a,
        b,
        [
            conv_parameters(3, 1, f1),
            conv_parameters(3, f1, f2),
            dense_parameters(b * b * f2, units),
            dense_parameters(units, 10),
        ],
    )


@cnn.question("second-layer", 1, hint="It reads the maps of the first layer, not the picture.")
def _(rng):
    f1, f2 = rng.integer(4, 24), rng.integer(8, 48)
    right = conv_parameters(3, f1, f2)
    return Variant(
        "In the network for digits the two convolutions of 3 × 3 have "
        f"{f1} and {f2} filters. How many parameters has the *second* one?",
        right,
        f"{f2} · ({f1} · 9 + 1) = {right:,}.",
        {
            "one channel only": (
                conv_parameters(3, 1, f2),
                f"It reads {f1} maps, not the grey picture: a filter has {f1} kernels.",
            ),
            "bias forgotten": (f1 * f2 * 9, f"There are {f2} biases."),
            "first layer": (conv_parameters(3, 1, f1), "That is the first convolution."),
            "a bias for each kernel": (f1 * f2 * 10, "A filter has one bias for all its kernels."),
        },
    )


@cnn.question("sides", 1, hint="A valid 3 × 3 takes 2 away, a pooling halves and rounds down.")
def _(rng):
    n = rng.integer(24, 72)
    a, b, _ = _network(8, 16, 100, n)
    up = -(-(-(-(n - 2) // 2) - 2) // 2)
    return Variant(
        f"Pictures of {n} × {n} go through the network for digits: conv 3 × 3, pool 2, conv "
        "3 × 3, pool 2, all `valid`. How long is a side of the maps that are flattened?",
        b,
        f"{n} → {n - 2} → {a} → {a - 2} → {b}.",
        {
            "convolutions keep the size": (n // 4, "`valid` takes two rows and columns each time."),
            "rounded up": (up, "A pooling without padding drops the odd row: round down."),
            "before the last pooling": (a - 2, "One more pooling follows."),
            "poolings forgotten": (n - 4, "Each pooling halves the sides."),
        },
    )


@cnn.question("total", 2, hint="Follow the sides to the flattening, and count four layers.")
def _(rng):
    f1, f2, u = rng.integer(4, 16), rng.integer(12, 32), rng.integer(30, 160)
    _, side, counts = _network(f1, f2, u)
    right = sum(counts)
    same = dense_parameters(7 * 7 * f2, u)
    return Variant(
        "The network for digits (28 × 28, conv 3 × 3, pool 2, conv 3 × 3, pool "
        f"2, flatten, dense, 10 outputs) is built with {f1} and {f2} filters "
        f"and {u} neurons, `valid` throughout. How many parameters has it?",
        right,
        f"{' + '.join(f'{c:,}' for c in counts)} = {right:,}; "
        f"{side} · {side} · {f2} numbers are flattened.",
        {
            "same, not valid": (
                counts[0] + counts[1] + same + counts[3],
                f"Without padding the last maps have {side} × {side} cells, not 7 × 7.",
            ),
            "biases forgotten": (
                right - f1 - f2 - u - 10,
                f"There are {f1} + {f2} + {u} + 10 biases.",
            ),
            "one channel in the second layer": (
                right - counts[1] + conv_parameters(3, 1, f2),
                f"The second convolution reads {f1} maps.",
            ),
            "outputs forgotten": (right - counts[3], "The ten outputs have parameters as well."),
        },
    )


@cnn.question("share", 2, hint="Divide the large layer by all four.")
def _(rng):
    f1, f2, u = rng.integer(4, 16), rng.integer(12, 48), rng.integer(20, 120)
    _, _, counts = _network(f1, f2, u)
    right = counts[2] / sum(counts)
    return Variant(
        f"In the network for digits with {f1} and {f2} filters and {u} neurons, the layers "
        f"have {', '.join(f'{c:,}' for c in counts)} parameters. Which share lies in the "
        "layer after the flattening? Give a share in 0 … 1. (Right within half a per cent.)",
        right,
        f"{counts[2]:,} / {sum(counts):,} = {right:.3f}.",
        {
            "against the rest": (
                counts[2] / (sum(counts) - counts[2]),
                "Divide by all parameters, not by the others.",
            ),
            "the rest": (1 - right, "That is the share of the other layers."),
            "both dense layers": (
                (counts[2] + counts[3]) / sum(counts),
                "You counted the ten outputs too.",
            ),
        },
        tolerance=0.005,
    )


@cnn.question("recall", 2, hint="Recall: along the row of the true class.")
def _(rng):
    matrix = rng.array((3, 3), 1, 12)
    matrix[np.diag_indices(3)] = [rng.integer(20, 60) for _ in range(3)]
    c = rng.integer(1, 2)
    right = float(matrix[c, c] / matrix[c].sum())
    return Variant(
        "A confusion matrix of three classes, a row for each *true* "
        f"class and a column for each answer:\n{rows(matrix)}\nWhat is the "
        f"recall of class {c} (counted from 0)? Give a share in 0 … 1.",
        right,
        f"{matrix[c, c]} of {matrix[c].sum()} pictures of the class: {right:.3f}.",
        {
            "precision": (
                float(matrix[c, c] / matrix[:, c].sum()),
                "You went down the column: that is the precision, among the answers.",
            ),
            "share of all pictures": (
                float(matrix[c, c] / matrix.sum()),
                "Divide by the pictures of the class, not by all.",
            ),
            "accuracy": (float(np.trace(matrix) / matrix.sum()), "That is the accuracy of all."),
            "counted from 1": (
                float(matrix[c - 1, c - 1] / matrix[c - 1].sum()),
                "That is another class: the first row is class 0.",
            ),
        },
    )


@cnn.question("adds", 3, hint="Places · weights, for each convolution; the poolings come between.")
def _(rng):
    f1, f2 = rng.integer(4, 16), rng.integer(8, 32)
    first, second = 26 * 26 * 9 * f1, 11 * 11 * 9 * f1 * f2
    return Variant(
        f"With {f1} and {f2} filters, how many multiply-adds does the *second* "
        "convolution of the network for digits make for one picture of 28 × 28 (`valid`)?",
        second,
        f"28 → 26 → 13 → 11: 11 · 11 places · 9 · {f1} weights · {f2} filters = {second:,}.",
        {
            "first layer": (first, "That is the first convolution."),
            "pooling forgotten": (
                24 * 24 * 9 * f1 * f2,
                "Between the convolutions a pooling halves the sides.",
            ),
            "same, not valid": (
                13 * 13 * 9 * f1 * f2,
                "From 13 × 13, a 3 × 3 kernel leaves 11 × 11.",
            ),
            "one channel only": (11 * 11 * 9 * f2, f"Each filter reads {f1} maps."),
            "parameters": (conv_parameters(3, f1, f2), "Those are its parameters, without places."),
        },
    )


CHAPTERS = (dense, cnn)
