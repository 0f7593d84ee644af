"""Markdown that a person reads: headings, tables, and values that are only values.

Every value that somebody could have chosen (a model name, a user agent) is escaped:
it can be neither markup nor HTML, nor break a table.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from smart_llmrouter.ledger.document import Page, Table
from smart_llmrouter.ledger.interval import UTC_ZONE, Interval, Zone, moment_text

NONE: Final = "(none)"
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#!|~&])")


def heading(
    title: str,
    *,
    interval: Interval,
    made_ms: int,
    router_version: str,
    zone: Zone = UTC_ZONE,
) -> list[str]:
    """Return the lines that every report begins with."""
    from_text, to_text, made = (
        moment_text(ms, zone) for ms in (interval.from_ms, interval.to_ms, made_ms)
    )
    return [
        f"# {title}",
        "",
        f"- From {from_text} until before {to_text} ({zone.name})",
        f"- Made {made} by smart-llmrouter {inert(router_version)}",
    ]


def incomplete(unread_bytes: int) -> str:
    """Return the line that says what a report lacks."""
    return f"- **incomplete: {unread_bytes:,} bytes not yet ingested**"


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


def render_page(page: Page) -> str:
    """Return a page as Markdown, every value of its cells inert."""
    about = [f"- {inert(line)}" for line in page.about]
    about += [f"- **{inert(line)}**" for line in page.warnings]
    parts = [f"# {page.title}", "\n".join(about)]
    if page.facts:
        rows = [(title, inert(text)) for title, text in page.facts]
        parts.append("\n".join(f"- **{title}:** {text}" for title, text in rows))
    parts += [*(_page_table(each) for each in page.tables), page.note]
    return "\n\n".join(filter(None, parts)) + "\n"


def _page_table(given: Table) -> str:
    numbers = [head.number for head in given.heads]
    lines = [
        _row(inert(head.text) if head.text else "" for head in given.heads),
        _row("---:" if number else "---" for number in numbers),
        *(_row(inert(cell) if cell else "" for cell in row) for row in given.rows),
    ]
    parts = [f"## {given.title}", given.intro, "\n".join(lines), given.note]
    return "\n\n".join(filter(None, parts))
