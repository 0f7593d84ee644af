"""Reports as JSON for programs and CSV for spreadsheets; `reports.page` is for people.

Unknown is `null` in JSON and an empty cell in CSV, beside the number of calls for which
the figure is known. Money is in whole nano-dollars, time in microseconds.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from smart_llmrouter.ledger.interval import moment_text, utc_text
from smart_llmrouter.ledger.render_markdown import render_page
from smart_llmrouter.ledger.reports.durations import PERCENTS
from smart_llmrouter.ledger.reports.lines import Line, Section
from smart_llmrouter.ledger.reports.measures import COUNTS, PEAKS, SUMS
from smart_llmrouter.ledger.reports.page import page_of
from smart_llmrouter.ledger.reports.report import Report

Format = Literal["markdown", "json", "csv"]
Cell = str | int | float | None
_Row = tuple[str, Mapping[str, str | None], Mapping[str, Cell]]
"""The section, the key by dimension, and the figures of one line of CSV."""

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report, *, to: Format, most: int | None = None) -> str:
    """Return the whole report as text that ends with a newline.

    For people there are the first `most` lines of each table; programs get all.
    """
    match to:
        case "markdown":
            return render_page(page_of(report, most=most))
        case "json":
            return _json(report)
        case "csv":
            return _csv(report)


def _json(report: Report) -> str:
    question, made = report.question, report.made
    interval, zone = question.interval, question.zone
    document = {
        "from_utc": utc_text(interval.from_ms),
        "to_utc": utc_text(interval.to_ms),
        "timezone": zone.name,
        "from": moment_text(interval.from_ms, zone),
        "to": moment_text(interval.to_ms, zone),
        "where": [str(condition) for condition in question.conditions],
        "made_utc": utc_text(made.made_ms),
        "router_version": made.router_version,
        "served_by_versions": report.served_by_versions,
        "complete": made.unread_bytes == 0,
        "unread_bytes": made.unread_bytes,
        "percentiles": report.precision,
        "baseline": question.baseline.name if question.baseline else None,
        "empty": report.empty,
        "totals": figures_of(report.totals),
        "sections": [_section(section) for section in report.sections],
        "most_expensive_calls": report.dearest,
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _section(section: Section) -> dict[str, object]:
    return {
        "name": section.name,
        "title": section.title,
        "group_by": [dimension.name for dimension in section.dimensions],
        "lines": [
            {"key": _named(section, line), **figures_of(line)} for line in section.lines
        ],
    }


def _named(section: Section, line: Line) -> dict[str, str | None]:
    names = [dimension.name for dimension in section.dimensions]
    return dict(zip(names, line.key, strict=True))


def figures_of(line: Line) -> dict[str, Cell]:
    """Return all figures of a line under names that carry their units."""
    measures = line.measures
    figures: dict[str, Cell] = {name: getattr(measures, name) for name in COUNTS}
    sums = {name: getattr(measures, name) for name in SUMS}
    if measures.compared is not None:
        sums["baseline_nusd"] = measures.compared.baseline
        sums["savings_nusd"] = measures.compared.savings
    for name, known in sums.items():
        figures[name] = known.total
        figures[f"{name}_known_calls"] = known.calls
    figures |= {name: getattr(measures, name) for name in PEAKS}
    figures["output_tokens_per_s"] = measures.tokens_per_s
    for name, timed in (("latency", line.latency), ("first_token", line.first_token)):
        for percent in PERCENTS:
            value = getattr(timed, f"p{percent}_us") if timed else None
            figures[f"{name}_p{percent}_us"] = value
    return figures


def _csv(report: Report) -> str:
    names = list(
        dict.fromkeys(
            dimension.name
            for section in report.sections
            for dimension in section.dimensions
        )
    )
    rows: list[_Row] = [("totals", {}, figures_of(report.totals))]
    rows += [
        (section.name, _named(section, line), figures_of(line))
        for section in report.sections
        for line in section.lines
    ]
    return _csv_table(report, names, rows)


def _csv_table(report: Report, names: Sequence[str], rows: Iterable[_Row]) -> str:
    figures = list(figures_of(report.totals))
    constant: list[Cell] = [
        utc_text(report.question.interval.from_ms),
        utc_text(report.question.interval.to_ms),
        report.question.zone.name,
        report.made.unread_bytes,
    ]
    ends = ["from_utc", "to_utc", "timezone", "unread_bytes"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["section", *names, *figures, *ends])
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
