"""The tree of errors: stable, unique codes, and nothing unsafe in what they say."""

import pytest

from smart_llmrouter.core.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NoEligibleTarget,
    Refused,
    RequestFault,
    RequestTimeout,
    RequestTooLarge,
    RouterError,
    ShuttingDown,
    UpstreamError,
    UpstreamFailed,
    UpstreamRejectedRequest,
)
from tests.support.errors import LEAVES

# What callers, dashboards and retry rules are built on. A code may be added here; one
# that changes breaks them.
CODES = {
    "capability-rejected": 400,
    "client-left": 499,
    "concurrency-exceeded": 429,
    "image-not-fetched": 400,
    "image-url-forbidden": 400,
    "internal-error": 500,
    "invalid-http": 400,
    "invalid-json": 400,
    "invalid-request": 400,
    "journal-unwritable": 503,
    "key-disabled": 403,
    "key-exhausted": 403,
    "key-expired": 403,
    "key-rotated": 403,
    "key-suspended": 403,
    "limits-unavailable": 503,
    "method-not-allowed": 405,
    "metrics-forbidden": 403,
    "missing-model": 400,
    "model-not-allowed": 403,
    "model-not-found": 404,
    "no-eligible-target": 502,
    "provider-hosted-tools-forbidden": 400,
    "quota-exhausted": 429,
    "request-timeout": 408,
    "request-too-large": 413,
    "responses-body-on-chat-endpoint-disabled": 400,
    "routing-policy-error": 502,
    "rpm-exceeded": 429,
    "shutting-down": 503,
    "too-many-auth-failures": 429,
    "too-many-connections": 503,
    "tpm-exceeded": 429,
    "traffic-shaped": 429,
    "unauthorized": 401,
    "unknown-path": 404,
    "unknown-response-id": 400,
    "unsupported-content-type": 415,
    "upstream-access-denied": 503,
    "upstream-capacity-throttled": 503,
    "upstream-failed": 502,
    "upstream-overloaded": 529,
    "upstream-quota-exhausted": 503,
    "upstream-rate-limited": 503,
    "upstream-rejected-request": 502,
    "upstream-timeout": 504,
    "usage-unavailable": 503,
    "websocket-not-served": 426,
}


def test_codes_are_stable_and_unique() -> None:
    """Each leaf has a code of its own, and the status that goes with it."""
    found = [(kind.code, kind.status) for kind in LEAVES]

    assert sorted(found) == sorted(CODES.items())


@pytest.mark.parametrize("kind", LEAVES)
def test_a_refusal_is_permanent_and_a_failure_is_not(kind: type[RouterError]) -> None:
    """`x-should-retry: false` is sent where asking again can never help."""
    never_helps = (RequestFault, Refused, NoEligibleTarget, UpstreamRejectedRequest)

    slow = kind is RequestTimeout

    assert kind.permanent == (issubclass(kind, never_helps) and not slow)


def test_no_eligible_target_says_all() -> None:
    """Group, dialect, targets and requirements stand in message and details."""
    error = NoEligibleTarget(
        group="chat", dialect="openai-chat", missing={"b/x": ["dialect"], "a/y": ["z"]}
    )

    assert error.message == (
        "no target of group chat can serve this openai-chat request "
        "(b/x: dialect; a/y: z)"
    )
    assert error.details["targets"] == {"b/x": ["dialect"], "a/y": ["z"]}
    assert error.details["requirements"] == ["dialect", "z"]


def test_details_of_simple_errors() -> None:
    """Numbers and names are told apart from the message."""
    assert RequestTooLarge(7).details == {"max_request_bytes": 7}
    assert MethodNotAllowed(("GET", "HEAD")).message == (
        "this path takes GET and HEAD only"
    )
    assert InvalidRequest("no", details={"field": "x"}).details == {"field": "x"}
    assert ShuttingDown().retry_after_s == 1


def test_the_class_of_an_upstream_failure() -> None:
    """Diagnostics name the class; without one there is a general name."""
    cut = UpstreamFailed("x", details={"error_class": "upstream_connection_cut"})

    assert cut.error_class == "upstream_connection_cut"
    assert UpstreamFailed("x").error_class == "upstream_failed"
    assert isinstance(cut, UpstreamError)


def test_a_rejection_has_the_providers_status() -> None:
    """The status is the instance's own; the class keeps its own."""
    error = UpstreamRejectedRequest(status=422, body=b"{}")

    assert (error.status, error.body) == (422, b"{}")
    assert UpstreamRejectedRequest.status == 502


@pytest.mark.parametrize(
    ("missing", "permanent"),
    [
        ({"a": ["tools"]}, True),
        ({"a": ["tools", "threshold-error-rate"]}, True),
        ({"a": ["threshold-error-rate", "threshold-p95-latency"]}, False),
        ({"a": ["tools"], "b": ["threshold-timeout-rate", "cooling-down"]}, False),
    ],
)
def test_a_target_that_was_worse_lately_may_be_asked_for_again(
    missing: dict[str, list[str]], *, permanent: bool
) -> None:
    """Callers are told never to ask again only where that can never help."""
    error = NoEligibleTarget(group="chat", dialect="openai-chat", missing=missing)

    assert error.permanent == permanent
