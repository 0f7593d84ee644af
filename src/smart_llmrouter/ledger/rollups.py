"""Rolling up: from rows to hours, from hours to days, from days to months.

A period is rolled up in slices, each a transaction of its own that takes little time.
It is stale until all of it is there, and then nobody reads it; where something was
added to the period meanwhile, it is begun anew. So a crash at any point leaves a
roll-up that is right, or one that says of itself that it is stale.

Whoever changes what a period holds locks its row of `usage_rollup_periods` first.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from smart_llmrouter.ledger.periods import Period, below
from smart_llmrouter.ledger.rollup_sql import (
    add_rows,
    add_sums,
    add_timed_rows,
    add_timings,
)
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import (
    HOUR_MS,
    LEVELS,
    TABLE_OF,
    THERE,
    TIMED,
    Level,
)
from smart_llmrouter.stores.writing import Writing

FINALIZE_AFTER_MS: Final = HOUR_MS
"""How long after its end a period is taken for complete."""

SLICE_ROWS: Final = 20_000
"""How many rows are added up in one transaction."""

_ROWS_OF_SUMS: Final = 20
"""How many rows a row of sums weighs, with the durations that go with it."""

_PENDING: Final = """
SELECT start_ms, changes <> rolled_up_changes FROM usage_rollup_periods
WHERE period = ? AND start_ms >= 0 AND start_ms < ?
    AND (changes <> rolled_up_changes OR status <> 'final')
ORDER BY start_ms LIMIT ?
"""
_FIRST: Final = 20
"""Among so many is mostly one that can be rolled up now."""

_ALL: Final = 1 << 62
_LOCK: Final = (
    "UPDATE usage_rollup_periods SET changes = changes "
    "WHERE period = ? AND start_ms = ?"
)
_STATE: Final = """
SELECT changes, rolled_up_changes, made_until_ms, made_from_changes
FROM usage_rollup_periods WHERE period = ? AND start_ms = ?
"""
_GO_ON: Final = """
UPDATE usage_rollup_periods SET made_until_ms = ?, made_from_changes = ?
WHERE period = ? AND start_ms = ?
"""
_MADE: Final = """
UPDATE usage_rollup_periods
SET status = ?, rolled_up_changes = changes, made_until_ms = NULL,
    made_from_changes = NULL, calls = ?, generated_ms = ?,
    finalized_ms = coalesce(finalized_ms, ?), router_version = ?
WHERE period = ? AND start_ms = ?
"""
_FINAL: Final = """
UPDATE usage_rollup_periods SET status = 'final', finalized_ms = ?
WHERE period = ? AND start_ms = ?
"""
_ABOVE_CHANGED: Final = """
INSERT INTO usage_rollup_periods (period, start_ms, status, changes,
    rolled_up_changes, calls, source_gone, sums_gone)
VALUES (?, ?, 'open', 1, 0, 0, FALSE, FALSE)
ON CONFLICT (period, start_ms)
DO UPDATE SET changes = usage_rollup_periods.changes + 1
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A period that can be rolled up; `stale` says that its sums are not right."""

    period: Period
    final: bool
    stale: bool


class _Pending(NamedTuple):
    """A period that is not rolled up, or not for good."""

    period: Period
    stale: bool


def next_due(
    reading: Queries,
    *,
    now_ms: int,
    drafts_until_ms: int | None = None,
    finalize_after_ms: int = FINALIZE_AFTER_MS,
    skip: Collection[Period] = (),
) -> Due | None:
    """Return what is to be rolled up next, hours before days and days before months.

    That is a period that has ended long enough ago; with `drafts_until_ms` also one
    that began before that moment and has changed since, which then becomes a draft.
    """
    over_ms = now_ms - finalize_after_ms
    until_ms = over_ms if drafts_until_ms is None else max(over_ms, drafts_until_ms)
    wanted = _Wanted(over_ms, skip, drafts=drafts_until_ms is not None)
    inside: list[_Pending] = []
    for level in LEVELS:
        pending = _pending(reading, level, until_ms, most=_FIRST)
        due = wanted.first_of(pending, inside)
        if due is None and len(pending) == _FIRST:
            pending = _pending(reading, level, until_ms, most=_ALL)
            due = wanted.first_of(pending, inside)
        if due is not None:
            return due
        inside = pending
    return None


def _pending(
    reading: Queries, level: Level, until_ms: int, *, most: int
) -> list[_Pending]:
    rows = reading.execute(_PENDING, (level, until_ms, most)).fetchall()
    return [_Pending(Period(level, row[0]), bool(row[1])) for row in rows]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What makes a period due: that it is over, or with `drafts` that it is stale."""

    over_ms: int
    skip: Collection[Period]
    drafts: bool

    def first_of(
        self, pending: Iterable[_Pending], inside: Iterable[_Pending]
    ) -> Due | None:
        """Return the first period that is due; `inside` pend on the level below."""
        for period, stale in pending:
            parts = [part for part in inside if _holds(period, part.period)]
            final = period.end_ms <= self.over_ms and not parts
            wanted = final or (self.drafts and stale)
            if wanted and period not in self.skip and not any(p.stale for p in parts):
                return Due(period, final=final, stale=stale)
        return None


