"""What went wrong, read from what a provider sent, or did not send."""

import json

import pytest

from smart_llmrouter.core.errors import UpstreamRejectedRequest
from smart_llmrouter.upstream.failure_classes import MEANINGS, Failure
from smart_llmrouter.upstream.failure_endings import terminal_error
from smart_llmrouter.upstream.failures import (
    failure_of_error_event,
    failure_of_status,
    failure_of_transport,
    scrubbed,
)
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    TransportError,
)
from tests.support.provider_errors import PROVIDER_ERRORS, ProviderError


def failure(
    status: int, body: bytes = b"", *, retry_after: str | None = None
) -> Failure:
    """Return the failure of a status."""
    return failure_of_status(status, body=body, retry_after=retry_after, credentials=())


def id_of(error: ProviderError) -> str:
    """Return what a case is called."""
    return f"{error.provider} {error.status} {error.error_class}"


@pytest.mark.parametrize("error", PROVIDER_ERRORS, ids=id_of)
def test_errors_as_providers_word_them(error: ProviderError) -> None:
    """The class is that of what happened, whatever status a provider has for it."""
    found = failure(error.status, error.body)

    assert found.error_class == error.error_class
    assert found.retry_after_s == error.retry_after_s
    assert bool(found.body) == found.rejected


@pytest.mark.parametrize("error", PROVIDER_ERRORS, ids=id_of)
def test_an_error_inside_a_stream_is_read_as_one_with_a_status(
    error: ProviderError,
) -> None:
    """Where its `code` is the status that it would have had."""
    raw = b'{"code":%d,"message":%b}' % (error.status, error.body)

    assert failure_of_error_event(raw).error_class == error.error_class


def kinds(error: type[TransportError] = TransportError) -> list[type[TransportError]]:
    """Return every kind of broken exchange."""
    return [error, *(each for kind in error.__subclasses__() for each in kinds(kind))]


def test_every_status_has_a_meaning() -> None:
    """There is no status for which a class, or the question of retrying, is open."""
    classes = {status: failure(status) for status in range(201, 1000)}

    for status, found in classes.items():
        assert found.error_class in MEANINGS
        assert found.upstream_status == status
        assert found.retryable or 400 <= status < 500
        assert found.retryable != found.rejected


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (503, "upstream_rate_limited"),
        (503, "upstream_auth_failed"),
        (504, "upstream_first_event_timeout"),
        (502, "upstream_connection_cut"),
    ],
)
def test_another_router_says_what_failed_behind_it(
    status: int, error_class: str
) -> None:
    """A router behind a router knows better than its status, also in a stream."""
    details = {"attempts": 1, "error_class": error_class, "retryable": True}
    error = json.dumps({"details": details}, separators=(",", ":")).encode()

    assert failure(status, b'{"error":%b}' % error).error_class == error_class
    assert failure_of_error_event(error).error_class == error_class


@pytest.mark.parametrize(
    ("status", "claim"),
    [
        (400, "upstream_rate_limited"),
        (503, "upstream_bad_request"),
        (503, "upstream_of_another_kind"),
    ],
)
def test_only_a_failure_is_taken_from_another_router(status: int, claim: str) -> None:
    """A rejection stays one, and an unknown class says nothing."""
    error = b'{"error":{"details":{"error_class":"%b"}}}' % claim.encode()

    assert failure(status, error).error_class == failure(status).error_class


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, "upstream_bad_request"),
        (401, "upstream_auth_failed"),
        (402, "upstream_quota_exhausted"),
        (403, "upstream_access_denied"),
        (404, "upstream_model_access_denied"),
        (408, "upstream_timeout"),
        (409, "upstream_conflict"),
        (413, "upstream_request_too_large"),
        (422, "upstream_bad_request"),
        (429, "upstream_rate_limited"),
        (500, "upstream_server_error"),
        (502, "upstream_server_error"),
        (503, "upstream_server_error"),
        (504, "upstream_timeout"),
        (529, "upstream_overloaded"),
        (302, "upstream_unexpected_status"),
        (204, "upstream_unexpected_status"),
    ],
)
def test_the_class_of_a_status(status: int, error_class: str) -> None:
    """Each status that providers use has its own class."""
    assert failure(status).error_class == error_class


@pytest.mark.parametrize("status", [400, 402, 403, 429])
@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"code":"insufficient_quota"}}',
        b'{"error":{"message":"Your credit balance is too low"}}',
        b'{"error":{"type":"billing_error"}}',
    ],
)
def test_an_empty_account_is_told_by_its_body(status: int, body: bytes) -> None:
    """Providers say it with several statuses; another target could help."""
    found = failure(status, body)

    assert (found.error_class, found.retryable) == ("upstream_quota_exhausted", True)
    assert found.body == b""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999999", None),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", 2),
        ("0.25", 1),
        ("٣", None),
    ],
)
def test_retry_after_is_read_in_seconds(value: str | None, seconds: int | None) -> None:
    """Nonsense promises nothing."""
    assert failure(429, retry_after=value).retry_after_s == seconds


