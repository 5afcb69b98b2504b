"""How large, bright and sharp frames are, against SciPy and by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from companion.data import quality


def test_the_laplacian_is_that_of_scipy():
    grey = np.random.default_rng(0).integers(0, 256, (9, 7))
    expected = ndimage.laplace(grey.astype(float))[1:-1, 1:-1].var()
    assert quality.laplacian_variance(grey) == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least 3 × 3 pixels"):
        quality.laplacian_variance(grey[:2])


def test_bytes_do_not_overflow_in_the_laplacian():
    board = np.indices((6, 6)).sum(axis=0) % 2 * 255
    assert quality.laplacian_variance(board.astype("uint8")) == (4 * 255) ** 2


def archive_of(pictures, margin=2):
    frames = pd.DataFrame(
        [
            {
                "width": p.shape[1],
                "height": p.shape[0],
                "roi_x1": margin,
                "roi_y1": margin,
                "roi_x2": p.shape[1] - margin - 1,
                "roi_y2": p.shape[0] - margin - 1,
            }
            for p in pictures
        ]
    )
    return SimpleNamespace(frames=frames, image=lambda i: pictures[i])


def test_qualities_look_at_the_sign_alone_and_keep_the_order_of_rows():
    random = np.random.default_rng(0)
    sharp = np.repeat(random.integers(0, 256, (28, 30, 1), dtype=np.uint8), 3, axis=2)
    blurred = ndimage.gaussian_filter(sharp, (2, 2, 0))
    dark = sharp // 4
    margin = sharp.copy()
    margin[:2] = 255
    found = quality.frame_qualities(archive_of([sharp, blurred, dark, margin]), [3, 2, 1, 0])
    assert found["size"].tolist() == [28] * 4
    same, dark, blurred, sharp = (row for _, row in found.iterrows())
    assert same.equals(sharp)
    assert dark["brightness"] == pytest.approx(sharp["brightness"] / 4, rel=0.02)
    assert dark["laplacian"] < sharp["laplacian"] / 10
    assert dark["sharpness"] == pytest.approx(sharp["sharpness"], rel=0.05)
    assert blurred["sharpness"] < sharp["sharpness"] / 5


def test_qualities_of_no_frame_and_of_a_flat_one():
    flat = archive_of([np.full((12, 12, 3), 7, np.uint8)])
    assert quality.frame_qualities(flat, [0]).iloc[0].tolist() == [12, 7, 0, 0, 0]
    assert len(quality.frame_qualities(flat, [])) == 0
    with pytest.raises(ValueError, match="side must be >= 3, got 2"):
        quality.frame_qualities(flat, [0], side=2)
