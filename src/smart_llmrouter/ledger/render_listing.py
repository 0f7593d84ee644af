"""Listings as Markdown, JSON and CSV."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.listing import Listing
from smart_llmrouter.ledger.render import Cell, Format, inert_cell
from smart_llmrouter.ledger.render_markdown import (
    NONE,
    heading,
    incomplete,
    inert,
    table,
)


def render_listing(listing: Listing, *, to: Format) -> str:
    """Return the whole listing as text that ends with a newline."""
    return _RENDERERS[to](listing)


def _markdown(listing: Listing) -> str:
    head = heading(
        listing.title,
        interval=listing.interval,
        made_ms=listing.made_ms,
        router_version=listing.router_version,
    )
    if listing.unread_bytes:
        head.append(incomplete(listing.unread_bytes))
    texts = sum(not column.is_number for column in listing.columns)
    heads = [column.head for column in listing.columns]
    rows = [[_shown(cell) for cell in line] for line in listing.lines]
    return "\n".join([*head, "", table(heads, rows, texts=texts), ""])


def _shown(cell: Cell) -> str:
    if isinstance(cell, int | float):
        return f"{cell:,}"
    return NONE if cell is None else inert(cell)


def _json(listing: Listing) -> str:
    names = [column.name for column in listing.columns]
    document = {
        "from_utc": utc_text(listing.interval.from_ms),
        "to_utc": utc_text(listing.interval.to_ms),
        "made_utc": utc_text(listing.made_ms),
        "router_version": listing.router_version,
        "complete": listing.unread_bytes == 0,
        "unread_bytes": listing.unread_bytes,
        listing.name: [dict(zip(names, line, strict=True)) for line in listing.lines],
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _csv(listing: Listing) -> str:
    constant = [
        utc_text(listing.interval.from_ms),
        utc_text(listing.interval.to_ms),
        listing.unread_bytes,
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = [column.name for column in listing.columns]
    writer.writerow([*names, "from_utc", "to_utc", "unread_bytes"])
    for line in listing.lines:
        writer.writerow([*map(inert_cell, line), *constant])
    return out.getvalue()


_RENDERERS: Final[Mapping[Format, Callable[[Listing], str]]] = {
    "markdown": _markdown,
    "json": _json,
    "csv": _csv,
}
