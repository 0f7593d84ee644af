"""Removing rows, and shorter roll-ups, so that no sum loses anything.

What is removed is added, in the same transaction, to what the level above knows to be
gone (`part` 1), and taken out of what that was made of (`part` 0). So the roll-up of a
period stays the same to the nano-dollar; and rows together with all that is gone are
all calls that there ever were, at any moment.

What is gone is kept apart where a budget was reset: who adds up from a reset on finds
it, though rows are gone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from smart_llmrouter.ledger.holds import HELD_EVENTS, HELD_ROWS, held_sums
from smart_llmrouter.ledger.periods import Period, Span
from smart_llmrouter.ledger.rollup_sql import (
    add_rows,
    add_sums,
    add_timed_rows,
    add_timings,
)
from smart_llmrouter.ledger.rollups import lock
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import GONE, TABLE_OF, THERE, TIMED
from smart_llmrouter.stores.writing import Writing

DIAGNOSTICS: Final = (
    "request_attempts",
    "request_policy_executions",
    "request_dynamic_score_terms",
    "request_target_scores",
    "request_decisions",
)
"""The tables with rows of single calls that say how they were decided."""

ACCESS_EVENTS: Final = "security_access_events"
Key = tuple[int, str]
"""When a call began or an event was, and its id."""

BEFORE_ALL: Final[Key] = (-(1 << 63), "")

_CUTS: Final = """
SELECT DISTINCT at_ms FROM budget_events
WHERE kind = 'reset' AND at_ms > ? AND at_ms < ? ORDER BY at_ms
"""
_IS_FINAL: Final = """
SELECT 1 FROM usage_rollup_periods WHERE period = ? AND start_ms = ?
    AND status = 'final' AND changes = rolled_up_changes
"""
_TOUCHED: Final = """
UPDATE usage_rollup_periods SET changes = changes + 1,
    rolled_up_changes = rolled_up_changes + 1, {flag} = TRUE
WHERE period = ? AND start_ms = ?
"""
_IN_BATCH: Final = (
    "ts_ms >= ? AND ts_ms < ? AND (ts_ms, {id}) > (?, ?) AND (ts_ms, {id}) <= (?, ?)"
)
_BATCH: Final = _IN_BATCH.format(id="request_id")
_BATCH_OF_EVENTS: Final = _IN_BATCH.format(id="event_id")


class Removed(NamedTuple):
    """What one step did: how many rows it looked at, and what became of them."""

    looked_at: int = 0
    removed: int = 0
    held: int = 0
    blocked: int = 0

    def plus(self, other: "Removed") -> "Removed":
        """Return both together."""
        return Removed(*map(sum, zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls or events of one table, from one key on (without it) up to another."""

    span: Span
    after: Key
    upto: Key

    @property
    def values(self) -> tuple[object, ...]:
        """Return the parameters of the condition for it."""
        return (self.span.from_ms, self.span.to_ms, *self.after, *self.upto)


def is_final(reading: Queries, period: Period) -> bool:
    """Say whether a period is rolled up for good, and not stale."""
    found = reading.execute(_IS_FINAL, (period.level, period.start_ms))
    return found.fetchone() is not None


def next_batch(
    reading: Queries, table: str, span: Span, *, after: Key, rows: int
) -> Batch | None:
    """Return the next so many rows of a span, or `None` where there are no more."""
    # With one lower bound, what was looked at before is not looked at again.
    span = Span(max(span.from_ms, after[0]), span.to_ms)
    name = "event_id" if table == ACCESS_EVENTS else "request_id"
    query = (
        f"SELECT ts_ms, {name} FROM {table} WHERE ts_ms >= ? AND ts_ms < ? "  # noqa: S608 - of our own words; values are bound
        f"AND (ts_ms, {name}) > (?, ?) ORDER BY ts_ms %s, {name} %s LIMIT 1"
    )
    values = (span.from_ms, span.to_ms, *after)
    full = reading.execute(
        query % ("ASC", "ASC") + " OFFSET ?", (*values, rows - 1)
    ).fetchone()
    last = full or reading.execute(query % ("DESC", "DESC"), values).fetchone()
    return None if last is None else Batch(span, after, (int(last[0]), str(last[1])))


def remove_rows(writing: Writing, hour: Period, batch: Batch) -> Removed:
    """Remove rows of an hour whose roll-up is final, but for those that are held.

    With them goes how their calls were decided. Nothing is removed where the roll-up is
    not final.
    """
    lock(writing, hour)
    looked_at = _count(writing, f"request_measures WHERE {_BATCH}", batch.values)
    free = f"{_BATCH} AND NOT {HELD_ROWS}"
    able = _count(writing, f"request_measures WHERE {free}", batch.values)
    held = looked_at - able
    if not is_final(writing, hour):
        return Removed(looked_at, 0, held, blocked=able)
    if able == 0:
        return Removed(looked_at, 0, held)
    for piece in _pieces(writing, hour):
        _move_rows(writing, hour, batch, piece, free=free)
    _drop_zeros(writing, hour)
    for table in DIAGNOSTICS:
        _remove_with_rows(writing, table, batch, free=free)
    writing.execute(f"DELETE FROM request_measures WHERE {free}", batch.values)  # noqa: S608 - of our own words; values are bound
    touch(writing, hour, flag="source_gone")
    return Removed(looked_at, able, held)


