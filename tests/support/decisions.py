"""Decisions for tests: ordinary ones, and any that can be."""

from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import (
    AttemptRun,
    Candidate,
    Decision,
    Needs,
    PolicyRun,
    Term,
)
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.explained import explained
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.database import open_for_reading
from tests.support.ledger import StateDirectory, a_record, various_record

NEEDS = Needs(
    dialect="openai-chat",
    stream=True,
    tools=("function",),
    tool_count=3,
    tool_schema_bytes=1200,
    forced_choice=False,
    parallel_tools=False,
    output_format=None,
    image_urls=0,
    image_data=1,
    image_files=0,
    audio=False,
    documents=0,
    reasoning="effort",
    reasoning_level="low",
    reasoning_budget=None,
    output_cap=1000,
    estimated_input_tokens=1234,
    request_bytes=4567,
    goes_on=False,
)


def a_candidate(number: int, **fields: object) -> Candidate:
    """Return an eligible target; `fields` replaces what a test is about."""
    usual: dict[str, object] = {
        "label": f"acme{number}/mini",
        "dialect": "openai-chat",
        "lane": "relay",
        "weight": 1,
        "rank": number,
    }
    return Candidate(**(usual | fields))  # type: ignore[arg-type]  # checked by msgspec


def an_attempt(label: str, **fields: object) -> AttemptRun:
    """Return an attempt that was answered; `fields` replaces what differs."""
    usual: dict[str, object] = {
        "lane": "relay",
        "began_us": 120,
        "duration_us": 12_345,
        "first_byte_us": 10_000,
        "first_event_us": 11_000,
        "status": 200,
        "error_class": None,
        "retry_after_s": None,
        "then": "answered",
    }
    return AttemptRun(label=label, **(usual | fields))  # type: ignore[arg-type]  # checked by msgspec


def a_decision(**fields: object) -> Decision:
    """Return a decision between two targets, of which the second answered."""
    failed = an_attempt(
        "acme0/mini",
        status=429,
        error_class="upstream_rate_limited",
        retry_after_s=7,
        first_event_us=None,
        then="next-target",
    )
    usual: dict[str, object] = {
        "group": "chat",
        "strategy": "failover",
        "needs": NEEDS,
        "candidates": (
            a_candidate(0),
            a_candidate(1),
            a_candidate(2, missing=("image", "context"), rank=None),
        ),
        "attempts": (failed, an_attempt("acme1/mini", began_us=15_000)),
    }
    return Decision(**(usual | fields))  # type: ignore[arg-type]  # checked by msgspec


def scored() -> Decision:
    """Return a decision of a strategy that scores, with a policy beside it."""
    terms = (Term("latency", 0.25, 2.0, 0.5, 812.5), Term("errors", 1.0, 1.0, 1.0))
    return a_decision(
        strategy="dynamic",
        candidates=(
            a_candidate(0, score=1.5, observations=37, terms=terms),
            a_candidate(1, score=0.0, observations=0),
            a_candidate(2, missing=("cooling-down",), rank=None),
        ),
        affinity="moved",
        policy=PolicyRun(
            kind="rules", outcome="decided", duration_us=55, class_label="small"
        ),
    )


def various_decision(number: int) -> Decision | None:
    """Return a decision of one of the kinds that are kept differently, or none."""
    kinds = (None, a_decision(), scored(), a_decision(candidates=(), attempts=()))
    decision = kinds[number % len(kinds)]
    if decision is None:
        return None
    needs = msgspec.structs.replace(NEEDS, request_bytes=number)
    return msgspec.structs.replace(decision, needs=needs)


def various_line(number: int) -> bytes:
    """Return the line of a call; of most, with how it was decided."""
    line, decision = encode_record(various_record(number)), various_decision(number)
    return line if decision is None else with_decision(line, decision, Diagnostics())


def kept_decisions(
    state: StateDirectory, numbers: Iterable[int]
) -> list[Decision | None]:
    """Return how calls were decided, as the database has it."""
    found = []
    with open_for_reading(state.url).connect() as connection:
        for number in numbers:
            call = explained(connection, a_record(number).request_id)
            assert call is not None
            found.append(call.kept.decision if call.kept else None)
    return found


# Of NUL, which PostgreSQL takes nowhere, no row is made in any database.
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
_NUMBERS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_MAYBE_NUMBERS = st.none() | _NUMBERS
_MAYBE_TEXTS = st.none() | _TEXTS
_LANES = st.sampled_from(["relay", "translate"])
_OF_NEEDS = {
    bool: st.booleans(),
    str: _TEXTS,
    int: _NUMBERS,
    int | None: _MAYBE_NUMBERS,
    str | None: _MAYBE_TEXTS,
    tuple[str, ...]: st.lists(_TEXTS, max_size=3).map(tuple),
}
_REASONING = st.sampled_from([None, "effort", "budget", "adaptive"])
_NEEDS = st.builds(
    Needs,
    **{
        field.name: _OF_NEEDS.get(field.type, _REASONING)
        for field in msgspec.structs.fields(Needs)
    },
)
_TERMS = st.builds(Term, _TEXTS, _FLOATS, _FLOATS, _FLOATS, st.none() | _FLOATS)
_CANDIDATES = st.builds(
    Candidate,
    label=_TEXTS,
    dialect=_TEXTS,
    lane=_LANES,
    weight=_NUMBERS,
    missing=st.lists(_TEXTS, max_size=3).map(tuple),
    rank=_MAYBE_NUMBERS,
    score=st.none() | _FLOATS,
    observations=_MAYBE_NUMBERS,
    terms=st.lists(_TERMS, max_size=3).map(tuple),
)
_POLICY_RUNS = st.builds(
    PolicyRun,
    kind=st.sampled_from(["rules", "script", "external"]),
    outcome=st.sampled_from(["decided", "fallback", "failed"]),
    duration_us=_NUMBERS,
    class_label=_MAYBE_TEXTS,
    error=_MAYBE_TEXTS,
)
_ATTEMPTS = st.builds(
    AttemptRun,
    label=_TEXTS,
    lane=_LANES,
    began_us=_NUMBERS,
    duration_us=_NUMBERS,
    first_byte_us=_MAYBE_NUMBERS,
    first_event_us=_MAYBE_NUMBERS,
    status=_MAYBE_NUMBERS,
    error_class=_MAYBE_TEXTS,
    retry_after_s=_MAYBE_NUMBERS,
    then=st.sampled_from(["answered", "same-target", "next-target", "stop"]),
)
DECISIONS = st.builds(
    Decision,
    group=_TEXTS,
    strategy=_TEXTS,
    needs=_NEEDS,
    candidates=st.lists(_CANDIDATES, max_size=4).map(tuple),
    affinity=st.sampled_from(["none", "new", "kept", "moved", "pinned"]),
    policy=st.none() | _POLICY_RUNS,
    attempts=st.lists(_ATTEMPTS, max_size=3).map(tuple),
    error_code=_MAYBE_TEXTS,
)
"""Any decision whose numbers fit into 64 bits."""
