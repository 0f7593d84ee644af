"""The rows that a decision becomes.

What many calls have in common stands once, in the tables of kinds of decisions: whose
turn it was, what each target missed. A call adds a row of its own numbers, one for
each attempt and, where targets were scored, one for each score and each of its terms.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.decisions import Candidate, Decision

_MOST_KINDS: Final = 8192
_ADD_DECISION: Final = (
    "INSERT INTO request_decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_ATTEMPT: Final = (
    "INSERT INTO request_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_POLICY: Final = (
    "INSERT INTO request_policy_executions VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_SCORE: Final = (
    "INSERT INTO request_target_scores VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_TERM: Final = (
    "INSERT INTO request_dynamic_score_terms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_KIND: Final = (
    "INSERT INTO decision_kinds VALUES "
    "(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_FIND_KIND: Final = "SELECT id FROM decision_kinds WHERE digest = ?"
_ADD_TOOL: Final = (
    "INSERT INTO decision_kind_tools VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_CANDIDATE: Final = (
    "INSERT INTO decision_kind_candidates VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_REASON: Final = (
    "INSERT INTO decision_kind_reasons VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_Row = tuple[object, ...]


class KeptDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision, and how many of its candidates and reasons were left out."""

    decision: Decision
    candidates_left_out: int = 0
    reasons_left_out: int = 0


class _Kind(msgspec.Struct, frozen=True):
    """What many decisions have in common."""

    columns: _Row
    tools: tuple[str, ...]
    candidates: tuple[Candidate, ...]


class DecisionRows:
    """Adds decisions to one database, each exactly once."""

    def __init__(self) -> None:
        """Know no kind yet."""
        self._kind_ids: dict[_Kind, int] = {}

    def forget(self) -> None:
        """Forget what was looked up: it may have been taken back."""
        self._kind_ids.clear()

    def add(
        self,
        connection: sqlite3.Connection,
        decided: Iterable[tuple[str, int, KeptDecision]],
    ) -> None:
        """Add decisions, each with the id of its call and when that began.

        One that is there already changes nothing.
        """
        rows: dict[str, list[_Row]] = {
            statement: []
            for statement in (
                _ADD_DECISION,
                _ADD_ATTEMPT,
                _ADD_POLICY,
                _ADD_SCORE,
                _ADD_TERM,
            )
        }
        for request_id, ts_ms, kept in decided:
            call, decision = (ts_ms, request_id), kept.decision
            kind_id = self._kind_id(connection, kept)
            rows[_ADD_DECISION].append((*call, kind_id, *_numbers(decision)))
            rows[_ADD_ATTEMPT] += _attempts(call, decision)
            rows[_ADD_POLICY] += _policies(call, decision)
            if _is_scored(decision):
                rows[_ADD_SCORE] += _scores(call, decision)
                rows[_ADD_TERM] += _terms(call, decision)
        for statement, values in rows.items():
            if values:
                connection.executemany(statement, values)

    def _kind_id(self, connection: sqlite3.Connection, kept: KeptDecision) -> int:
        kind = _kind_of(kept)
        known = self._kind_ids.get(kind)
        if known is None:
            if len(self._kind_ids) >= _MOST_KINDS:
                self._kind_ids.clear()
            known = self._kind_ids[kind] = _added(connection, kind)
        return known


def _kind_of(kept: KeptDecision) -> _Kind:
    decision, needs = kept.decision, kept.decision.needs
    return _Kind(
        columns=(
            decision.group,
            decision.strategy,
            decision.affinity,
            decision.error_code,
            kept.candidates_left_out,
            kept.reasons_left_out,
            needs.dialect,
            needs.stream,
            needs.forced_choice,
            needs.parallel_tools,
            needs.output_format,
            needs.audio,
            needs.reasoning,
            needs.reasoning_level,
            needs.goes_on,
        ),
        tools=needs.tools,
        candidates=_unscored(decision),
    )


def _is_scored(decision: Decision) -> bool:
    return any(
        each.score is not None or each.observations is not None or each.terms
        for each in decision.candidates
    )


def _unscored(decision: Decision) -> tuple[Candidate, ...]:
    if not _is_scored(decision):
        return decision.candidates
    return tuple(
        msgspec.structs.replace(each, score=None, observations=None, terms=())
        for each in decision.candidates
    )


def _added(connection: sqlite3.Connection, kind: _Kind) -> int:
    """Add a kind where it is new; return its id."""
    encoded = msgspec.json.encode((kind.columns, kind.tools, kind.candidates))
    digest = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    candidates = list(enumerate(kind.candidates))
    connection.execute(_ADD_KIND, (digest, *kind.columns))
    (kind_id,) = connection.execute(_FIND_KIND, (digest,)).fetchone()
    connection.executemany(
        _ADD_TOOL, [(kind_id, seq, tool) for seq, tool in enumerate(kind.tools)]
    )
    connection.executemany(
        _ADD_CANDIDATE,
        [
            (kind_id, at, each.label, each.dialect, each.lane, each.weight, each.rank)
            for at, each in candidates
        ],
    )
    connection.executemany(
        _ADD_REASON,
        [
            (kind_id, at, seq, reason)
            for at, each in candidates
            for seq, reason in enumerate(each.missing)
        ],
    )
    return int(kind_id)


def _numbers(decision: Decision) -> _Row:
    needs = decision.needs
    return (
        needs.tool_count,
        needs.tool_schema_bytes,
        needs.image_urls,
        needs.image_data,
        needs.documents,
        needs.reasoning_budget,
        needs.output_cap,
        needs.estimated_input_tokens,
        needs.request_bytes,
    )


def _attempts(call: _Row, decision: Decision) -> Iterable[_Row]:
    for index, attempt in enumerate(decision.attempts):
        yield (
            *call,
            index,
            attempt.label,
            attempt.lane,
            attempt.began_us,
            attempt.duration_us,
            attempt.first_byte_us,
            attempt.first_event_us,
            attempt.status,
            attempt.error_class,
            attempt.retry_after_s,
            attempt.then,
        )


def _policies(call: _Row, decision: Decision) -> Iterable[_Row]:
    run = decision.policy
    if run is not None:
        yield (
            *call,
            run.kind,
            run.outcome,
            run.duration_us,
            run.class_label,
            run.error,
        )


def _scores(call: _Row, decision: Decision) -> Iterable[_Row]:
    for index, each in enumerate(decision.candidates):
        if each.score is not None or each.observations is not None:
            yield (*call, index, each.score, each.observations)


def _terms(call: _Row, decision: Decision) -> Iterable[_Row]:
    for index, each in enumerate(decision.candidates):
        for seq, term in enumerate(each.terms):
            yield (
                *call,
                index,
                seq,
                term.name,
                term.value,
                term.weight,
                term.contribution,
                term.observed,
            )
