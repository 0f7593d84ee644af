"""What can be derived of calls: each view, row by row."""

import msgspec
import pytest

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from tests.support.decisions import NEEDS, a_decision, scored
from tests.support.ledger import StateDirectory, a_record


def ingested(
    state: StateDirectory, *calls: tuple[UsageRecord, Decision | None]
) -> None:
    """Bring calls, some with a decision, into the database."""
    writer = state.writer()
    for record, decision in calls:
        line = encode_record(record)
        kept = line if decision is None else with_decision(line, decision, BOUNDS)
        writer.append(kept)
    writer.close()
    while state.ingester().advance().more:
        continue


BOUNDS = Diagnostics()
FAILED = {"status": 502, "error_code": "upstream-failed", "error_class": "upstream_5xx"}


def test_errors_are_the_calls_with_a_code(state: StateDirectory) -> None:
    """Also those that were refused."""
    refused = a_record(2, status=429, error_code="rpm", refused_by="caller:rpm")
    ingested(state, *[(each, None) for each in (a_record(0), a_record(1, **FAILED))])
    ingested(state, (refused, None))

    found = state.select(
        "status, error_code, error_class, refused_by", "request_errors"
    )

    assert found == [
        (502, "upstream-failed", "upstream_5xx", None),
        (429, "rpm", None, "caller:rpm"),
    ]


def test_a_trace_of_a_call_whose_decision_is_kept(state: StateDirectory) -> None:
    """Each attempt with its own moments, in the order in which they came."""
    record = a_record(1, attempts=2, ttfb_us=15_500, queued_us=40, latency_us=99_000)
    ingested(state, (record, a_decision()))
    attempts = a_decision().attempts

    found = state.select(
        "event, at_us, attempt_index, target", "request_trace_events ORDER BY seq"
    )

    second = attempts[1]
    assert found[:2] == [("received", 0, None, None), ("queued", None, None, None)]
    assert found[2] == ("attempt-began", attempts[0].began_us, 0, attempts[0].label)
    assert [event for event, *_ in found] == [
        "received",
        "queued",
        "attempt-began",
        *["first-byte"] * (attempts[0].first_byte_us is not None),
        *["first-event"] * (attempts[0].first_event_us is not None),
        "attempt-ended",
        "attempt-began",
        *["first-byte"] * (second.first_byte_us is not None),
        *["first-event"] * (second.first_event_us is not None),
        "attempt-ended",
        "ended",
    ]
    assert found[-1] == ("ended", 99_000, None, None)


def test_a_trace_of_any_other_call(state: StateDirectory) -> None:
    """The record knows when the target that answered began to."""
    target = {"target_provider": "acme", "target_model": "mini"}
    record = a_record(1, ttfb_us=500, ttft_us=700, upstream_status=200, **target)
    ingested(state, (record, None))

    found = state.select(
        "event, at_us, duration_us, attempt_index, target, status",
        "request_trace_events ORDER BY seq",
    )

    assert found == [
        ("received", 0, None, None, None, None),
        ("first-byte", 500, None, 0, "acme/mini", 200),
        ("first-event", 700, None, 0, "acme/mini", 200),
        ("ended", 1001, 1001, None, None, 200),
    ]


def test_who_waited_and_who_was_turned_away(state: StateDirectory) -> None:
    """Other limits are no shaping."""
    turned = {"status": 429, "error_code": "traffic-shaped"}
    ingested(
        state,
        (a_record(0, queued_us=5), None),
        (a_record(1, queued_us=6, **FAILED), None),
        (a_record(2, refused_by="user:input_tokens_per_second", **turned), None),
        (a_record(3, refused_by="caller:rpm", **turned), None),
    )

    found = state.select(
        "outcome, queued_us, refused_by", "request_traffic_shape_events ORDER BY ts_ms"
    )

    assert found == [
        ("passed", 5, None),
        ("ended", 6, None),
        ("refused", None, "user:input_tokens_per_second"),
    ]


def test_an_estimate_beside_what_it_was(state: StateDirectory) -> None:
    """Only where there was an estimate."""
    guessed = msgspec.structs.replace(NEEDS, estimated_input_tokens=120)
    unknown = msgspec.structs.replace(NEEDS, estimated_input_tokens=None)
    ingested(
        state,
        (a_record(1, input_tokens=100, output_tokens=7), a_decision(needs=guessed)),
        (a_record(2, input_tokens=100), a_decision(needs=unknown)),
    )

    columns = "estimated_input_tokens, input_tokens, output_tokens, charged_tokens"
    found = state.select(columns, "request_token_estimates")

    assert found == [(120, 100, 7, None)]


@pytest.mark.parametrize(
    ("size", "bucket"),
    [
        (0, "none"),
        (1, "1b-1kb"),
        (1024, "1b-1kb"),
        (1025, "1kb-16kb"),
        (64 << 10, "16kb-64kb"),
        (256 << 10, "64kb-256kb"),
        (1 << 20, "256kb-1mb"),
        ((1 << 20) + 1, "gt-1mb"),
    ],
)
def test_sizes_are_told_roughly(state: StateDirectory, size: int, bucket: str) -> None:
    """A bound belongs to what is below it."""
    needs = msgspec.structs.replace(
        NEEDS, request_bytes=size, tool_schema_bytes=size, reasoning_budget=size
    )
    ingested(state, (a_record(1), a_decision(needs=needs)))

    [found] = state.select(
        "request_bytes_bucket, tool_schema_bytes_bucket", "request_shapes"
    )

    assert found == (bucket, bucket)


def test_what_was_not_asked_for_has_a_word(state: StateDirectory) -> None:
    """A cap that is left out is no small one."""
    needs = msgspec.structs.replace(
        NEEDS, output_cap=None, reasoning_budget=None, estimated_input_tokens=None
    )
    ingested(state, (a_record(1), a_decision(needs=needs)))

    found = state.select(
        "output_cap_bucket, reasoning_budget_bucket, estimated_input_tokens_bucket",
        "request_shapes",
    )

    assert found == [("omitted", "none", None)]


def test_scores_are_rows(state: StateDirectory) -> None:
    """One for each target that has one, and one for each term; twice is once."""
    ingested(state, (a_record(1), scored()))
    ingested(state, (a_record(1), scored()))

    scores = "candidate_index, score, observation_count"
    order = "ORDER BY candidate_index"
    terms = "candidate_index, seq, term_name, value, weight, contribution, observed"
    assert state.select(scores, f"request_target_scores {order}") == [
        (0, 1.5, 37),
        (1, 0.0, 0),
    ]
    assert state.select(terms, f"request_dynamic_score_terms {order}, seq") == [
        (0, 0, "latency", 0.25, 2.0, 0.5, 812.5),
        (0, 1, "errors", 1.0, 1.0, 1.0, None),
    ]
    assert state.select(scores, f"request_target_candidates {order}") == [
        (0, 1.5, 37),
        (1, 0.0, 0),
        (2, None, None),
    ]
