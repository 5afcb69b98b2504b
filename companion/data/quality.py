"""How large, bright and sharp the frames of an archive are."""

import numpy as np


def laplacian_variance(grey):
    """Give the variance of a picture's Laplacian, a measure of its detail.

    The Laplacian is the sum of the four neighbours of a pixel less four times the pixel: nothing on
    a slope, much at an edge. It is taken where all four neighbours are there. Taught in the
    chapter *What the network looks at*.

    Parameters
    ----------
    grey : array-like, (H, W)
        Grey levels in any units, at least 3 × 3.

    Returns
    -------
    float
        In squared units of `grey`.

    Raises
    ------
    ValueError
        If the picture is not 2-D or too small.

    Examples
    --------
    A slope has none; a line has:

    >>> laplacian_variance(np.tile(np.arange(5), (5, 1)))
    0.0
    >>> laplacian_variance([[0, 0, 9, 0, 0]] * 3)
    162.0
    """
    grey = np.asarray(grey, dtype=float)
    if grey.ndim != 2 or min(grey.shape) < 3:
        raise ValueError(f"grey must be a picture of at least 3 × 3 pixels, got {grey.shape}")
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((neighbours - 4 * grey[1:-1, 1:-1]).var())


def frame_qualities(archive, rows, *, side=24):
    """Measure the size, light and sharpness of frames of an archive.

    All but the size are measured on the region of interest, the sign without its margin, grey and
    resized to one size, so that frames of all sizes are compared. Taught in the chapter
    *What the network looks at*.

    Parameters
    ----------
    archive : companion.data.gtsrb.Archive
        The archive, with the sizes that its images have on disk.
    rows : array-like of int, (N,)
        Rows of ``archive.frames``.
    side : int
        Pixels of a side at which frames are compared, at least 3.

    Returns
    -------
    pandas.DataFrame
        One row a frame, in the order of `rows`: `size`, the image's shorter side in pixels;
        `brightness` and `contrast`, mean and standard deviation of the grey levels, 0 … 255;
        `laplacian`, `laplacian_variance` of the grey levels; `sharpness`, the same divided by the
        squared contrast, 0 where there is none.

    Raises
    ------
    ValueError
        If `side` is less than 3.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import pandas as pd
    >>> box = {"roi_x1": [1], "roi_y1": [1], "roi_x2": [4], "roi_y2": [4]}
    >>> frames = pd.DataFrame({"width": [6], "height": [7], **box})
    >>> grey = SimpleNamespace(frames=frames, image=lambda i: np.full((7, 6, 3), 50, "uint8"))
    >>> frame_qualities(grey, [0], side=4)
       size  brightness  contrast  laplacian  sharpness
    0     6        50.0       0.0        0.0        0.0
    """
    import pandas as pd
    from PIL import Image

    if side < 3:
        raise ValueError(f"side must be >= 3, got {side}")
    rows = np.asarray(rows, dtype=int)
    table = archive.frames.iloc[rows]
    corners = table[["roi_x1", "roi_y1", "roi_x2", "roi_y2"]].to_numpy()
    found = []
    for row, (left, top, right, bottom) in zip(rows, corners, strict=True):
        sign = archive.image(int(row))[top : bottom + 1, left : right + 1]
        small = Image.fromarray(sign).resize((side, side), Image.Resampling.BILINEAR)
        grey = np.asarray(small.convert("L"), dtype=float)
        found.append((grey.mean(), grey.std(), laplacian_variance(grey)))
    brightness, contrast, laplacian = np.array(found).reshape(-1, 3).T
    variance = contrast**2
    return pd.DataFrame(
        {
            "size": table[["width", "height"]].min(axis=1).to_numpy(),
            "brightness": brightness,
            "contrast": contrast,
            "laplacian": laplacian,
            "sharpness": np.divide(
                laplacian, variance, out=np.zeros(len(rows)), where=variance > 0
            ),
        }
    )
