"""The splits, held to the properties that their docstrings promise."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.data.splits import by_image, by_track

# Classes with up to seven tracks of up to nine frames each: few enough to try every choice.
CLASSES = st.dictionaries(
    st.integers(0, 50),
    st.dictionaries(st.integers(0, 80), st.integers(1, 9), min_size=2, max_size=7),
    min_size=1,
    max_size=4,
)
FRACTIONS = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**40)


def rows_of(classes):
    """Give class and track of every row of {class: {track: number of frames}}."""
    pairs = [
        (class_id, track)
        for class_id, tracks in classes.items()
        for track, frames in tracks.items()
        for _ in range(frames)
    ]
    class_ids, tracks = np.array(pairs).T
    return class_ids, tracks


def groups(class_ids, tracks, rows):
    return set(zip(class_ids[rows].tolist(), tracks[rows].tolist(), strict=True))


@settings(deadline=None)
@given(CLASSES, FRACTIONS, SEEDS)
def test_tracks_stay_whole_and_every_class_is_on_both_sides(classes, fraction, seed):
    class_ids, tracks = rows_of(classes)
    train, validation = by_track(class_ids, tracks, fraction=fraction, seed=seed)
    assert sorted([*train, *validation]) == list(range(len(class_ids)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert not groups(class_ids, tracks, train) & groups(class_ids, tracks, validation)
    assert set(class_ids[train]) == set(class_ids[validation]) == set(classes)


@settings(deadline=None)
@given(CLASSES, FRACTIONS, SEEDS)
def test_no_choice_of_whole_tracks_comes_closer(classes, fraction, seed):
    class_ids, tracks = rows_of(classes)
    _, validation = by_track(class_ids, tracks, fraction=fraction, seed=seed)
    for class_id, sizes in classes.items():
        frames = list(sizes.values())
        sums = {sum(c) for n in range(1, len(frames)) for c in combinations(frames, n)}
        target = fraction * sum(frames)
        got = np.count_nonzero(class_ids[validation] == class_id)
        assert abs(got - target) == min(abs(s - target) for s in sums)


@settings(deadline=None)
@given(CLASSES, FRACTIONS, SEEDS, st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(classes, fraction, seed, random):
    class_ids, tracks = rows_of(classes)
    order = list(range(len(class_ids)))
    random.shuffle(order)
    _, validation = by_track(class_ids, tracks, fraction=fraction, seed=seed)
    _, shuffled = by_track(class_ids[order], tracks[order], fraction=fraction, seed=seed)
    assert sorted(np.array(order)[shuffled]) == list(validation)


@settings(deadline=None)
@given(CLASSES, FRACTIONS, SEEDS)
def test_a_class_is_split_alike_whatever_the_other_classes(classes, fraction, seed):
    class_ids, tracks = rows_of(classes)
    _, validation = by_track(class_ids, tracks, fraction=fraction, seed=seed)
    alone = class_ids == class_ids[0]
    _, own = by_track(class_ids[alone], tracks[alone], fraction=fraction, seed=seed)
    assert groups(class_ids[alone], tracks[alone], own) == {
        group for group in groups(class_ids, tracks, validation) if group[0] == class_ids[0]
    }


def test_split_by_track_worked_by_hand():
    # 100 images in ten tracks of ten: a fifth is exactly two tracks.
    tracks = np.repeat(np.arange(10), 10)
    train, validation = by_track(np.zeros(100, int), tracks, fraction=0.2, seed=3)
    assert (len(train), len(validation)) == (80, 20)
    assert len(set(tracks[validation])) == 2
    # Tracks of 7, 6, 5 and 2 frames: 8 = 6 + 2 of 20 is 0.4 exactly, and no other choice is.
    tracks = np.repeat([0, 1, 2, 3], [7, 6, 5, 2])
    for seed in range(10):
        _, validation = by_track(np.zeros(20, int), tracks, fraction=0.4, seed=seed)
        assert set(tracks[validation]) == {1, 3}


def test_seed_decides_which_tracks():
    class_ids, tracks = np.zeros(300, int), np.repeat(np.arange(10), 30)
    drawn = [
        tuple(by_track(class_ids, tracks, fraction=0.2, seed=seed)[1]) for seed in [*range(50), 0]
    ]
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) > 20
    # Every track has its turn: none is favoured by its number.
    assert {int(tracks[i]) for rows in drawn for i in rows} == set(range(10))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integer_types_of_files_are_taken(dtype):
    class_ids, tracks = np.array([5, 5, 42, 42], dtype), np.array([0, 1, 0, 1], dtype)
    train, validation = by_track(class_ids, tracks)
    assert len(train) == len(validation) == 2
    assert train.dtype == validation.dtype == np.int64


def test_class_of_one_track_is_named():
    with pytest.raises(ValueError, match=r"class 7 has one track only \(4\).* cook a larger part"):
        by_track([3, 3, 7, 7], [0, 1, 4, 4])
    with pytest.raises(ValueError, match=r"class 7 has one image only"):
        by_image([3, 3, 7])


TWO = [0, 0]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), "0.2", None, True])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match=r"^fraction must lie between 0 and 1, .* got "):
        by_track(TWO, [0, 1], fraction=fraction)
    with pytest.raises(ValueError, match=r"^fraction must lie between 0 and 1, .* got "):
        by_image(TWO, fraction=fraction)


@pytest.mark.parametrize("seed", [-1, 1.0, "0", None, True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=r"^seed must be an integer >= 0, got "):
        by_track(TWO, [0, 1], seed=seed)
    with pytest.raises(ValueError, match=r"^seed must be an integer >= 0, got "):
        by_image(TWO, seed=seed)


@pytest.mark.parametrize(
    ("class_ids", "tracks", "message"),
    [
        ([0, 0], [0, 1, 2], "class_ids and tracks must be of one length, got 2 and 3"),
        ([0.0, 0.0], [0, 1], "class_ids must be a one-dimensional array of integers"),
        ([0, 0], ["a", "b"], "tracks must be a one-dimensional array of integers"),
        ([[0, 0]], [[0, 1]], "class_ids must be a one-dimensional array of integers"),
        ([], [], "class_ids must be a one-dimensional array of integers"),
        ([True, True], [0, 1], "class_ids must be a one-dimensional array of integers"),
        ([-1, 0], [0, 1], "class_ids must be >= 0, got -1"),
        ([0, 0], [-1, -1], "tracks must be >= 0, got -1"),
    ],
)
def test_bad_arrays(class_ids, tracks, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        by_track(class_ids, tracks)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), FRACTIONS, SEEDS)
def test_random_split_keeps_the_part_of_each_class(class_ids, fraction, seed):
    class_ids = np.array(class_ids * 2)
    train, validation = by_image(class_ids, fraction=fraction, seed=seed)
    assert sorted([*train, *validation]) == list(range(len(class_ids)))
    for class_id in np.unique(class_ids):
        n, got = np.sum(class_ids == class_id), np.sum(class_ids[validation] == class_id)
        assert 1 <= got <= n - 1
        assert abs(got - fraction * n) <= 0.5 or got in (1, n - 1)


def test_random_split_depends_on_the_seed_alone():
    class_ids = np.arange(1000) % 10
    once, again, other = (by_image(class_ids, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert once == again
    assert once != other
    assert len(once) == 200


def test_random_split_puts_a_track_on_both_sides_and_split_by_track_does_not():
    class_ids, tracks = np.repeat([0, 1], 300), np.tile(np.repeat(np.arange(10), 30), 2)
    shared = [
        len(groups(class_ids, tracks, train) & groups(class_ids, tracks, validation))
        for train, validation in (by_image(class_ids), by_track(class_ids, tracks))
    ]
    assert shared[0] >= 19
    assert shared[1] == 0
