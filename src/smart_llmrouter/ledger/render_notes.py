"""The notes of translations as Markdown, JSON and CSV."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.noted import NotedField, NotesReport
from smart_llmrouter.ledger.render import Cell, Format, inert_cell
from smart_llmrouter.ledger.render_markdown import (
    NONE,
    heading,
    incomplete,
    inert,
    table,
)

_COLUMNS: Final[Mapping[str, Callable[[NotedField], Cell]]] = {
    "field": lambda line: line.field,
    "target": lambda line: line.target,
    "inbound_dialect": lambda line: line.inbound_dialect,
    "target_dialect": lambda line: line.target_dialect,
    "action": lambda line: line.action,
    "reason": lambda line: line.reason,
    "calls": lambda line: line.calls,
}
_HEADS: Final = (
    "Field",
    "Target",
    "Dialect",
    "Target's dialect",
    "What happened",
    "Why",
    "Calls",
)


def render_notes(report: NotesReport, *, to: Format) -> str:
    """Return the whole report as text that ends with a newline."""
    return _RENDERERS[to](report)


def _markdown(report: NotesReport) -> str:
    head = heading(
        "What translations could not carry",
        interval=report.interval,
        made_ms=report.made_ms,
        router_version=report.router_version,
    )
    if report.unread_bytes:
        head.append(incomplete(report.unread_bytes))
    rows = [[_shown(cell(line)) for cell in _COLUMNS.values()] for line in report.lines]
    return "\n".join([*head, "", table(_HEADS, rows, texts=len(_HEADS) - 1), ""])


def _shown(cell: Cell) -> str:
    if isinstance(cell, int | float):
        return f"{cell:,}"
    return NONE if cell is None else inert(cell)


def _json(report: NotesReport) -> str:
    document = {
        "from_utc": utc_text(report.interval.from_ms),
        "to_utc": utc_text(report.interval.to_ms),
        "made_utc": utc_text(report.made_ms),
        "router_version": report.router_version,
        "complete": report.unread_bytes == 0,
        "unread_bytes": report.unread_bytes,
        "notes": [
            {name: cell(line) for name, cell in _COLUMNS.items()}
            for line in report.lines
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _csv(report: NotesReport) -> str:
    constant = [
        utc_text(report.interval.from_ms),
        utc_text(report.interval.to_ms),
        report.unread_bytes,
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, "from_utc", "to_utc", "unread_bytes"])
    for line in report.lines:
        cells = [inert_cell(cell(line)) for cell in _COLUMNS.values()]
        writer.writerow([*cells, *constant])
    return out.getvalue()


_RENDERERS: Final[Mapping[Format, Callable[[NotesReport], str]]] = {
    "markdown": _markdown,
    "json": _json,
    "csv": _csv,
}
