"""Which configurations and prices took effect in an interval, one after the other."""

from typing import Any, Final

from sqlalchemy import Connection, select

from smart_llmrouter.core.money import usd_text
from smart_llmrouter.ledger.interval import Interval, utc_text
from smart_llmrouter.ledger.listing import Column, Listing
from smart_llmrouter.ledger.render import Cell
from smart_llmrouter.stores.event_tables import CONFIG_VERSIONS, PRICE_VERSIONS

_PRICE_PARTS: Final = {
    "input_nusd_per_million": "input",
    "cached_input_nusd_per_million": "cached input",
    "cache_write_nusd_per_million": "cache write",
    "cache_write_1h_nusd_per_million": "cache write (1 h)",
    "output_nusd_per_million": "output",
    "reasoning_nusd_per_million": "reasoning",
    "image_tokens_nusd_per_million": "image tokens",
    "image_nusd": "an image",
}
_COLUMNS: Final = (
    Column(name="at_utc", head="From"),
    Column(name="kind", head="What"),
    Column(name="fingerprint", head="Fingerprint"),
    Column(name="of", head="Of"),
    Column(name="says", head="What it says"),
    Column(name="source", head="Source"),
    Column(name="as_of", head="Read on"),
)


def list_versions(
    connection: Connection,
    *,
    interval: Interval,
    made_ms: int,
    router_version: str,
    unread_bytes: int = 0,
) -> Listing:
    """Read the interval and return what began to hold in it, the oldest first.

    Prices are in dollars: for a million tokens, or for an image.
    """
    found: list[tuple[int, tuple[Cell, ...]]] = []
    for table, line_of in (
        (CONFIG_VERSIONS, _configuration),
        (PRICE_VERSIONS, _price),
    ):
        began_ms = table.c.ts_ms
        within = (began_ms >= interval.from_ms, began_ms < interval.to_ms)
        rows = connection.execute(select(table).where(*within)).mappings()
        found += [(int(row["ts_ms"]), line_of(row)) for row in rows]
    # A price comes after the configuration that it came with.
    found.sort(key=lambda each: (each[0], *map(str, each[1])))
    return Listing(
        title="Configurations and prices that took effect",
        name="versions",
        interval=interval,
        made_ms=made_ms,
        router_version=router_version,
        unread_bytes=unread_bytes,
        columns=_COLUMNS,
        lines=tuple((utc_text(at_ms), *line) for at_ms, line in found),
    )


def _configuration(row: Any) -> tuple[Cell, ...]:  # noqa: ANN401 - a row by its columns
    says = f"by a {row['cause']} of version {row['router_version']}"
    return "configuration", row["fingerprint"], None, says, None, None


def _price(row: Any) -> tuple[Cell, ...]:  # noqa: ANN401 - as above
    parts = [
        f"{name} {usd_text(row[column])}"
        for column, name in _PRICE_PARTS.items()
        if row[column] is not None
    ]
    above, since_ms = row["above_tokens"], row["effective_from_ms"]
    if above:
        parts.append(f"above {above:,} tokens of input")
    if since_ms is not None:
        parts.append(f"from {utc_text(since_ms)} on")
    target = f"{row['provider']}/{row['model']}"
    says = ", ".join(parts) or "nothing"
    return "price", row["fingerprint"], target, says, row["source"], row["as_of"]
