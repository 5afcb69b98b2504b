import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.training import metrics


def wilson_by_hand(correct, total, z=1.959963984540054):
    """Give Wilson's bounds from his own formula."""
    p, n = correct / total, total
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


@given(st.integers(1, 20_000), st.data())
def test_wilson_equals_its_formula(total, data):
    correct = data.draw(st.integers(0, total))
    expected = wilson_by_hand(correct, total)
    np.testing.assert_allclose(metrics.wilson_interval(correct, total), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("share", "low", "high"), [(0.9884, 0.9864, 0.9901), (0.9971, 0.9960, 0.9979)]
)
def test_wilson_gives_the_published_intervals(share, low, high):
    found = metrics.wilson_interval(round(share * 12630), 12630)
    np.testing.assert_allclose(found, [low, high], atol=1e-4)  # the sources round the share too


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 0), "total"), ((-1, 5), "correct"), ((6, 5), "correct")],
)
def test_wilson_names_a_bad_argument(arguments, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        metrics.wilson_interval(*arguments)


def test_bootstrap_is_wilson_where_each_image_is_its_own_group():
    hits = np.arange(2000) % 10 != 0
    found = metrics.group_bootstrap_interval(hits, np.arange(2000))
    np.testing.assert_allclose(found, metrics.wilson_interval(1800, 2000), atol=0.004)


def test_bootstrap_covers_the_truth_when_whole_groups_are_right_or_wrong():
    """Of 200 samples of 60 groups with success rate 0.8, about 95 % of intervals hold 0.8."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 30)
    held = 0
    for trial in range(200):
        hits = np.repeat(random.random(60) < 0.8, 30)
        low, high = metrics.group_bootstrap_interval(hits, groups, resamples=400, seed=trial)
        held += low <= 0.8 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_bootstrap_refuses_lists_of_two_lengths():
    with pytest.raises(ValueError, match="one length"):
        metrics.group_bootstrap_interval([True, False], [0])


def test_confusion_matrix_and_per_class_by_hand():
    true, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0]
    matrix = metrics.confusion_matrix(true, predicted, 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    table = metrics.per_class(matrix)
    assert table["images"].tolist() == [3, 2, 1, 0]
    np.testing.assert_allclose(table["recall"], [2 / 3, 1 / 2, 0, np.nan])
    np.testing.assert_allclose(table["precision"], [2 / 4, 1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(table["f1"], [4 / 7, 1 / 2, 0, np.nan])


def test_confusion_matrix_names_a_class_out_of_range():
    with pytest.raises(ValueError, match="predicted must hold classes 0 to 1, got 0 to 2"):
        metrics.confusion_matrix([0, 1], [0, 2], 2)


def test_score_draws_its_interval_over_class_and_track():
    """Track 0 of class 0 and track 0 of class 1 are two tracks, not one."""
    true = np.repeat([0, 1], 50)
    predicted = np.zeros(100, int)
    by_track = metrics.score(predicted, true, classes=2, tracks=np.zeros(100, int))
    assert by_track.accuracy == 0.5
    assert by_track.interval == (0.0, 1.0)
    assert by_track.interval_method == "bootstrap over tracks"
    by_image = metrics.score(predicted, true, classes=2)
    assert by_image.interval_method == "wilson"
    assert by_image.interval == metrics.wilson_interval(50, 100)
