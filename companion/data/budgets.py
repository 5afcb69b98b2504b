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
        How many frames of traffic signs are cooked, as a share of the official archive's, in
        0 … 1.
    gtsrb_drawn : float
        How many are drawn where the real ones are missing, likewise. More are drawn than cooked:
        a few frames of many signs teach more than all frames of a few.
    mnist_images : int or None
        How many training images of MNIST are used; None: all.
    """

    name: str
    gtsrb_scale: float
    gtsrb_drawn: float
    mnist_images: int | None

    def share_to_cook(self, dataset):
        """Give the `scale` at which an archive is cooked.

        Parameters
        ----------
        dataset : companion.data.Dataset
            The traffic signs.

        Returns
        -------
        float
            In 0 … 1: `gtsrb_scale` of the official archive, more of a drawn one, which is smaller.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> get("quick").share_to_cook(SimpleNamespace(origin="official"))
        0.1
        """
        there = self.gtsrb_drawn if dataset.origin == "synthetic" else 1.0
        return self.gtsrb_scale / there


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", gtsrb_scale=0.1, gtsrb_drawn=0.3, mnist_images=6_000),
        Budget("laptop", gtsrb_scale=0.4, gtsrb_drawn=0.8, mnist_images=20_000),
        Budget("full", gtsrb_scale=1.0, gtsrb_drawn=1.0, mnist_images=None),
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
