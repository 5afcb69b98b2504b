"""Questions of Part I, Convolution."""

import numpy as np

from companion.arithmetic import (
    average_pool,
    conv_parameters,
    convolve,
    cross_correlate,
    dense_parameters,
    max_pool,
    output_size,
    receptive_field,
    same_padding,
)
from companion.exercises.question import Chapter, Variant, rows

# --- Why convolution -----------------------------------------------------------------------------

why = Chapter("why")


@why.question("neurons", 1, hint="Every neuron has one weight for each input, and one bias.")
def _(rng):
    h, w, n = rng.integer(12, 40), rng.integer(12, 40), rng.integer(20, 400)
    right = dense_parameters(h * w, n)
    return Variant(
        f"A dense layer of {n} neurons reads a grey picture "
        f"of {h} × {w} pixels. How many parameters has it?",
        right,
        f"{n} · ({h} · {w} + 1) = {right:,}.",
        {
            "bias forgotten": (
                n * h * w,
                f"Each of the {n} neurons has a bias beside its weights.",
            ),
            "one bias for all": (n * h * w + 1, f"There are {n} biases, one for each neuron."),
            "a bias for each input": (
                h * w * (n + 1),
                "A bias belongs to a neuron, not to an input.",
            ),
            "rows only": (n * (h + 1), f"A picture of {h} × {w} has {h * w} pixels, not {h}."),
        },
    )


@why.question("photo-memory", 2, hint="Count the weights first, then 4 bytes for each.")
def _(rng):
    h, w, n = 100 * rng.integer(8, 30), 100 * rng.integer(8, 40), 100 * rng.integer(2, 20)
    right = h * w * 3 * n * 4 / 1e9
    return Variant(
        f"A photo in colours has {h} × {w} pixels. How many GB (10⁹ bytes) do the weights "
        f"of a dense layer of {n} neurons on it take, as float32? Leave the biases out.",
        right,
        f"{h} · {w} · 3 · {n} weights of 4 bytes are {right:,.1f} GB.",
        {
            "one channel only": (right / 3, "A pixel in colours is three numbers."),
            "weights, not bytes": (right / 4, "A float32 number takes 4 bytes."),
            "bits": (right * 8, "You counted bits; a byte has 8 of them."),
            "one channel and one byte": (
                right / 12,
                "Three numbers make a pixel, and each weight takes 4 bytes.",
            ),
            "Adam's memory": (right * 4, "That is what training with Adam takes, not the weights."),
        },
    )


@why.question("sharing", 2, hint="Count the layer with a kernel of its own at every place.")
def _(rng):
    n, k, f = rng.integer(10, 40), rng.one_of([3, 5, 7]), rng.integer(2, 16)
    places = output_size(n, k) ** 2
    right = conv_parameters(k, 1, f) * places
    return Variant(
        f"{f} filters of {k} × {k} look at a grey picture of {n} × {n}, without "
        "padding. How many parameters would the layer have if it were local "
        "but *not* shared: every neuron with weights and a bias of its own?",
        right,
        f"{places} places · {f} neurons · ({k} · {k} + "
        f"1) = {right:,}; sharing divides it by {places}.",
        {
            "shared": (conv_parameters(k, 1, f), "That is the layer with shared weights."),
            "bias forgotten": (places * f * k * k, "Every neuron has a bias too."),
            "places of the picture": (
                n * n * f * (k * k + 1),
                "Without padding the window fits in "
                f"{output_size(n, k)} places along an axis, not in {n}.",
            ),
            "one filter": (places * (k * k + 1), f"At each place there are {f} neurons."),
            "dense": (
                dense_parameters(n * n, places * f),
                "That is the dense layer: a local neuron sees its window alone.",
            ),
        },
    )


@why.question("alarms", 3, hint="Count the right and the false alarms among all people.")
def _(rng):
    people, wanted = 500 * rng.integer(4, 20), rng.integer(10, 60)
    found, false = rng.integer(70, 99), rng.one_of([0.5, 1, 2, 5])
    hits, alarms = wanted * found / 100, (people - wanted) * false / 100
    right = hits / (hits + alarms)
    return Variant(
        f"{people:,} people pass a camera, and {wanted} of them are searched for. "
        f"The program finds {found} % of these, and takes {false} % of the others "
        "for one. Which share of its alarms is right? Give a share in 0 … 1.",
        right,
        f"{hits:.1f} right alarms beside {alarms:.1f} false "
        f"ones: {right:.3f}. Rare things make most alarms false.",
        {
            "share found": (found / 100, "That is the share of the searched who are found."),
            "share of false alarms": (
                alarms / (hits + alarms),
                "That is the share of its alarms that are wrong.",
            ),
            "odds": (hits / alarms, "Divide by all alarms, the right ones included."),
            "rates compared": (
                found / (found + false),
                "The rates belong to groups of different size: count people, not per cent.",
            ),
        },
    )


# --- Images as arrays ----------------------------------------------------------------------------

images = Chapter("images")


