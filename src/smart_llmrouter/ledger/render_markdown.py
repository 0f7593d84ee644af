"""Reports as Markdown: what a person reads.

Every value that somebody could have chosen (a model name, a user agent) is escaped:
it can be neither markup nor HTML, nor break a table.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.ledger.interval import Interval, utc_text
from smart_llmrouter.ledger.measures import Known, Measures, Percentiles
from smart_llmrouter.ledger.reports import Report, Section

NONE: Final = "(none)"
_UNKNOWN: Final = "unknown"
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_TITLES: Final = {
    "input_tokens": "Input tokens",
    "cached_input_tokens": "of them cached",
    "cache_write_5m_tokens": "of them written into a cache for 5 minutes",
    "cache_write_1h_tokens": "of them written into a cache for 1 hour",
    "output_tokens": "Output tokens",
    "reasoning_tokens": "of them reasoning",
    "cost_nusd": "Cost",
    "cached_input_cost_nusd": "of it for cached tokens",
    "cache_write_cost_nusd": "of it for writing into caches",
    "reported_cost_nusd": "Cost as providers report it",
}
_HEADS: Final = {
    "input_tokens": "Input tokens",
    "cached_input_tokens": "Cached",
    "cache_write_5m_tokens": "Written 5 min",
    "cache_write_1h_tokens": "Written 1 h",
    "output_tokens": "Output tokens",
    "reasoning_tokens": "Reasoning",
    "cost_nusd": "Cost",
    "cached_input_cost_nusd": "Cached cost",
    "cache_write_cost_nusd": "Write cost",
    "reported_cost_nusd": "Reported cost",
}
_UNREAD: Final = (
    "No call read what these paid for writing: without caching they would cost less.\n"
    "Look for what changes at the start of each prompt, such as a time or an id."
)
_RARE: Final = {
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cached_input_cost_nusd",
    "cache_write_cost_nusd",
}
"""What has no column in a section where it is known of no line."""


def render_markdown(report: Report) -> str:
    """Return the report as Markdown tables, every value inert."""
    head = heading(
        "Usage report",
        interval=report.interval,
        made_ms=report.made_ms,
        router_version=report.router_version,
    )
    if report.served_by_versions:
        versions = ", ".join(map(inert, report.served_by_versions))
        head.append(f"- Calls served by version {versions}")
    if report.unread_bytes:
        head.append(incomplete(report.unread_bytes))
    parts = ["\n".join(head), _markdown_totals(report.totals.measures)]
    parts += [_markdown_latency(report)]
    parts += [_markdown_section(section) for section in report.sections]
    if report.unread_caches is not None:
        parts.append(f"{_markdown_section(report.unread_caches)}\n\n{_UNREAD}")
    parts.append(_markdown_errors(report))
    return "\n\n".join(parts) + "\n"


def heading(
    title: str, *, interval: Interval, made_ms: int, router_version: str
) -> list[str]:
    """Return the lines that every report begins with."""
    from_text, to_text = utc_text(interval.from_ms), utc_text(interval.to_ms)
    return [
        f"# {title}",
        "",
        f"- From {from_text} until before {to_text} (UTC)",
        f"- Made {utc_text(made_ms)} by smart-llmrouter {inert(router_version)}",
    ]


def incomplete(unread_bytes: int) -> str:
    """Return the line that says what a report lacks."""
    return f"- **incomplete: {unread_bytes:,} bytes not yet ingested**"


def _markdown_totals(measures: Measures) -> str:
    rows = [
        ("Calls", f"{measures.calls:,}", ""),
        ("Errors", f"{measures.errors:,}", ""),
        ("Attempts", f"{measures.attempts:,}", ""),
        ("Calls with estimated tokens", f"{measures.estimated_calls:,}", ""),
        *(
            (_TITLES[name], _amount(name, known), _coverage(known, measures.calls))
            for name, known in measures.sums()
        ),
    ]
    return "## Totals\n\n" + table(("", "Total", "Known for"), rows, texts=1)


def _markdown_latency(report: Report) -> str:
    rows = [
        (title, *_ranks(timed))
        for title, timed in (
            ("Whole call", report.totals.latency),
            ("First token", report.totals.first_token),
        )
    ]
    head = ("ms", "Calls", "p50", "p90", "p95", "p99")
    return "## Latency\n\n" + table(head, rows, texts=1)


def _markdown_section(section: Section) -> str:
    timed = any(line.latency for line in section.lines)
    head = [dimension.title for dimension in section.dimensions]
    shown = _shown(section)
    head += ["Calls", "Errors", *(_HEADS[name] for name in shown)]
    if timed:
        head += ["p50 ms", "p90 ms", "p95 ms", "p99 ms"]
        head += ["first token p50 ms", "p90 ms", "p95 ms", "p99 ms"]
    rows = []
    for line in section.lines:
        measures = line.measures
        row = [NONE if part is None else inert(part) for part in line.key]
        row += [_calls(measures), f"{measures.errors:,}"]
        row += [
            _amount(name, known) + _gap(known, measures.calls)
            for name, known in measures.sums()
            if name in shown
        ]
        if timed:
            row += [*_ranks(line.latency)[1:], *_ranks(line.first_token)[1:]]
        rows.append(row)
    return f"## {section.title}\n\n" + table(head, rows, texts=len(section.dimensions))


def _shown(section: Section) -> list[str]:
    """Return the sums that have a column, in order."""
    known = {
        name
        for line in section.lines
        for name, sum_ in line.measures.sums()
        if sum_.calls
    }
    return [name for name in _HEADS if name in known or name not in _RARE]


def _markdown_errors(report: Report) -> str:
    rows = [
        (
            str(line.status),
            inert(line.code),
            NONE if line.error_class is None else inert(line.error_class),
            f"{line.calls:,}",
        )
        for line in report.errors
    ]
    head = ("Status", "Code", "Class", "Calls")
    return "## Errors\n\n" + table(head, rows, texts=3)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int) -> str:
    """Return a table whose first `texts` columns are text and the others numbers."""
    lines = [_row(head), _row(["---"] * texts + ["---:"] * (len(head) - texts))]
    lines += [_row(row) for row in rows]
    if len(lines) == 2:
        return "None."
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def inert(value: str) -> str:
    """Return a value as inert Markdown: no markup, no HTML, one line."""
    printable = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in value
    )
    return _MARKUP.sub(r"\\\1", printable) or '""'


def _amount(name: str, known: Known) -> str:
    if known.total is None:
        return _UNKNOWN
    return _usd(known.total) if name.endswith("_nusd") else f"{known.total:,}"


def _usd(nusd: int) -> str:
    """Return nano-dollars as dollars, exactly, with two decimals at least."""
    whole, _, fraction = f"{Decimal(nusd) / NUSD_PER_USD:.9f}".partition(".")
    return f"${int(whole):,}.{fraction.rstrip('0').ljust(2, '0')}"


def _calls(measures: Measures) -> str:
    if not measures.estimated_calls:
        return f"{measures.calls:,}"
    return f"{measures.calls:,} ({measures.estimated_calls:,} estimated)"


def _coverage(known: Known, calls: int) -> str:
    return f"{known.calls:,} of {calls:,} calls"


def _gap(known: Known, calls: int) -> str:
    if known.total is None or known.calls == calls:
        return ""
    return f" ({known.calls:,} of {calls:,})"


def _ranks(timed: Percentiles | None) -> tuple[str, str, str, str, str]:
    if timed is None:
        return "0", _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN
    return (
        f"{timed.calls:,}",
        _ms(timed.p50_us),
        _ms(timed.p90_us),
        _ms(timed.p95_us),
        _ms(timed.p99_us),
    )


def _ms(us: int) -> str:
    return f"{Decimal(us) / 1000:,.1f}"
