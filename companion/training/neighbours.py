"""The simplest classifier there is: answer with the class of the nearest training image."""

import numpy as np


def nearest_neighbour(x, class_ids, queries, *, block=512):
    """Give each query the class of the training image nearest to it.

    Distances are Euclidean, pixel by pixel. Nothing is learned, so what it gets right tells how
    much alike the two sets are. Taught in the chapter *GTSRB 1: the data, and cooking it*.

    Parameters
    ----------
    x : array-like, (N, …)
        Training images, numbers of any kind.
    class_ids : array-like of int, (N,)
        Their classes.
    queries : array-like, (M, …)
        Images of the same shape.
    block : int
        Queries compared at a time: memory is about ``4 · block · N`` bytes.

    Returns
    -------
    ndarray of int, (M,)
        A class for each query; the first of equally near images decides.

    Raises
    ------
    ValueError
        If there is no training image, or shapes or lengths do not match.

    Examples
    --------
    >>> nearest_neighbour([[0, 0], [9, 9]], [3, 7], [[1, 0], [8, 9], [9, 9]])
    array([3, 7, 7])
    """
    x, queries, class_ids = np.asarray(x), np.asarray(queries), np.asarray(class_ids)
    if not len(x) or len(x) != len(class_ids):
        raise ValueError(
            f"x and class_ids must have one length >= 1, got {len(x)} and {len(class_ids)}"
        )
    if x.shape[1:] != queries.shape[1:]:
        raise ValueError(
            f"queries must have the shape of x's images, {x.shape[1:]}, got {queries.shape[1:]}"
        )
    pixels = x[0].size
    known = x.reshape(len(x), pixels).astype("float32")
    asked = queries.reshape(len(queries), pixels).astype("float32")
    # |a - b|² = |a|² - 2ab + |b|²: a product of matrices instead of a cube of differences; |a|²
    # is the same for all candidates of one query.
    norms = (known**2).sum(axis=1)
    answers = [
        class_ids[np.argmin(norms - 2 * asked[i : i + block] @ known.T, axis=1)]
        for i in range(0, len(asked), block)
    ]
    return np.concatenate(answers) if answers else class_ids[:0]