@pytest.mark.parametrize(
    ("until", "answered", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:30 GMT", 30),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:29:00 GMT", 0),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:59 GMT", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "yesterday", None),
        ("Wed, 99 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:30 GMT", None),
        ("soon", "Wed, 21 Oct 2026 07:27:30 GMT", None),
    ],
)
def test_retry_after_may_be_a_date(
    until: str, answered: str | None, seconds: int | None
) -> None:
    """It is held against the provider's own clock, which is the answer's date."""
    found = failure_of_status(
        429, body=b"", retry_after=until, credentials=(), date=answered
    )

    assert found.retry_after_s == seconds


@pytest.mark.parametrize("kind", kinds())
def test_every_broken_exchange_may_be_tried_elsewhere(
    kind: type[TransportError],
) -> None:
    """Each kind has a class of its own; only too much of an answer is so everywhere."""
    found = failure_of_transport(kind("x"))

    assert found == Failure(error_class=kind.error_class, reason="x")
    assert found.retryable == (kind is not AnswerTooLarge)
    assert len({each.error_class for each in kinds()}) == len(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_a_connection_that_ended_before_an_answer_is_told_apart(
    kind: type[TransportError],
) -> None:
    """The same target may be asked again only where no answer had begun."""
    found = failure_of_transport(kind("x"), answered=False)

    cut = kind is ConnectionCut
    assert found.error_class == ("upstream_unanswered" if cut else kind.error_class)


@pytest.mark.parametrize(
    ("raw", "error_class"),
    [
        (b'{"message":"x"}', "upstream_error_in_stream"),
        (b'{"code":null}', "upstream_error_in_stream"),
        (b'"overloaded"', "upstream_error_in_stream"),
        (b'{"code":429}', "upstream_rate_limited"),
        (b'{"code":503}', "upstream_server_error"),
        (b'{"code":"429"}', "upstream_error_in_stream"),
        (b'{"code":1}', "upstream_error_in_stream"),
        (b'{"code":"insufficient_quota"}', "upstream_quota_exhausted"),
        (b'{"code":"rate_limit_exceeded"}', "upstream_rate_limited"),
        (b'{"type":"overloaded_error"}', "upstream_overloaded"),
        (b'{"code":"x","type":"server_error"}', "upstream_error_in_stream"),
        (b"not json", "upstream_error_in_stream"),
    ],
)
def test_an_error_before_the_first_token(raw: bytes, error_class: str) -> None:
    """A status in `code` is read as one, and another target may be asked."""
    found = failure_of_error_event(raw)

    assert found == Failure(error_class=error_class, upstream_status=200)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"code":400}',
        b'{"code":422,"message":"x"}',
        b'{"code":"invalid_prompt"}',
        b'{"type":"invalid_request_error","message":"x"}',
        b'{"code":null,"type":"BadRequestError"}',
    ],
)
def test_a_rejection_inside_a_stream_is_one_as_with_a_status_of_its_own(
    raw: bytes,
) -> None:
    """No other target is asked, and the caller gets the provider's own words."""
    found = failure_of_error_event(raw)

    assert found == Failure(
        error_class="upstream_bad_request",
        upstream_status=200,
        body=b'{"error":' + raw + b"}",
    )
    told = terminal_error([found])
    assert isinstance(told, UpstreamRejectedRequest)
    assert told.status == 400


def test_a_rejection_inside_a_stream_holds_no_credential() -> None:
    """Whatever a provider repeats of the router's key is taken out."""
    raw = b'{"type":"invalid_request_error","message":"key sk-1"}'

    found = failure_of_error_event(raw, credentials=[b"sk-1"])

    assert b"sk-1" not in found.body
    assert b"[redacted]" in found.body


@pytest.mark.parametrize("param", ["input", "input[2].id", "previous_response_id"])
def test_an_item_that_is_not_found_is_no_missing_model(param: str) -> None:
    """The request is at fault, and asking again or elsewhere does not help."""
    body = json.dumps({"error": {"message": "x", "param": param, "code": None}})

    found = failure(404, body=body.encode())

    assert (found.error_class, found.retryable) == ("upstream_bad_request", False)
    assert failure(404, body=b'{"error":{"param":null}}').retryable


def test_an_error_in_a_list_is_taken_out_of_it() -> None:
    """Some providers answer a list with one error."""
    assert failure(400, body=b'[{"error":{"message":"x"}}]').body == (
        b'{"error":{"message":"x"}}'
    )
    assert failure(400, body=b"[1,2]").body == b"[1,2]"
    assert failure(400, body=b"[").body == b"["


@pytest.mark.parametrize(
    ("body", "credentials", "left"),
    [
        (b"key k1 and k1", (b"k1",), b"key [redacted] and [redacted]"),
        (b"k1 k2", (b"k1", b"k2"), b"[redacted] [redacted]"),
        (b"nothing", (b"k1",), b"nothing"),
        (b"nothing", (b"",), b"nothing"),
        (b"nothing", (), b"nothing"),
        (b"pk-long-and-pk", (b"pk", b"pk-long"), b"[redacted]-and-[redacted]"),
        (rb'"a\/b\"c"', (b'a/b"c',), b'"[redacted]"'),
    ],
)
def test_credentials_are_scrubbed(
    body: bytes, credentials: tuple[bytes, ...], left: bytes
) -> None:
    """Every credential goes, the longest first, however JSON spells it."""
    assert scrubbed(body, credentials) == left
