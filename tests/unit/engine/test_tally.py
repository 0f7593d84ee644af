"""Running counts: what one record adds to them."""

import pytest

from smart_llmrouter.engine.tally import LATENCY_BUCKETS_S, NO_GROUP, Histogram, Tally
from smart_llmrouter.ledger.record import CallMeasures


def measures(
    *, ttft_us: int | None = None, tokens: tuple[int, int] | None = None
) -> CallMeasures:
    """Return what was measured of a call that took a millisecond."""
    tokens_in, tokens_out = tokens or (None, None)
    cost_nusd = 50 if tokens else None
    return (
        "req_1", 0, 1000, None, ttft_us, tokens_in, None, tokens_out, None,
        None, None, None, cost_nusd, None,
    )  # fmt: skip


def test_a_successful_call() -> None:
    """Calls, tokens, cost and times are counted under the group."""
    tally = Tally()
    series = tally.series("chat", status=200, stream=True, error_code=None)

    for _ in range(2):
        series.count(measures(ttft_us=500, tokens=(7, 3)))

    assert tally.calls == {("chat", 200, True): 2}
    assert tally.tokens == {("chat", "input"): 14, ("chat", "output"): 6}
    assert tally.cost_nusd == {"chat": 100}
    assert not tally.errors
    assert tally.latency["chat"].sum_us == 2000
    assert tally.first_token["chat"].sum_us == 1000


def test_a_refused_call() -> None:
    """A call without a group is counted, and unknown numbers are not zeros."""
    tally = Tally()
    code = "model-not-allowed"

    tally.series(None, status=403, stream=False, error_code=code).count(measures())

    assert tally.calls == {(NO_GROUP, 403, False): 1}
    assert tally.errors == {(NO_GROUP, code): 1}
    assert (tally.tokens, tally.cost_nusd) == ({}, {})
    assert tally.first_token[NO_GROUP].sum_us == 0


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
