"""The rows that a decision becomes.

What many calls have in common stands once, in the tables of kinds of decisions: whose
turn it was, what each target missed. A call adds a row of its own numbers and one for
each attempt; where its group scores targets, one for each score and each of its terms.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from smart_llmrouter.core.decisions import Candidate, Decision, PolicyRun

_MOST_KINDS: Final = 8192
_ADD_DECISION: Final = (
    "INSERT INTO request_decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
_ADD_SCORE: Final = (
    "INSERT INTO request_target_scores VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_TERM: Final = (
    "INSERT INTO request_dynamic_score_terms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
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
_ADD_KIND: Final = (
    "INSERT INTO decision_kinds (digest, resolved_group, strategy, affinity, "
    "error_code, candidates_left_out, reasons_left_out, inbound_dialect, stream, "
    "forced_tool_choice, parallel_tools, output_format, audio, reasoning, "
    "reasoning_level, goes_on) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
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


class Found(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a row, as drivers say it
        """Return the next row, or `None`."""


class Statements(Protocol):
    """What carries out statements, each with a value for every `?`."""

    def execute(self, statement: str, parameters: Sequence[object], /) -> Found:
        """Carry out once."""

    def executemany(
        self, statement: str, parameters: Iterable[Sequence[object]], /
    ) -> object:
        """Carry out once for each row of parameters."""


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
        connection: Statements,
        decided: Iterable[tuple[str, int, KeptDecision]],
    ) -> None:
        """Add decisions, each with the id of its call and when that began.

        One that is there already changes nothing.
        """
        decisions: list[_Row] = []
        attempts: list[_Row] = []
        policies: list[_Row] = []
        scores: list[_Row] = []
        terms: list[_Row] = []
        for request_id, ts_ms, kept in decided:
            call, decision = (ts_ms, request_id), kept.decision
            scored = _is_scored(decision)
            kind_id = self._kind_id(connection, _kind_of(kept, scored=scored))
            decisions.append((*call, kind_id, *_numbers(decision)))
            if scored:
                scores += _scores(call, decision.candidates)
                terms += _terms(call, decision.candidates)
            attempts += _attempts(call, decision)
            if decision.policy is not None:
                policies.append(_policy_row(call, decision.policy))
        connection.executemany(_ADD_DECISION, decisions)
        connection.executemany(_ADD_ATTEMPT, attempts)
        connection.executemany(_ADD_POLICY, policies)
        if scores:
            connection.executemany(_ADD_SCORE, scores)
        if terms:
            connection.executemany(_ADD_TERM, terms)

    def _kind_id(self, connection: Statements, kind: _Kind) -> int:
        known = self._kind_ids.get(kind)
        if known is None:
            if len(self._kind_ids) >= _MOST_KINDS:
                self._kind_ids.clear()
            known = self._kind_ids[kind] = _added(connection, kind)
        return known


def _kind_of(kept: KeptDecision, *, scored: bool) -> _Kind:
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
        candidates=_unscored(decision.candidates) if scored else decision.candidates,
    )


def _is_scored(decision: Decision) -> bool:
    return any(
        each.score is not None or each.observations is not None or each.terms
        for each in decision.candidates
    )


def _unscored(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            label=each.label,
            dialect=each.dialect,
            lane=each.lane,
            weight=each.weight,
            missing=each.missing,
            rank=each.rank,
        )
        for each in candidates
    )


def _added(connection: Statements, kind: _Kind) -> int:
    """Add a kind where it is new; return its id."""
    encoded = msgspec.json.encode((kind.columns, kind.tools, kind.candidates))
    _require_storable(encoded)
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
        needs.image_files,
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


def _require_storable(encoded: bytes) -> None:
    """Raise `UnicodeError` for a NUL, which one of the kinds of databases cannot hold.

    So what is set aside is the same with all of them.
    """
    if b"\\u0000" in encoded:
        raise UnicodeError("a text with a NUL, which PostgreSQL would not take")


def _policy_row(call: _Row, run: PolicyRun) -> _Row:
    _require_storable(msgspec.json.encode(run))
    return (
        *call,
        run.kind,
        run.outcome,
        run.duration_us,
        run.class_label,
        run.error,
    )


def _scores(call: _Row, candidates: Iterable[Candidate]) -> Iterable[_Row]:
    for at, each in enumerate(candidates):
        if each.score is not None or each.observations is not None:
            yield (*call, at, each.score, each.observations)


def _terms(call: _Row, candidates: Iterable[Candidate]) -> Iterable[_Row]:
    for at, each in enumerate(candidates):
        for seq, term in enumerate(each.read_terms):
            yield (*call, at, seq, *msgspec.structs.astuple(term))
