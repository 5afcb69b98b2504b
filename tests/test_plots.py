"""Figures say what they are drawn from: texts, places and sizes, read back from the axes."""

import itertools
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

import matplotlib.pyplot as plt

from companion import plots
from companion.data.gtsrb import FAMILIES
from companion.training import scores


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def matrix():
    """Give 43 classes of 100 images: 7 of class 1 taken for 2, and 1 of class 17 for 0."""
    found = np.diag(np.full(43, 100))
    found[1, 2], found[17, 0] = 7, 1
    return found


def texts(ax):
    return {(t.get_position(), t.get_text()) for t in ax.texts}


def test_families_order_the_classes_and_name_their_blocks():
    fig, ax = plots.confusion(matrix(), range(43), families=FAMILIES)
    order = [i for family in FAMILIES.values() for i in family]
    assert [t.get_text() for t in ax.get_yticklabels()] == [str(i) for i in order]
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(i) for i in order]
    words = {t.get_text().replace("\n", " ") for t in ax.texts}
    assert set(FAMILIES) <= words
    heights = [box.get_height() for box in ax.patches]
    assert heights == [len(family) for family in FAMILIES.values()]
    assert max(fig.get_size_inches()) <= 8


def test_confusions_bear_their_counts_and_the_diagonal_does_not():
    _, ax = plots.confusion(matrix(), range(43), families=FAMILIES)
    order = [i for family in FAMILIES.values() for i in family]
    counts = {t for t in texts(ax) if t[1].isdigit()}
    place = {class_id: i for i, class_id in enumerate(order)}
    assert counts == {((place[2], place[1]), "7"), ((place[0], place[17]), "1")}
    drawn = ax.images[0].get_array()
    assert drawn[place[1], place[2]] == pytest.approx(7 / 107)
    assert np.ma.is_masked(drawn[place[3], place[4]])


def test_texts_of_the_family_matrix_can_be_read():
    fig, ax = plots.confusion(matrix(), range(43), families=FAMILIES)
    fig.canvas.draw()
    assert min(t.get_fontsize() for t in [*ax.texts, *ax.get_yticklabels()]) >= 9
    boxes = [t.get_window_extent() for t in ax.get_yticklabels()]
    assert all(a.y0 >= b.y1 - 2 for a, b in itertools.pairwise(boxes)), "labels overlap"


def test_a_class_without_images_and_two_classes_are_drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = matrix()
        empty[5] = 0
        fig, _ = plots.confusion(empty, range(43), families=FAMILIES)
        fig.canvas.draw()
        fig, _ = plots.confusion([[3, 1], [0, 4]], "ab", families={"one": [0], "two": [1]})
        fig.canvas.draw()


def test_families_that_miss_a_class_are_refused():
    with pytest.raises(ValueError, match="families must hold each of the 43 classes once"):
        plots.confusion(matrix(), range(43), families={"some": range(42)})


def test_a_matrix_without_families_is_drawn_as_before():
    _, ax = plots.confusion([[9, 1], [2, 8]], ["cat", "dog"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["cat", "dog"]
    assert texts(ax) == {((0, 0), "9"), ((1, 0), "1"), ((0, 1), "2"), ((1, 1), "8")}


def test_a_reliability_diagram_shows_the_bins_that_hold_images():
    table = scores.reliability([0.15, 0.95, 0.95, 0.95], [0, 1, 1, 0], bins=10)
    _, (top, bottom) = plots.reliability(table)
    line = top.containers[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[0.15, 0], [0.95, 2 / 3]])
    assert sum(bar.get_height() for bar in bottom.patches) == pytest.approx(1)


def ranked():
    return pd.DataFrame(
        {
            "model": ["a", "b", "c", "d"],
            "recipe": ["x", None, "x", "x"],
            "parameters": [10, 1000, 100, None],
            "accuracy": [0.9, 0.8, 0.7, np.nan],
            "low": [0.85, 0.75, 0.65, np.nan],
            "high": [0.95, 0.85, 0.75, np.nan],
            "told_apart": [None, False, True, None],
        }
    )


def test_intervals_stand_in_the_tables_order_hollow_where_told_apart():
    fig, ax = plots.intervals(ranked(), ["model", "recipe"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a, x", "b", "c, x"]
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose([line.get_xdata() for line in bars], [[85, 95], [75, 85], [65, 75]])
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    hollow = [line.get_markerfacecolor() == "white" for line in points]
    assert hollow == [False, False, True]
    assert ax.get_ylim() == (2.5, -0.5)
    assert fig.get_size_inches()[0] <= 8


def test_against_draws_each_group_by_marker_and_colour():
    fig, ax = plots.against(ranked(), "parameters", "model", group="told_apart")
    fig.canvas.draw()
    assert {"10", "1 k"} <= {t.get_text() for t in ax.get_xticklabels()}
    assert {t.get_text() for t in ax.texts} == {"a", "b", "c"}
    lines = [container.lines[0] for container in ax.containers]
    assert sorted(x for line in lines for x in line.get_xdata()) == [10, 100, 1000]
    assert len({line.get_marker() for line in lines}) == 3
    assert len({line.get_color() for line in lines}) == 3
    assert ax.get_xscale() == "log"


def timed():
    """Give two networks timed in two ways, and a third in one."""
    cells = [("a", "x", 20, 18, 30), ("a", "y", 5, 4, 6), ("b", "x", 300, 300, 300)]
    cells += [("b", "y", 100, 90, 130), ("c", "y", 7, 5, 8)]
    columns = ["model", "variant", "step_ms", "low", "high"]
    table = pd.DataFrame(cells, columns=columns)
    return table.assign(step_ms_spread=table[["low", "high"]].to_numpy().tolist())


def test_timings_stand_in_their_network_s_line_with_their_spread():
    fig, ax = plots.timings(timed(), "model", "variant", xlabel="ms")
    fig.canvas.draw()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_xscale(), ax.get_ylim()) == ("ms", "log", (2.5, -0.5))
    found = {c.get_label(): c.lines[0].get_xydata() for c in ax.containers}
    np.testing.assert_allclose(found["x"], [[20, -0.2], [300, 0.8]])
    np.testing.assert_allclose(found["y"], [[5, 0.2], [100, 1.2], [7, 2.2]])
    bars = ax.containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose([bar[:, 0] for bar in bars], [[4, 6], [90, 130], [5, 8]])
    assert len({c.lines[0].get_marker() for c in ax.containers}) == 2
    assert {"10", "100"} <= {t.get_text() for t in ax.get_xticklabels()}
    assert fig.get_size_inches()[0] <= 8
