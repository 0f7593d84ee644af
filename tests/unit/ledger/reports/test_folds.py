"""Figures by fewer dimensions than they were found by."""

import random
from collections.abc import Sequence

import pytest

from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS, Dimension
from smart_llmrouter.ledger.reports.figures import Figures
from smart_llmrouter.ledger.reports.folds import Folds, RawKey
from smart_llmrouter.ledger.reports.usual import STEPS, TABLES, usual_dimensions

FOUND_BY = ("caller", "provider", "model", "status")


def dimensions(*names: str) -> Sequence[Dimension]:
    """Return dimensions by their names."""
    return [DIMENSIONS[name] for name in names]


def found(seed: int) -> dict[RawKey, Figures]:
    """Return figures by the finest key."""
    chance = random.Random(seed)
    keys = {tuple(chance.choice(["a", "b", None]) for _ in FOUND_BY) for _ in range(40)}
    return {
        key: Figures([chance.randrange(9) for _ in range(3)], [chance.randrange(9)])
        for key in sorted(keys, key=str)
    }


@pytest.mark.parametrize("seed", range(5))
def test_figures_by_any_dimensions_add_up_in_any_order(seed: int) -> None:
    """Whatever was asked for before, and without changing what was found."""
    given = found(seed)
    before = {key: (list(each.sums), list(each.peaks)) for key, each in given.items()}
    folds = Folds(dimensions(*FOUND_BY), given.items())
    asked = [("provider",), (), ("model", "caller"), ("caller", "model"), FOUND_BY]
    random.Random(seed).shuffle(asked)

    for names in (*asked, *asked):
        parts: dict[RawKey, list[Figures]] = {}
        for key, each in found(seed).items():
            at = tuple(key[FOUND_BY.index(name)] for name in names)
            parts.setdefault(at, []).append(each)
        told = folds.by(dimensions(*names))
        assert {key: (each.sums, each.peaks) for key, each in told.items()} == {
            key: (
                [sum(column) for column in zip(*(e.sums for e in each), strict=True)],
                [max(column) for column in zip(*(e.peaks for e in each), strict=True)],
            )
            for key, each in parts.items()
        }

    assert before == {key: (each.sums, each.peaks) for key, each in given.items()}


def test_each_usual_table_is_made_of_one_of_the_steps() -> None:
    """Else all calls would be added up for it alone."""
    every = {each.name for each in usual_dimensions()}
    alone = [
        table.name
        for table in TABLES
        if not any(set(table.by) <= set(step) for step in STEPS)
    ]

    assert alone == []
    assert set().union(*STEPS) <= every
