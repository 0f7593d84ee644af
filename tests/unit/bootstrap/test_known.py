"""What is known of targets, from one configuration to the next."""

import pytest

from smart_llmrouter.bootstrap.routing import Known
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.observations import Observation, Span, judged
from tests.support.clock import Clock
from tests.support.configuration import ENVIRONMENT, KEY, SMALL, changed, loaded

LABEL = "acme/mini"
BROKEN = "upstream_server_error"
DYNAMIC = changed("strategy: failover", "strategy: dynamic")
SHAPED = changed(
    "    models:\n",
    "    shaping: {requests_per_second: 1, burst: 10}\n    models:\n",
)
NEEDS = Requirements(body=b"", dialect="openai-chat", _estimate=10)


def snapshot(text: str = SMALL, *, key: str = KEY) -> Snapshot:
    """Return a compiled configuration."""
    found = loaded(text, environment={**ENVIRONMENT, "ACME_API_KEY": key}).snapshot
    assert found is not None
    return found


def known(text: str = SMALL, *, clock: Clock | None = None) -> Known:
    """Return what is known before anything was called."""
    return Known(snapshot(text), now=clock or Clock(), draw=lambda: 0.5)


def fail(book: Known, times: int) -> None:
    """Let so many attempts fail."""
    for _ in range(times):
        book.health.note(LABEL, BROKEN, begun=book.health.begin(LABEL))


def taken(book: Known, of: Snapshot) -> int:
    """Take calls until there is no more; return how many."""
    (target,) = of.groups["chat"].targets
    count = 0
    while book.capacity.take("chat", target, NEEDS):
        count += 1
    return count


def test_a_target_that_rests_goes_on_resting() -> None:
    """Its circuit and its last attempts are the same ones, in both books."""
    before = known()
    fail(before, 5)
    after = before.continued(snapshot(changed("alice-search-dev", "alice-other")))

    assert after.health.circuit(LABEL) == "open"
    assert after.health.of(LABEL) is before.health.of(LABEL)
    assert after.health.openings == {LABEL: 1}


def test_other_backoffs_hold_for_what_is_known() -> None:
    """A circuit that goes on takes the new bounds, once they are in force."""
    before = known()
    after = before.continued(
        snapshot(
            changed(
                "    models:\n",
                "    backoff: {on_failure: {failures: 2}}\n    models:\n",
            )
        )
    )
    fail(before, 2)
    first = before.health.circuit(LABEL)
    after.health.in_force()
    fail(after, 1)

    assert (first, after.health.circuit(LABEL)) == ("closed", "open")
    assert not after.health.are_closed(frozenset({LABEL}))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SMALL, "sk-another-0123456789abcdefghi"),
        (changed("api.acme.example", "eu.acme.example"), KEY),
        (changed("acme-mini-2026", "acme-mini-2027"), KEY),
    ],
)
def test_a_target_that_is_reached_otherwise_begins_anew(text: str, key: str) -> None:
    """With another key, URL or model it is not the one that has failed."""
    before = known()
    before.routers.add(LABEL)
    fail(before, 5)
    after = before.continued(snapshot(text, key=key))
    fail(before, 1)

    assert after.health.circuit(LABEL) == "closed"
    assert after.health.of(LABEL).condition == "unknown"
    assert after.health.openings == {LABEL: 1}
    assert after.routers == set()


def test_openings_of_a_target_that_is_gone_stay_counted() -> None:
    """And they go on when it comes back."""
    before = known()
    fail(before, 5)
    without = before.continued(snapshot(SMALL.replace("mini", "maxi")))
    back = without.continued(snapshot())
    fail(back, 5)

    assert without.health.openings == {LABEL: 1, "acme/maxi": 0}
    assert back.health.openings == {LABEL: 2, "acme/maxi": 0}
    assert back.health.of(LABEL).condition == "failing"


def test_a_bucket_of_the_same_flow_is_the_same_bucket() -> None:
    """What was taken under one configuration is gone under the next."""
    before, shaped = known(SHAPED), snapshot(SHAPED)
    (target,) = shaped.groups["chat"].targets
    for _ in range(7):
        before.capacity.take("chat", target, NEEDS)
    after = before.continued(shaped)
    first = taken(after, shaped)
    before.capacity.wait_s("chat", target, NEEDS)

    assert (first, taken(before, shaped)) == (3, 0)
    assert after.capacity.refused == {LABEL: 1}


@pytest.mark.parametrize(
    ("flow", "left"),
    [
        ("requests_per_second: 1, burst: 100", 50),
        ("requests_per_second: 5, burst: 4", 2),
        ("input_tokens_per_second: 100", 10),
    ],
)
def test_a_bucket_of_another_flow_is_as_full(flow: str, left: int) -> None:
    """Half of the one is half of the other; a bucket that is new is full."""
    before = known(SHAPED)
    other = snapshot(changed("requests_per_second: 1, burst: 10", flow, SHAPED))
    for _ in range(5):
        before.capacity.take("chat", snapshot(SHAPED).groups["chat"].targets[0], NEEDS)

    assert taken(before.continued(other), other) == left


def test_a_debt_stays_a_debt() -> None:
    """A call that was larger than the bucket is paid off at the new rate."""
    slow = changed(
        "    models:\n", "    shaping: {input_tokens_per_second: 5}\n    models:\n"
    )
    fast = slow.replace("second: 5", "second: 10")
    before, of = known(slow), snapshot(fast)
    (target,) = of.groups["chat"].targets
    before.capacity.take("chat", target, NEEDS)

    after = before.continued(of)

    assert after.capacity.wait_s("chat", target, NEEDS) == pytest.approx(1.5)


def test_what_was_seen_goes_on() -> None:
    """Also where a window is longer or shorter now, as far as it reaches."""
    clock = Clock()
    before = known(DYNAMIC, clock=clock)
    for _ in range(3):
        before.observations.note(LABEL, Observation(None, 1.0))
        clock.turn(40)
    shorter = changed(
        "strategy: dynamic", "dynamic: {window_s: 60}\n    strategy: dynamic", DYNAMIC
    )
    same = before.continued(snapshot(DYNAMIC))
    less = same.continued(snapshot(shorter))
    (span,) = same.observations.windows(LABEL)
    (short,) = less.observations.windows(LABEL)

    assert same.observations.seen(LABEL, span).attempts == 3
    assert less.observations.seen(LABEL, short).attempts == 1
    assert short == Span(60.0, span.most)


def test_a_target_that_is_reached_otherwise_has_not_been_seen() -> None:
    """What was slow may be the very thing that was changed."""
    before = known(DYNAMIC)
    before.observations.note(LABEL, Observation(None, 1.0))
    moved = changed("api.acme.example", "eu.acme.example", DYNAMIC)

    after = before.continued(snapshot(moved))

    (span,) = after.observations.windows(LABEL)
    assert span != judged(snapshot().groups["chat"].dynamic)
    assert after.observations.seen(LABEL, span).attempts == 0


def test_retries_conversations_and_pins_are_the_same() -> None:
    """What callers come back to is where it was, and no group has a new budget."""
    before = known()
    before.pins.keep("resp_1", caller_id="alice", label=LABEL)
    before.affinities.keep(b"one", LABEL, 60.0)
    budget = before.retries.budgets["chat"]

    after = before.continued(snapshot())

    assert after.retries.budgets["chat"] is budget
    assert after.affinities.find(b"one") == LABEL
    assert after.pins.keeper("resp_1", caller_id="alice") == LABEL
