"""The static figures of the widgets, drawn at each build: one function for each.

They are what print, PDF and readers without JavaScript see: each shows the widget's first state.
"""

import matplotlib as mpl

SETTINGS = {
    "svg.fonttype": "none",  # letters stay text: a tenth of the size
    "svg.hashsalt": "widget",  # the same file at every build
    "font.family": "sans-serif",
}


def save(draw, path):
    """Write what `draw` draws as SVG for screens and PDF for paper."""
    import matplotlib.pyplot as plt

    with mpl.rc_context(SETTINGS):
        figure = draw()
        for ending in ("svg", "pdf"):
            name = path.with_suffix(f".{ending}")
            key = "Date" if ending == "svg" else "CreationDate"
            figure.savefig(name, bbox_inches="tight", metadata={key: None})
        plt.close(figure)


def convolution():
    """Show the first window, the kernel, and the output."""
    import numpy as np
    from matplotlib.patches import Rectangle

    from companion import plots
    from companion.arithmetic import cross_correlate

    image = np.array(
        [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2], [3, 3, 2, 3, 2], [2, 1, 3, 2, 2]]
    )
    kernel = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    output = cross_correlate(image, kernel)
    figure, axes = plots.arrays([image, kernel, output], ["input x", "kernel w", "output y"])
    axes[0].add_patch(Rectangle((-0.5, -0.5), 3, 3, fill=False, ec=plots.VALIDATION, lw=4))
    axes[2].add_patch(Rectangle((-0.5, -0.5), 1, 1, fill=False, ec=plots.VALIDATION, lw=4))
    return figure


def filter():
    """Show a photograph, and what three kernels make of it."""
    import base64
    import io

    import matplotlib.pyplot as plt
    import numpy as np
    import widget_data
    from PIL import Image

    from companion.arithmetic import cross_correlate

    jpeg = base64.b64decode(widget_data.photograph()["jpeg"])
    photograph = np.asarray(Image.open(io.BytesIO(jpeg)), dtype=float)[::2, ::2]
    kernels = {
        "Sobel x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        "Laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
        "blur": np.full((3, 3), 1 / 9),
    }
    figure, axes = plt.subplots(1, 4, figsize=(8, 1.8), layout="constrained")
    axes[0].imshow(photograph, cmap="gray")
    axes[0].set_xlabel("photograph")
    for ax, (name, kernel) in zip(axes[1:], kernels.items(), strict=True):
        output = cross_correlate(photograph, np.array(kernel))
        peak = np.abs(output).max()
        if output.min() < 0:
            ax.imshow(output, cmap="PuOr_r", vmin=-0.5 * peak, vmax=0.5 * peak)
        else:
            ax.imshow(output, cmap="gray")
        ax.set_xlabel(name)
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    return figure


def padding():
    """Show which pixels the outputs read for input 4, kernel 3, padding 1, stride 2."""
    import matplotlib.pyplot as plt

    from companion import plots
    from companion.arithmetic import output_size

    size, kernel, stride, pad = 4, 3, 2, 1
    count = output_size(size, kernel, stride=stride, padding=pad)
    figure, ax = plt.subplots(figsize=(4.5, 2))
    for cell in range(-pad, size + pad):
        outside = not 0 <= cell < size
        style = {"hatch": "////", "ls": "--"} if outside else {}
        ax.add_patch(plt.Rectangle((cell - 0.5, -0.5), 1, 1, fill=False, **style))
        name = "0" if outside else f"pixel {cell}"
        ground = {"fc": "white", "ec": "none", "pad": 1}  # the hatching would hide the 0
        ax.text(cell, 0, name, ha="center", va="center", size=8, bbox=ground)
    for output in range(count):
        cells = [output * stride - pad + u for u in range(kernel)]
        ax.plot(cells, [-1 - output] * kernel, "o-", color=plots.VALIDATION)
        ax.text(size + pad, -1 - output, f"output {output}", va="center", size=8)
    ax.set(xlim=(-pad - 0.6, size + pad + 1.2), ylim=(-count - 0.6, 0.6), aspect="equal")
    ax.axis("off")
    return figure


def channels():
    """Show two channels, the two kernels of a filter, and the one map that they give."""
    import numpy as np

    from companion import plots
    from companion.arithmetic import conv_layer

    x = np.stack([[[1, 2, 0], [0, 1, 3], [2, 1, 0]], [[0, 1, 1], [1, 0, 2], [3, 1, 0]]], axis=-1)
    w = np.stack([[[1, 0], [0, 1]], [[0, 1], [-1, 0]]], axis=-1)
    output = conv_layer(x, w[..., None], [1])[..., 0]
    values = [x[..., 0], w[..., 0], x[..., 1], w[..., 1], output]
    labels = ["channel 0", "kernel 0", "channel 1", "kernel 1", "map (bias 1)"]
    return plots.arrays(values, labels, size=1.6)[0]


def pooling():
    """Show a map of an odd size, its 2 × 2 maxima, and its means."""
    import numpy as np
    from matplotlib.patches import Rectangle

    from companion import plots
    from companion.arithmetic import average_pool, max_pool

    x = np.array(
        [[1, 3, 2, 0, 5], [0, 2, 7, 1, 0], [4, 4, 1, 1, 2], [0, 0, 3, 3, 8], [9, 0, 6, 0, 9]]
    )
    values = [x, max_pool(x, 2), average_pool(x, 2)]
    figure, axes = plots.arrays(values, ["input", "maxima", "means"])
    for i, j in np.ndindex(2, 2):
        corner = (2 * j - 0.5, 2 * i - 0.5)
        axes[0].add_patch(Rectangle(corner, 2, 2, fill=False, ec=plots.VALIDATION, lw=3))
    return figure


def digit_reader():
    """Show a digit of MNIST, the first feature maps of the trained network, and its answer."""
    import base64

    import matplotlib.pyplot as plt
    import numpy as np
    import widget_data

    from companion import plots
    from companion.arithmetic import conv_layer, max_pool

    data = widget_data.digit_reader()
    weights = widget_data.digit_reader_arrays()
    pixels = np.frombuffer(base64.b64decode(data["samples"][3]["pixels"]), np.uint8)
    digit = pixels.reshape(28, 28, 1) / 255
    first = np.maximum(conv_layer(digit, *weights[0:2]), 0)
    second = np.maximum(conv_layer(max_pool(first, 2), *weights[2:4]), 0)
    hidden = np.maximum(max_pool(second, 2).ravel() @ weights[4] + weights[5], 0)
    powers = np.exp(hidden @ weights[6] + weights[7])

    figure = plt.figure(figsize=(7, 2), layout="constrained")
    image, maps, answer = figure.subfigures(1, 3, width_ratios=[1, 1.8, 1.4])
    panels = [image.subplots(), *maps.subplots(2, 4).ravel()]
    for ax, picture in zip(panels, [digit[..., 0], *np.moveaxis(first, -1, 0)], strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1 if ax is panels[0] else first.max())
        ax.set(xticks=[], yticks=[])
    ax = answer.subplots()
    ax.bar(range(10), powers / powers.sum(), color=plots.TRAINING)
    ax.set(xticks=range(10), xlabel="digit", ylabel="probability", ylim=(0, 1))
    return figure
