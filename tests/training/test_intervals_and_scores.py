import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from companion.training import intervals, scores


@given(st.integers(1, 20_000), st.floats(0.001, 0.9999), st.data())
def test_wilson_is_that_of_scipy(total, confidence, data):
    correct = data.draw(st.integers(0, total) | st.sampled_from([0, total]))
    low, high = intervals.wilson_interval(correct, total, confidence=confidence)
    expected = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose((low, high), expected, rtol=1e-9, atol=1e-12)
    assert 0 <= low <= correct / total <= high <= 1


@pytest.mark.parametrize(
    ("share", "low", "high"), [(0.9884, 0.9864, 0.9901), (0.9971, 0.9960, 0.9979)]
)
def test_wilson_gives_the_published_intervals(share, low, high):
    found = intervals.wilson_interval(round(share * 12630), 12630)
    np.testing.assert_allclose(found, [low, high], atol=1e-4)  # the sources round the share too


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 0), "total"), ((-1, 5), "correct"), ((6, 5), "correct")],
)
def test_wilson_names_a_bad_argument(arguments, name):
    with pytest.raises(ValueError, match=f"^{name} must"):
        intervals.wilson_interval(*arguments)


def test_bootstrap_is_wilson_where_each_image_is_its_own_group():
    hits = np.arange(2000) % 10 != 0
    found = intervals.group_bootstrap_interval(hits, np.arange(2000))
    np.testing.assert_allclose(found, intervals.wilson_interval(1800, 2000), atol=0.004)


