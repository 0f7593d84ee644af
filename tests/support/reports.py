"""Reports for tests: of what is in a database, and what is expected of them."""

from collections.abc import Iterable, Sequence

from smart_llmrouter.ledger.interval import UTC_ZONE, Interval, Zone
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports.baselines import Baseline
from smart_llmrouter.ledger.reports.dimensions import dimensions_of
from smart_llmrouter.ledger.reports.filters import condition_of
from smart_llmrouter.ledger.reports.lines import Section
from smart_llmrouter.ledger.reports.measures import Known
from smart_llmrouter.ledger.reports.report import Circumstances, Report, make_report
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.stores.database import open_for_reading
from tests.support.ledger import StateDirectory

EVERYTHING = Interval(0, 1 << 60)


def report_on(
    state: StateDirectory,
    *group_by: str,
    interval: Interval = EVERYTHING,
    zone: Zone = UTC_ZONE,
    where: Sequence[str] = (),
    baseline: Baseline | None = None,
    unread_bytes: int = 0,
) -> Report:
    """Make a report of what is in the database."""
    question = Question(
        interval=interval,
        zone=zone,
        conditions=tuple(condition_of(text, zone=zone) for text in where),
        baseline=baseline,
    )
    made = Circumstances(made_ms=0, router_version="9.9.9", unread_bytes=unread_bytes)
    dimensions = dimensions_of(",".join(group_by)) if group_by else ()
    with open_for_reading(state.url).connect() as connection:
        return make_report(connection, question, made=made, group_by=dimensions)


def table(report: Report, name: str) -> Section:
    """Return a section that must be there."""
    found = report.section(name)
    assert found is not None, [section.name for section in report.sections]
    return found


def ingested(state: StateDirectory, records: Iterable[UsageRecord]) -> None:
    """Bring records into the database."""
    state.journalled(records)
    ingester = state.ingester()
    while ingester.advance().more:
        pass


def known(values: Iterable[int | None]) -> Known:
    """Add up plainly what is known."""
    there = [value for value in values if value is not None]
    return Known(sum(there) if there else None, len(there))
