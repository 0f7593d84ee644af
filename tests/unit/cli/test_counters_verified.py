"""What is on record of budgets, beside what a store has counted at about that time."""

import pytest

from smart_llmrouter.cli.counters_verified import differences
from smart_llmrouter.ledger.budget_report import BudgetLine


def line(used: int) -> BudgetLine:
    """Return a budget of which so much is used."""
    return BudgetLine(scope="caller:bob", limit="day.requests", cap=99, used=used)


@pytest.mark.parametrize(
    ("before", "recorded", "after", "wrong"),
    [
        (5, 5, 5, None),
        (5, 7, 9, None),
        (5, 9, 9, None),
        (5, 4, 9, "4 by the records, 5 by the counter store"),
        (5, 1_000, 9, "1,000 by the records, 9 by the counter store"),
        # The day ended meanwhile: nothing is known before it is looked at again.
        (5, 0, 0, "0 by the records, 5 by the counter store"),
    ],
)
def test_records_lie_between_two_looks_at_the_store(
    before: int, recorded: int, after: int, wrong: str | None
) -> None:
    """Calls go on meanwhile, and each is on record before the store is told of it."""
    found = list(differences([line(before)], [line(recorded)], [line(after)]))

    expected = [] if wrong is None else [("caller:bob day.requests", wrong)]
    assert [tuple(each) for each in found] == expected