def _move_rows(
    writing: Writing, hour: Period, batch: Batch, piece: Span, *, free: str
) -> None:
    where = f"{free} AND ts_ms >= ? AND ts_ms < ?"
    values = (*batch.values, piece.from_ms, piece.to_ms)
    for start_ms, part, back in (
        (piece.from_ms, GONE, False),
        (hour.start_ms, THERE, True),
    ):
        for statement in (
            add_rows(where, back=back),
            *(add_timed_rows(*timed, where, back=back) for timed in TIMED.items()),
        ):
            writing.execute(statement, (start_ms, part, *values))


def _remove_with_rows(writing: Writing, table: str, batch: Batch, *, free: str) -> None:
    writing.execute(
        f"DELETE FROM {table} WHERE {_BATCH} AND (ts_ms, request_id) IN "  # noqa: S608 - of our own words; values are bound
        f"(SELECT ts_ms, request_id FROM request_measures WHERE {free})",
        (*batch.values, *batch.values),
    )


def remove_diagnostics(writing: Writing, table: str, batch: Batch) -> Removed:
    """Remove how calls were decided, but for those that are held."""
    looked_at = _count(writing, f"{table} WHERE {_BATCH}", batch.values)
    held = (
        f"EXISTS (SELECT 1 FROM request_measures WHERE "  # noqa: S608 - of our own words; values are bound
        f"request_measures.ts_ms = {table}.ts_ms AND "
        f"request_measures.request_id = {table}.request_id AND {HELD_ROWS})"
    )
    done = writing.execute(
        f"DELETE FROM {table} WHERE {_BATCH} AND NOT {held}",  # noqa: S608 - of our own words; values are bound
        batch.values,
    )
    return Removed(looked_at, done.rowcount, looked_at - done.rowcount)


def remove_events(writing: Writing, batch: Batch) -> Removed:
    """Remove who was refused, but for those that are held."""
    table = f"{ACCESS_EVENTS} WHERE {_BATCH_OF_EVENTS}"
    looked_at = _count(writing, table, batch.values)
    done = writing.execute(
        f"DELETE FROM {table} AND NOT {HELD_EVENTS}",  # noqa: S608 - of our own words; values are bound
        batch.values,
    )
    return Removed(looked_at, done.rowcount, looked_at - done.rowcount)


def remove_sums(writing: Writing, part: Period) -> Removed:
    """Remove what is gone of an hour from the hours, or of a day from the days.

    The next longer period, which must be final, then knows it; of what has rows still,
    or shorter sums, and of what is held, nothing is removed.
    """
    whole = part.above
    if whole is None:
        raise ValueError("months are never removed")
    lock(writing, part)
    lock(writing, whole)
    table, span = TABLE_OF[part.level], (part.start_ms, part.end_ms)
    where = "part = 1 AND start_ms >= ? AND start_ms < ?"
    free = f"{where} AND NOT {held_sums(part.level, table)}"
    looked_at = _count(writing, f"{table} WHERE {where}", span)
    able = _count(writing, f"{table} WHERE {free}", span)
    if not is_final(writing, whole):
        return Removed(looked_at, 0, looked_at - able, blocked=able)
    if able == 0:
        return Removed(looked_at, 0, looked_at - able)
    timed_free = f"{where} AND NOT {held_sums(part.level, 'usage_rollup_timings')}"
    for piece in _pieces(writing, whole):
        both = (max(piece.from_ms, part.start_ms), min(piece.to_ms, part.end_ms))
        if both[0] >= both[1]:
            continue
        for start_ms, kind, back in (
            (piece.from_ms, GONE, False),
            (whole.start_ms, THERE, True),
        ):
            values = (start_ms, kind, *both)
            writing.execute(add_sums(whole.level, free, back=back), values)
            writing.execute(add_timings(whole.level, timed_free, back=back), values)
    _drop_zeros(writing, whole)
    writing.execute(f"DELETE FROM {table} WHERE {free}", span)  # noqa: S608 - of our own words; values are bound
    writing.execute(
        f"DELETE FROM usage_rollup_timings WHERE period = ? AND {timed_free}",  # noqa: S608 - of our own words; values are bound
        (part.level, *span),
    )
    touch(writing, part, flag="sums_gone")
    touch(writing, whole, flag="source_gone")
    return Removed(looked_at, able, looked_at - able)


def touch(writing: Writing, period: Period, *, flag: str) -> None:
    """Note what is gone; what is being made of the period is begun anew."""
    key = (period.level, period.start_ms)
    writing.execute(_TOUCHED.format(flag=flag), key)


def _pieces(reading: Queries, period: Period) -> Iterator[Span]:
    """Yield a period, parted where a budget was reset."""
    cuts = reading.execute(_CUTS, (period.start_ms, period.end_ms)).fetchall()
    edges = [period.start_ms, *(int(row[0]) for row in cuts), period.end_ms]
    return (Span(*each) for each in pairwise(edges))


def _drop_zeros(writing: Writing, period: Period) -> None:
    values = (THERE, period.start_ms)
    for where in (
        f"{TABLE_OF[period.level]} WHERE",
        f"usage_rollup_timings WHERE period = '{period.level}' AND",
    ):
        writing.execute(
            f"DELETE FROM {where} part = ? AND start_ms = ? AND calls = 0",  # noqa: S608 - of our own words; values are bound
            values,
        )


def _count(reading: Queries, what: str, values: Sequence[object]) -> int:
    return int(reading.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0])  # noqa: S608 - of our own words; values are bound
