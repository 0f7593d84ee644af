"""A whole report: a question in, frozen results out.

All figures of a report come from one read transaction, so they agree with each other
and with the rows, whatever is being written meanwhile. Nothing here renders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from smart_llmrouter.ledger.reports.columns import ASKED_FOR
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS, Dimension
from smart_llmrouter.ledger.reports.durations import Precision
from smart_llmrouter.ledger.reports.emptiness import Emptiness, why_empty
from smart_llmrouter.ledger.reports.gathering import gather
from smart_llmrouter.ledger.reports.lines import Gathered, Line, Section
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.ledger.reports.top_calls import Row, dearest_calls
from smart_llmrouter.ledger.reports.usual import (
    TIMED,
    usual_dimensions,
    usual_period,
    usual_sections,
)

_DEAREST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When a report was made, by whom, and what it lacks.

    `unread_bytes` is what the journal held when the report began and the database
    did not yet when it was made: 0 means that the report is complete.
    """

    made_ms: int
    router_version: str
    unread_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one report says. Times are milliseconds since 1970, UTC.

    `empty` is there where no call was found.
    """

    question: Question
    made: Circumstances
    served_by_versions: tuple[str, ...]
    precision: Precision
    totals: Line
    sections: tuple[Section, ...]
    dearest: tuple[Row, ...] = ()
    empty: Emptiness | None = None

    def section(self, name: str) -> Section | None:
        """Return a table by its name, where the report has it."""
        found = (each for each in self.sections if each.name == name)
        return next(found, None)


def make_report(
    connection: Connection,
    question: Question,
    *,
    made: Circumstances,
    group_by: Sequence[Dimension] = (),
    columns: Sequence[str] = ASKED_FOR,
) -> Report:
    """Read what is asked for; `group_by` replaces the usual tables by one.

    `columns` are the figures that it shows.
    """
    sections: tuple[Section, ...]
    if group_by:
        gathered = gather(connection, question, dimensions=group_by, timed=group_by)
        sections = (_asked_for(gathered, tuple(group_by), tuple(columns)),)
    else:
        gathered = _usual(connection, question)
        sections = tuple(usual_sections(gathered))
    totals = gathered.totals()
    found = totals.measures.calls > 0
    return Report(
        question=question,
        made=made,
        served_by_versions=gathered.versions,
        precision="exact" if gathered.exact else "within 5 %",
        totals=totals,
        sections=sections if found or group_by else (),
        dearest=() if group_by else _dearest(connection, question),
        empty=None if found else why_empty(connection, question),
    )


def _usual(connection: Connection, question: Question) -> Gathered:
    return gather(
        connection,
        question,
        dimensions=usual_dimensions(),
        timed=[DIMENSIONS[name] for name in TIMED],
        period=usual_period(question.interval),
    )


def _asked_for(
    gathered: Gathered, dimensions: tuple[Dimension, ...], columns: tuple[str, ...]
) -> Section:
    return Section(
        name="by-" + "-".join(dimension.name for dimension in dimensions),
        title="By " + ", ".join(dimension.name for dimension in dimensions),
        dimensions=dimensions,
        lines=gathered.lines(dimensions, timed=True),
        columns=columns,
    )


def _dearest(connection: Connection, question: Question) -> tuple[Row, ...]:
    return dearest_calls(connection, question, most=_DEAREST)
