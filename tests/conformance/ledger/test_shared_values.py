"""What many rows share when those rows have gone: see the page on retention."""

import re
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.config.policies import Retention
from tests.support.databases import KINDS, change, state_with
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import StateDirectory
from tests.support.rollups import DAY, MIDNIGHT, a_call, added, retained, rolled_up

PAGE: Final = Path(__file__).parents[3] / "docs" / "retention.md"
FIRST, LATER, LAST = range(40), range(40, 80), range(80, 120)
SHARED: Final = (
    "decision_kinds",
    "decision_kind_tools",
    "decision_kind_candidates",
    "decision_kind_reasons",
)


@pytest.fixture(params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_with(request.param, tmp_path)


def ingest(state: StateDirectory, numbers: range) -> None:
    """Ingest calls with their decisions, as a router does that starts and ends."""
    writer = state.writer()
    for number in numbers:
        writer.append(various_line(number))
    writer.close()
    ingester = state.ingester()
    while ingester.advance().more:
        pass


def remove_unused_kinds(state: StateDirectory) -> None:
    """Do what the page says."""
    [script] = re.findall(
        r"```sql\n(BEGIN;.*?COMMIT;)\n```", PAGE.read_text(), re.DOTALL
    )
    begin, *statements, commit, _ = (part.strip() for part in script.split(";"))
    assert (begin, commit) == ("BEGIN", "COMMIT")
    change(state.url, *statements)


def test_labels_are_needed_for_ever(state: StateDirectory) -> None:
    """When rows, hours and days have gone, months refer to every one of them."""
    now_ms = MIDNIGHT + 40 * DAY
    added(state.url, [a_call(number, MIDNIGHT + number) for number in range(40)])
    rolled_up(state.url, now_ms=now_ms, slice_rows=1000)

    retained(
        state.url,
        Retention(usage_detail_days=1, rollup_hourly_days=2, rollup_daily_days=3),
        now_ms=now_ms,
    )

    for table in ("request_measures", "usage_rollup_hourly", "usage_rollup_daily"):
        assert state.count(table) == 0
    labels = state.select("id", "request_labels")
    needed = state.select("DISTINCT labels_id", "usage_rollup_monthly")
    assert sorted(labels) == sorted(needed)
    assert len(labels) > 1


def test_kinds_that_nobody_needs_go_as_the_page_says(state: StateDirectory) -> None:
    """All others stay, and those that come again are there again."""
    ingest(state, FIRST)
    all_of_them = [state.count(table) for table in SHARED]
    ingest(state, LATER)
    change(
        state.url,
        "DELETE FROM request_decisions WHERE ts_ms <> "
        "(SELECT max(ts_ms) FROM request_decisions)",
    )

    remove_unused_kinds(state)
    left = [state.count(table) for table in SHARED]
    ingest(state, LAST)

    assert left[0] == 1 < all_of_them[0]
    assert [state.count(table) for table in SHARED] == all_of_them
    assert kept_decisions(state, LAST) == [various_decision(each) for each in LAST]


def test_nothing_goes_that_is_needed(state: StateDirectory) -> None:
    """Every decision is as it was."""
    ingest(state, FIRST)
    before = [state.count(table) for table in SHARED]

    remove_unused_kinds(state)

    assert [state.count(table) for table in SHARED] == before
    assert kept_decisions(state, FIRST) == [various_decision(each) for each in FIRST]
