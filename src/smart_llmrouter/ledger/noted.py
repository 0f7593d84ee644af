"""What translations could not carry as it was: which field, to whom, how often."""

from typing import Final

from sqlalchemy import Connection, func, select

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.listing import Column, Listing
from smart_llmrouter.stores.tables import (
    LABEL_NOTES,
    REQUEST_LABELS,
    REQUEST_MEASURES,
)

_CALLS = REQUEST_MEASURES.c
_LABELS = REQUEST_LABELS.c
_NOTES = LABEL_NOTES.c
_TARGET = _LABELS.target_provider + "/" + _LABELS.target_model
_COLUMNS: Final = (
    Column(name="field", head="Field"),
    Column(name="target", head="Target"),
    Column(name="inbound_dialect", head="Dialect"),
    Column(name="target_dialect", head="Target's dialect"),
    Column(name="action", head="What happened"),
    Column(name="reason", head="Why"),
    Column(name="calls", head="Calls", is_number=True),
)


def list_notes(
    connection: Connection,
    *,
    interval: Interval,
    made_ms: int,
    router_version: str,
    unread_bytes: int = 0,
) -> Listing:
    """Read the interval and return its notes, those of most calls first."""
    key = (
        _NOTES.field_name,
        _TARGET,
        _LABELS.inbound_dialect,
        _LABELS.target_dialect,
        _NOTES.action,
        _NOTES.reason,
    )
    calls = func.count()
    rows = connection.execute(
        select(*key, calls)
        .select_from(REQUEST_MEASURES)
        .join(REQUEST_LABELS, _LABELS.id == _CALLS.labels_id)
        .join(LABEL_NOTES, _NOTES.labels_id == _CALLS.labels_id)
        .where(_CALLS.ts_ms >= interval.from_ms, _CALLS.ts_ms < interval.to_ms)
        .group_by(*key)
        .order_by(calls.desc(), *key)
    )
    return Listing(
        title="What translations could not carry",
        name="notes",
        interval=interval,
        made_ms=made_ms,
        router_version=router_version,
        unread_bytes=unread_bytes,
        columns=_COLUMNS,
        lines=tuple(map(tuple, rows)),
    )
