"""What the ingester does when no records wait."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.ledger.upkeep import LOOK_EVERY_S, Upkeep
from smart_llmrouter.stores.reading import connect_for_reading
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.rollups import (
    DAY,
    HOUR,
    MIDNIGHT,
    a_call,
    added,
    count_of,
    row_ids,
)
from tests.support.wait import PATIENCE_S, eventually_sync

NOW = MIDNIGHT + 10 * DAY


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with a few calls."""
    state = state_in(tmp_path)
    added(state.url, [a_call(number, MIDNIGHT + number * HOUR) for number in range(3)])
    return state


class Clock:
    """Seconds that the test counts."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now_s


def upkeep_of(
    state: StateDirectory,
    clock: Callable[[], float],
    *,
    retention: Retention = Retention(),  # noqa: B008 - it is frozen
    told: list[str] | None = None,
) -> Upkeep:
    """Return the upkeep of a database, ten days after its calls."""

    def log(event: str, /, **fields: str | int) -> None:
        if told is not None:
            told.append(f"{event}: {', '.join(map(str, fields.values()))}")

    return Upkeep(
        state.url,
        retention=retention,
        router_version="1",
        now_ms=lambda: NOW,
        monotonic=clock,
        log=log,
    )


def steps_of(upkeep: Upkeep) -> int:
    """Return how many steps there were to do."""
    steps = 0
    while upkeep.step():
        steps += 1
    return steps


def test_all_is_rolled_up_and_then_looked_at_now_and_then(
    state: StateDirectory,
) -> None:
    """Each step is one transaction; between looks nothing is asked."""
    clock = Clock()
    upkeep = upkeep_of(state, clock)

    first = steps_of(upkeep)
    added(state.url, [a_call(9, MIDNIGHT)])
    at_once = steps_of(upkeep)
    clock.now_s += LOOK_EVERY_S
    later = steps_of(upkeep)

    # Three hours and their day; then one of them again, and the day.
    assert (first, at_once, later) == (4, 0, 2)
    assert count_of(state.url, "usage_rollup_hourly") == 3 + 1


def test_what_is_too_old_goes_once_a_day(state: StateDirectory) -> None:
    """After all that is due has been rolled up."""
    clock = Clock()
    upkeep = upkeep_of(state, clock, retention=Retention(usage_detail_days=7))

    steps_of(upkeep)
    clock.now_s += LOOK_EVERY_S
    again = steps_of(upkeep)

    assert row_ids(state.url) == []
    assert again == 0
    with connect_for_reading(state.url) as reading:
        query = "SELECT status, automatic, actor FROM retention_jobs"
        jobs = [tuple(row) for row in reading.execute(query)]
    assert jobs == [("done", 1, "ingester")]


def test_one_hour_that_cannot_be_rolled_up_keeps_no_other_from_it(
    state: StateDirectory,
) -> None:
    """Its sum does not fit into 64 bits: that is told, and the others are made."""
    huge = [
        a_record(number, ts_ms=MIDNIGHT + HOUR, input_tokens=1 << 62)
        for number in (100, 101, 102)
    ]
    added(state.url, huge)
    clock, told = Clock(), list[str]()
    upkeep = upkeep_of(state, clock, told=told)

    for _ in range(5):
        steps_of(upkeep)
        clock.now_s += LOOK_EVERY_S

    with connect_for_reading(state.url) as reading:
        query = (
            "SELECT start_ms, status FROM usage_rollup_periods WHERE period = 'hour' "
            "ORDER BY 1"
        )
        assert [tuple(row) for row in reading.execute(query)] == [
            (MIDNIGHT, "final"),
            (MIDNIGHT + HOUR, "open"),
            (MIDNIGHT + 2 * HOUR, "final"),
        ]
    period = "hour 2026-09-21T01:00Z"
    assert set(told) == {f"upkeep_failed: roll-up, {period}, integer overflow"}


def test_a_database_that_is_locked_is_waited_for(state: StateDirectory) -> None:
    """Nothing is lost by it but time."""
    clock, told = Clock(), list[str]()
    upkeep = upkeep_of(state, clock, told=told)

    with closing(sqlite3.connect(state.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        while_locked = upkeep.step()
        other.rollback()
    for _ in range(3):
        clock.now_s += LOOK_EVERY_S
        steps_of(upkeep)

    assert while_locked is False
    assert told == [
        "upkeep_failed: roll-up, hour 2026-09-21T00:00Z, database is locked"
    ]
    assert count_of(state.url, "usage_rollup_daily") > 0


def test_what_fails_while_it_removes_or_looks_is_told(state: StateDirectory) -> None:
    """It is no roll-up then, and of no period."""
    clock, told = Clock(), list[str]()
    retention = Retention(usage_detail_days=7, batch_rows=1)
    upkeep = upkeep_of(state, clock, retention=retention, told=told)

    while count_of(state.url, "retention_jobs") == 0:
        assert upkeep.step()
    state.database.rename(state.path / "elsewhere")
    for _ in range(2):
        upkeep.step()
        clock.now_s += LOOK_EVERY_S

    assert [line.partition(",")[0] for line in told] == [
        "upkeep_failed: retention",
        "upkeep_failed: look",
    ]


def test_the_ingester_removes_while_it_ingests(tmp_path: Path) -> None:
    """Its process does all of it, with no call lost and none counted twice."""
    state = state_in(tmp_path)
    now_ms = int(time.time() * 1000)
    old = [a_record(n, ts_ms=now_ms - 9 * DAY + n) for n in range(300)]
    added(state.url, old)
    writer = state.writer()
    policy = Retention(usage_detail_days=7, batch_rows=100)

    process = state.ingester_process(retention=policy)
    for number in range(1000, 1300):
        writer.append(encode_record(a_record(number, ts_ms=now_ms)))
    writer.close()
    fresh = [a_record(number).request_id for number in range(1000, 1300)]
    try:
        eventually_sync(lambda: row_ids(state.url) == fresh)
    finally:
        process.communicate(timeout=PATIENCE_S)

    with connect_for_reading(state.url) as reading:
        query = "SELECT sum(calls) FROM usage_rollup_hourly WHERE part = 1"
        assert reading.execute(query).fetchone() == (300,)
