"""The rows of an interval, one by one: for export, and for those who watch.

There are the columns of `request_usage` and nothing else. Rows come in the order of
time, a few at a time, however many there are.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select

from smart_llmrouter.ledger.render import Cell, inert_cell
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from smart_llmrouter.ledger.reports.source import Question, chosen
from smart_llmrouter.stores.tables import (
    REQUEST_LABELS,
    REQUEST_MEASURES,
    REQUEST_USAGE,
)

ExportFormat = Literal["csv", "jsonl"]
Row = Mapping[str, Any]

COLUMNS: Final = tuple(column.name for column in REQUEST_USAGE.columns)
_AT_ONCE: Final = 2000


def rows_of(question: Question) -> Select[Any]:
    """Return the query for the rows that are asked about, in the order of time."""
    return (
        select(*(_column(name).label(name) for name in COLUMNS))
        .join_from(
            REQUEST_MEASURES,
            REQUEST_LABELS,
            REQUEST_LABELS.c.id == REQUEST_MEASURES.c.labels_id,
        )
        .where(chosen(question))
        .order_by(REQUEST_MEASURES.c.ts_ms, REQUEST_MEASURES.c.request_id)
    )


def _column(name: str) -> ColumnElement[Any]:
    if name in REQUEST_MEASURES.c:
        return REQUEST_MEASURES.c[name]
    lane = DIMENSIONS["lane"].expression
    if name == "lane" and lane is not None:
        return lane
    return REQUEST_LABELS.c[name]


def count_rows(connection: Connection, question: Question) -> int:
    """Return how many rows there are to export."""
    query = select(func.count()).select_from(REQUEST_MEASURES).where(chosen(question))
    return int(connection.execute(query).scalar_one())


def last_rows(connection: Connection, question: Question, *, most: int) -> list[Row]:
    """Return the last of the rows that are asked about, in the order of time."""
    backwards = (
        rows_of(question)
        .order_by(None)
        .order_by(REQUEST_MEASURES.c.ts_ms.desc(), REQUEST_MEASURES.c.request_id.desc())
        .limit(most)
    )
    found: list[Row] = [dict(row) for row in connection.execute(backwards).mappings()]
    return found[::-1]


def exported_rows(connection: Connection, question: Question) -> Iterator[Row]:
    """Yield the rows, of which only a few are held at a time."""
    streaming = connection.execution_options(yield_per=_AT_ONCE)
    for row in streaming.execute(rows_of(question)).mappings():
        yield dict(row)


def written_rows(rows: Iterable[Row], to: ExportFormat) -> Iterator[str]:
    """Yield rows as text, each whole; of CSV the head comes first.

    Unknown is an empty cell or `null`.
    """
    if to == "jsonl":
        for row in rows:
            yield msgspec.json.encode(row).decode() + "\n"
        return
    yield _csv_line(COLUMNS)
    for row in rows:
        yield _csv_line([inert_cell(_cell(value)) for value in row.values()])


def _cell(value: Cell) -> Cell:
    return int(value) if isinstance(value, bool) else value


def _csv_line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()
