"""Rolling up: sums that are those of the rows, or that say that they are stale."""

import pytest

from smart_llmrouter.ledger.periods import Period
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports.durations import middle_us
from smart_llmrouter.ledger.rollup_sql import bucket_of
from smart_llmrouter.ledger.rollups import next_due, roll_up
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.rollup_schema import LEVELS, Level
from smart_llmrouter.stores.writing import transaction
from tests.support.ledger import StateDirectory
from tests.support.rollups import (
    DAY,
    HOUR,
    MIDNIGHT,
    a_call,
    added,
    brute_sums,
    covered_sums,
    rolled_up,
)

BY = ("caller_id", "resolved_group", "target_model", "status", "error_code")


def two_days() -> list[UsageRecord]:
    """Return calls of two days, three in each fifth hour."""
    return [
        a_call(number, MIDNIGHT + number // 3 * 5 * HOUR + number % 3 * 17 * 60_000)
        for number in range(30)
    ]


def test_hours_days_and_months_add_up_what_the_rows_say(state: StateDirectory) -> None:
    """Whatever the longest period is that is read, the sums are the same."""
    calls = two_days()
    added(state.url, calls)

    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)

    expected = brute_sums(calls, BY)
    edges = (MIDNIGHT - 30 * DAY, MIDNIGHT + 30 * DAY)
    assert covered_sums(state.url, edges, BY, longest="hour") == expected
    assert covered_sums(state.url, edges, BY, longest="day") == expected
    assert covered_sums(state.url, edges, BY, longest="month") == expected


@pytest.mark.parametrize("longest", LEVELS)
def test_what_lies_between_edges_is_told_apart(
    state: StateDirectory, longest: Level
) -> None:
    """A local day of any zone is right to the row, though hours are rolled up."""
    calls = two_days()
    added(state.url, calls)
    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)

    for from_ms in range(MIDNIGHT - HOUR // 2, MIDNIGHT + DAY, 5 * HOUR + 1234):
        edges = (from_ms, from_ms + DAY)
        within = [call for call in calls if edges[0] <= call.ts_ms < edges[1]]
        assert covered_sums(state.url, edges, BY, longest=longest) == brute_sums(
            within, BY
        )


def test_late_calls_are_not_forgotten(state: StateDirectory) -> None:
    """Until a final hour is made again its rows are read, and then it is right."""
    calls = two_days()
    added(state.url, calls[1:])
    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)

    added(state.url, calls[:1])
    edges = (MIDNIGHT, MIDNIGHT + 2 * DAY)
    before = covered_sums(state.url, edges, BY)
    steps = rolled_up(state.url, now_ms=MIDNIGHT + 41 * DAY, slice_rows=1000)

    assert before == brute_sums(calls, BY)
    assert steps == 3
    assert covered_sums(state.url, edges, BY) == before


def test_a_row_that_comes_while_its_hour_is_made_begins_it_anew(
    state: StateDirectory,
) -> None:
    """What was added up in slices before is thrown away."""
    calls = [a_call(number, MIDNIGHT + number) for number in range(20)]
    added(state.url, calls[:10])
    now_ms = MIDNIGHT + 2 * HOUR
    with connect_for_reading(state.url) as reading:
        due = next_due(reading, now_ms=now_ms)
    assert due is not None
    with transaction(state.url) as writing:
        done = roll_up(writing, due, now_ms=now_ms, router_version="1", slice_rows=4)

    added(state.url, calls[10:])
    rolled_up(state.url, now_ms=now_ms, slice_rows=3)

    assert not done
    edges = (MIDNIGHT, MIDNIGHT + HOUR)
    assert covered_sums(state.url, edges, BY, longest="hour") == brute_sums(calls, BY)


def test_an_hour_that_is_not_over_becomes_a_draft_on_demand(
    state: StateDirectory,
) -> None:
    """And final when it is, without being made again."""
    added(state.url, [a_call(1, MIDNIGHT + 5)])
    now_ms = MIDNIGHT + HOUR // 2

    unasked = rolled_up(state.url, now_ms=now_ms)
    rolled_up(state.url, now_ms=now_ms, drafts_until_ms=now_ms)
    drafts = statuses(state)
    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)

    assert unasked == 0
    assert drafts == [("day", "draft"), ("hour", "draft"), ("month", "draft")]
    assert statuses(state) == [("day", "final"), ("hour", "final"), ("month", "final")]


def test_a_clock_that_is_set_back_loses_no_hour(state: StateDirectory) -> None:
    """Hours that were rolled up in what is the future now are right afterwards."""
    first = [a_call(number, MIDNIGHT + number * HOUR) for number in range(5)]
    added(state.url, first)
    rolled_up(state.url, now_ms=MIDNIGHT + 10 * HOUR)

    second = [a_call(number, MIDNIGHT + (number - 5) * HOUR + 1) for number in (5, 6)]
    added(state.url, second)
    edges = (MIDNIGHT, MIDNIGHT + DAY)
    while_back = covered_sums(state.url, edges, BY)
    rolled_up(state.url, now_ms=MIDNIGHT + HOUR)
    rolled_up(state.url, now_ms=MIDNIGHT + 10 * HOUR)

    assert while_back == covered_sums(state.url, edges, BY)
    assert while_back == brute_sums(first + second, BY)


def test_what_is_skipped_keeps_nothing_else_waiting(state: StateDirectory) -> None:
    """However many periods that is."""
    hours = 30
    added(state.url, [a_call(hour, MIDNIGHT + hour * HOUR) for hour in range(hours)])
    skipped = {Period("hour", MIDNIGHT + hour * HOUR) for hour in range(hours - 1)}
    found = []

    for skip in (set(), skipped):
        with connect_for_reading(state.url) as reading:
            found.append(next_due(reading, now_ms=MIDNIGHT + 9 * DAY, skip=skip))

    assert [due and due.period.start_ms for due in found] == [
        MIDNIGHT,
        MIDNIGHT + (hours - 1) * HOUR,
    ]


def statuses(state: StateDirectory) -> list[tuple[str, str]]:
    """Return which periods there are, and what they are."""
    with connect_for_reading(state.url) as reading:
        query = "SELECT period, status FROM usage_rollup_periods ORDER BY 1"
        return [tuple(row) for row in reading.execute(query)]


def test_a_duration_is_within_a_twentieth_of_the_middle_of_its_bucket(
    state: StateDirectory,
) -> None:
    """So is every percentile that is read from buckets."""
    durations = [0, 7, 99, 100, 104, 109, 110, 999, 1000, 98_765, 123_456_789, 10**15]

    with connect_for_reading(state.url) as reading:
        found = [
            reading.execute(
                f"SELECT {bucket_of('x')} FROM (SELECT {each} AS x) AS one"  # noqa: S608 - of our own words; values are bound
            ).fetchone()[0]
            for each in durations
        ]

    assert found == [
        *(0, 7, 99, 100, 100, 100, 110, 990, 1000, 98_000, 120_000_000, 10**15)
    ]
    for duration, bucket in zip(durations, found, strict=True):
        assert abs(middle_us(bucket) - duration) <= duration / 20
