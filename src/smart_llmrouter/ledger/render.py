"""Reports as Markdown for people, JSON for programs, CSV for spreadsheets.

Unknown is shown as unknown: in words in Markdown, as `null` in JSON, as an empty cell
in CSV, each beside the number of calls for which the figure is known.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.render_markdown import render_markdown
from smart_llmrouter.ledger.reports import Line, Report, Section

Format = Literal["markdown", "json", "csv"]
Cell = str | int | None
_Row = tuple[str, Mapping[str, str | None], Mapping[str, int | None]]
"""The section, the key by dimension, and the figures of one line of CSV."""

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report, *, to: Format) -> str:
    """Return the whole report as text that ends with a newline."""
    return RENDERERS[to](report)


def _json(report: Report) -> str:
    document = {
        "from_utc": utc_text(report.interval.from_ms),
        "to_utc": utc_text(report.interval.to_ms),
        "made_utc": utc_text(report.made_ms),
        "router_version": report.router_version,
        "served_by_versions": report.served_by_versions,
        "complete": report.unread_bytes == 0,
        "unread_bytes": report.unread_bytes,
        "totals": _figures(report.totals),
        "sections": [_section(section) for section in report.sections],
        "unread_caches": report.unread_caches and _section(report.unread_caches),
        "errors": [
            {
                "status": line.status,
                "code": line.code,
                "class": line.error_class,
                "calls": line.calls,
            }
            for line in report.errors
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _section(section: Section) -> dict[str, object]:
    return {
        "title": section.title,
        "group_by": [dimension.name for dimension in section.dimensions],
        "lines": [
            {"key": _named(section, line), **_figures(line)} for line in section.lines
        ],
    }


def _named(section: Section, line: Line) -> dict[str, str | None]:
    names = [dimension.name for dimension in section.dimensions]
    return dict(zip(names, line.key, strict=True))


def _figures(line: Line) -> dict[str, int | None]:
    """Return all figures of a line under names that carry their units."""
    measures = line.measures
    figures: dict[str, int | None] = dict(measures.counts())
    for name, known in measures.sums():
        figures[name] = known.total
        figures[f"{name}_known_calls"] = known.calls
    for name, timed in (("latency", line.latency), ("first_token", line.first_token)):
        for percent in (50, 90, 95, 99):
            value = getattr(timed, f"p{percent}_us") if timed else None
            figures[f"{name}_p{percent}_us"] = value
    return figures


def _csv(report: Report) -> str:
    """Return one flat table: a line of totals, of each section, of each error."""
    sections = report.sections
    if report.unread_caches is not None:
        sections = (*sections, report.unread_caches)
    keys = [dimension.name for section in sections for dimension in section.dimensions]
    names = list(dict.fromkeys((*keys, "status", "error", "error_class")))
    rows: list[_Row] = [("totals", {}, _figures(report.totals))]
    rows += [
        (section.title, _named(section, line), _figures(line))
        for section in sections
        for line in section.lines
    ]
    for error in report.errors:
        key = {
            "status": str(error.status),
            "error": error.code,
            "error_class": error.error_class,
        }
        rows.append(("errors", key, {"calls": error.calls, "errors": error.calls}))
    return _csv_table(report, names, rows)


def _csv_table(
    report: Report,
    names: Sequence[str],
    rows: Iterable[tuple[str, Mapping[str, str | None], Mapping[str, int | None]]],
) -> str:
    figures = list(_figures(report.totals))
    constant: list[Cell] = [
        utc_text(report.interval.from_ms),
        utc_text(report.interval.to_ms),
        report.unread_bytes,
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = ["section", *names, *figures, "from_utc", "to_utc", "unread_bytes"]
    writer.writerow(head)
    for section, key, values in rows:
        cells: list[Cell] = [section]
        cells += [key.get(name) for name in names]
        cells += [values.get(figure) for figure in figures]
        writer.writerow([inert_cell(cell) for cell in (*cells, *constant)])
    return out.getvalue()


def inert_cell(cell: Cell) -> Cell:
    """Keep a spreadsheet from taking a name for a formula."""
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return "'" + cell
    return cell


RENDERERS: Final[Mapping[Format, Callable[[Report], str]]] = {
    "markdown": render_markdown,
    "json": _json,
    "csv": _csv,
}
