"""The strategy `weighted`: who is first by chance, and who follows."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.routing.weighted import Weighted, drawn
from tests.support.targets import needs, target

PLANS = 20_000
# By which chi-square exceeds them in one of a thousand fair draws.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47}


def labels_of(weights: dict[str, int], point: float) -> list[str]:
    """Return the labels in the order in which they are tried."""
    eligible = [target(name, weight) for name, weight in weights.items()]
    ordering = Weighted(lambda: point).order(eligible, needs())
    return [each.provider.name for each in ordering.targets]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "weights",
    [
        {"a": 1, "b": 1},
        {"a": 70, "b": 20, "c": 10},
        {"a": 1, "b": 2, "c": 0, "d": 4, "e": 8},
    ],
)
def test_the_first_target_is_drawn_by_weight(
    weights: dict[str, int], seed: int
) -> None:
    """Over 20,000 plans, chi-square finds no difference from the weights."""
    strategy = Weighted(random.Random(seed).random)
    eligible = [target(name, weight) for name, weight in weights.items()]

    firsts = Counter(
        strategy.order(eligible, needs()).targets[0].provider.name for _ in range(PLANS)
    )

    expected = {
        name: PLANS * weight / sum(weights.values())
        for name, weight in weights.items()
        if weight
    }
    distance = sum((firsts[name] - n) ** 2 / n for name, n in expected.items())
    assert firsts.keys() == expected.keys()
    assert distance < CRITICAL[len(expected) - 1]


def test_weights_are_shared_among_those_that_are_left() -> None:
    """Whoever is not eligible leaves no gap: the others keep their proportions."""
    strategy = Weighted(random.Random(4).random)
    left = [target("b", 20), target("c", 10)]

    firsts = Counter(
        strategy.order(left, needs()).targets[0].provider.name for _ in range(PLANS)
    )

    share = PLANS * 2 / 3
    assert (firsts["b"] - share) ** 2 / share < CRITICAL[1] / 3


@pytest.mark.parametrize(
    ("point", "order"),
    [
        (0.0, ["c", "a", "b", "d"]),
        (0.49, ["c", "a", "b", "d"]),
        (0.51, ["a", "c", "b", "d"]),
        (0.99, ["b", "c", "a", "d"]),
    ],
)
def test_the_others_follow_by_weight(point: float, order: list[str]) -> None:
    """Among equals the order of the configuration holds; weight 0 is last."""
    weights = {"a": 2, "d": 0, "b": 2, "c": 4}

    assert labels_of(weights, point) == order


def test_without_any_weight_the_order_of_the_configuration_holds() -> None:
    """Nothing is drawn where nobody weighs anything."""
    assert labels_of({"b": 0, "a": 0}, 0.9) == ["b", "a"]
    assert labels_of({}, 0.9) == []


def test_rounding_leads_to_nobody_without_a_share() -> None:
    """A point that no sum of shares reaches belongs to the last that has one."""
    assert drawn([0.5, 0.5, 0.0], 1.0) == 1
    assert drawn([0.0, 3.0], 0.0) == 1


@given(
    weights=st.lists(st.integers(0, 1_000_000), max_size=20),
    point=st.floats(0, 1, exclude_max=True),
)
def test_everybody_is_tried_once(weights: list[int], point: float) -> None:
    """No target is added or lost, and none without weight is before one with it."""
    eligible = [target(f"t{place}", weight) for place, weight in enumerate(weights)]

    ordered = Weighted(lambda: point).order(eligible, needs()).targets

    assert sorted(each.label for each in ordered) == sorted(
        each.label for each in eligible
    )
    having = [bool(each.weight) for each in ordered]
    assert having == sorted(having, reverse=True)
