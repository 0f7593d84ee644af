"""Proving that totals are right: rows against roll-ups, and those against each other.

Each roll-up is made again of what it was made of, and compared, label by label and to
the nano-dollar. All of it is one moment of the database, and nothing is changed.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smart_llmrouter.ledger.periods import Period, Span
from smart_llmrouter.ledger.rollup_sql import wrong_sums, wrong_timings
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import (
    CHARGED_NUSD,
    HOUR_MS,
    LEVELS,
    TABLE_OF,
    TIMED,
    Level,
)

_PERIODS: Final = """
SELECT start_ms, changes = rolled_up_changes, calls FROM usage_rollup_periods
WHERE period = ? AND start_ms >= ? AND start_ms < ?
ORDER BY start_ms
"""
_STALE: Final = """
SELECT start_ms FROM usage_rollup_periods
WHERE period = ? AND changes <> rolled_up_changes AND start_ms >= ?
ORDER BY start_ms
"""
_UNMARKED: Final = f"""
SELECT coalesce(sum(found.calls), 0) FROM (
    SELECT ts_ms / {HOUR_MS} * {HOUR_MS} AS start_ms, count(*) AS calls
    FROM request_measures WHERE ts_ms >= ? AND ts_ms < ? GROUP BY 1
) AS found LEFT JOIN usage_rollup_periods ON period = 'hour'
    AND usage_rollup_periods.start_ms = found.start_ms
WHERE period IS NULL
"""  # noqa: S608 - constants
_UNLABELLED: Final = """
SELECT count(*) FROM {source} LEFT JOIN request_labels ON id = labels_id
WHERE {column} >= ? AND {column} < ? AND id IS NULL
"""
_IN_ROWS: Final = f"""
SELECT count(*), coalesce(sum({CHARGED_NUSD}), 0) FROM request_measures
WHERE ts_ms >= ? AND ts_ms < ?
"""  # noqa: S608 - constants
_GONE: Final = """
SELECT coalesce(sum(calls), 0), coalesce(sum(charged_cost_nusd), 0) FROM {table}
WHERE part = 1 AND start_ms >= ? AND start_ms < ?
"""
_CALLS: Final = """
SELECT coalesce(sum(calls), 0) FROM {table}
WHERE part IN (0, 1) AND start_ms >= ? AND start_ms < ?
"""


class Wrong(NamedTuple):
    """Something that is not as it must be: where, and what."""

    where: str
    what: str


class Total(NamedTuple):
    """How many calls there are, and what budgets were charged for them."""

    calls: int
    nusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was compared, and what was found.

    `periods` is how many roll-ups of a level were compared, and `waiting` how many
    were not: they are stale, or something in them is. That is no fault, because who
    reads takes rows instead; but of those it is not known whether they are right.
    """

    in_rows: Total
    gone: Total
    periods: dict[Level, int] = field(default_factory=dict)
    waiting: dict[Level, int] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)


def verify(reading: Queries, span: Span) -> Iterator[Period | Verified]:
    """Compare all that is on record of a span; yield each period before it is read.

    The last that is yielded is the outcome. `reading` must see one moment in time.
    """
    bounds = (span.from_ms, span.to_ms)
    found = Verified(
        in_rows=Total(*reading.execute(_IN_ROWS, bounds).fetchone()),
        gone=_gone(reading, bounds),
    )
    found.wrong.extend(_loose(reading, bounds))
    stale: list[int] = []
    for level in LEVELS:
        found.periods[level] = found.waiting[level] = 0
        periods = reading.execute(_PERIODS, (level, *bounds)).fetchall()
        for start_ms, fresh, calls in periods:
            period = Period(level, int(start_ms))
            # Of what is stale below, the sums are old, or are just being made.
            if not fresh or _holds_any(period, stale):
                found.waiting[level] += 1
                continue
            yield period
            found.periods[level] += 1
            found.wrong.extend(_wrong(reading, period, int(calls)))
        stale_now = reading.execute(_STALE, (level, span.from_ms))
        stale = sorted([*stale, *(int(start_ms) for (start_ms,) in stale_now)])
    yield found


def _holds_any(period: Period, starts_ms: Sequence[int]) -> bool:
    """Say whether any of these moments, which are in their order, lies in a period."""
    at = bisect_left(starts_ms, period.start_ms)
    return at < len(starts_ms) and starts_ms[at] < period.end_ms


def _gone(reading: Queries, bounds: tuple[int, int]) -> Total:
    totals = [
        reading.execute(_GONE.format(table=table), bounds).fetchone()
        for table in TABLE_OF.values()
    ]
    return Total(*(int(sum(each)) for each in zip(*totals, strict=True)))


def _loose(reading: Queries, bounds: tuple[int, int]) -> Iterator[Wrong]:
    """Yield what no roll-up would ever count, or nobody could tell whose it is."""
    (unmarked,) = reading.execute(_UNMARKED, bounds).fetchone()
    if unmarked:
        yield Wrong("rows", f"{unmarked} calls are in hours that were never marked")
    sources = (
        ("request_measures", "ts_ms"),
        *((table, "start_ms") for table in TABLE_OF.values()),
        ("usage_rollup_timings", "start_ms"),
    )
    for source, column in sources:
        query = _UNLABELLED.format(source=source, column=column)
        (unlabelled,) = reading.execute(query, bounds).fetchone()
        if unlabelled:
            yield Wrong(source, f"{unlabelled} rows have no labels")


def _wrong(reading: Queries, period: Period, calls: int) -> Iterator[Wrong]:
    where = str(period)
    bounds = (period.start_ms, period.end_ms)
    each = len(TIMED) if period.level == "hour" else 1
    (sums,) = reading.execute(
        wrong_sums(period.level), (*bounds, period.start_ms)
    ).fetchone()
    if sums:
        yield Wrong(where, f"sums of {sums} labels differ from what they are made of")
    (timings,) = reading.execute(
        wrong_timings(period.level), (*bounds * each, period.start_ms)
    ).fetchone()
    if timings:
        yield Wrong(where, f"{timings} buckets of durations differ")
    query = _CALLS.format(table=TABLE_OF[period.level])
    (counted,) = reading.execute(query, bounds).fetchone()
    if counted != calls:
        yield Wrong(where, f"counts {calls} calls, but its sums {counted}")
