"""What tallies hold, added up, sent and received."""

import msgspec

from smart_llmrouter.engine.counts import Counts, Durations
from smart_llmrouter.engine.tally import LATENCY_BUCKETS_S, Tally
from smart_llmrouter.ledger.record import CallMeasures


def measures(latency_us: int, *, cost_nusd: int | None) -> CallMeasures:
    """Return what a call of 10 and 5 tokens is counted by."""
    return (
        "req_1", 0, latency_us, None, None, 10, None, 5, None, None, None, None,
        cost_nusd, None,
    )  # fmt: skip


def tally(*groups: str) -> Tally:
    """Return a tally of one call of 2 ms for each of `groups`, and of a refusal."""
    counted = Tally()
    for group in groups:
        series = counted.series(group, status=200, stream=False, error_code=None)
        series.count(measures(2000, cost_nusd=7))
        counted.attempts["acme/mini", "answered"] += 1
    counted.refusals["unauthorized"] += 1
    counted.unwritable += 1
    counted.waited("group", 0.002)
    return counted


def test_tallies_add_up() -> None:
    """Every count of both is in the sum, by its own labels."""
    total = Counts.sum([Counts.of(tally("chat")), Counts.of(tally("chat", "code"))])

    assert total.calls == {("chat", 200, False): 2, ("code", 200, False): 1}
    assert total.tokens["chat", "input"] == 20
    assert total.tokens["code", "output"] == 5
    assert total.attempts == {("acme/mini", "answered"): 3}
    assert total.refusals == {"unauthorized": 2}
    assert total.cost_nusd == {"chat": 14, "code": 7}
    assert total.unwritable == 2
    bucket = [0, 2] + [0] * (len(LATENCY_BUCKETS_S) - 1)
    assert total.latency["chat"] == Durations(bucket, 4000)
    assert total.queue_waits == {"group": Durations(bucket, 4000)}


def test_nothing_adds_up_to_nothing() -> None:
    """Without tallies, or with empty ones, there is nothing to show."""
    assert Counts.sum([]) == Counts.of(Tally()) == Counts()


def test_what_was_counted_is_a_value() -> None:
    """It stays as it was while the tally goes on, and on its way to others."""
    counted = tally("chat")
    before = Counts.of(counted)
    sent = msgspec.msgpack.encode(before)
    counted.series("chat", status=200, stream=False, error_code=None).count(
        measures(5, cost_nusd=None)
    )

    assert msgspec.msgpack.decode(sent, type=Counts) == before
    assert before.latency["chat"].sum_us == 2000
    assert Counts.of(counted) != before
