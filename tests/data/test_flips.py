"""The table of flips, against the drawings, against common sense, and against itself."""

import numpy as np
import pytest

from companion.data import flips
from companion.data.gtsrb import OFFICIAL_COUNTS

# What a driver knows.
NUMBERS = range(9)
SIDES = {19: 20, 33: 34, 36: 37, 38: 39}
ALL_WAYS = {12, 15, 17}
DIRECTED = {9, 10, 14, 16, 21, 23, 24, 25, 27, 28, 29, 31, 40, 41, 42}


@pytest.mark.parametrize("kind", flips.KINDS)
def test_the_drawings_give_the_table(kind):
    assert flips.derive(kind) == flips.TABLE[kind]


@pytest.mark.parametrize("size", [48, 96])
def test_the_threshold_lies_far_from_both_sides(size):
    nearest = np.concatenate([flips.distances(k, size=size).min(axis=1) for k in flips.KINDS])
    legal = np.concatenate([np.not_equal(flips.TABLE[k], None) for k in flips.KINDS])
    assert nearest[legal].max() < flips.THRESHOLD / 2
    assert nearest[~legal].min() > 2 * flips.THRESHOLD


def test_the_table_agrees_with_common_sense():
    mirrored, upside_down, turned = (flips.TABLE[kind] for kind in flips.KINDS)
    for one, other in SIDES.items():
        assert (mirrored[one], mirrored[other]) == (other, one)
    for class_id in ALL_WAYS:
        assert mirrored[class_id] == upside_down[class_id] == turned[class_id] == class_id
    for class_id in {*NUMBERS, *DIRECTED}:
        assert mirrored[class_id] is upside_down[class_id] is turned[class_id] is None
    # Stripes that rise to the right rise to the right when turned, and fall when mirrored.
    assert (mirrored[32], upside_down[32], turned[32]) == (None, None, 32)


@pytest.mark.parametrize("kind", flips.KINDS)
def test_flipping_back_leads_back(kind):
    for class_id, becomes in enumerate(flips.TABLE[kind]):
        assert becomes is None or flips.TABLE[kind][becomes] == class_id


def test_what_was_judged_is_left_out():
    assert all(flips.TABLE[kind][class_id] is None for kind, class_id in flips.JUDGED)


@pytest.mark.parametrize("kind", flips.KINDS)
@pytest.mark.parametrize("shape", [(3, 5, 4, 1), (5, 4, 3)])
def test_flip_moves_rows_and_columns_and_leaves_channels(kind, shape):
    images = np.random.default_rng(0).random(shape)
    flipped = flips.flip(images, kind)
    np.testing.assert_array_equal(flips.flip(flipped, kind), images)
    height, width = shape[-3:-1]
    for row in range(height):
        for column in range(width):
            from_row = row if kind == "left-right" else height - 1 - row
            from_column = column if kind == "up-down" else width - 1 - column
            np.testing.assert_array_equal(
                flipped[..., row, column, :], images[..., from_row, from_column, :]
            )


@pytest.fixture(scope="module")
def one_of_each():
    class_ids = np.arange(43)
    images = np.random.default_rng(0).integers(0, 256, (43, 6, 6, 3), dtype=np.uint8)
    return images, class_ids, class_ids * 7


def test_extend_gives_each_legal_flip_once(one_of_each):
    images, class_ids, tracks = one_of_each
    more, shown, new_tracks = flips.extend(images, class_ids, tracks)
    assert more.dtype == np.uint8
    wanted = [
        (kind, class_id, becomes)
        for kind in flips.KINDS
        for class_id, becomes in enumerate(flips.TABLE[kind])
        if becomes is not None
    ]
    assert len(more) == len(wanted) == 18 + 3 + 4
    for image, to, track, (kind, class_id, becomes) in zip(
        more, shown, new_tracks, wanted, strict=True
    ):
        np.testing.assert_array_equal(image, flips.flip(images[class_id], kind))
        assert to == becomes
        assert track == class_id * 7 + 100_000 * (1 + flips.KINDS.index(kind))


def test_extend_makes_as_many_as_gain_says(one_of_each):
    images, _, _ = one_of_each
    counts = np.random.default_rng(1).integers(0, 5, 43)
    class_ids = np.repeat(np.arange(43), counts)
    more, shown, _ = flips.extend(images[class_ids], class_ids, np.zeros_like(class_ids))
    table = flips.gain(counts)
    np.testing.assert_array_equal(
        np.bincount(shown, minlength=43), table["total"] - table["images"]
    )
    assert len(more) == table[list(flips.KINDS)].to_numpy().sum()


def test_extend_with_chosen_kinds_and_with_nothing(one_of_each):
    images, class_ids, tracks = one_of_each
    more, shown, _ = flips.extend(images, class_ids, tracks, kinds=["half-turn"])
    assert shown.tolist() == [12, 15, 17, 32]
    more, shown, new_tracks = flips.extend(images[:9], class_ids[:9], tracks[:9])
    assert more.shape == (0, 6, 6, 3)
    assert shown.tolist() == new_tracks.tolist() == []


def test_the_gain_on_the_official_counts():
    table = flips.gain(OFFICIAL_COUNTS["train"])
    keep_left = table.loc[39]
    assert (keep_left["images"], keep_left["left-right"], keep_left["total"]) == (300, 2070, 2370)
    assert table["total"].sum() == 62_938
    assert (table["factor"] > 1).sum() == 19
    assert flips.gain([0] * 43)["factor"].isna().all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: flips.flip(np.zeros((1, 2, 2, 1)), "diagonal"), "kind must be one of left-right"),
        (lambda: flips.derive("sideways"), "got 'sideways'"),
        (lambda: flips.gain([1, 2]), "counts must be of the 43 classes, got 2"),
        (lambda: flips.extend(np.zeros((2, 4, 4, 1)), [0], [0]), "of one length, got 2, 1 and 1"),
        (lambda: flips.extend(np.zeros((1, 4, 4, 1)), [43], [0]), "must lie in 0 … 42, got 43"),
        (lambda: flips.extend(np.zeros((1, 4, 4, 1)), [12], [0], kinds=["x"]), "got 'x'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
