"""Retention: what is older than the configuration says is removed, class by class.

A job goes in steps, each a short transaction that also writes down what it did, so that
records come in meanwhile and a crash leaves nothing half done: the next job finds what
is left. Nothing goes before the roll-up that needs it is final, and nothing that a
legal hold covers.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Literal, NamedTuple, get_args

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.periods import DAY_MS, Period, Span, period_at
from smart_llmrouter.ledger.removing import (
    ACCESS_EVENTS,
    BEFORE_ALL,
    DIAGNOSTICS,
    Key,
    Removed,
    next_batch,
    remove_diagnostics,
    remove_events,
    remove_rows,
    remove_sums,
)
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import HOUR_MS, TABLE_OF, Level
from smart_llmrouter.stores.writing import Writing

DataClass = Literal[
    "usage_detail",
    "usage_diagnostics",
    "security_access_events",
    "usage_rollup_hourly",
    "usage_rollup_daily",
]
DATA_CLASSES: Final[tuple[DataClass, ...]] = get_args(DataClass)
"""In the order in which a job goes through them."""

Transact = Callable[[], AbstractContextManager[Writing]]
"""Begins a transaction."""

_BEGIN: Final = """
INSERT INTO retention_jobs
    (started_ms, status, dry_run, automatic, actor, router_version)
VALUES (?, 'running', {dry_run}, {automatic}, ?, ?) RETURNING id
"""
_CUT_OFF: Final = (
    "UPDATE retention_jobs SET status = 'interrupted' WHERE status = 'running'"
)
_END: Final = "UPDATE retention_jobs SET status = 'done', ended_ms = ? WHERE id = ?"
_REFUSED: Final = (
    "UPDATE retention_jobs SET status = 'failed', ended_ms = ? WHERE id = ?"
)
_BEGIN_CLASS: Final = (
    "INSERT INTO retention_job_results VALUES (?, ?, ?, ?, 0, 0, 0, 0)"
)
_ADD_RESULT: Final = """
UPDATE retention_job_results SET looked_at = looked_at + ?, removed = removed + ?,
    held = held + ?, blocked = blocked + ?
WHERE job_id = ? AND data_class = ?
"""
_OLDEST: Final = (
    "SELECT min(ts_ms) FROM request_measures WHERE ts_ms >= ? AND ts_ms < ?"
)
_PARTS: Final = """
SELECT start_ms FROM usage_rollup_periods
WHERE period = ? AND start_ms < ? AND status = 'final'
    AND EXISTS (SELECT 1 FROM {table} WHERE part = 1
        AND {table}.start_ms >= usage_rollup_periods.start_ms
        AND {table}.start_ms < usage_rollup_periods.start_ms + {length})
