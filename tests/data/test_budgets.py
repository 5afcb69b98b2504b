import dataclasses
from types import SimpleNamespace

import pytest

from companion.data import budgets


def test_the_name_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("COMPANION_BUDGET", "laptop")
    assert budgets.get().name == "laptop"
    assert budgets.get("full").name == "full"
    monkeypatch.setenv("COMPANION_BUDGET", "")
    assert budgets.get().name == "quick"


def test_a_misspelt_environment_is_refused(monkeypatch):
    monkeypatch.setenv("COMPANION_BUDGET", "labtop")
    with pytest.raises(ValueError, match=r"got 'labtop' \(did you mean 'laptop'\?\)"):
        budgets.get()


def test_budgets_are_frozen_and_grow():
    quick, laptop, full = (budgets.get(name) for name in ("quick", "laptop", "full"))
    assert quick.gtsrb_scale < laptop.gtsrb_scale < full.gtsrb_scale == 1
    assert quick.mnist_images < laptop.mnist_images
    assert full.mnist_images is None


@pytest.mark.parametrize("name", budgets.BUDGETS)
def test_what_is_cooked_is_the_share_that_the_budget_says(name):
    limits = budgets.get(name)
    assert limits.share_to_cook(SimpleNamespace(origin="official")) == limits.gtsrb_scale
    cooked = limits.share_to_cook(SimpleNamespace(origin="synthetic"))
    assert cooked * limits.gtsrb_drawn == pytest.approx(limits.gtsrb_scale)
    assert 0 < cooked <= 1


def test_a_budget_is_frozen():
    quick = budgets.get("quick")
    with pytest.raises(dataclasses.FrozenInstanceError):
        quick.name = "other"
