"""How long reports take on a long history: `python -m bench.reports`.

A million calls over ninety days are put into a database, SQLite in a temporary
directory, a PostgreSQL that is started for it (`--postgres`), or what `--database`
names (an empty one). Each report is made of a month and of a day, from rows alone and
then from roll-ups, and the best of a few is told. The CPU time is that of this process:
PostgreSQL's own comes on top, in the time on the wall.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.history import DAY_MS, DAYS, FIRST_MS, fill
from smart_llmrouter.ledger.interval import Interval, zone_of
from smart_llmrouter.ledger.reports.dimensions import dimensions_of
from smart_llmrouter.ledger.reports.report import Circumstances, make_report
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.ledger.rollups import next_due, roll_up
from smart_llmrouter.stores import postgres
from smart_llmrouter.stores.backends import create_or_check_schema
from smart_llmrouter.stores.database import open_for_reading
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.sqlite import sqlite_url
from smart_llmrouter.stores.usage_store import open_store
from smart_llmrouter.stores.writing import transaction

REPORTS: Final = ("", "caller", "group,provider,model", "day", "hour", "status,error")
"""What is grouped by; nothing is the usual report."""
SPANS: Final = {"month": 30, "day": 1}
"""In days."""
_TIMES: Final = 3
_MADE: Final = Circumstances(made_ms=FIRST_MS, router_version="bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How long one report took, on the wall and of this process's CPU."""

    span: str
    report: str
    calls: int
    wall_s: float
    cpu_s: float


def filled(url: str, *, calls: int) -> None:
    """Create the database and put the history into it."""
    create_or_check_schema(url)
    store = open_store(url)
    fill(store, calls=calls)
    store.close()
    _looked_at(url)


def _looked_at(url: str) -> None:
    """Let a server know how much there is, as it finds out by itself in time."""
    if backend_of(url) == "postgresql":
        with postgres.connect(url, longest_s=None) as connection:
            connection.execute("ANALYZE")


def rolled_up(url: str) -> None:
    """Roll the whole history up."""
    now_ms = FIRST_MS + (DAYS + 60) * DAY_MS
    while True:
        with connect_for_reading(url) as reading:
            due = next_due(reading, now_ms=now_ms)
        if due is None:
            _looked_at(url)
            return
        with transaction(url) as writing:
            roll_up(writing, due, now_ms=now_ms, router_version="bench")


def measured(url: str, *, zone: str = "UTC", times: int = _TIMES) -> Iterator[Taken]:
    """Yield how long each report takes, at best."""
    engine = open_for_reading(url)
    for span, days in SPANS.items():
        interval = Interval(FIRST_MS, FIRST_MS + days * DAY_MS)
        question = Question(interval=interval, zone=zone_of(zone))
        for by in REPORTS:
            dimensions = dimensions_of(by) if by else ()
            best_wall, best_cpu, calls = float("inf"), float("inf"), 0
            for _ in range(times):
                with engine.connect() as connection:
                    wall, cpu = time.perf_counter(), time.process_time()
                    report = make_report(
                        connection, question, made=_MADE, group_by=dimensions
                    )
                    best_wall = min(best_wall, time.perf_counter() - wall)
                    best_cpu = min(best_cpu, time.process_time() - cpu)
                calls = report.totals.measures.calls
            yield Taken(
                span=span,
                report=by or "usual",
                calls=calls,
                wall_s=best_wall,
                cpu_s=best_cpu,
            )


def main() -> None:
    """Fill, measure, roll up, and measure again."""
    parser = argparse.ArgumentParser(prog="bench.reports", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--database", help="the URL of an empty database")
    where.add_argument(
        "--postgres", action="store_true", help="start the PostgreSQL of the tests"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smart-llmrouter-bench-") as directory:
        url = chosen.database or sqlite_url(Path(directory) / "usage.sqlite")
        if chosen.postgres:
            url = _own_postgres()
        _step("fill", partial(filled, url, calls=chosen.calls))
        _told("rows", url)
        _step("roll up", partial(rolled_up, url))
        _told("roll-ups", url)


def _own_postgres() -> str:
    """Return the URL of a database on a server that ends with this process."""
    from tests.support.postgres import empty_database  # noqa: PLC0415

    return empty_database()


def _step(name: str, step: Callable[[], None]) -> None:
    began_s = time.perf_counter()
    step()
    print(f"{name}: {time.perf_counter() - began_s:.1f} s", flush=True)


def _told(source: str, url: str) -> None:
    print(f"from {source}: span, report, calls, wall ms, CPU ms")
    for each in measured(url):
        figures = f"{each.wall_s * 1000:8.0f} {each.cpu_s * 1000:8.0f}"
        print(f"  {each.span:6} {each.report:22} {each.calls:9,} {figures}", flush=True)


if __name__ == "__main__":
    main()
