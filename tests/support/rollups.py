"""Calls for tests of roll-ups, and what they add up to without any."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.record import UsageRecord, split_record
from smart_llmrouter.ledger.removing import Removed
from smart_llmrouter.ledger.retention import JobOrder, run_retention
from smart_llmrouter.ledger.rollup_source import coverage
from smart_llmrouter.ledger.rollups import next_due, roll_up
from smart_llmrouter.stores.database import open_for_reading
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.rollup_schema import KNOWN, Level
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_USAGE
from smart_llmrouter.stores.usage_store import open_store
from smart_llmrouter.stores.writing import transaction
from tests.support.ledger import a_record

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
MIDNIGHT: Final = 1_789_948_800_000
"""A Monday, 2026-09-21."""

_CALLERS: Final = ("alice", "bob", "carol")
_MODELS: Final = ("mini", "large", None)


def a_call(number: int, ts_ms: int) -> UsageRecord:
    """Return a call of one of many kinds, the same for the same number."""
    model = _MODELS[number % 3]
    known = number % 4 != 0
    return a_record(
        number,
        ts_ms=ts_ms,
        caller_id=_CALLERS[number % len(_CALLERS)],
        caller_user=_CALLERS[number % 2],
        resolved_group="chat" if number % 5 else None,
        target_provider="acme" if model else None,
        target_model=model,
        target_dialect="openai-chat" if model else None,
        attempts=number % 3,
        error_code=None if model else "no-eligible-target",
        latency_us=1000 + number * 37,
        ttft_us=900 + number if number % 2 else None,
        input_tokens=number * 7 if known else None,
        output_tokens=number * 3 if known else None,
        input_cost_nusd=number * 1_000_003 if known else None,
        total_cost_nusd=number * 1_000_033 if known else None,
        cache_write_5m_tokens=number if number % 7 == 0 else None,
        charged_tokens=number * 11 if number % 6 == 0 else None,
        charged_cost_nusd=number * 999_983 if number % 6 == 0 else None,
    )


def added(url: str, calls: Iterable[UsageRecord]) -> None:
    """Add calls as an ingester does."""
    store = open_store(url)
    measures, labels = zip(*(split_record(call) for call in calls), strict=True)
    store.add(measures, labels, segment="none", end_offset=0)
    store.close()


def rolled_up(
    url: str, *, now_ms: int, drafts_until_ms: int | None = None, slice_rows: int = 7
) -> int:
    """Roll up what is due; return in how many steps."""
    steps = 0
    while True:
        with connect_for_reading(url) as reading:
            due = next_due(reading, now_ms=now_ms, drafts_until_ms=drafts_until_ms)
        if due is None:
            return steps
        with transaction(url) as writing:
            roll_up(
                writing, due, now_ms=now_ms, router_version="1", slice_rows=slice_rows
            )
        steps += 1


Sums = dict[tuple[object, ...], dict[str, int]]
"""What was added up, by some labels."""

_NAMES: Final = (
    "calls",
    "latency_us",
    "charged_tokens",
    "charged_cost_nusd",
    *(each for name in KNOWN for each in (name, name + "_known")),
)


def brute_sums(calls: Iterable[UsageRecord], by: Sequence[str]) -> Sums:
    """Add up calls one by one."""
    found: dict[tuple[object, ...], Counter[str]] = {}
    for call in calls:
        sums = found.setdefault(tuple(getattr(call, each) for each in by), Counter())
        tokens = (call.input_tokens, call.output_tokens)
        usage = 0 if None in tokens else sum(each or 0 for each in tokens)
        sums["calls"] += 1
        sums["latency_us"] += call.latency_us
        sums["charged_tokens"] += (
            usage if call.charged_tokens is None else call.charged_tokens
        )
        sums["charged_cost_nusd"] += (
            call.total_cost_nusd or 0
            if call.charged_cost_nusd is None
            else call.charged_cost_nusd
        )
        for name in KNOWN:
            value = getattr(call, name)
            sums[name] += value or 0
            sums[name + "_known"] += value is not None
    return {key: dict(sums) for key, sums in found.items()}


def covered_sums(
    url: str, edges: Sequence[int], by: Sequence[str], *, longest: Level = "month"
) -> Sums:
    """Add up what a report would read between the first and the last of some edges."""
    engine = open_for_reading(url)
    with closing(engine.connect()) as connection:
        return _covered(connection, edges, by, longest=longest)


def _covered(
    connection: Connection, edges: Sequence[int], by: Sequence[str], *, longest: Level
) -> Sums:
    covered = coverage(connection, edges, longest=longest)
    usage = REQUEST_USAGE.c
    of_rows = [usage[name] for name in by]
    parts = [
        select(*of_rows, *_figures_of_rows())
        .where(covered.in_rows(usage.ts_ms))
        .group_by(*of_rows)
    ]
    for sums, condition in covered.sums():
        of_labels = [REQUEST_LABELS.c[name] for name in by]
        figures = [func.sum(sums.c[name]) for name in _NAMES]
        parts.append(
            select(*of_labels, *figures)
            .join_from(sums, REQUEST_LABELS, REQUEST_LABELS.c.id == sums.c.labels_id)
            .where(condition)
            .group_by(*of_labels)
        )
    found: dict[tuple[object, ...], Counter[str]] = {}
    for part in parts:
        for row in connection.execute(part):
            counter = found.setdefault(tuple(row[: len(by)]), Counter())
            for name, value in zip(_NAMES, row[len(by) :], strict=True):
                counter[name] += int(value or 0)
    return {key: dict(counter) for key, counter in found.items() if counter["calls"]}


def _figures_of_rows() -> list[ColumnElement[int]]:
    usage = REQUEST_USAGE.c
    tokens = usage.input_tokens + usage.output_tokens
    figures: list[ColumnElement[int]] = [
        func.count(),
        func.sum(usage.latency_us),
        func.sum(func.coalesce(usage.charged_tokens, tokens, 0)),
        func.sum(func.coalesce(usage.charged_cost_nusd, usage.total_cost_nusd, 0)),
    ]
    for name in KNOWN:
        figures += [func.sum(usage[name]), func.count(usage[name])]
    return figures


def retained(url: str, policy: Retention, *, now_ms: int) -> Removed:
    """Remove what is too old; return what became of all that was looked at."""
    order = JobOrder(now_ms, "somebody", "1")
    run = run_retention(lambda: transaction(url), policy, order, now=lambda: now_ms + 1)
    total = Removed()
    for did in run:
        total = total.plus(did)
    return total


def row_ids(url: str) -> list[str]:
    """Return the ids of the calls that have rows, in order."""
    with connect_for_reading(url) as reading:
        query = "SELECT request_id FROM request_measures ORDER BY 1"
        return [row[0] for row in reading.execute(query)]


def count_of(url: str, table: str) -> int:
    """Return how many rows a table has."""
    with connect_for_reading(url) as reading:
        return int(reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - of our own words; values are bound
