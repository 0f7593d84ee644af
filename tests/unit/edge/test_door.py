"""The door: what becomes of a request with a good token, a bad one, or none."""

from dataclasses import dataclass

import pytest

from smart_llmrouter.core.errors import (
    KeyDisabled,
    RouterError,
    TooManyAuthFailures,
    Unauthorized,
)
from smart_llmrouter.core.identity import token_digest
from smart_llmrouter.edge.addresses import NOBODY
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.failures import Failures
from smart_llmrouter.edge.identity import Authenticator
from smart_llmrouter.engine.tally import Tally
from tests.support.accesses import Asked, Written, accesses_to
from tests.support.clock import Clock
from tests.unit.edge.test_identity import TOKEN, known

GOOD = Asked({b"authorization": b"Bearer " + TOKEN})
WRONG = Asked({b"x-api-key": b"wrong"})
NONE = Asked({})


@dataclass(frozen=True, slots=True)
class Guarded:
    """A door that knows one token, and what it has counted."""

    door: Door
    tally: Tally
    written: Written


def guarded(*, per_minute: int = 1, **caller: object) -> Guarded:
    """Return a door that lets each address fail so often."""
    tally = Tally()
    failures = Failures(tally, now=Clock())
    failures.bound(NOBODY, per_minute=per_minute)
    knows = known(**caller)  # type: ignore[arg-type]  # its own keywords
    callers = Authenticator({token_digest(TOKEN): knows}, wall_clock=lambda: 0.0)
    written = Written()
    return Guarded(Door(callers, failures, accesses_to(written)), tally, written)


def refusal(door: Door, request: Asked) -> type[RouterError]:
    """Return the kind of error with which a request is refused."""
    with pytest.raises(RouterError) as raised:
        door.active_caller(request)
    return type(raised.value)


def test_a_good_token_passes_from_an_address_that_fails() -> None:
    """Others at the same address do not count against it, nor the other way round."""
    at = guarded()

    kinds = [refusal(at.door, request) for request in (NONE, WRONG, NONE, WRONG)]
    callers = [at.door.active_caller(GOOD) for _ in range(100)]

    assert kinds == [Unauthorized, *[TooManyAuthFailures] * 3]
    assert {caller.id for caller in callers} == {"alice-search-dev"}
    assert at.tally.auth_failures == {"missing": 2, "unknown": 2}
    assert at.tally.throttled == 3


def test_a_key_that_was_disabled_fails_too() -> None:
    """It is told why as often as any failure is told."""
    at = guarded(per_minute=2, status="disabled")

    kinds = [refusal(at.door, GOOD) for _ in range(3)]

    assert kinds == [KeyDisabled, KeyDisabled, TooManyAuthFailures]
    assert at.tally.auth_failures == {"inactive": 3}


def test_who_is_refused_is_on_record() -> None:
    """With the reason of each; a good token leaves no line."""
    at = guarded(per_minute=1, status="disabled")
    good = guarded()

    for request in (NONE, WRONG, GOOD):
        refusal(at.door, request)
    good.door.active_caller(GOOD)

    assert [
        (each.event_type, each.outcome, each.reason_code) for each in at.written.events
    ] == [
        ("authentication", "refused", "token-missing"),
        ("authentication", "throttled", "token-unknown"),
        ("key-status", "throttled", "key-inactive"),
    ]
    assert good.written.events == []