@images.question("shape", 1, hint="Rows come first: height, then width, then channels.")
def _(rng):
    w, h, n = 8 * rng.integer(20, 90), 8 * rng.integer(20, 90), rng.integer(2, 9)
    return Variant(
        f"{n} photos in colours, each {w} pixels wide and {h} high, are "
        "stacked into one array, channels last. Which shape has it?",
        (n, h, w, 3),
        f"(N, H, W, C) = {(n, h, w, 3)}.",
        {
            "width first": ((n, w, h, 3), "Rows come first: the height stands before the width."),
            "channels first": ((n, 3, h, w), "That is channels first."),
            "batch forgotten": ((h, w, 3), f"The {n} photos make an axis of their own."),
            "channels forgotten": ((n, h, w), "Colours need an axis of three."),
            "width first, channels first": (
                (n, 3, w, h),
                "The height stands before the width, and the channels come last.",
            ),
        },
    )


@images.question("wrap", 1, hint="uint8 keeps the remainder after division by 256.")
def _(rng):
    a, b = rng.integer(130, 250), rng.integer(130, 250)
    right = (a + b) % 256
    return Variant(
        f"Two uint8 pixels, {a} and {b}, are added as uint8. What is the result?",
        right,
        f"{a} + {b} = {a + b}, and {a + b} − 256 = {right}.",
        {
            "a wider type": (a + b, "That needs more than 8 bits: uint8 ends at 255."),
            "clipped": (255, "uint8 does not stop at 255, it begins again at 0."),
            "modulo 255": ((a + b) % 255, "There are 256 values, 0 to 255: the modulus is 256."),
            "mean": ((a + b) // 2, "That is the mean of the two."),
        },
    )


@images.question("grey", 2, hint="0.299 red, 0.587 green and 0.114 blue; round at the end.")
def _(rng):
    r, g, b = (rng.integer(0, 255) for _ in range(3))
    exact = 0.299 * r + 0.587 * g + 0.114 * b
    return Variant(
        f"A pixel has the colours (R, G, B) = ({r}, {g}, {b}). Which grey "
        "level has it with the standard weights, rounded to an integer?",
        round(exact),
        f"0.299 · {r} + 0.587 · {g} + 0.114 · {b} = {exact:.2f}, rounded {round(exact)}.",
        {
            "cut off, not rounded": (int(exact), "Rounding down makes greys too dark."),
            "mean": (round((r + g + b) / 3), "The eye does not weigh the three colours alike."),
            "order of the colours": (
                round(0.299 * b + 0.587 * g + 0.114 * r),
                "Red and blue have changed places.",
            ),
            "brightest channel": (max(r, g, b), "That is the largest of the three."),
        },
    )


@images.question("memory", 2, hint="Numbers first, bytes for each of them, then 10⁶.")
def _(rng):
    n, side = 1000 * rng.integer(5, 60), rng.one_of([24, 28, 32, 48, 64])
    right = n * side * side * 3 * 4 / 1e6
    return Variant(
        f"How many MB (10⁶ bytes) do {n:,} pictures of {side} × {side} in colours take as float32?",
        right,
        f"{n:,} · {side} · {side} · 3 numbers of 4 bytes are {right:,.0f} MB.",
        {
            "bytes, not floats": (right / 4, "That is uint8; a float32 takes 4 bytes."),
            "one channel only": (right / 3, "Colours are three numbers for each pixel."),
            "float64": (right * 2, "8 bytes are a float64."),
            "MiB": (right / 1.048576, "You divided by 1024 · 1024, which gives MiB."),
        },
    )


@images.question("pixel-centre", 3, hint="The centre of pixel i lies at i + 1/2; scale that.")
def _(rng):
    large = rng.one_of([48, 64, 96, 120])
    small = large // rng.one_of([2, 3, 4])
    i = rng.integer(2, small - 2)
    scale = large / small
    right = (i + 0.5) * scale - 0.5
    return Variant(
        f"A row of {large} pixels is resized to {small}. At which coordinate "
        "of the old row, counted so that the centre of its first pixel is "
        f"0, lies the centre of the new pixel {i} (counted from 0)?",
        right,
        f"({i} + ½) · {large}/{small} − ½ = {right:g}.",
        {
            "half a pixel forgotten": (i * scale, "A pixel's number is not its centre: add ½."),
            "half a pixel too much": (
                (i + 0.5) * scale,
                "The old row counts from the centre of its first pixel: take ½ off again.",
            ),
            "ends aligned": (
                i * (large - 1) / (small - 1),
                "That puts the first and last centres on each other, another rule of resizing.",
            ),
            "upside down": (
                (i + 0.5) / scale - 0.5,
                "You went from the large picture to the small one.",
            ),
        },
        tolerance=0.002,
    )


# --- Convolution, worked by hand -----------------------------------------------------------------

convolution = Chapter("convolution")


@convolution.question("one-window", 1, hint="Nine products, one below the other, and their sum.")
def _(rng):
    x, k = rng.array((3, 3), 0, 9), rng.array((3, 3), -2, 2)
    right = int((x * k).sum())
    products = " + ".join(f"({v})" if v < 0 else f"{v}" for v in (x * k).ravel().tolist())
    return Variant(
        f"The image piece\n{rows(x)}\nlies under the kernel\n"
        f"{rows(k)}\nWhat is the cross-correlation at this place?",
        right,
        f"Multiply cell by cell and add up: {products} = {right}.",
        {
            "kernel turned": (
                int((x * k[::-1, ::-1]).sum()),
                "You turned the kernel by 180°: that is the convolution of mathematics.",
            ),
            "kernel transposed": (int((x * k.T).sum()), "You read the kernel column by column."),
            "signs dropped": (int((x * abs(k)).sum()), "Some weights are negative."),
            "matrix product": (int((x @ k).sum()), "Multiply cell by cell, not rows by columns."),
        },
    )


@convolution.question("signal", 1, hint="Slide, multiply, add: one output for each place.")
def _(rng):
    x, k = rng.array(6, 0, 6), rng.array(3, -3, 3)
    if 0 in k:
        return None
    right = cross_correlate(x, k)
    return Variant(
        f"Cross-correlate the signal\n{rows(x)}\nwith the kernel\n"
        f"{rows(k)}\nwithout padding. Give the whole output as a list.",
        right,
        f"Four places: {right.tolist()}.",
        {
            "convolution": (convolve(x, k), "You turned the kernel round: that is convolution."),
            "same, not valid": (
                cross_correlate(x, k, padding="same"),
                "You padded with zeros; without padding the window has four places.",
            ),
            "stride of 3": (
                cross_correlate(x, k, stride=3),
                "Windows overlap: move by one cell at a time.",
            ),
        },
    )


@convolution.question("flip", 2, hint="Turn the kernel by 180° first, then slide it.")
def _(rng):
    x, k = rng.array((3, 4), 0, 5), rng.array((2, 2), -3, 3)
    right = convolve(x, k)
    return Variant(
        f"Give the *convolution of mathematics* of\n{rows(x)}\n"
        f"with the kernel\n{rows(k)}\nwithout padding, as an array.",
        right,
        f"The kernel turned by 180° is {k[::-1, ::-1].tolist()}; "
        f"slid over the image it gives {right.tolist()}.",
        {
            "cross-correlation": (
                cross_correlate(x, k),
                "You did not turn the kernel: that is cross-correlation, what Keras computes.",
            ),
            "turned along one axis: rows": (
                cross_correlate(x, k[::-1]),
                "You turned the rows only; the columns turn as well.",
            ),
            "turned along one axis: columns": (
                cross_correlate(x, k[:, ::-1]),
                "You turned the columns only; the rows turn as well.",
            ),
            "transposed": (cross_correlate(x, k.T), "Transposing is not turning by 180°."),
        },
    )


@convolution.question("cost", 2, hint="One multiply-add for each weight at each place.")
def _(rng):
    h, w, k = rng.integer(20, 90), rng.integer(20, 90), rng.one_of([3, 5, 7])
    oh, ow = output_size(h, k), output_size(w, k)
    right = oh * ow * k * k
    return Variant(
        f"A {k} × {k} kernel slides over a grey picture of {h} × "
        f"{w}, without padding. How many multiply-adds is that?",
        right,
        f"{oh} · {ow} places · {k} · {k} weights = {right:,}.",
        {
            "same, not valid": (
                h * w * k * k,
                f"The window does not fit at the border: {oh} × {ow} places, not {h} × {w}.",
            ),
            "places only": (oh * ow, f"Each place costs {k * k} multiply-adds."),
            "one axis of the kernel": (oh * ow * k, f"The kernel has {k} · {k} weights."),
            "off by one at the border": (
                (h - k) * (w - k) * k * k,
                "Off by one: the window has n − k + 1 places along an axis.",
            ),
        },
    )


@convolution.question("linear", 3, hint="The operation is linear; a bias is not part of it.")
def _(rng):
    p, q = rng.integer(2, 12), rng.integer(2, 12)
    s, bias = rng.integer(2, 6), rng.integer(1, 9)
    right = s * p + q + bias
    return Variant(
        f"At some place a filter answers {p + bias} to image A and {q + bias} "
        f"to image B; its bias is {bias}, and there is no activation. What "
        f"does it answer there to the image {s} · A + B, pixel by pixel?",
        right,
        f"Without the bias the answers are {p} and {q}; {s} · {p} + {q} + {bias} = {right}.",
        {
            "bias scaled too": (
                s * (p + bias) + q + bias,
                "The bias is not part of the image: take it off, scale, and add it once.",
            ),
            "bias forgotten": (s * p + q, "The bias is added at the end, once."),
            "factor forgotten": (p + q + bias, f"Image A is multiplied by {s}."),
            "all scaled": (s * (p + q) + bias, f"Only image A is multiplied by {s}."),
        },
    )


# --- Padding, strides, dilation ------------------------------------------------------------------

padding = Chapter("padding-and-strides", "padding")


@padding.question("output-size", 1, hint="(n + 2p − k) / s, rounded down, plus 1.")
def _(rng):
    n, k, s = rng.integer(20, 240), rng.one_of([5, 7, 9, 11]), rng.integer(2, 4)
    p = rng.integer(1, k - 2)
    right = output_size(n, k, stride=s, padding=p)
    room = n + 2 * p - k
    return Variant(
        f"Input {n}, kernel {k}, stride {s}, padding {p} on both sides: how large is the output?",
        right,
        f"⌊({n} + 2 · {p} − {k}) / {s}⌋ + 1 = ⌊{room / s:g}⌋ + 1 = {right}.",
        {
            "ceiling instead of floor": (
                -(-room // s) + 1,
                "Round down: a window that does not fit wholly is no place.",
            ),
            "last place forgotten": (room // s, "Off by one: the first place counts, add 1."),
            "padding on one side": (
                (n + p - k) // s + 1,
                f"The padding of {p} is added on both sides.",
            ),
            "stride forgotten": (room + 1, f"The window moves by {s} cells at a time."),
            "padding forgotten": ((n - k) // s + 1, f"There are {p} zeros on both sides."),
        },
    )


@padding.question("same-or-valid", 1, hint="valid: ⌊(n − k)/s⌋ + 1; same: ⌈n/s⌉.")
def _(rng):
    n, k, s = rng.integer(15, 120), rng.one_of([3, 5, 7]), rng.integer(2, 4)
    right = output_size(n, k, stride=s, padding="same")
    return Variant(
        f"A Keras layer has `padding='same'`, kernel {k} and stride "
        f"{s}. Its input has {n} rows. How many has its output?",
        right,
        f"⌈{n} / {s}⌉ = ⌈{n / s:.3g}⌉ = {right}.",
        {
            "valid": (output_size(n, k, stride=s), "That is `valid`, without padding."),
            "size kept": (n, "`same` keeps the size at stride 1 only."),
            "floor instead of ceiling": (n // s, "`same` rounds up: the last rows are read too."),
        },
    )


@padding.question("dilated", 2, hint="The kernel spans d (k − 1) + 1 cells.")
def _(rng):
    n, k, d = rng.integer(25, 120), rng.one_of([3, 4, 5]), rng.integer(2, 4)
    right = output_size(n, k, dilation=d)
    span = d * (k - 1) + 1
    return Variant(
        f"Kernel {k} with dilation {d} slides over {n} cells, "
        "stride 1, no padding. How large is the output?",
        right,
        f"The kernel spans {d} · ({k} − 1) + 1 = {span} cells: {n} − {span} + 1 = {right}.",
        {
            "dilation forgotten": (n - k + 1, f"The kernel spans more than {k} cells."),
            "span is d · k": (
                n - d * k + 1,
                f"Between {k} weights there are {k - 1} gaps: the span is d (k − 1) + 1.",
            ),
            "last place forgotten": (n - span, "Off by one: the first place counts, add 1."),
            "dilation as a stride": (
                (n - k) // d + 1,
                "A dilation spreads the kernel; it makes no larger steps.",
            ),
        },
    )


@padding.question("frame", 2, hint="Find how many places there must be, and what they reach over.")
def _(rng):
    n, k, s = rng.integer(10, 60), rng.one_of([4, 5, 6, 7]), rng.integer(1, 3)
    before, after = same_padding(n, k, stride=s)
    total = before + after
    keep = same_padding(n, k)
    if total % 2 == 0 or s == 1:
        return None
    return Variant(
        "How many zeros does Keras' `padding='same'` put before and after an axis of "
        f"{n} cells, for kernel {k} and stride {s}? Answer with a tuple (before, after).",
        (before, after),
        f"⌈{n}/{s}⌉ = {-(-n // s)} places reach over {(-(-n // s) - 1) * s + k} "
        f"cells: {total} zeros, the odd one at the end.",
        {
            "odd zero at the start": ((after, before), "The odd one goes to the end."),
            "both sides alike": (
                (-(-total // 2), -(-total // 2)),
                f"Together they are {total}, and that is odd.",
            ),
            "as for stride 1": (keep, f"With stride {s} other places have to be reached."),
        },
    )


@padding.question("unread", 3, hint="What is left over at the end is (n − k) modulo s.")
def _(rng):
    n, k, s = rng.integer(20, 90), rng.one_of([2, 3, 4]), rng.integer(3, 6)
    left = (n - k) % s
    places = output_size(n, k, stride=s)
    gaps = max(s - k, 0) * (places - 1)
    right = left + gaps
    if s <= k or left == 0:
        return None
    return Variant(
        f"A kernel of {k} moves over {n} cells with stride {s}, "
        "without padding. How many cells does no window read?",
        right,
        f"{places} windows read {places * k} cells; {gaps} "
        f"lie in gaps, {left} are left over at the end.",
        {
            "gaps forgotten": (left, "The stride is larger than the kernel: there are gaps too."),
            "end forgotten": (gaps, "Some cells are left over at the end as well."),
            "a gap after the last window": (
                left + max(s - k, 0) * places,
                "Off by one: there is one gap less than there are windows.",
            ),
            "remainder of n": (n % s, "The first window is there already: take (n − k)."),
        },
    )


# --- Channels, filters, and more dimensions ------------------------------------------------------

channels = Chapter("channels")


@channels.question("count", 1, hint="A filter has one kernel for each channel, and one bias.")
def _(rng):
    k, c, f = rng.one_of([3, 5, 7]), rng.integer(2, 32), rng.integer(4, 64)
    right = conv_parameters(k, c, f)
    return Variant(
        f"How many parameters has `Conv2D({f}, {k})` on an input of {c} channels?",
        right,
        f"{f} · ({c} · {k} · {k} + 1) = {right:,}.",
        {
            "bias forgotten": (f * c * k * k, f"Each of the {f} filters has a bias."),
            "one channel only": (conv_parameters(k, 1, f), f"A filter has {c} kernels."),
            "a bias for each kernel": (
                f * c * (k * k + 1),
                "A filter has one bias, not one for each of its kernels.",
            ),
            "one axis of the kernel": (f * (c * k + 1), f"The kernel is {k} × {k}."),
            "biases of the inputs": (
                c * (f * k * k + 1),
                "The bias belongs to a filter, not to an input channel.",
            ),
        },
    )


@channels.question("output-shape", 1, hint="Filters become the channels of the output.")
def _(rng):
    h, w, c, f, k = (rng.integer(20, 60), rng.integer(20, 60), rng.integer(2, 8),
                     rng.integer(9, 32), rng.one_of([3, 5]))  # fmt: skip
    oh, ow = output_size(h, k), output_size(w, k)
    return Variant(
        f"An image of shape ({h}, {w}, {c}) goes through `Conv2D({f}, "
        f"{k})`, `valid`, stride 1. Which shape comes out?",
        (oh, ow, f),
        f"({h} − {k} + 1, {w} − {k} + 1, {f}) = {(oh, ow, f)}.",
        {
            "same, not valid": ((h, w, f), "Without padding the sides shrink by k − 1."),
            "channels kept": ((oh, ow, c), f"One map comes out for each of the {f} filters."),
            "a map for each kernel": (
                (oh, ow, c * f),
                "The answers of a filter's kernels are added to one map.",
            ),
            "off by one": ((h - k, w - k, f), "Off by one: n − k + 1 places along an axis."),
            "channels first": ((f, oh, ow), "Keras puts the channels last."),
        },
    )


@channels.question("two-channels", 2, hint="One kernel for each channel; add the answers; bias.")
def _(rng):
    x, k = rng.array((2, 2, 2), 0, 6), rng.array((2, 2, 2), -3, 3)
    bias = rng.integer(1, 9)
    parts = [int((x[i] * k[i]).sum()) for i in (0, 1)]
    right = sum(parts) + bias
    return Variant(
        f"Two channels lie under a filter's window:\n{rows(x[0])}\n"
        f"and\n{rows(x[1])}\nIts two kernels are\n{rows(k[0])}\nand\n"
        f"{rows(k[1])}\nand its bias is {bias}. What does it answer?",
        right,
        f"{parts[0]} + {parts[1]} + {bias} = {right}.",
        {
            "bias forgotten": (sum(parts), "The bias is still to be added."),
            "a bias for each channel": (sum(parts) + 2 * bias, "A filter has one bias."),
            "first channel only": (parts[0] + bias, "The second channel counts as well."),
            "second channel only": (parts[1] + bias, "The first channel counts as well."),
            "kernels swapped": (
                int((x[0] * k[1]).sum() + (x[1] * k[0]).sum()) + bias,
                "Each channel has its own kernel, and you swapped them.",
            ),
        },
    )


@channels.question("separable", 2, hint="One k × k kernel for each channel, then 1 × 1 filters.")
def _(rng):
    k, c, f = rng.one_of([3, 5]), rng.integer(4, 48), rng.integer(8, 96)
    right = c * k * k + f * (c + 1)
    return Variant(
        f"How many parameters has `SeparableConv2D({f}, {k})` on {c} channels? "
        "(Keras gives it one bias for each filter, none between its two parts.)",
        right,
        f"{c} · {k} · {k} + {f} · ({c} + 1) = {right:,}, instead of {conv_parameters(k, c, f):,}.",
        {
            "full convolution": (conv_parameters(k, c, f), "That is `Conv2D`."),
            "bias forgotten": (c * k * k + f * c, f"There are {f} biases."),
            "depthwise part only": (
                c * k * k,
                "The pointwise part, 1 × 1 over all channels, follows.",
            ),
            "biases in both parts": (
                c * (k * k + 1) + f * (c + 1),
                "Between its two parts there is no bias.",
            ),
        },
    )


@channels.question("volume", 3, hint="A kernel has k³ weights for each channel.")
def _(rng):
    k, c, f = rng.one_of([3, 5]), rng.integer(2, 6), rng.integer(4, 24)
    d, h, w = (rng.integer(8, 24) for _ in range(3))
    od, oh, ow = (output_size(n, k) for n in (d, h, w))
    right = od * oh * ow * f * c * k**3
    return Variant(
        f"`Conv3D({f}, {k})` reads a video of shape ({d}, {h}, "
        f"{w}, {c}), `valid`. How many multiply-adds does it take?",
        right,
        f"{od} · {oh} · {ow} places · {f} filters · {c} · {k}³ weights = {right:,}.",
        {
            "flat kernel": (
                od * oh * ow * f * c * k**2,
                "The kernel has a third axis, that of time.",
            ),
            "one channel only": (od * oh * ow * f * k**3, f"There are {c} channels."),
            "one filter": (od * oh * ow * c * k**3, f"There are {f} filters."),
            "same, not valid": (
                d * h * w * f * c * k**3,
                "Without padding there are fewer places.",
            ),
        },
    )


# --- Pooling -------------------------------------------------------------------------------------

pooling = Chapter("pooling")


@pooling.question("max", 1, hint="The largest number of each window; windows touch.")
def _(rng):
    x = rng.array((4, 4), 0, 9)
    right = max_pool(x, 2)
    return Variant(
        f"Max-pool\n{rows(x)}\nwith windows of 2 × 2. Give the result as an array.",
        right,
        f"The maxima of the four windows: {right.tolist()}.",
        {
            "average": (average_pool(x, 2), "Those are the means, not the maxima."),
            "stride of 1": (
                max_pool(x, 2, stride=1),
                "Windows touch, they do not overlap: the stride is the window's size.",
            ),
            "minimum": (-max_pool(-x, 2), "Those are the smallest numbers."),
            "first cells": (x[::2, ::2], "That takes the first cell of each window."),
        },
    )


@pooling.question("lost-cells", 1, hint="Whole windows only: ⌊n/2⌋ along an axis.")
def _(rng):
    n, w = rng.integer(9, 60), rng.one_of([2, 3, 4])
    kept = n // w * w
    right = n * n - kept * kept
    if n == kept:
        return None
    return Variant(
        f"A map of {n} × {n} is pooled with windows of {w} × {w} that "
        "touch, without padding. How many of its cells are in no window?",
        right,
        f"{n // w} windows cover {kept} cells of an axis: {n}² − {kept}² = {right}.",
        {
            "one axis": (n - kept, "That is one axis; whole rows and columns are lost."),
            "corner counted twice": (
                2 * n * (n - kept),
                "The cells in the corner lie in a lost row and a lost column: count them once.",
            ),
            "corner forgotten": (
                2 * kept * (n - kept),
                "The cells in the corner, where rows and columns meet, are lost as well.",
            ),
            "windows": ((n // w) ** 2, "That is the number of windows."),
        },
    )


@pooling.question("size", 2, hint="The formula of the convolution holds, with the window as k.")
def _(rng):
    n, w, s = rng.integer(20, 120), rng.one_of([3, 4, 5]), rng.one_of([2, 3])
    right = output_size(n, w, stride=s)
    if (n - w) % s == 0:
        return None
    return Variant(
        f"`MaxPooling2D({w}, strides={s})` reads maps of {n} × "
        f"{n}, `valid`. How long is a side of what comes out?",
        right,
        f"⌊({n} − {w}) / {s}⌋ + 1 = {right}.",
        {
            "divided by the window": (n // w, f"The stride is {s}, not the window's size."),
            "ceiling instead of floor": (-(-(n - w) // s) + 1, "Round down."),
            "last place forgotten": ((n - w) // s, "Off by one: the first window counts."),
            "stride forgotten": (n - w + 1, f"The window moves by {s} cells at a time."),
        },
    )


@pooling.question("gradient", 2, hint="A maximum hands its gradient to the winner alone.")
def _(rng):
    x = np.array(rng.shuffled(range(1, 10)))[:4].reshape(2, 2)
    g = rng.integer(2, 9) * 4
    right = np.where(x == x.max(), g, 0)
    return Variant(
        f"The window\n{rows(x)}\nwas max-pooled to {x.max()}, and the gradient that comes "
        f"back for it is {g}. Which gradients do the four cells get? Answer with an array.",
        right,
        f"The winner, {x.max()}, gets {g}; the others could change a little without any effect.",
        {
            "shared equally": (np.full((2, 2), g / 4), "That is what *average* pooling does."),
            "to all": (np.full((2, 2), g), "Only the winner changes the maximum."),
            "to the smallest": (np.where(x == x.min(), g, 0), "That is the smallest of the cells."),
            "value times gradient": (
                np.where(x == x.max(), g * x, 0),
                "The slope of a maximum for its winner is 1.",
            ),
        },
    )


@pooling.question("global", 3, hint="Flattening hands on every place, an average none.")
def _(rng):
    side, c, n = rng.integer(4, 14), 8 * rng.integer(2, 16), rng.integer(10, 60)
    flat, pooled = dense_parameters(side * side * c, n), dense_parameters(c, n)
    return Variant(
        f"Maps of shape ({side}, {side}, {c}) are flattened and read by a "
        f"dense layer of {n} neurons. How many parameters does the network "
        "save if `GlobalAveragePooling2D` takes the place of the flattening?",
        flat - pooled,
        f"{flat:,} − {pooled:,} = {flat - pooled:,}: the biases are the same.",
        {
            "what stays": (pooled, "That is what the dense layer has afterwards."),
            "what was there": (flat, "That is what it had before."),
            "one map": (
                dense_parameters(side * side, n) - dense_parameters(1, n),
                f"There are {c} maps.",
            ),
            "biases saved too": (flat - c * n, f"The {n} biases stay."),
        },
    )


# --- Counting parameters -------------------------------------------------------------------------

counting = Chapter("counting-parameters", "counting")


@counting.question("dense", 1, hint="n (m + 1): every neuron, its weights and its bias.")
def _(rng):
    m, n = rng.integer(50, 900), rng.integer(10, 300)
    right = dense_parameters(m, n)
    return Variant(
        f"`Dense({n})` reads {m} numbers. How many parameters has it?",
        right,
        f"{n} · ({m} + 1) = {right:,}.",
        {
            "bias forgotten": (m * n, f"There are {n} biases."),
            "a bias for each input": (m * (n + 1), "Biases belong to neurons."),
            "one bias for all": (m * n + 1, f"There are {n} biases, one for each neuron."),
        },
    )


@counting.question("batch-norm", 1, hint="Four numbers for each channel; two are trained.")
def _(rng):
    c, h = 4 * rng.integer(2, 40), rng.integer(6, 40)
    return Variant(
        f"`BatchNormalization` follows maps of shape ({h}, "
        f"{h}, {c}). How many of its parameters are *trained*?",
        2 * c,
        f"A scale and a shift for each of {c} channels: {2 * c}; the "
        "running mean and variance are counted, but not trained.",
        {
            "all of them": (4 * c, "Two of the four, mean and variance, are not trained."),
            "one for each channel": (c, "There are a scale and a shift for each channel."),
            "one for each place": (2 * c * h * h, "A channel is normalised as a whole."),
            "none": (0, "It has a scale and a shift that are learned."),
        },
    )


@counting.question("flattened", 2, hint="Follow the sizes to the flattening, then n (m + 1).")
def _(rng):
    n, f, u = 2 * rng.integer(12, 32), rng.integer(8, 32), rng.integer(20, 128)
    side = output_size(output_size(n, 3), 2, stride=2)
    right = dense_parameters(side * side * f, u)
    return Variant(
        f"A grey picture of {n} × {n} goes through `Conv2D({f}, 3)`, `MaxPooling2D(2)`, "
        f"`Flatten()` and `Dense({u})`. How many parameters has the *dense* layer?",
        right,
        f"Sides {n} → {n - 2} → {side}; {u} · ({side} · {side} · {f} + 1) = {right:,}.",
        {
            "bias forgotten": (side * side * f * u, f"There are {u} biases."),
            "same, not valid": (
                dense_parameters((n // 2) ** 2 * f, u),
                "The convolution without padding takes two rows and columns away.",
            ),
            "one map": (dense_parameters(side * side, u), f"There are {f} maps to flatten."),
            "pooling forgotten": (
                dense_parameters((n - 2) ** 2 * f, u),
                "The pooling halves the sides.",
            ),
            "whole network": (
                right + conv_parameters(3, 1, f),
                "The convolution is not asked for.",
            ),
        },
    )


@counting.question("training-memory", 2, hint="Weight, gradient and two averages, 4 bytes each.")
def _(rng):
    p = 1000 * rng.integer(100, 9000)
    right = 16 * p / 1e6
    return Variant(
        f"A network has {p:,} parameters, all trained with Adam in float32. How many "
        "MB (10⁶ bytes) do weights, gradients and Adam's averages take together?",
        right,
        "4 numbers of 4 bytes for each parameter: "
        f"{right:,.1f} MB, and the activations come on top.",
        {
            "weights only": (right / 4, "Gradients and two averages come on top."),
            "three numbers for each": (
                right * 3 / 4,
                "There are four: the weight, its gradient and *two* averages.",
            ),
            "averages forgotten": (right / 2, "Adam keeps two averages for each weight."),
            "float64": (right * 2, "A float32 takes 4 bytes; 8 are a float64."),
        },
    )


@counting.question("adds-per-parameter", 3, hint="Shared weights are used once at each place.")
def _(rng):
    n, c, f = rng.integer(12, 60), rng.integer(2, 16), rng.integer(8, 32)
    k = rng.one_of([3, 5])
    places = output_size(n, k) ** 2
    return Variant(
        f"`Conv2D({f}, {k})`, `valid`, reads a picture of {n} × {n} with {c} channels. "
        "How many multiply-adds does it make for each of its *weights* (biases left out)?",
        places,
        f"Each weight is used once at each of {n - k + 1}² "
        f"= {places} places, whatever the channels.",
        {
            "one": (1, "That is a dense layer; here a weight serves every place."),
            "same, not valid": (n * n, "Without padding there are fewer places."),
            "times filters": (places * f, "A weight belongs to one filter."),
            "times channels": (places * c, "A weight belongs to one channel."),
            "one axis": (n - k + 1, "There are as many rows of places as columns."),
        },
    )


# --- The typical architecture --------------------------------------------------------------------

architecture = Chapter("architecture")


@architecture.question("pyramid", 1, hint="Each pooling halves the side; same keeps it.")
def _(rng):
    blocks, f = rng.integer(2, 4), rng.one_of([8, 16, 32])
    n = 2**blocks * rng.integer(3, 14)
    side, last = n // 2**blocks, f * 2 ** (blocks - 1)
    return Variant(
        f"{blocks} blocks of `Conv2D(…, 3, padding='same')` and "
        f"`MaxPooling2D(2)` read an image of ({n}, {n}, 3). The first has "
        f"{f} filters, each later one twice as many. Which shape comes out?",
        (side, side, last),
        f"{n} / 2^{blocks} = {side}; {f} · 2^{blocks - 1} = {last}.",
        {
            "doubled once too often": (
                (side, side, 2 * last),
                f"The first block has {f} filters already: doubled {blocks - 1} times.",
            ),
            "one pooling too few": ((2 * side, 2 * side, last), f"There are {blocks} poolings."),
            "channels added up": (
                (side, side, f * (2**blocks - 1)),
                "Each block replaces the maps of the one before.",
            ),
            "channels of the image": ((side, side, 3), "The filters are the channels that go out."),
        },
    )


@architecture.question(
    "receptive-field", 2, hint="Each layer adds (k − 1) times the strides so far."
)
def _(rng):
    layers, text = [], []
    for _ in range(rng.integer(2, 3)):
        k = rng.one_of([3, 5, 7])
        layers += [(k, 1), (2, 2)]
        text += [f"a convolution of {k}", "a pooling of 2 with stride 2"]
    right = receptive_field(layers)
    flat = 1 + sum(k - 1 for k, _ in layers)
    late = 1
    step = 1
    for k, s in layers:
        step *= s
        late += (k - 1) * step
    return Variant(
        "How many pixels along one axis does a neuron see "
        f"after {', '.join(text)}? (Convolutions have stride 1.)",
        right,
        f"Each layer adds (k − 1) times the product of the strides before it: {right}.",
        {
            "strides forgotten": (flat, "Behind a stride of 2, a step is two pixels long."),
            "own stride counted": (late, "A layer's own stride lengthens only the steps after it."),
            "poolings see nothing": (
                receptive_field([(1 if s == 2 else k, s) for k, s in layers]),
                "A pooling window looks at two cells as well.",
            ),
            "kernels multiplied": (
                int(np.prod([k for k, _ in layers])),
                "Fields add up, they do not multiply.",
            ),
        },
    )


@architecture.question("two-small", 1, hint="Two layers of k × k, C to C, against one of 2k − 1.")
def _(rng):
    c = 8 * rng.integer(1, 16)
    k = rng.one_of([5, 7, 9])
    count = (k - 1) // 2
    small, large = conv_parameters(3, c, c, bias=False), conv_parameters(k, c, c, bias=False)
    right = 1 - count * small / large
    return Variant(
        f"{count} layers of 3 × 3 take the place of one of {k} × {k}; all have {c} channels in "
        "and out. Which share of the weights is saved (biases left out)? Give a share in 0 … 1.",
        right,
        f"1 − {count} · 9 / {k * k} = {right:.3f}: the channels cancel.",
        {
            "what stays": (1 - right, "That is the share that stays."),
            "one small layer": (
                1 - small / large,
                f"{count} small layers are needed to see {k} pixels.",
            ),
            "in terms of the new": (
                large / (count * small) - 1,
                "Divide what is saved by what was there before.",
            ),
        },
    )


@architecture.question("softmax", 2, hint="e to the score, divided by the sum of all of them.")
def _(rng):
    z = [rng.integer(0, 3) + 0.5 * rng.integer(0, 1) for _ in range(3)]
    e = np.exp(z)
    right = float(e[0] / e.sum())
    return Variant(
        f"A network's scores are {z[0]}, {z[1]} and {z[2]}. "
        "Which probability does softmax give the first class?",
        right,
        f"e^{z[0]} / (e^{z[0]} + e^{z[1]} + e^{z[2]}) = {right:.3f}.",
        {
            "share of the scores": (
                z[0] / sum(z) if sum(z) else 2.0,
                "Raise e to the scores first.",
            ),
            "powers of two": (float(2 ** z[0] / sum(2**v for v in z)), "The base is e, not 2."),
            "another class: the second": (float(e[1] / e.sum()), "That is the second class."),
            "another class: the third": (float(e[2] / e.sum()), "That is the third class."),
            "sigmoid": (
                float(1 / (1 + np.exp(-z[0]))),
                "A sigmoid looks at one score; softmax weighs all of them.",
            ),
        },
    )


@architecture.question(
    "dropout", 3, hint="Keras scales what is left, in training, by 1/(1 − rate)."
)
def _(rng):
    rate, value = rng.one_of([0.2, 0.25, 0.4, 0.5, 0.6]), rng.integer(2, 30)
    right = value / (1 - rate)
    return Variant(
        f"A Keras `Dropout({rate})` reads the value {value} "
        "in *training* and keeps it. What comes out?",
        float(right),
        f"{value} / (1 − {rate}) = {right:g}, so that the mean stays {value}.",
        {
            "not scaled": (value, "That is what comes out when the network is *used*."),
            "scaled down": (
                value * (1 - rate),
                "The original proposal scaled down in use; Keras scales up in training.",
            ),
            "divided by the rate": (value / rate, "Divide by the share that is kept, 1 − rate."),
            "dropped": (0, "The value is kept; the dropped ones become 0."),
        },
    )


CHAPTERS = (why, images, convolution, padding, channels, pooling, counting, architecture)
