"""Single calls that stand out: which cost most."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, tuple_

from smart_llmrouter.ledger.reports.source import Question, chosen
from smart_llmrouter.stores.tables import REQUEST_MEASURES, REQUEST_USAGE

_CALL = REQUEST_MEASURES.c
_USAGE = REQUEST_USAGE.c

Row = Mapping[str, Any]
"""A row of `request_usage`, column by column."""


def dearest_calls(
    connection: Connection, question: Question, *, most: int
) -> tuple[Row, ...]:
    """Return the calls that cost most, as far as that is known; `most` of them."""
    dearest = connection.execute(
        select(_CALL.ts_ms, _CALL.request_id)
        .where(chosen(question), _CALL.total_cost_nusd > 0)
        .order_by(_CALL.total_cost_nusd.desc(), _CALL.ts_ms, _CALL.request_id)
        .limit(most)
    ).all()
    found = [(ts_ms, request_id) for ts_ms, request_id in dearest]
    # With the moments said outright, a server looks at no other day's partition, and
    # SQLite, which finds no pairs by an index, at no other rows.
    rows = connection.execute(
        select(REQUEST_USAGE)
        .where(
            _USAGE.ts_ms.in_([ts_ms for ts_ms, _ in found]),
            tuple_(_USAGE.ts_ms, _USAGE.request_id).in_(found),
        )
        .order_by(_USAGE.total_cost_nusd.desc(), _USAGE.ts_ms, _USAGE.request_id)
    )
    return tuple(dict(row) for row in rows.mappings())