def _holds(period: Period, part: Period) -> bool:
    return period.start_ms <= part.start_ms < period.end_ms


def roll_up(
    writing: Writing,
    due: Due,
    *,
    now_ms: int,
    router_version: str,
    slice_rows: int = SLICE_ROWS,
) -> bool:
    """Take one step of rolling a period up; say whether it is done with that."""
    period = due.period
    lock(writing, period)
    key = (period.level, period.start_ms)
    row = writing.execute(_STATE, key).fetchone()
    changes, rolled_up, until_ms, made_from = row
    if changes == rolled_up:
        if due.final:
            writing.execute(_FINAL, (now_ms, *key))
        return True
    if until_ms is None or made_from != changes:
        _clear(writing, period)
        until_ms = period.start_ms
    next_ms = _slice_end(writing, period, until_ms, slice_rows=slice_rows)
    _add_slice(writing, period, until_ms, next_ms)
    if next_ms < period.end_ms:
        writing.execute(_GO_ON, (next_ms, changes, *key))
        return False
    status, final_ms = ("final", now_ms) if due.final else ("draft", None)
    calls = count_calls(writing, period)
    writing.execute(_MADE, (status, calls, now_ms, final_ms, router_version, *key))
    if period.above is not None:
        above = period.above
        writing.execute(_ABOVE_CHANGED, (above.level, above.start_ms))
    return True


def lock(writing: Writing, period: Period) -> None:
    """Keep others from changing what a period holds until the transaction ends.

    Who adds rows marks their hours in the same transaction, and so waits.
    """
    writing.execute(_LOCK, (period.level, period.start_ms))


def count_calls(writing: Writing, period: Period) -> int:
    """Return how many calls the roll-up of a period counts."""
    query = (
        f"SELECT coalesce(sum(calls), 0) FROM {TABLE_OF[period.level]} "  # noqa: S608 - of our own words; values are bound
        "WHERE part IN (0, 1) AND start_ms >= ? AND start_ms < ?"
    )
    row = writing.execute(query, (period.start_ms, period.end_ms)).fetchone()
    return int(row[0])


def _slice_end(
    writing: Writing, period: Period, from_ms: int, *, slice_rows: int
) -> int:
    """Return up to where about so many rows of the level below reach."""
    if period.level == "hour":
        source, column, part = "request_measures", "ts_ms", ""
    else:
        source, column = TABLE_OF[below(period.level)], "start_ms"
        slice_rows = max(1, slice_rows // _ROWS_OF_SUMS)
        part = "part IN (0, 1) AND "
    query = (
        f"SELECT {column} FROM {source} WHERE {part}{column} >= ? "  # noqa: S608 - of our own words; values are bound
        f"AND {column} < ? ORDER BY {column} LIMIT 1 OFFSET ?"
    )
    row = writing.execute(query, (from_ms, period.end_ms, slice_rows)).fetchone()
    # What stands at one moment cannot be parted.
    return period.end_ms if row is None else max(int(row[0]), from_ms + 1)


def _add_slice(writing: Writing, period: Period, from_ms: int, to_ms: int) -> None:
    values = (period.start_ms, THERE, from_ms, to_ms)
    if period.level == "hour":
        where = "ts_ms >= ? AND ts_ms < ?"
        statements = [
            add_rows(where),
            *(add_timed_rows(*timed, where) for timed in TIMED.items()),
        ]
    else:
        where = "part IN (0, 1) AND start_ms >= ? AND start_ms < ?"
        statements = [add_sums(period.level, where), add_timings(period.level, where)]
    for statement in statements:
        writing.execute(statement, values)


def _clear(writing: Writing, period: Period) -> None:
    for where in (
        f"{TABLE_OF[period.level]} WHERE",
        f"usage_rollup_timings WHERE period = '{period.level}' AND",
    ):
        writing.execute(
            f"DELETE FROM {where} part = ? AND start_ms = ?",  # noqa: S608 - of our own words; values are bound
            (THERE, period.start_ms),
        )
