"""What translations could not carry as it was: which field, to whom, how often."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.stores.tables import (
    LABEL_NOTES,
    REQUEST_LABELS,
    REQUEST_MEASURES,
)

_CALLS = REQUEST_MEASURES.c
_LABELS = REQUEST_LABELS.c
_NOTES = LABEL_NOTES.c


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedField:
    """How many calls one thing was noted of.

    `target` is `provider/model`; it and its dialect are `None` where there was none.
    """

    field: str
    action: str
    reason: str
    target: str | None
    inbound_dialect: str
    target_dialect: str | None
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesReport:
    """All notes of an interval. Times and `unread_bytes` are those of a `Report`."""

    interval: Interval
    made_ms: int
    router_version: str
    unread_bytes: int
    lines: tuple[NotedField, ...]


def make_notes_report(
    connection: Connection,
    *,
    interval: Interval,
    made_ms: int,
    router_version: str,
    unread_bytes: int = 0,
) -> NotesReport:
    """Read the interval and return its notes, those of most calls first."""
    key = (
        _NOTES.field_name,
        _NOTES.action,
        _NOTES.reason,
        _LABELS.target_provider + "/" + _LABELS.target_model,
        _LABELS.inbound_dialect,
        _LABELS.target_dialect,
    )
    rows = connection.execute(
        select(*key, func.count())
        .select_from(REQUEST_MEASURES)
        .join(REQUEST_LABELS, _LABELS.id == _CALLS.labels_id)
        .join(LABEL_NOTES, _NOTES.labels_id == _CALLS.labels_id)
        .where(_CALLS.ts_ms >= interval.from_ms, _CALLS.ts_ms < interval.to_ms)
        .group_by(*key)
    )
    lines = [
        NotedField(
            field=field,
            action=action,
            reason=reason,
            target=target,
            inbound_dialect=inbound,
            target_dialect=dialect,
            calls=calls,
        )
        for field, action, reason, target, inbound, dialect, calls in rows
    ]
    return NotesReport(
        interval=interval,
        made_ms=made_ms,
        router_version=router_version,
        unread_bytes=unread_bytes,
        lines=tuple(sorted(lines, key=_frequent_first)),
    )


def _frequent_first(line: NotedField) -> tuple[int, str, str, str]:
    return -line.calls, line.field, line.target or "", line.reason
