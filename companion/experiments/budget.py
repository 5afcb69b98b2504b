"""How much a chapter may cost: the same code on a page, a laptop or a cluster."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """What one name of a budget stands for.

    Parameters
    ----------
    name : str
        ``"quick"``, ``"laptop"`` or ``"full"``.
    gtsrb_scale : float
        The share of the frames of the traffic signs that is cooked, in 0 … 1.
    mnist_images : int or None
        How many training images of MNIST are used; None: all.
    """

    name: str
    gtsrb_scale: float
    mnist_images: int | None


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", gtsrb_scale=0.1, mnist_images=6_000),
        Budget("laptop", gtsrb_scale=0.4, mnist_images=20_000),
        Budget("full", gtsrb_scale=1.0, mnist_images=None),
    )
}


def get(name=None):
    """Give the budget of a name, or of the variable ``COMPANION_BUDGET``, or ``quick``.

    Parameters
    ----------
    name : str, optional
        What a chapter's parameters cell says; it wins over the environment.

    Returns
    -------
    Budget

    Raises
    ------
    ValueError
        If no budget has that name.

    Examples
    --------
    >>> get("full").gtsrb_scale
    1.0
    >>> get("ful")
    Traceback (most recent call last):
        ...
    ValueError: budget must be one of quick, laptop, full, got 'ful' (did you mean 'full'?)
    """
    from difflib import get_close_matches

    name = name or os.environ.get("COMPANION_BUDGET") or "quick"
    if name not in BUDGETS:
        near = get_close_matches(str(name), BUDGETS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {name!r}{hint}")
    return BUDGETS[name]
