import numpy as np
import pytest

from companion.training.neighbours import nearest_neighbour


@pytest.mark.parametrize("block", [1, 7, 512])
def test_it_finds_what_a_plain_loop_finds(block):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60, 5, 4, 1), dtype=np.uint8)
    queries = random.integers(0, 256, (40, 5, 4, 1), dtype=np.uint8)
    classes = np.arange(60)
    differences = x.astype(int)[None] - queries.astype(int)[:, None]
    expected = (differences**2).sum(axis=(2, 3, 4)).argmin(axis=1)
    assert (nearest_neighbour(x, classes, queries, block=block) == expected).all()


def test_no_query_gives_no_answer():
    assert nearest_neighbour(np.zeros((2, 3)), [0, 1], np.zeros((0, 3))).shape == (0,)


def test_shapes_that_do_not_match_are_named():
    with pytest.raises(ValueError, match=r"queries must have .* \(3,\), got \(4,\)"):
        nearest_neighbour(np.zeros((2, 3)), [0, 1], np.zeros((1, 4)))
    with pytest.raises(ValueError, match="one length >= 1, got 2 and 1"):
        nearest_neighbour(np.zeros((2, 3)), [0], np.zeros((1, 3)))