ORDER BY start_ms
"""
_LENGTH_MS: Final[dict[Level, int]] = {"hour": HOUR_MS, "day": DAY_MS}
_LAST: Final = """
SELECT max(started_ms) FROM retention_jobs
WHERE automatic AND started_ms <= ? AND started_ms >= ?
"""


class JobOrder(NamedTuple):
    """Which job it is: when it begins, who runs it, and by which version."""

    now_ms: int
    actor: str
    router_version: str
    automatic: bool = False


class ClassOrder(NamedTuple):
    """A class of data of which something is to go: how long it is kept, until when."""

    name: DataClass
    kept_days: int
    before_ms: int


def class_orders(policy: Retention, *, now_ms: int) -> list[ClassOrder]:
    """Return what is to go at a moment: whole days of UTC, or months of daily sums."""
    kept: tuple[tuple[DataClass, int | None], ...] = (
        ("usage_detail", policy.usage_detail_days),
        ("usage_diagnostics", policy.usage_diagnostics_days),
        ("security_access_events", policy.security_access_days),
        ("usage_rollup_hourly", policy.rollup_hourly_days),
        ("usage_rollup_daily", policy.rollup_daily_days),
    )
    found = []
    for name, days in kept:
        if days is not None:
            before_ms = period_at("day", now_ms).start_ms - days * DAY_MS
            found.append(ClassOrder(name, days, before_ms))
    return found


def is_due(reading: Queries, policy: Retention, *, now_ms: int) -> bool:
    """Say whether the daily job of a moment has not been run yet.

    A job that seems to come from the future, because the clock was set back, counts for
    nothing.
    """
    if not class_orders(policy, now_ms=now_ms):
        return False
    day_ms = period_at("day", now_ms).start_ms
    due_ms = day_ms + policy.at_minute * 60_000
    if due_ms > now_ms:
        due_ms -= DAY_MS
    (last_ms,) = reading.execute(_LAST, (now_ms, due_ms)).fetchone()
    return last_ms is None


def run_retention(
    transact: Transact,
    policy: Retention,
    order: JobOrder,
    *,
    now: Callable[[], int],
    tidy: Callable[[int], object] = lambda _before_ms: None,
) -> Iterator[Removed]:
    """Remove what is too old, a step at a time; yield what each step did.

    When rows of before a moment have gone, `tidy` is told of it.

    Each step raises `DatabaseAway` where the database cannot be used; the next job
    then goes on. `now` says when the job ends, in milliseconds.
    """
    with transact() as writing:
        writing.execute(_CUT_OFF)
        job_id = begin_job(writing, order, dry_run=False)
        orders = class_orders(policy, now_ms=order.now_ms)
        for each in orders:
            writing.execute(
                _BEGIN_CLASS, (job_id, each.name, each.kept_days, each.before_ms)
            )
    for each in orders:
        yield from _steps(transact, job_id, each, policy.batch_rows)
        if each.name == "usage_detail":
            tidy(each.before_ms)
    with transact() as writing:
        end_job(writing, job_id, now_ms=now())


def begin_job(writing: Writing, order: JobOrder, *, dry_run: bool) -> int:
    """Write a job down; return its number."""
    begin = _BEGIN.format(dry_run=dry_run, automatic=order.automatic)
    values = (order.now_ms, order.actor, order.router_version)
    (job_id,) = writing.execute(begin, values).fetchone()
    return int(job_id)


def end_job(writing: Writing, job_id: int, *, now_ms: int) -> None:
    """Write down that a job has come to its end."""
    writing.execute(_END, (now_ms, job_id))


def note_refused(writing: Writing, order: JobOrder) -> None:
    """Write down that a job has come and did nothing, as the clock is not believed."""
    job_id = begin_job(writing, order, dry_run=False)
    writing.execute(_REFUSED, (order.now_ms, job_id))


def _steps(
    transact: Transact, job_id: int, order: ClassOrder, rows: int
) -> Iterator[Removed]:
    if order.name == "usage_detail":
        yield from _rows(transact, job_id, order, rows)
    elif order.name == "usage_diagnostics":
        for table in DIAGNOSTICS:
            yield from _beside(transact, job_id, order, table, rows=rows)
    elif order.name == "security_access_events":
        yield from _beside(transact, job_id, order, ACCESS_EVENTS, rows=rows)
    elif order.name == "usage_rollup_hourly":
        yield from _sums(transact, job_id, order, "hour")
    else:
        yield from _sums(transact, job_id, order, "day")


def _note(writing: Writing, job_id: int, order: ClassOrder, did: Removed) -> None:
    writing.execute(_ADD_RESULT, (*did, job_id, order.name))


def _rows(
    transact: Transact, job_id: int, order: ClassOrder, rows: int
) -> Iterator[Removed]:
    """Go through the hours of rows, from the oldest on, each a batch at a time."""
    at_ms = 0
    after: Key = BEFORE_ALL
    while True:
        with transact() as writing:
            row = writing.execute(_OLDEST, (at_ms, order.before_ms)).fetchone()
            if row[0] is None:
                return
            hour = period_at("hour", int(row[0]))
            if hour.start_ms > at_ms:
                after = BEFORE_ALL
            batch = next_batch(
                writing, "request_measures", hour.span, after=after, rows=rows
            )
            did = Removed() if batch is None else remove_rows(writing, hour, batch)
            _note(writing, job_id, order, did)
        if batch is None:
            at_ms, after = hour.end_ms, BEFORE_ALL
        else:
            at_ms, after = hour.start_ms, batch.upto
            yield did


def _beside(
    transact: Transact, job_id: int, order: ClassOrder, table: str, *, rows: int
) -> Iterator[Removed]:
    span = Span(0, order.before_ms)
    after: Key = BEFORE_ALL
    while True:
        with transact() as writing:
            batch = next_batch(writing, table, span, after=after, rows=rows)
            if batch is None:
                return
            if table == ACCESS_EVENTS:
                did = remove_events(writing, batch)
            else:
                did = remove_diagnostics(writing, table, batch)
            _note(writing, job_id, order, did)
        after = batch.upto
        yield did


def _sums(
    transact: Transact, job_id: int, order: ClassOrder, level: Level
) -> Iterator[Removed]:
    """Go through hours or days of which something is gone, one at a time."""
    with transact() as writing:
        parts = _removable(writing, order, level)
    for part in parts:
        with transact() as writing:
            did = remove_sums(writing, part)
            _note(writing, job_id, order, did)
        yield did


def _removable(reading: Queries, order: ClassOrder, level: Level) -> list[Period]:
    query = _PARTS.format(table=TABLE_OF[level], length=_LENGTH_MS[level])
    rows = reading.execute(query, (level, order.before_ms)).fetchall()
    return [Period(level, int(row[0])) for row in rows]
