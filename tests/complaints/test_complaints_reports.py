"""How reports of other gateways lose their users' trust, and why these do not."""

import tracemalloc
from pathlib import Path

import pytest

from smart_llmrouter.ledger.exporting import exported_rows
from smart_llmrouter.ledger.interval import Interval, zone_of
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.render_markdown import render_page
from smart_llmrouter.ledger.reports.page import page_of
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.stores.database import open_for_reading
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.reports import ingested, report_on, table

NEW_YORK = zone_of("America/New_York")
MIDNIGHT_MS = 1_793_505_600_000
"""The first moment of 2026-11-01 in New York, which has 25 hours."""
HOUR_MS = 3_600_000


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def calls_at(*moments_ms: int) -> list[UsageRecord]:
    """Return a call of a dollar at each of the moments."""
    return [
        a_record(number, ts_ms=ms, total_cost_nusd=10**9)
        for number, ms in enumerate(moments_ms)
    ]


def test_a_report_of_one_day_counts_its_neighbours_too(state: StateDirectory) -> None:
    """The window of a day is that day of its zone to the millisecond, never wider."""
    day = Interval(MIDNIGHT_MS, MIDNIGHT_MS + 25 * HOUR_MS)
    ingested(
        state,
        calls_at(day.from_ms - 1, day.from_ms, day.to_ms - 1, day.to_ms),
    )

    chosen = report_on(state, "caller", where=["day=2026-11-01"], zone=NEW_YORK)
    bounded = report_on(state, interval=day, zone=NEW_YORK)

    for report in (chosen, bounded):
        assert report.totals.measures.calls == 2
        assert report.totals.measures.cost_nusd.total == 2 * 10**9


def test_the_evening_is_missing_in_the_time_zone_of_the_office(
    state: StateDirectory,
) -> None:
    """Calls of the evening count on the local day, and the hour that comes twice."""
    evening = MIDNIGHT_MS + 24 * HOUR_MS
    repeated = MIDNIGHT_MS + HOUR_MS
    ingested(state, calls_at(evening, repeated, repeated + HOUR_MS))

    [days] = report_on(state, "day", zone=NEW_YORK).sections
    [hours] = report_on(state, "hour", zone=NEW_YORK).sections

    assert [(line.key, line.measures.calls) for line in days.lines] == [
        (("2026-11-01",), 3)
    ]
    assert [line.key[0] for line in hours.lines] == [
        "2026-11-01T01:00-04:00",
        "2026-11-01T01:00-05:00",
        "2026-11-01T23:00-05:00",
    ]


def test_the_last_row_wins_instead_of_a_sum(state: StateDirectory) -> None:
    """Any number of calls of the same caller, model and moment are added up."""
    ingested(
        state,
        [
            a_record(n, ts_ms=MIDNIGHT_MS, input_tokens=n, total_cost_nusd=n)
            for n in range(50)
        ],
    )

    [section] = report_on(state, "caller", "model", "hour").sections

    [line] = section.lines
    assert line.measures.input_tokens.total == sum(range(50))
    assert line.measures.cost_nusd.total == sum(range(50))


def test_only_the_first_hundred_aggregates_are_there(state: StateDirectory) -> None:
    """A table has a line for each of many callers, and they add up."""
    ingested(state, [a_record(n, caller_id=f"c{n}", attempts=1) for n in range(750)])

    section = table(report_on(state), "by-caller")

    assert len(section.lines) == 750
    assert sum(line.measures.calls for line in section.lines) == 750


@pytest.mark.parametrize("where", [[], ["caller=nobody"]])
def test_the_page_is_empty_and_nobody_says_why(
    state: StateDirectory, where: list[str]
) -> None:
    """It tells whether nothing is on record, or what leaves out what is."""
    if where:
        ingested(state, calls_at(MIDNIGHT_MS))

    text = render_page(page_of(report_on(state, where=where)))

    assert "**Why:**" in text
    reason = "--where" if where else "no call is on record at all"
    assert reason in text


def test_reading_rows_takes_as_much_memory_as_there_are_rows(
    state: StateDirectory,
) -> None:
    """An export holds a few rows, however many it writes."""
    ingested(state, [a_record(number) for number in range(12_000)])
    question = Question(interval=Interval(0, 1 << 60))

    with open_for_reading(state.url).connect() as connection:
        rows = exported_rows(connection, question)
        next(rows)
        tracemalloc.start()
        try:
            count = sum(1 for _ in rows)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert count == 11_999
    assert peak < 12_000_000
