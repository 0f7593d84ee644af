"""Running counts: what one record adds to them."""

import pytest
from msgspec.structs import replace

from smart_llmrouter.engine.tally import LATENCY_BUCKETS_S, NO_GROUP, Histogram, Tally
from smart_llmrouter.ledger.record import UsageRecord

PLAIN = UsageRecord(
    request_id="req_1",
    ts_ms=0,
    caller_id="c",
    caller_user="u",
    caller_project="p",
    caller_environment="e",
    token_id="t",
    client="curl",
    inbound_dialect="openai-chat",
    status=200,
    attempts=1,
    latency_us=1000,
    config_fingerprint="f",
    router_version="v",
)


def test_a_successful_call() -> None:
    """Calls, tokens, cost and times are counted under the group."""
    tally = Tally()

    for _ in range(2):
        tally.count(
            replace(
                PLAIN,
                resolved_group="chat",
                stream=True,
                input_tokens=7,
                output_tokens=3,
                total_cost_nusd=50,
                ttft_us=500,
            )
        )

    assert tally.calls == {("chat", 200, True): 2}
    assert tally.tokens == {("chat", "input"): 14, ("chat", "output"): 6}
    assert tally.cost_nusd == {"chat": 100}
    assert not tally.errors
    assert tally.latency["chat"].sum_us == 2000
    assert tally.first_token["chat"].sum_us == 1000


def test_a_refused_call() -> None:
    """A call without a group is counted, and unknown numbers are not zeros."""
    tally = Tally()

    tally.count(replace(PLAIN, status=403, error_code="model-not-allowed"))

    assert tally.calls == {(NO_GROUP, 403, False): 1}
    assert tally.errors == {(NO_GROUP, "model-not-allowed"): 1}
    assert (tally.tokens, tally.cost_nusd, tally.first_token) == ({}, {}, {})


@pytest.mark.parametrize(
    ("duration_us", "bucket"),
    [
        (0, 0),
        (1000, 0),
        (1001, 1),
        (2500, 1),
        (600_000_000, len(LATENCY_BUCKETS_S) - 1),
        (600_000_001, len(LATENCY_BUCKETS_S)),
        (10**12, len(LATENCY_BUCKETS_S)),
    ],
)
def test_a_bucket_holds_what_is_not_above_its_bound(
    duration_us: int, bucket: int
) -> None:
    """Bounds are inclusive, as Prometheus has it; the last bucket is open."""
    histogram = Histogram()

    histogram.observe(duration_us)

    assert histogram.counts.index(1) == bucket
    assert sum(histogram.counts) == 1
