"""What retention would remove, has removed, and will: counted, and as text."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.clock_trust import doubt, may_remove
from smart_llmrouter.ledger.holds import (
    HELD_EVENTS,
    HELD_ROWS,
    all_holds,
    held_sums,
)
from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.removing import ACCESS_EVENTS, DIAGNOSTICS, Removed
from smart_llmrouter.ledger.retention import (
    DATA_CLASSES,
    ClassOrder,
    DataClass,
    JobOrder,
    begin_job,
    class_orders,
    end_job,
)
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import HOUR_MS, TABLE_OF, Level
from smart_llmrouter.stores.writing import Writing

_LEVEL_OF: Final[dict[DataClass, Level]] = {
    "usage_rollup_hourly": "hour",
    "usage_rollup_daily": "day",
}
_IN_FINAL_HOURS: Final = f"""EXISTS (
    SELECT 1 FROM usage_rollup_periods WHERE period = 'hour' AND status = 'final'
        AND changes = rolled_up_changes
        AND start_ms = request_measures.ts_ms / {HOUR_MS} * {HOUR_MS}
)"""  # noqa: S608 - constants
_RESULTS: Final = """
SELECT data_class, kept_days, before_ms, looked_at, removed, held, blocked
FROM retention_job_results WHERE job_id = ?
"""
_JOBS: Final = """
SELECT id, started_ms, status, dry_run, automatic, actor
FROM retention_jobs ORDER BY id DESC LIMIT 5
"""
_OLDEST: Final = (
    ("usage_detail", "SELECT min(ts_ms) FROM request_measures"),
    ("usage_diagnostics", "SELECT min(ts_ms) FROM request_decisions"),
    ("security_access_events", "SELECT min(ts_ms) FROM security_access_events"),
    ("usage_rollup_hourly", "SELECT min(start_ms) FROM usage_rollup_hourly"),
    ("usage_rollup_daily", "SELECT min(start_ms) FROM usage_rollup_daily"),
    ("usage_rollup_monthly", "SELECT min(start_ms) FROM usage_rollup_monthly"),
)


class ClassResult(NamedTuple):
    """What became of one class of data: all of it that is older than `before_ms`."""

    data_class: str
    kept_days: int
    before_ms: int
    did: Removed


def count_old(reading: Queries, policy: Retention, *, now_ms: int) -> list[ClassResult]:
    """Return what a job of this moment would do, and change nothing.

    Of roll-ups it is as if all rows that are too old had gone already.
    """
    return [
        ClassResult(
            order.name, order.kept_days, order.before_ms, _counted(reading, order)
        )
        for order in class_orders(policy, now_ms=now_ms)
    ]


def note_dry_run(
    writing: Writing, order: JobOrder, results: Sequence[ClassResult]
) -> None:
    """Write down that somebody asked what would be removed."""
    job_id = begin_job(writing, order, dry_run=True)
    for result in results:
        writing.execute(
            "INSERT INTO retention_job_results VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (job_id, *result[:3], *result.did),
        )
    end_job(writing, job_id, now_ms=order.now_ms)


def _counted(reading: Queries, order: ClassOrder) -> Removed:
    if order.name == "usage_detail":
        return _found(
            reading,
            "request_measures",
            "ts_ms >= 0 AND ts_ms < ?",
            order.before_ms,
            held=HELD_ROWS,
            able=_IN_FINAL_HOURS,
        )
    if order.name == "security_access_events":
        old = "ts_ms >= 0 AND ts_ms < ?"
        return _found(reading, ACCESS_EVENTS, old, order.before_ms, held=HELD_EVENTS)
    if order.name == "usage_diagnostics":
        return _diagnostics(reading, order.before_ms)
    table = TABLE_OF[_LEVEL_OF[order.name]]
    return _found(
        reading,
        table,
        "part IN (0, 1) AND start_ms < ?",
        order.before_ms,
        held=held_sums(_LEVEL_OF[order.name], table),
    )


def _diagnostics(reading: Queries, before_ms: int) -> Removed:
    total = Removed()
    for table in DIAGNOSTICS:
        held = (
            "EXISTS (SELECT 1 FROM request_measures WHERE "  # noqa: S608 - of our own words; values are bound
            f"request_measures.ts_ms = {table}.ts_ms AND "
            f"request_measures.request_id = {table}.request_id AND {HELD_ROWS})"
        )
        old = f"{table}.ts_ms >= 0 AND {table}.ts_ms < ?"
        total = total.plus(_found(reading, table, old, before_ms, held=held))
    return total


def _found(
    reading: Queries,
    table: str,
    old: str,
    before_ms: int,
    *,
    held: str,
    able: str = "TRUE",
) -> Removed:
    query = (
        "SELECT count(*), coalesce(sum(held), 0), coalesce(sum(blocked), 0) FROM ("  # noqa: S608 - of our own words; values are bound
        f"SELECT CASE WHEN {held} THEN 1 ELSE 0 END AS held, "
        f"CASE WHEN {held} OR {able} THEN 0 ELSE 1 END AS blocked "
        f"FROM {table} WHERE {old}) AS found"
    )
    row = reading.execute(query, (before_ms,)).fetchone()
    looked_at, kept, blocked = map(int, row)
    return Removed(looked_at, looked_at - kept - blocked, kept, blocked)


def last_results(reading: Queries) -> list[ClassResult]:
    """Return what the last job did."""
    (job_id,) = reading.execute("SELECT max(id) FROM retention_jobs").fetchone()
    return _results(reading, job_id)


def _results(reading: Queries, job_id: int) -> list[ClassResult]:
    found = {
        name: ClassResult(name, days, before_ms, Removed(*did))
        for name, days, before_ms, *did in reading.execute(_RESULTS, (job_id,))
    }
    return [found[name] for name in DATA_CLASSES if name in found]


def results_text(results: Sequence[ClassResult], *, dry_run: bool) -> str:
    """Return a line for each class."""
    verb = "would go" if dry_run else "removed"
    return "".join(f"{_line(result, verb)}\n" for result in results)


def _line(result: ClassResult, verb: str) -> str:
    did = result.did
    notes = [
        f"{number:,} {why}"
        for number, why in (
            (did.held, "held"),
            (did.blocked, "not yet rolled up for good"),
        )
        if number
    ]
    beside = f" ({', '.join(notes)})" if notes else ""
    return (
        f"{result.data_class}: {did.removed:,} {verb} of {did.looked_at:,} before "
        f"{utc_text(result.before_ms)[:10]}{beside}"
    )


def status_text(reading: Queries, policy: Retention, *, now_ms: int) -> str:
    """Return what is kept for how long, how old it is, and what the last jobs did."""
    orders: dict[str, ClassOrder] = {
        order.name: order for order in class_orders(policy, now_ms=now_ms)
    }
    lines = []
    for name, query in _OLDEST:
        (oldest_ms,) = reading.execute(query).fetchone()
        order = orders.get(name)
        kept = "for ever" if order is None else f"{order.kept_days} days"
        since = "nothing yet" if oldest_ms is None else utc_text(oldest_ms)[:10]
        lines.append(f"{name}: kept {kept}; oldest {since}")
    holds = [hold for hold in all_holds(reading) if hold.released_ms is None]
    lines.append(f"legal holds: {len(holds)}")
    if not may_remove(reading, policy, now_ms=now_ms):
        lines.append(
            f"nothing is removed by itself for now: {doubt(now_ms)}; if it is right, "
            "`retention run` removes at once, and the router within some days"
        )
    lines += _jobs(reading)
    return "".join(f"{line}\n" for line in lines)


def _jobs(reading: Queries) -> list[str]:
    lines = []
    for job_id, started_ms, status, dry_run, automatic, actor in reading.execute(
        _JOBS
    ).fetchall():
        kind = "dry run" if dry_run else "run"
        whose = "by the router" if automatic else f"by {actor}"
        lines.append(
            f"{kind} {job_id}, {utc_text(started_ms)[:16]}Z, {whose}: {status}"
        )
        verb = "would go" if dry_run else "removed"
        lines += [f"  {_line(each, verb)}" for each in _results(reading, job_id)]
    return lines or ["no job was run yet"]
