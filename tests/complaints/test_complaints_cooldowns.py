"""How other gateways keep calling what is broken, or tell nobody when to come back."""

import json
from typing import Final

from smart_llmrouter.config.policies import Backoffs
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failures import failure_of_status
from tests.support.clock import Clock

TARGET: Final = "acme/mini"
OTHER: Final = "other/mini"
BROKEN: Final = failure_of_status(500, body=b"{}", retry_after=None, credentials=())
NO_CREDIT: Final = {
    "error": {"message": "Your credit balance is too low", "type": "billing_error"}
}


def book(clock: Clock) -> HealthBook:
    """Return the health of two targets, of which nothing is known."""
    return HealthBook({TARGET: Backoffs(), OTHER: Backoffs()}, now=clock)


def fail(health: HealthBook, failure: Failure, *, label: str = TARGET) -> bool:
    """Let a call fail, if the target may be called; say whether it was."""
    if health.resting_s(label):
        return False
    begun = health.begin(label)
    health.note(
        label,
        failure.error_class,
        retry_after_s=failure.retry_after_s,
        begun=begun,
    )
    return True


def test_the_same_failure_again_is_not_counted() -> None:
    """Failures that are all alike count each by itself, and the target rests."""
    clock = Clock()
    health = book(clock)

    called = [fail(health, BROKEN) for _ in range(6)]

    assert called == [True] * 5 + [False]


def test_the_time_left_of_a_rest_is_wrong() -> None:
    """It goes down with the clock, whoever asks and however often, and then is over."""
    clock = Clock()
    health = book(clock)
    limited = failure_of_status(429, body=b"", retry_after="20", credentials=())
    fail(health, limited)

    left_s = []
    for _ in range(5):
        left_s.append(health.resting_s(TARGET))
        clock.turn(5.0)

    assert left_s == [20.0, 15.0, 10.0, 5.0, 0.0]


def test_a_resting_target_is_called_every_ten_seconds() -> None:
    """In an hour of failures it is called a hundred and twenty times or so."""
    clock = Clock()
    health = book(clock)

    called = 0
    for _ in range(36_000):
        called += fail(health, BROKEN)
        clock.turn(0.1)

    assert 120 < called < 130


def test_twenty_five_failures_do_not_stop_calls() -> None:
    """The fifth in a row does, and no call goes there but the probes."""
    clock = Clock()
    health = book(clock)

    called = sum(fail(health, BROKEN) for _ in range(25))

    assert called == 5
    assert health.circuit(TARGET) == "open"


def test_out_of_credit_is_no_reason_to_rest() -> None:
    """Whatever the status that it comes with."""
    rests_s = []
    for status in (400, 402, 403, 429):
        health = book(Clock())
        body = json.dumps(NO_CREDIT).encode()
        fail(
            health,
            failure_of_status(status, body=body, retry_after=None, credentials=()),
        )
        rests_s.append(health.resting_s(TARGET))

    assert rests_s == [30.0] * 4


def test_nobody_says_when_to_come_back() -> None:
    """Where all targets rest, the soonest is known; it may be called then, and is."""
    clock = Clock()
    health = book(clock)
    for label, wait in ((TARGET, "40"), (OTHER, "7")):
        limited = failure_of_status(429, body=b"", retry_after=wait, credentials=())
        fail(health, limited, label=label)

    soonest_s = min(health.resting_s(label) for label in (TARGET, OTHER))
    clock.turn(soonest_s)

    assert soonest_s == 7.0
    assert [bool(health.begin(label)) for label in (TARGET, OTHER)] == [False, True]
