"""Figures that several chapters draw: each function returns ``(fig, ax)`` and shows nothing."""

import math

import matplotlib.pyplot as plt
import numpy as np

TRAINING, VALIDATION = "#0072B2", "#D55E00"  # Okabe and Ito's palette: apart for every eye


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


def confusion(matrix, names, *, size=None):
    """Draw a confusion matrix, each row divided by its sum.

    Parameters
    ----------
    matrix : array-like of int, (classes, classes)
        Counts: a row is a true class, a column a predicted one.
    names : sequence of str
        Labels of the classes, in order.
    size : float, optional
        Side of the figure in inches; by default as many classes need.

    Returns
    -------
    fig : matplotlib.figure.Figure
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> fig, ax = confusion([[9, 1], [2, 8]], ["cat", "dog"])
    >>> ax.get_ylabel()
    'true class'
    >>> plt.close(fig)
    """
    matrix = np.asarray(matrix)
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
