"""A report as a page for people: what to say first, then tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from smart_llmrouter.ledger.document import Head, Page, Table
from smart_llmrouter.ledger.interval import clock_text, exact_clock_text
from smart_llmrouter.ledger.reports.columns import COLUMNS, Column, Shown
from smart_llmrouter.ledger.reports.lines import Line, Section
from smart_llmrouter.ledger.reports.measures import Coverage, Known, Measures
from smart_llmrouter.ledger.reports.report import Report
from smart_llmrouter.ledger.reports.summary import NONE, facts_of
from smart_llmrouter.ledger.reports.wording import (
    UNKNOWN,
    count_of,
    decimals_for,
    number,
    shown,
    usd_exactly,
)

_SUMS: Final = {
    "input_tokens": "Input tokens",
    "cached_input_tokens": "of them read from caches",
    "cache_write_5m_tokens": "of them written into caches for 5 minutes",
    "cache_write_1h_tokens": "of them written into caches for 1 hour",
    "output_tokens": "Output tokens",
    "reasoning_tokens": "of them reasoning",
    "cost_nusd": "Cost",
    "input_cost_nusd": "of it for input that was not cached",
    "cached_input_cost_nusd": "of it for input from caches",
    "cache_write_cost_nusd": "of it for writing into caches",
    "output_cost_nusd": "of it for output",
    "reasoning_cost_nusd": "of that for reasoning",
    "image_cost_nusd": "of it for images",
    "reported_cost_nusd": "Cost as providers report it",
    "failed_calls_cost_nusd": "Cost of calls that failed",
    "failed_attempts_cost_nusd": "Cost of failed attempts, beside that",
    "charged_tokens": "Tokens that budgets were charged",
    "charged_cost_nusd": "Cost that budgets were charged",
}
_ALWAYS: Final = frozenset({"input_tokens", "output_tokens", "cost_nusd"})
_COUNTS: Final = {
    "calls": "Calls",
    "errors": "Errors",
    "asked_calls": "Calls for which a target was asked",
    "attempts": "Attempts on targets",
    "fallbacks": "Calls that went on to another target",
    "refused_calls": "Calls that a limit refused",
    "abandoned_calls": "Calls whose caller left before the end",
    "cache_hits": "Calls answered from the response cache",
    "estimated_calls": "Calls whose tokens the router counted itself",
}
_USUAL_COUNTS: Final = frozenset({"calls", "errors", "attempts"})
_COVERED: Final = (
    "A percentage in brackets says for how many of the calls that reached a target the "
    "figure is known. Where figures of one kind stand side by side, it is said once."
)


def page_of(report: Report, *, most: int | None = None) -> Page:
    """Return the page; of each table the first `most` lines, all of them by default."""
    tables = []
    if report.empty is None:
        tables = [
            *(_table(section, report.totals, most) for section in report.sections),
            *_dearest(report),
            _totals(report.totals.measures),
            *_latency(report),
        ]
    return Page(
        title="Usage report",
        about=list(_about(report)),
        facts=list(facts_of(report)),
        warnings=list(_warnings(report)),
        tables=tables,
        note=_COVERED if any(map(_has_gaps, tables)) else "",
    )


def _about(report: Report) -> Iterator[str]:
    question, made = report.question, report.made
    from_text, to_text = (
        exact_clock_text(at, question.zone)
        for at in (question.interval.from_ms, question.interval.to_ms)
    )
    made_text = clock_text(made.made_ms, question.zone)
    yield f"From {from_text} until before {to_text} ({question.zone.name})"
    if question.conditions:
        yield f"Only calls with {' and '.join(map(str, question.conditions))}"
    if report.question.baseline is not None:
        yield f"Compared with {report.question.baseline.name}, at its price of now"
    yield f"Made {made_text} by smart-llmrouter {made.router_version}"
    if report.served_by_versions:
        yield f"Calls served by version {', '.join(report.served_by_versions)}"


def _warnings(report: Report) -> Iterator[str]:
    if report.made.unread_bytes:
        yield f"incomplete: {report.made.unread_bytes:,} bytes not yet ingested"


def _table(section: Section, totals: Line, most: int | None) -> Table:
    columns = _columns(section, totals)
    lines = section.lines if most is None else section.lines[:most]
    places = {column.name: _decimals(section, column, totals) for column in columns}
    rows = [
        [
            *(NONE if part is None else part or '""' for part in line.key),
            *_cells(line, totals, columns, places),
        ]
        for line in lines
    ]
    heads = [Head(dimension.title) for dimension in section.dimensions]
    notes = [section.note, _left_out(section, len(lines))]
    return Table(
        title=section.title,
        heads=[*heads, *(Head(column.title, number=True) for column in columns)],
        rows=rows,
        note=" ".join(filter(None, notes)),
    )


def _has_gaps(table: Table) -> bool:
    return any(cell.endswith(" %)") for row in table.rows for cell in row)


def _cells(
    line: Line,
    totals: Line,
    columns: Sequence[Column],
    places: Mapping[str, int | None],
) -> Iterator[str]:
    told: dict[str, Coverage | None] = {}
    for column in columns:
        found = column.of(line, totals)
        told[column.name] = found.coverage
        if column.like in told and told[column.like] == found.coverage:
            found = Shown(found.number)
        yield shown(found, column.unit, decimals=places[column.name])


def _left_out(section: Section, told: int) -> str:
    left = len(section.lines) - told
    if left <= 0:
        return ""
    return f"{count_of(left, 'line', 'lines')} more: `--top 0` shows all."


def _columns(section: Section, totals: Line) -> list[Column]:
    """Return the columns in which there is something to see."""
    wanted = (COLUMNS[name] for name in section.columns)
    return [
        column
        for column in wanted
        if not column.rare
        or any(column.of(line, totals).number for line in section.lines)
    ]


def _decimals(section: Section, column: Column, totals: Line) -> int | None:
    if column.unit != "nusd":
        return None
    amounts = (column.of(line, totals).number for line in section.lines)
    return decimals_for(int(amount) for amount in amounts if amount is not None)


def _totals(measures: Measures) -> Table:
    rows = [
        (title, f"{getattr(measures, name):,}", "")
        for name, title in _COUNTS.items()
        if name in _USUAL_COUNTS or getattr(measures, name)
    ]
    for name, title in _SUMS.items():
        known: Known = getattr(measures, name)
        if known.calls or name in _ALWAYS:
            rows.append((title, _exactly(name, known), _known(known, measures)))
    heads = [Head(""), Head("Total", number=True), Head("Known for", number=True)]
    return Table(title="Totals", heads=heads, rows=rows)


def _exactly(name: str, known: Known) -> str:
    if known.total is None:
        return UNKNOWN
    return usd_exactly(known.total) if name.endswith("_nusd") else f"{known.total:,}"


def _known(known: Known, measures: Measures) -> str:
    coverage = measures.coverage(known)
    return f"{coverage.known:,} of {coverage.of:,} calls"


def _latency(report: Report) -> Iterator[Table]:
    totals = report.totals
    rows = []
    for title, timed, known, peak_us in (
        ("Whole call", totals.latency, totals.measures.latency_us, "max_latency_us"),
        (
            "First token",
            totals.first_token,
            totals.measures.first_token_us,
            "max_first_token_us",
        ),
    ):
        if timed is not None:
            ranks = (timed.p50_us, timed.p90_us, timed.p95_us, timed.p99_us)
            longest: int | None = getattr(totals.measures, peak_us)
            times = (*ranks, longest, known.mean)
            rows.append(
                (title, f"{timed.calls:,}", *(number(each, "us") for each in times))
            )
    heads = ("Calls", "p50", "p90", "p95", "p99", "Longest", "Average")
    if rows:
        yield Table(
            title="Latency",
            heads=[Head("ms"), *(Head(head, number=True) for head in heads)],
            rows=rows,
            note=f"Percentiles are {report.precision} (nearest rank).",
        )


def _dearest(report: Report) -> Iterator[Table]:
    if not report.dearest:
        return
    zone = report.question.zone
    amounts = [int(row["total_cost_nusd"]) for row in report.dearest]
    places = decimals_for(amounts)
    rows: list[Sequence[str]] = [
        (
            row["request_id"],
            number(row["total_cost_nusd"], "nusd", decimals=places),
            clock_text(row["ts_ms"], zone),
            row["caller_id"],
            f"{row['target_provider'] or NONE}/{row['target_model'] or NONE}",
            str(row["status"]),
            number(row["input_tokens"], "count"),
            number(row["output_tokens"], "count"),
        )
        for row in report.dearest
    ]
    texts, numbers = ("Began", "Caller", "Target"), ("Status", "Input", "Output")
    yield Table(
        title="Most expensive calls",
        heads=[
            Head("Request"),
            Head("Cost", number=True),
            *map(Head, texts),
            *(Head(each, number=True) for each in numbers),
        ],
        rows=rows,
        note="`smart-llmrouter usage request ID` tells all about one.",
    )
