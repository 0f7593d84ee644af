"""What the caller is told when all attempts failed, or a stream broke off."""

import pytest

from smart_llmrouter.core.errors import (
    RouterError,
    UpstreamAccessDenied,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failure_endings import error_behind, terminal_error
from smart_llmrouter.upstream.failures import failure_of_error_event, failure_of_status


def failure(
    status: int, body: bytes = b"", *, retry_after: str | None = None
) -> Failure:
    """Return the failure of a status."""
    return failure_of_status(status, body=body, retry_after=retry_after, credentials=())


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (["upstream_rate_limited"], UpstreamRateLimited),
        (["upstream_rate_limited"] * 3, UpstreamRateLimited),
        (["upstream_quota_exhausted"], UpstreamQuotaExhausted),
        (["upstream_auth_failed", "upstream_access_denied"], UpstreamAccessDenied),
        (["upstream_model_access_denied"], UpstreamAccessDenied),
        (["upstream_first_event_timeout", "upstream_timeout"], UpstreamTimeout),
        (["upstream_connect_timeout"], UpstreamTimeout),
        (["upstream_pool_exhausted"], UpstreamTimeout),
        (["upstream_total_timeout"], UpstreamTimeout),
        (["upstream_server_error"], UpstreamFailed),
        (["upstream_rate_limited", "upstream_quota_exhausted"], UpstreamFailed),
        (["upstream_timeout", "upstream_connect_failed"], UpstreamFailed),
    ],
)
def test_what_the_caller_is_told(classes: list[str], kind: type[RouterError]) -> None:
    """A telling kind is named where all failures agree on it."""
    error = terminal_error([Failure(error_class=each) for each in classes])

    assert type(error) is kind
    assert error.details == {
        "attempts": len(classes),
        "error_class": classes[-1],
        "retryable": error.details["retryable"],
    }
    assert error.details["retryable"] == (classes[-1] != "upstream_total_timeout")


def test_a_rejection_is_handed_on() -> None:
    """The last attempt found the request wrong: its answer is the caller's to read."""
    rejected = failure(422, b'{"error":{"message":"no"}}')

    error = terminal_error([failure(500), rejected])

    assert isinstance(error, UpstreamRejectedRequest)
    assert (error.status, error.body) == (422, b'{"error":{"message":"no"}}')


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("upstream_rate_limited", UpstreamRateLimited),
        ("upstream_server_error", UpstreamFailed),
        ("upstream_context_overflow", UpstreamRejectedRequest),
    ],
)
def test_a_target_that_was_too_small_does_not_blur_why_the_others_failed(
    last: str, kind: type[RouterError]
) -> None:
    """Only where it was the last, the request itself is what is wrong."""
    overflow = Failure(error_class="upstream_context_overflow", upstream_status=400)

    error = terminal_error([overflow, Failure(error_class=last, upstream_status=400)])

    assert type(error) is kind
    assert error.details["attempts"] == 2


@pytest.mark.parametrize(
    ("waits", "promised"),
    [
        (["5"], 5),
        (["60"], 60),
        (["61"], None),
        ([None], None),
        (["90", "30"], 30),
        ([None, "30"], 30),
    ],
)
def test_a_wait_is_promised_up_to_a_minute(
    waits: list[str | None], promised: int | None
) -> None:
    """The shortest wait counts, if it is short enough."""
    error = terminal_error([failure(429, retry_after=wait) for wait in waits])

    assert error.retry_after_s == promised


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"code":"rate_limit_exceeded"}', UpstreamRateLimited),
        (b'{"type":"overloaded_error"}', UpstreamOverloaded),
        (b'{"message":"x"}', UpstreamFailed),
        (b'{"code":"context_length_exceeded"}', UpstreamRejectedRequest),
    ],
)
def test_an_error_behind_an_answer_says_of_what_kind_it_was(
    raw: bytes, kind: type[UpstreamError]
) -> None:
    """Clients wait, stop or go elsewhere by the kind."""
    found = failure_of_error_event(raw)

    told = error_behind(found, "the stream ended")

    assert type(told) is kind
    assert told.error_class == found.error_class