def test_bootstrap_covers_the_truth_when_whole_groups_are_right_or_wrong():
    """Of 200 samples of 60 groups with success rate 0.8, about 95 % of intervals hold 0.8."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 30)
    held = 0
    for trial in range(200):
        hits = np.repeat(random.random(60) < 0.8, 30)
        low, high = intervals.group_bootstrap_interval(hits, groups, resamples=400, seed=trial)
        held += low <= 0.8 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_bootstrap_refuses_lists_of_two_lengths():
    with pytest.raises(ValueError, match="one length"):
        intervals.group_bootstrap_interval([True, False], [0])


def test_confusion_matrix_and_per_class_by_hand():
    true, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 0]
    matrix = scores.confusion_matrix(true, predicted, 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    table = scores.per_class(matrix)
    assert table["images"].tolist() == [3, 2, 1, 0]
    np.testing.assert_allclose(table["recall"], [2 / 3, 1 / 2, 0, np.nan])
    np.testing.assert_allclose(table["precision"], [2 / 4, 1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(table["f1"], [4 / 7, 1 / 2, 0, np.nan])


def test_confusion_matrix_names_a_class_out_of_range():
    with pytest.raises(ValueError, match="predicted must hold classes 0 to 1, got 0 to 2"):
        scores.confusion_matrix([0, 1], [0, 2], 2)


def test_score_draws_its_interval_over_class_and_track():
    """Track 0 of class 0 and track 0 of class 1 are two tracks, not one."""
    true = np.repeat([0, 1], 50)
    predicted = np.zeros(100, int)
    by_track = scores.score(predicted, true, classes=2, tracks=np.zeros(100, int))
    assert by_track.accuracy == 0.5
    assert by_track.interval == (0.0, 1.0)
    assert by_track.interval_method == "bootstrap over tracks"
    by_image = scores.score(predicted, true, classes=2)
    assert by_image.interval_method == "wilson"
    assert by_image.interval == intervals.wilson_interval(50, 100)


def test_a_bootstrap_of_equal_hits_counts_groups_as_trials():
    """Twelve tracks, all right: the interval of twelve successes in twelve trials, not [1, 1]."""
    hits, groups = np.ones(120), np.repeat(range(12), 10)
    assert intervals.group_bootstrap_interval(hits, groups) == intervals.wilson_interval(12, 12)
    assert intervals.group_bootstrap_interval(1 - hits, groups) == intervals.wilson_interval(0, 12)


def test_one_group_that_is_partly_right_says_nothing():
    assert intervals.group_bootstrap_interval([1, 0, 1], [7, 7, 7]) == (0.0, 1.0)


def crossed_by_hand(values, groups, resamples, seed):
    """Draw groups, then k - 1 trainings, one resample at a time, with lists."""
    random = np.random.default_rng(seed)
    names = sorted(set(np.concatenate(groups).tolist()))
    means = []
    for _ in range(resamples):
        drawn = random.choice(names, len(names))
        runs = random.choice(len(values), max(1, len(values) - 1))
        each = []
        for run in runs:
            taken = [v for name in drawn for v in values[run][groups[run] == name]]
            each.append(np.mean(taken))
        means.append(np.mean(each))
    return np.quantile(means, [0.025, 0.975])


@pytest.mark.parametrize("trainings", [1, 2, 3])
def test_seeds_interval_equals_its_definition(trainings):
    random = np.random.default_rng(trainings)
    groups = [random.integers(0, 12, 60) for _ in range(trainings)]
    values = [random.random(60) < 0.5 + 0.4 * (g % 3 == 0) for g in groups]
    found = intervals.seeds_interval(values, groups)
    np.testing.assert_allclose(found, crossed_by_hand(values, groups, 1500, 5), atol=0.03)


def test_seeds_interval_of_one_training_is_the_bootstrap_over_groups():
    groups = np.repeat(range(80), 10)
    hits = np.random.default_rng(0).random(80)[groups] < 0.8
    found = intervals.seeds_interval([hits], [groups])
    np.testing.assert_allclose(found, intervals.group_bootstrap_interval(hits, groups), atol=0.02)


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_seeds_interval_covers_the_truth_of_other_signs_and_other_seeds(spread):
    """Three trainings, each with a quarter of 160 tracks and an error of its own."""
    random = np.random.default_rng(1)
    held = 0
    for trial in range(150):
        chance = np.clip(random.normal(0.8, 0.15, 160), 0, 1)  # this drawing of signs
        values, groups = [], []
        for _ in range(3):
            tracks = random.permutation(160)[:40]
            shift = random.normal(0, spread)
            each = np.repeat(tracks, 5)
            values.append(random.random(200) < np.clip(chance[each] + shift, 0, 1))
            groups.append(each)
        low, high = intervals.seeds_interval(values, groups, resamples=300, seed=trial)
        held += low <= 0.7936 <= high  # the mean of the clipped normal distribution
    assert held / 150 >= 0.93


def test_tracks_alone_are_too_sure_where_seeds_differ():
    """Two trainings apart by 20 points: one of each is drawn as often as the other."""
    groups = np.repeat(range(100), 10)
    good, bad = groups % 10 < 9, groups % 10 < 7
    low, high = intervals.seeds_interval([good, bad], [groups, groups])
    pooled = intervals.group_bootstrap_interval(np.r_[good, bad], np.r_[groups, groups])
    assert high - low > 1.5 * (pooled[1] - pooled[0])


def test_seeds_interval_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="values and groups must be as many lists"):
        intervals.seeds_interval([[1, 0]], [[0]])
    with pytest.raises(ValueError, match="values and groups must be as many lists"):
        intervals.seeds_interval([], [])
    with pytest.raises(ValueError, match="values must hold an image"):
        intervals.seeds_interval([[]], [[]])
    with pytest.raises(ValueError, match="confidence must lie"):
        intervals.seeds_interval([[1]], [[0]], confidence=1)
    assert np.isnan(intervals.seeds_interval([[1, 0]], [[0, 0]])).all()


@given(st.integers(0, 2**32 - 1))
def test_a_difference_turns_round_with_its_arguments(seed):
    random = np.random.default_rng(seed)
    right = random.random((2, 60)) < 0.7
    groups = random.integers(0, 15, 60)
    low, high = intervals.difference_interval(*right, groups, resamples=200)
    back = intervals.difference_interval(*right[::-1], groups, resamples=200)
    np.testing.assert_allclose(back, (-high, -low), atol=1e-12)
    assert -1 <= low <= high <= 1
    assert intervals.difference_interval(right[0], right[0], groups, resamples=50) == (0.0, 0.0)


def test_a_paired_difference_over_images_has_the_textbook_width():
    """Standard error of a paired difference: sqrt(b + c - (b - c)² / n) / n."""
    n, only_a, only_b = 2000, 60, 30
    right_a, right_b = np.ones(n, bool), np.ones(n, bool)
    right_b[:only_a] = False
    right_a[only_a : only_a + only_b] = False
    low, high = intervals.difference_interval(right_a, right_b)
    error = np.sqrt(only_a + only_b - (only_a - only_b) ** 2 / n) / n
    middle = (only_a - only_b) / n
    expected = (middle - 1.96 * error, middle + 1.96 * error)
    np.testing.assert_allclose((low, high), expected, atol=0.0008)
    frames = np.arange(n) // 10  # the failures lie side by side: nine tracks say little
    wide_low, wide_high = intervals.difference_interval(right_a, right_b, frames)
    assert wide_high - wide_low > 2.5 * (high - low)


def exact_mcnemar(b, c):
    """Add up the binomial terms: statsmodels' `mcnemar(exact=True)` does the same."""
    terms = [math.comb(b + c, i) for i in range(min(b, c) + 1)]
    return min(1.0, 2 * sum(terms) / 2 ** (b + c))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5), st.integers(1, 5))
def test_mcnemar_equals_the_sum_of_binomial_terms(b, c, both, neither):
    right_a = np.r_[np.ones(b), np.zeros(c), np.ones(both), np.zeros(neither)]
    right_b = np.r_[np.zeros(b), np.ones(c), np.ones(both), np.zeros(neither)]
    found = intervals.mcnemar(right_a, right_b)
    assert (found.only_a, found.only_b) == (b, c)
    assert found.p_value == pytest.approx(exact_mcnemar(b, c), rel=1e-9)


def test_mcnemar_refuses_lists_of_two_lengths():
    with pytest.raises(ValueError, match="right_a and right_b must be two lists of one length"):
        intervals.mcnemar([True], [True, False])


