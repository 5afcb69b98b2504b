"""Figures that several chapters draw: each function returns ``(fig, ax)`` and shows nothing."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np

TRAINING, VALIDATION = "#0072B2", "#D55E00"  # Okabe and Ito's palette: apart for every eye
_COLOURS = (TRAINING, VALIDATION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"


def arrays(values, labels=None, *, numbers=True, limits=None, columns=None, size=2.2):
    """Draw 2-D arrays side by side as grey levels, with their values.

    Used by the chapters of Part I.

    Parameters
    ----------
    values : sequence of array-like, each (H, W)
        The arrays, in any units.
    labels : sequence of str, optional
        A name below each array.
    numbers : bool
        Write each value into its cell.
    limits : (float, float), optional
        The values shown black and white; by default the least and the largest of all arrays.
    columns : int, optional
        Arrays in a row; by default all.
    size : float
        Side of one array, in inches.

    Returns
    -------
    fig : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, (len(values),)

    Examples
    --------
    >>> fig, axes = arrays([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], ["before", "after"])
    >>> [ax.get_xlabel() for ax in axes]
    ['before', 'after']
    >>> plt.close(fig)
    """
    values = [np.asarray(value) for value in values]
    labels = None if labels is None else list(labels)  # a pandas column counts by its index
    low, high = limits or (min(v.min() for v in values), max(v.max() for v in values))
    fig, axes = _grid(len(values), columns or len(values), size)
    for i, (ax, value) in enumerate(zip(axes, values, strict=True)):
        ax.imshow(value, cmap="gray", vmin=low, vmax=high if high > low else low + 1)
        if labels is not None:
            ax.set_xlabel(labels[i])
        if numbers:
            for (row, column), number in np.ndenumerate(value):
                dark = (number - low) < 0.5 * (high - low)
                ax.text(
                    column,
                    row,
                    f"{number:g}" if number == round(number) else f"{number:.1f}",
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                )
    return fig, axes


def images(pictures, labels=None, *, columns=8, size=1.1):
    """Draw pictures as a contact sheet.

    Used by the chapters on MNIST and on the traffic signs.

    Parameters
    ----------
    pictures : sequence of array-like, each (H, W), (H, W, 1) or (H, W, 3)
        Grey or RGB pictures: uint8 in 0 … 255, or floats in 0 … 1. Sizes may differ.
    labels : sequence of str, optional
        A line of text below each.
    columns : int
        Pictures in a row.
    size : float
        Side of one picture, in inches.

    Returns
    -------
    fig : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, (len(pictures),)

    Examples
    --------
    >>> fig, axes = images(np.zeros((3, 8, 8), dtype="uint8"), ["a", "b", "c"], columns=2)
    >>> len(axes), axes[2].get_xlabel()
    (3, 'c')
    >>> plt.close(fig)
    """
    pictures = [np.asarray(picture) for picture in pictures]
    labels = None if labels is None else list(labels)  # a pandas column counts by its index
    fig, axes = _grid(len(pictures), min(columns, len(pictures)), size)
    for i, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
        top = 255 if picture.dtype == np.uint8 else 1.0
        grey = picture.squeeze(-1) if picture.shape[-1] == 1 else picture
        ax.imshow(grey, cmap="gray", vmin=0, vmax=top)
        if labels is not None:
            ax.set_xlabel(labels[i], fontsize="small")
    return fig, axes


def history(curves, *, metrics=("loss", "accuracy")):
    """Draw training and validation curves against the epoch.

    Parameters
    ----------
    curves : dict of str to sequence of float
        As ``model.fit(…).history`` or a report's history: ``loss``, ``val_loss``, ….
    metrics : sequence of str
        One panel for each.

    Returns
    -------
    fig : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, (len(metrics),)

    Examples
    --------
    >>> fig, axes = history({"loss": [2, 1], "val_loss": [2, 1.5]}, metrics=["loss"])
    >>> axes[0].get_ylabel()
    'loss'
    >>> plt.close(fig)
    """
    fig, axes = plt.subplots(
        1, len(metrics), figsize=(4.2 * len(metrics), 3), squeeze=False, layout="constrained"
    )
    for ax, metric in zip(axes[0], metrics, strict=True):
        epochs = range(1, len(curves[metric]) + 1)
        ax.plot(epochs, curves[metric], color=TRAINING, marker="o", ms=3, label="training")
        if f"val_{metric}" in curves:
            ax.plot(
                epochs,
                curves[f"val_{metric}"],
                color=VALIDATION,
                marker="s",
                ms=3,
                ls="--",
                label="validation",
            )
        ax.set_xlabel("epoch")
        ax.set_ylabel(metric)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    axes[0, 0].legend()
    return fig, axes[0]


def confusion(matrix, names, *, size=None, families=None):
    """Draw a confusion matrix, each row divided by its sum.

    With `families`, for many classes: they stand in the families' order, with lines and names
    between them, on a white ground; the colour goes by factors of ten, so that a confusion of
    one image in a hundred is seen beside a thousand right answers; and each confusion bears its
    number of images.

    Parameters
    ----------
    matrix : array-like of int, (classes, classes)
        Counts: a row is a true class, a column a predicted one.
    names : sequence of str
        Labels of the classes, in order.
    size : float, optional
        Side of the figure in inches; by default as many classes need, with `families` 8 at most.
    families : dict of str to sequence of int, optional
        Names of groups of classes, such as `companion.data.gtsrb.FAMILIES`; each class in one.

    Returns
    -------
    fig : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the families do not hold each class once.

    Examples
    --------
    >>> fig, ax = confusion([[9, 1], [2, 8]], ["cat", "dog"])
    >>> ax.get_ylabel()
    'true class'
    >>> plt.close(fig)
    """
    matrix = np.asarray(matrix)
    if families is not None:
        return _family_confusion(matrix, list(names), families, size)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = size or max(3.5, 0.24 * len(names) + 1.5)
    fig, ax = plt.subplots(figsize=(side, side), layout="constrained")
    drawn = ax.imshow(share, cmap="cividis", vmin=0, vmax=1)
    points = min(8, 43 * side / len(names))  # as much as fits between two rows
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=points)
    ax.set_yticks(range(len(names)), names, fontsize=points)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    if len(names) <= 12:  # more do not fit into their cells
        for (row, column), count in np.ndenumerate(matrix):
            colour = "black" if share[row, column] > 0.5 else "white"
            ax.text(column, row, count, ha="center", va="center", color=colour, fontsize="x-small")
    fig.colorbar(drawn, ax=ax, shrink=0.7, label="share of the true class")
    return fig, ax


def _family_confusion(matrix, names, families, size):
    from matplotlib.colors import LogNorm

    order = [class_id for family in families.values() for class_id in family]
    if sorted(order) != list(range(len(names))):
        raise ValueError(
            f"families must hold each of the {len(names)} classes once, got {len(order)} classes"
        )
    matrix = matrix[np.ix_(order, order)]
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    width = size or min(8.0, 0.17 * len(order) + 3)
    side = width - 1.65  # of the matrix, in inches: automatic layouts cut the names off
    height = side + 1.25
    fig = plt.figure(figsize=(width, height))
    ax = fig.add_axes((0.55 / width, 1.15 / height, side / width, side / height))
    drawn = ax.imshow(
        np.ma.masked_equal(share, 0), cmap="cividis_r", norm=LogNorm(vmin=0.001, vmax=1)
    )
    labels = [names[class_id] for class_id in order]
    ax.set_xticks(range(len(order)), labels, rotation=90)
    ax.set_yticks(range(len(order)), labels)
    ax.tick_params(length=0, labelsize=9, pad=2)
    edges = np.cumsum([0, *(len(family) for family in families.values())]) - 0.5
    for name, first, last in zip(families, edges, edges[1:], strict=False):
        ax.axhline(first, color="0.6", lw=0.7)
        ax.axvline(first, color="0.6", lw=0.7)
        box = {"fill": False, "edgecolor": "black", "lw": 1.2}
        ax.add_patch(plt.Rectangle((first, first), last - first, last - first, **box))
        words = textwrap.fill(name, 12)
        middle = (first + last) / 2
        ax.text(len(order), middle, words, va="center", ha="left", fontsize=9)
    for row, column in np.argwhere(matrix):
        if row != column:
            dark = share[row, column] > 0.03
            ax.text(
                column,
                row,
                matrix[row, column],
                ha="center",
                va="center",
                fontsize=9 if matrix[row, column] < 100 else 7,
                color="white" if dark else "black",
            )
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    fig.colorbar(
        drawn,
        cax=fig.add_axes((0.2, 0.5 / height, 0.55, 0.13 / height)),
        orientation="horizontal",
        format=lambda value, _: f"{value:.1%}" if value < 0.01 else f"{value:.0%}",
        label="share of the true class (numbers: images)",
    )
    return fig, ax


def reliability(table):
    """Draw how often a network is right against how sure it says it is.

    Parameters
    ----------
    table : pandas.DataFrame
        From `companion.training.scores.reliability`.

    Returns
    -------
    fig : matplotlib.figure.Figure
    axes : ndarray of matplotlib.axes.Axes, (2,)
        The diagram with its 95 % intervals, and below it the share of images of each bin.

    Examples
    --------
    >>> from companion.training.scores import reliability as bins
    >>> fig, axes = reliability(bins([0.3, 0.8, 0.9], [0, 1, 1], bins=5))
    >>> axes[0].get_ylabel()
    'share right'
    >>> plt.close(fig)
    """
    held = table[table["images"] > 0].astype(float)
    fig, axes = plt.subplots(
        2, 1, figsize=(4.6, 5.6), sharex=True, height_ratios=[2.6, 1], layout="constrained"
    )
    top, bottom = axes
    top.plot([0, 1], [0, 1], color="0.4", ls="--", lw=1, label="as sure as right")
    error = [held["right"] - held["right_low"], held["right_high"] - held["right"]]
    top.errorbar(
        held["said"],
        held["right"],
        yerr=np.clip(error, 0, None),
        color=TRAINING,
        marker="o",
        ms=5,
        lw=1.2,
        capsize=3,
        label="network",
    )
    top.set(ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))
    top.legend(loc="upper left")
    top.grid(alpha=0.3)
    width = table["high"] - table["low"]
    share = table["images"] / table["images"].sum()
    bottom.bar(table["low"], share, width, align="edge", color=TRAINING, edgecolor="white")
    bottom.set(xlabel="confidence of the answer", ylabel="share of images", ylim=(0, 1))
    return fig, axes


def intervals(table, label, *, value="accuracy", low="low", high="high", marked="told_apart"):
    """Draw accuracies with their intervals, one below the other, in the table's order.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as `companion.experiments.ranking.rank` gives; rows without a value are left out.
    label : str or sequence of str
        The column, or columns, whose values name a row.
    value, low, high : str
        Columns of the values and the bounds, in 0 … 1, drawn in percent.
    marked : str
        A column of what is told apart from the best, drawn hollow; rows that cannot be told apart
        are filled. If the table has no such column, all are filled.

    Returns
    -------
    fig : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"model": ["a"], "accuracy": [0.9], "low": [0.8], "high": [0.95]})
    >>> fig, ax = intervals(table, "model")
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['a']
    >>> plt.close(fig)
    """
    held = table[table[value].notna()]
    columns = [label] if isinstance(label, str) else list(label)
    names = [
        ", ".join(str(row[c]) for c in columns if row[c] == row[c])
        for row in held.to_dict("records")
    ]
    apart = [held[marked].iloc[i] is True for i in range(len(held))] if marked in held else []
    fig, ax = plt.subplots(figsize=(7, 0.32 * len(held) + 1), layout="constrained")
    for row, (middle, left, right) in enumerate(100 * held[[value, low, high]].to_numpy(float)):
        hollow = bool(apart) and apart[row]
        colour = VALIDATION if hollow else TRAINING
        ax.plot([left, right], [row, row], color=colour, lw=2, ls="-" if not hollow else "--")
        ax.plot(middle, row, color=colour, marker="o", ms=7, mfc="white" if hollow else colour)
    if any(apart):
        for hollow, text in ((False, "the best, or not told apart"), (True, "told apart")):
            colour = VALIDATION if hollow else TRAINING
            face = "white" if hollow else colour
            style = {"color": colour, "mfc": face, "ls": "--" if hollow else "-"}
            ax.plot([], [], marker="o", ms=7, lw=2, label=text, **style)
        ax.legend(loc="lower right" if len(held) > 3 else "best")  # the ranks leave it free
    ax.set_yticks(range(len(held)), names)
    ax.set_ylim(len(held) - 0.5, -0.5)
    ax.set_xlabel(f"{value} in %, with its interval")
    ax.grid(axis="x", alpha=0.3)
    return fig, ax


def against(table, x, label, *, value="accuracy", low="low", high="high", xlabel=None, group=None):
    """Draw accuracies with their intervals against a cost, on a logarithmic axis.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows without a value are left out.
    x : str
        Column of the cost: parameters, seconds, …, above 0.
    label : str
        Column whose values are written beside the points.
    value, low, high : str
        Columns of the values and the bounds, in 0 … 1, drawn in percent.
    xlabel : str, optional
        Of the cost, with its unit; by default the column's name.
    group : str, optional
        A column whose values get a marker and a colour each.

    Returns
    -------
    fig : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"model": ["a"], "parameters": [10], "accuracy": [0.9], "low": [0.8], "high": [0.95]}
    ... )
    >>> fig, ax = against(table, "parameters", "model")
    >>> ax.get_xlabel(), ax.get_xscale()
    ('parameters', 'log')
    >>> plt.close(fig)
    """
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    held = table[table[value].notna() & table[x].notna()]
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    kind_of = None if group is None else held[group].map(str)
    kinds = [None] if group is None else list(dict.fromkeys(kind_of))
    for number, kind in enumerate(kinds):
        rows = held if kind is None else held[kind_of == kind]
        middle = 100 * rows[value].to_numpy(float)
        error = [middle - 100 * rows[low], 100 * rows[high] - middle]
        ax.errorbar(
            rows[x].to_numpy(float),
            middle,
            yerr=np.clip(error, 0, None),
            fmt=_MARKERS[number % len(_MARKERS)],
            color=_COLOURS[number % len(_COLOURS)],
            ms=7,
            capsize=3,
            label=kind,
        )
    for row in held.to_dict("records"):
        place = (row[x], 100 * row[value])
        ax.annotate(row[label], place, (6, 4), textcoords="offset points", fontsize=9)
    if group is not None:
        ax.legend()
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter())  # 500 k and 2 M are read faster than powers
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.15)
    ax.set_xlabel(xlabel or x)
    ax.set_ylabel(f"{value} in %")
    ax.grid(alpha=0.3)
    return fig, ax


def timings(table, label, group, *, value="step_ms", spread="step_ms_spread", xlabel=None):
    """Draw times with their spread on a logarithmic axis, some to a line.

    Parameters
    ----------
    table : pandas.DataFrame
        Such as the rows of ``published/speed.json``.
    label : str
        Column whose values name a line, in the table's order from the top.
    group : str
        Column whose values get a marker and a colour each, one below the other in a line.
    value : str
        Column of the times, above 0.
    spread : str
        Column of the least and the largest time of each, as pairs.
    xlabel : str, optional
        By default the name of the column of times.

    Returns
    -------
    fig : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {"model": ["a"], "variant": ["ours"], "step_ms": [3.0], "step_ms_spread": [[2.0, 5.0]]}
    ... )
    >>> fig, ax = timings(table, "model", "variant")
    >>> ax.get_xlabel(), ax.get_xscale()
    ('step_ms', 'log')
    >>> plt.close(fig)
    """
    from matplotlib.ticker import LogLocator, NullLocator

    names, kinds = (list(dict.fromkeys(table[column])) for column in (label, group))
    fig, ax = plt.subplots(figsize=(7, 0.22 * len(names) * len(kinds) + 1), layout="constrained")
    for number, kind in enumerate(kinds):
        rows = table[table[group] == kind]
        offset = 0.8 * ((number + 0.5) / len(kinds) - 0.5)
        middle = rows[value].to_numpy(float)
        low, high = np.array(rows[spread].tolist(), float).T
        ax.errorbar(
            middle,
            [names.index(name) + offset for name in rows[label]],
            xerr=np.clip([middle - low, high - middle], 0, None),
            fmt=_MARKERS[number % len(_MARKERS)],
            color=_COLOURS[number % len(_COLOURS)],
            ms=6,
            capsize=3,
            label=kind,
        )
    for line in range(1, len(names)):
        ax.axhline(line - 0.5, color="0.8", lw=0.7)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(xlabel or value)
    ax.grid(axis="x", alpha=0.3)
    ax.legend()
    return fig, ax


def _grid(count, columns, size):
    """Lay out `count` axes without ticks and hide what the last row leaves empty."""
    rows = math.ceil(count / columns)
    fig, grid = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, (size + 0.25) * rows),
        squeeze=False,
        layout="constrained",
    )
    axes = grid.ravel()
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    for ax in axes[count:]:
        ax.set_axis_off()
    return fig, axes[:count]
