"""Who was refused at the door, and for what: before any call began, and any row."""

from typing import Final

from sqlalchemy import Connection, func, select

from smart_llmrouter.ledger.interval import Interval, utc_text
from smart_llmrouter.ledger.listing import Column, Listing
from smart_llmrouter.stores.event_tables import SECURITY_ACCESS_EVENTS

_REFUSED = SECURITY_ACCESS_EVENTS.c
_KEY: Final = (
    _REFUSED.event_type,
    _REFUSED.outcome,
    _REFUSED.reason_code,
    _REFUSED.path_template,
    _REFUSED.ip_address,
    _REFUSED.caller_id,
    _REFUSED.token_id,
    _REFUSED.client,
)
_COLUMNS: Final = (
    Column(name="event_type", head="What was checked"),
    Column(name="outcome", head="Outcome"),
    Column(name="reason_code", head="Why"),
    Column(name="path_template", head="Where"),
    Column(name="ip_address", head="Address"),
    Column(name="caller", head="Caller"),
    Column(name="token", head="Token"),
    Column(name="client", head="Client"),
    Column(name="first_utc", head="First"),
    Column(name="last_utc", head="Last"),
    Column(name="requests", head="Requests", is_number=True),
)


def list_refusals(
    connection: Connection,
    *,
    interval: Interval,
    made_ms: int,
    router_version: str,
    unread_bytes: int = 0,
) -> Listing:
    """Read the interval and return who was refused, the most frequent first."""
    requests = func.sum(_REFUSED.calls)
    rows = connection.execute(
        select(*_KEY, func.min(_REFUSED.ts_ms), func.max(_REFUSED.ts_ms), requests)
        .where(_REFUSED.ts_ms >= interval.from_ms, _REFUSED.ts_ms < interval.to_ms)
        .group_by(*_KEY)
        .order_by(requests.desc(), *_KEY)
    )
    return Listing(
        title="Refused at the door",
        name="refusals",
        interval=interval,
        made_ms=made_ms,
        router_version=router_version,
        unread_bytes=unread_bytes,
        columns=_COLUMNS,
        lines=tuple(
            (*key, utc_text(first_ms), utc_text(last_ms), int(count))
            for *key, first_ms, last_ms, count in rows
        ),
    )