def test_calibration_error_by_hand():
    """Bins (0.5, 0.75] and (0.75, 1]: gaps 0.1 and 0.25, of 4 and 6 images."""
    confidence = [0.6, 0.6, 0.6, 0.6] + [0.75 + 1e-9] * 3 + [0.95] * 3
    right = [1, 1, 0, 0, 1, 1, 0, 1, 0, 0]
    gap = abs((3 * 0.75 + 3 * 0.95) / 6 - 3 / 6)
    expected = (4 * 0.1 + 6 * gap) / 10
    assert scores.calibration_error(confidence, right, bins=4) == pytest.approx(expected)


def test_a_confidence_on_an_edge_counts_below_it():
    table = scores.reliability([0.0, 0.5, 1.0], [1, 1, 0], bins=2)
    assert table["images"].tolist() == [2, 1]
    np.testing.assert_allclose(table["said"], [0.25, 1.0])
    np.testing.assert_allclose(table["right"], [1.0, 0.0])
    assert (table["right_low"][0], table["right_high"][0]) == intervals.wilson_interval(2, 2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
def test_calibration_error_holds_its_bounds(answers, bins):
    confidence, right = zip(*answers, strict=True)
    found = scores.calibration_error(confidence, right, bins)
    overall = abs(np.mean(confidence) - np.mean(right))
    assert overall - 1e-9 <= found <= 1  # merging bins can only hide gaps
    assert scores.calibration_error(confidence, right, 1) == pytest.approx(overall)
    table = scores.reliability(confidence, right, bins)
    assert table["images"].sum() == len(answers)


def test_a_network_that_draws_its_answers_by_its_own_odds_is_calibrated():
    random = np.random.default_rng(0)
    confidence = random.random(40_000)
    right = random.random(40_000) < confidence
    assert scores.calibration_error(confidence, right) < 0.02
    assert scores.calibration_error(confidence, ~right) > 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.5], [1, 0]), "confidence and right must"),
        (([], []), "confidence and right must"),
        (([1.2], [1]), "confidence must lie in 0 … 1, got 1.2 to 1.2"),
        (([np.nan], [1]), "confidence must lie in 0 … 1, got nan"),
        (([0.5], [1], 0), "bins must be >= 1, got 0"),
    ],
)
def test_calibration_error_names_a_bad_argument(arguments, words):
    with pytest.raises(ValueError, match=words):
        scores.calibration_error(*arguments)


def test_accuracy_by_cuts_at_edges():
    values, right = [1, 2, 3, 4, 5, np.nan, 9], [0, 0, 1, 1, 1, 1, 1]
    table = scores.accuracy_by(values, right, [1, 3, 6, 8])
    assert table["images"].tolist() == [2, 3, 0]  # 3 begins a bin; NaN and 9 are left out
    np.testing.assert_allclose(table["accuracy"], [0, 1, np.nan])
    bounds = table[["accuracy_low", "accuracy_high"]].to_numpy()
    np.testing.assert_allclose(bounds[0], intervals.wilson_interval(0, 2))
    np.testing.assert_allclose(bounds[1], intervals.wilson_interval(3, 3))
    assert np.isnan(bounds[2]).all()


def test_accuracy_by_gives_quantiles_and_intervals_over_tracks():
    random = np.random.default_rng(0)
    groups = np.repeat(range(100), 10)
    values = groups + random.random(1000) / 2
    right = random.random(100)[groups] < values / 100
    table = scores.accuracy_by(values, right, 4, groups)
    assert table["images"].tolist() == [250] * 4
    assert table["groups"].tolist() == [25] * 4
    assert table["accuracy"].is_monotonic_increasing
    first = groups < 25
    expected = intervals.group_bootstrap_interval(right[first], groups[first])
    assert tuple(table.loc[0, ["accuracy_low", "accuracy_high"]]) == expected


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 8))
def test_accuracy_by_counts_each_image_once(values, bins):
    right = np.arange(len(values)) % 2 == 0
    table = scores.accuracy_by(values, right, bins)
    assert table["images"].sum() == len(values)
    assert (table["accuracy"] * table["images"]).sum() == pytest.approx(right.sum())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2], [1]), "values, right and groups must be lists of one length"),
        (([1], [1], [2, 1]), "edges_or_quantiles must rise"),
        (([1], [1], 0), "edges_or_quantiles must be >= 1, got 0"),
        (([np.nan], [1]), "values must hold a finite number"),
        (([7], [1], [1, 2]), "values must lie between the edges"),
    ],
)
def test_accuracy_by_names_a_bad_argument(arguments, words):
    with pytest.raises(ValueError, match=words):
        scores.accuracy_by(*arguments)


def test_score_takes_the_calibration_error_from_the_confidence():
    true, predicted, confidence = [0, 1, 1, 1], [0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6]
    found = scores.score(predicted, true, classes=2, confidence=confidence)
    right = np.equal(true, predicted)
    assert found.calibration_error == scores.calibration_error(confidence, right)
    assert scores.score(predicted, true, classes=2).calibration_error is None
    diverged = scores.score(predicted, true, classes=2, confidence=[np.nan] * 4)
    assert diverged.calibration_error is None
    assert diverged.accuracy == 0.75
