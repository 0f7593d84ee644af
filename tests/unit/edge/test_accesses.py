"""Who was refused: what is written of it, and how much at most."""

import pytest

from smart_llmrouter.core.errors import (
    KeyDisabled,
    MetricsForbidden,
    RouterError,
    TooManyAuthFailures,
    Unauthorized,
)
from smart_llmrouter.edge.accesses import LINES_A_SECOND
from smart_llmrouter.edge.addresses import Proxies
from smart_llmrouter.edge.failures import Reason
from smart_llmrouter.edge.surfaces import templated
from smart_llmrouter.ledger.journal_events import SecurityAccess
from tests.support.accesses import NOON_S, Asked, Written, accesses_to
from tests.support.canary import canary, songs
from tests.unit.edge.test_identity import known


def test_a_token_that_nobody_has() -> None:
    """All that is known of the request is written, and nothing of the token."""
    written = Written()
    agent = b"OpenAI/Python 1.2.3 " + canary("agent").encode()
    token = b"Bearer " + canary("token").encode()
    asked = Asked(headers={b"user-agent": agent, b"authorization": token})

    accesses_to(written).failed(Unauthorized(), "unknown", asked)

    assert written.events == [
        SecurityAccess(
            event_id=f"evt_{asked.ts_ms:012x}{'2a' * 10}",
            ts_ms=asked.ts_ms,
            event_type="authentication",
            outcome="refused",
            reason_code="token-unknown",
            status=401,
            request_id=asked.request_id,
            surface="inference",
            http_method="POST",
            path_template="/v1/chat/completions",
            client="openai-python",
            ip_address="192.0.2.7",
            ip_version=4,
            ip_source="peer",
        )
    ]
    assert songs(b"".join(written.lines)) == []


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        (Unauthorized(), "missing", ("refused", "token-missing", 401)),
        (TooManyAuthFailures(3), "unknown", ("throttled", "token-unknown", 429)),
        (KeyDisabled("k"), "inactive", ("refused", "key-disabled", 403)),
        (TooManyAuthFailures(3), "inactive", ("throttled", "key-inactive", 429)),
    ],
)
def test_why_somebody_was_refused(
    error: RouterError, reason: Reason, told: tuple[str, str, int]
) -> None:
    """The reason is that of the failure, also where the address is throttled."""
    written = Written()

    accesses_to(written).failed(error, reason, Asked())

    [event] = written.events
    assert (event.outcome, event.reason_code, event.status) == told


def test_a_known_caller_is_named() -> None:
    """By its id and the public id of its token."""
    written = Written()
    caller = known()

    accesses_to(written).forbidden(
        MetricsForbidden(), Asked(target=b"/metrics?x=1", method=b"GET"), caller=caller
    )

    [event] = written.events
    assert (event.event_type, event.reason_code) == (
        "authorization",
        "metrics-forbidden",
    )
    assert (event.caller_id, event.token_id) == (caller.id, caller.token_id)
    assert (event.surface, event.path_template) == ("metrics", "/metrics")


def test_the_address_behind_a_proxy() -> None:
    """It is the one that a trusted proxy names."""
    written = Written()
    accesses = accesses_to(written)
    accesses.bound(Proxies(["192.0.2.0/24"]))
    forwarded = [(b"x-forwarded-for", b"2001:db8::7")]

    accesses.failed(Unauthorized(), "missing", Asked(fields=forwarded))

    [event] = written.events
    assert (event.ip_address, event.ip_version, event.ip_source) == (
        "2001:db8::7",
        6,
        "forwarded",
    )


def test_a_flood_is_bounded_and_counted_to_the_last() -> None:
    """Beyond so many lines a second, there is one more for each reason."""
    written = Written()
    accesses = accesses_to(written)

    for _ in range(1000):
        accesses.failed(Unauthorized(), "unknown", Asked())
    for _ in range(7):
        accesses.failed(Unauthorized(), "missing", Asked())
    accesses.tell()
    accesses.tell()

    events = written.events
    assert len(events) == LINES_A_SECOND + 2
    assert [each.calls for each in events[-2:]] == [1000 - LINES_A_SECOND, 7]
    assert sum(each.calls for each in events) == 1007
    assert events[-1].ts_ms == NOON_S * 1000
    assert events[-1].request_id is events[-1].ip_address is None


def test_what_cannot_be_written_is_counted_later() -> None:
    """A full disk loses none of them."""
    written = Written(full=True)
    accesses = accesses_to(written)

    accesses.failed(Unauthorized(), "unknown", Asked())
    accesses.tell()
    written.full = False
    accesses.failed(Unauthorized(), "unknown", Asked())
    accesses.tell()

    assert [each.calls for each in written.events] == [1, 1]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (b"/v1/messages?beta=true", ("inference", "/v1/messages")),
        (b"/v1/models/secret", ("models", "/v1/models/:name")),
        (b"/anthropic/v1/models/a/b", ("models", "/anthropic/v1/models/:name")),
        (b"/v1/secret", ("other", "other")),
        (b"/v1%2Fusage", ("usage", "/v1/usage")),
        (b"", ("other", "other")),
    ],
)
def test_a_path_without_what_the_caller_chose(
    target: bytes, told: tuple[str, str]
) -> None:
    """What is served nowhere is not repeated."""
    found = templated(target)

    assert found == told
