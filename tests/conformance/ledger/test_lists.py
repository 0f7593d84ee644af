"""Who was refused, and what took effect: listed alike from each kind of database."""

import json

import pytest

from smart_llmrouter.ledger.interval import Interval, utc_text
from smart_llmrouter.ledger.journal_events import (
    ConfigVersion,
    JournalEvent,
    PriceVersion,
    encode_event,
)
from smart_llmrouter.ledger.refused import list_refusals
from smart_llmrouter.ledger.render_listing import render_listing
from smart_llmrouter.ledger.versions import list_versions
from smart_llmrouter.stores.database import open_for_reading
from tests.support.accesses import NOON_S, a_refusal
from tests.support.ledger import StateDirectory

NOON_MS = int(NOON_S * 1000)
HOUR = Interval(NOON_MS, NOON_MS + 3_600_000)
PRICE = PriceVersion(
    fingerprint="price_1",
    provider="acme",
    model="mini",
    ts_ms=NOON_MS + 1,
    input_nusd_per_million=250_000_000,
    output_nusd_per_million=2_000_000_000,
    source="https://acme.example/pricing",
    as_of="2026-10-01",
)


def ingested(state: StateDirectory, *events: JournalEvent) -> None:
    """Have events in the database, as a router writes them."""
    writer = state.writer()
    for event in events:
        writer.append(encode_event(event))
    writer.close()
    state.ingester().advance()


def test_refusals_are_counted_by_who_and_why(state: StateDirectory) -> None:
    """Those of the interval alone; a summary counts for all that it stands for."""
    other = {"ip_address": "198.51.100.9", "reason_code": "token-missing"}
    ingested(
        state,
        *(a_refusal(number) for number in range(3)),
        a_refusal(3, **other),
        a_refusal(4, calls=7, ip_address=None, request_id=None),
        a_refusal(5, ts_ms=HOUR.to_ms),
        a_refusal(6, ts_ms=HOUR.from_ms - 1),
    )

    with open_for_reading(state.url).connect() as connection:
        listing = list_refusals(
            connection, interval=HOUR, made_ms=HOUR.to_ms, router_version="0.1.0"
        )

    names = [column.name for column in listing.columns]
    lines = [dict(zip(names, line, strict=True)) for line in listing.lines]
    assert [
        (line["ip_address"], line["reason_code"], line["requests"]) for line in lines
    ] == [
        (None, "token-unknown", 7),
        ("192.0.2.7", "token-unknown", 3),
        ("198.51.100.9", "token-missing", 1),
    ]
    assert lines[1]["first_utc"] == utc_text(NOON_MS)
    assert lines[1]["last_utc"] == utc_text(NOON_MS + 2)


@pytest.mark.parametrize("to", ["markdown", "json", "csv"])
def test_each_format_has_the_address(state: StateDirectory, to: str) -> None:
    """For people and for programs."""
    ingested(state, a_refusal(1))

    with open_for_reading(state.url).connect() as connection:
        listing = list_refusals(
            connection, interval=HOUR, made_ms=HOUR.to_ms, router_version="0.1.0"
        )
    text = render_listing(listing, to=to)  # type: ignore[arg-type]  # one of them

    assert "192.0.2.7" in text
    assert "token" in text


def test_versions_are_told_in_their_order(state: StateDirectory) -> None:
    """Configurations and prices, and what these say in dollars."""
    began = ConfigVersion(
        fingerprint="cfg_1", ts_ms=NOON_MS, router_version="0.1.0", cause="start"
    )
    reloaded = ConfigVersion(
        fingerprint="cfg_2", ts_ms=NOON_MS + 5, router_version="0.1.0", cause="reload"
    )
    ingested(state, reloaded, PRICE, began, began)

    with open_for_reading(state.url).connect() as connection:
        listing = list_versions(
            connection, interval=HOUR, made_ms=HOUR.to_ms, router_version="0.1.0"
        )

    assert [line[1:3] for line in listing.lines] == [
        ("configuration", "cfg_1"),
        ("price", "price_1"),
        ("configuration", "cfg_2"),
    ]
    [_, price, last] = json.loads(render_listing(listing, to="json"))["versions"]
    assert price["says"] == "input 0.25, output 2.00"
    assert (price["of"], price["as_of"]) == ("acme/mini", "2026-10-01")
    assert last["says"] == "by a reload of version 0.1.0"
