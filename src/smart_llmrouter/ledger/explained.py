"""One call by its request id: its record, and how it was decided where that is kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, Table, select

from smart_llmrouter.core.decisions import (
    AttemptRun,
    Candidate,
    Decision,
    Needs,
    PolicyRun,
    Term,
)
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.stores.decision_tables import (
    ATTEMPTS,
    DECISIONS,
    FILTER_REASONS,
    KIND_TOOLS,
    POLICY_EXECUTIONS,
    ROUTING_DECISIONS,
    SCORE_TERMS,
    TARGET_CANDIDATES,
)
from smart_llmrouter.stores.diagnostics_tables import TRACE_EVENTS
from smart_llmrouter.stores.tables import FIELD_EVENTS, REQUEST_USAGE

_ID_BEGINS: Final = "req_"
_TIME_DIGITS: Final = 12
_RENAMED: Final = {
    "dialect": "inbound_dialect",
    "forced_choice": "forced_tool_choice",
    "reasoning_budget": "reasoning_budget_tokens",
    "output_cap": "output_cap_tokens",
}
"""Needs whose column has another name."""
_TERM: Final = ("term_name", "value", "weight", "contribution", "observed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One call; `record` is its row of `request_usage`, column by column.

    `kept` is `None` where nothing was written down of how it was decided. `timeline`
    are its rows of `request_trace_events`, `notes` what a translation could not carry.
    """

    record: Mapping[str, str | int | None]
    kept: KeptDecision | None
    timeline: Sequence[Mapping[str, str | int | None]] = ()
    notes: Sequence[Mapping[str, str | int | None]] = ()


def explained(connection: Connection, request_id: str) -> Explained | None:
    """Return what is on record of a call; `None` where it is not on record."""
    # What cannot be printed may be nothing that a database takes for a text.
    found = _call(connection, request_id) if request_id.isprintable() else None
    if found is None:
        return None
    ts_ms = found["ts_ms"]
    rows = _Rows(connection, {"request_id": request_id, "ts_ms": ts_ms})
    return Explained(
        record=dict(found),
        kept=_kept(connection, request_id, ts_ms=ts_ms),
        timeline=[dict(row) for row in rows.of(TRACE_EVENTS, "seq")],
        notes=[dict(row) for row in rows.of(FIELD_EVENTS, "seq")],
    )


def _call(connection: Connection, request_id: str) -> RowMapping | None:
    usage = REQUEST_USAGE.c
    wanted = select(REQUEST_USAGE).where(usage.request_id == request_id)
    began_ms = _time_in(request_id)
    if began_ms is not None:
        # Rows stand in the order of time: with it the row is found, without it sought.
        row = connection.execute(wanted.where(usage.ts_ms == began_ms)).mappings()
        if (found := row.first()) is not None:
            return found
    return connection.execute(wanted).mappings().first()


def _time_in(request_id: str) -> int | None:
    """Return when the call began as its id says, in milliseconds, where it does."""
    digits = request_id.removeprefix(_ID_BEGINS)[:_TIME_DIGITS]
    try:
        return int(digits, 16)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads the rows of one call."""

    connection: Connection
    key: Mapping[str, str | int]

    def of(self, table: Table, *order: str) -> list[RowMapping]:
        """Return the call's rows of a table in order."""
        query = select(table).where(
            *(table.c[name] == value for name, value in self.key.items())
        )
        ordered = query.order_by(*(table.c[name] for name in order))
        return list(self.connection.execute(ordered).mappings())


def _kept(
    connection: Connection, request_id: str, *, ts_ms: int
) -> KeptDecision | None:
    rows = _Rows(connection, {"request_id": request_id, "ts_ms": ts_ms})
    decided = rows.of(ROUTING_DECISIONS)
    if not decided:
        return None
    [row], [numbers] = decided, rows.of(DECISIONS)
    decision = Decision(
        group=row["resolved_group"],
        strategy=row["strategy"],
        needs=_needs(rows, row, kind_id=numbers["kind_id"]),
        candidates=tuple(_candidates(rows)),
        affinity=row["affinity"],
        policy=_policy(rows.of(POLICY_EXECUTIONS)),
        attempts=tuple(_attempts(rows.of(ATTEMPTS, "attempt_index"))),
        error_code=row["error_code"],
    )
    return KeptDecision(
        decision,
        candidates_left_out=row["candidates_left_out"],
        reasons_left_out=row["reasons_left_out"],
    )


def _needs(rows: _Rows, row: RowMapping, *, kind_id: int) -> Needs:
    fields: dict[str, Any] = {
        field.name: row[_RENAMED.get(field.name, field.name)]
        for field in msgspec.structs.fields(Needs)
    }
    tools = rows.connection.execute(
        select(KIND_TOOLS.c.tool)
        .where(KIND_TOOLS.c.kind_id == kind_id)
        .order_by(KIND_TOOLS.c.seq)
    )
    return Needs(**{**fields, "tools": tuple(tools.scalars())})


def _candidates(rows: _Rows) -> Iterable[Candidate]:
    missing: dict[int, list[str]] = {}
    for why in rows.of(FILTER_REASONS, "candidate_index", "seq"):
        missing.setdefault(why["candidate_index"], []).append(why["reason"])
    terms: dict[int, list[Term]] = {}
    for row in rows.of(SCORE_TERMS, "candidate_index", "seq"):
        term = Term(*(row[name] for name in _TERM))
        terms.setdefault(row["candidate_index"], []).append(term)
    for row in rows.of(TARGET_CANDIDATES, "candidate_index"):
        index = row["candidate_index"]
        yield Candidate(
            label=row["target"],
            dialect=row["dialect"],
            lane=row["lane"],
            weight=row["weight"],
            missing=tuple(missing.get(index, ())),
            rank=row["rank"],
            score=row["score"],
            observations=row["observation_count"],
            terms=tuple(terms.get(index, ())),
        )


def _policy(rows: list[RowMapping]) -> PolicyRun | None:
    for row in rows:
        return PolicyRun(
            kind=row["policy_kind"],
            outcome=row["outcome"],
            duration_us=row["duration_us"],
            class_label=row["class_label"],
            error=row["error_code"],
        )
    return None


def _attempts(rows: list[RowMapping]) -> Iterable[AttemptRun]:
    for row in rows:
        yield AttemptRun(
            label=row["target"],
            lane=row["lane"],
            began_us=row["began_us"],
            duration_us=row["duration_us"],
            first_byte_us=row["first_byte_us"],
            first_event_us=row["first_event_us"],
            status=row["upstream_status"],
            error_class=row["error_class"],
            retry_after_s=row["retry_after_s"],
            then=row["followed_by"],
        )
