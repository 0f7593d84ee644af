"""What an upstream failure means: its class, and whether another target could help.

Each failed attempt becomes one `Failure`. When every attempt has failed,
`terminal_error` says what the caller is told.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from smart_llmrouter.core.errors import (
    RETRY_AFTER_MAX_S,
    Detail,
    Details,
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
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    ConnectTimedOut,
    PoolExhausted,
    TransportError,
)

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SCRUBBED: Final = b"[redacted]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed attempt.

    `retryable` says whether another target could help. `body` is kept only for a
    rejection of the request itself, which is the caller's to read. `reason` is for the
    operator: why the provider could not be reached.
    """

    error_class: str
    retryable: bool = True
    upstream_status: int | None = None
    retry_after_s: int | None = None
    body: bytes = b""
    reason: str = ""


_CLASS_OF_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "upstream_auth_failed",
    HTTPStatus.PAYMENT_REQUIRED: "upstream_quota_exhausted",
    HTTPStatus.FORBIDDEN: "upstream_access_denied",
    HTTPStatus.NOT_FOUND: "upstream_model_access_denied",
    HTTPStatus.REQUEST_TIMEOUT: "upstream_timeout",
    HTTPStatus.CONFLICT: "upstream_conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "upstream_request_too_large",
    HTTPStatus.TOO_EARLY: "upstream_conflict",
    HTTPStatus.TOO_MANY_REQUESTS: "upstream_rate_limited",
    HTTPStatus.GATEWAY_TIMEOUT: "upstream_timeout",
    529: "upstream_overloaded",
}
_REQUEST_FAULT_CLASSES: Final = frozenset(
    {"upstream_bad_request", "upstream_request_too_large"}
)
_IS_ABOUT_THE_INPUT: Final = re.compile(
    rb"\"param\"\s*:\s*\"(?:input|previous_response_id|conversation|prompt)"
).search
_QUOTA_MARKS: Final = (
    b"insufficient_quota",
    b"billing_hard_limit",
    b"credit balance",
    b"billing_error",
)
_ERROR_OF_CLASS: Final[Mapping[str, type[UpstreamError]]] = {
    "upstream_auth_failed": UpstreamAccessDenied,
    "upstream_access_denied": UpstreamAccessDenied,
    "upstream_model_access_denied": UpstreamAccessDenied,
    "upstream_quota_exhausted": UpstreamQuotaExhausted,
    "upstream_rate_limited": UpstreamRateLimited,
    "upstream_overloaded": UpstreamOverloaded,
    "upstream_timeout": UpstreamTimeout,
    "upstream_first_event_timeout": UpstreamTimeout,
    "upstream_idle_timeout": UpstreamTimeout,
    "upstream_total_timeout": UpstreamTimeout,
    ConnectTimedOut.error_class: UpstreamTimeout,
    PoolExhausted.error_class: UpstreamTimeout,
}
_MESSAGE_OF_ERROR: Final[Mapping[type[UpstreamError], str]] = {
    UpstreamAccessDenied: "no provider gave the router access to this model",
    UpstreamQuotaExhausted: "the providers' credit or quota is used up",
    UpstreamRateLimited: "the providers limit the router's rate",
    UpstreamOverloaded: "the providers are overloaded",
    UpstreamTimeout: "no provider answered in time",
    UpstreamFailed: "every provider that was tried failed",
}
_MESSAGE_OF_CLASS: Final = {
    AnswerTooLarge.error_class: (
        "the provider's answer is larger than `upstream.max_response_bytes`"
    ),
}
_CLASS_BEHIND: Final = re.compile(rb'"error_class":"(upstream_[a-z_]{1,40})"').search
_CLASSES_BEHIND: Final = frozenset(
    {*_ERROR_OF_CLASS, ConnectionCut.error_class, "upstream_error_in_stream"}
)
"""What another router may say of the failures behind it."""

_CLASS_OF_CODE: Final[Mapping[str, str]] = {
    "context_length_exceeded": "upstream_bad_request",
    "invalid_prompt": "upstream_bad_request",
    "invalid_request_error": "upstream_bad_request",
    "BadRequestError": "upstream_bad_request",
    "rate_limit_exceeded": "upstream_rate_limited",
    "rate_limit_error": "upstream_rate_limited",
    "overloaded_error": "upstream_overloaded",
    "server_is_overloaded": "upstream_overloaded",
    "timeout": "upstream_timeout",
    "invalid_api_key": "upstream_auth_failed",
    "authentication_error": "upstream_auth_failed",
    "permission_error": "upstream_access_denied",
    "model_not_found": "upstream_model_access_denied",
}


def failure_of_status(
    status: int, *, body: bytes, retry_after: str | None, credentials: Sequence[bytes]
) -> Failure:
    """Say what an answer with a status other than 200 means."""
    error_class = _class_of(status, body)
    rejected = error_class in _REQUEST_FAULT_CLASSES
    return Failure(
        error_class=error_class,
        retryable=not rejected,
        upstream_status=status,
        retry_after_s=_seconds(retry_after),
        body=scrubbed(_unlisted(body), credentials) if rejected else b"",
    )


def failure_of_transport(error: TransportError) -> Failure:
    """Say what an exchange that broke below HTTP means.

    An answer that is too large would be so elsewhere, too, and be paid for again.
    """
    too_large = isinstance(error, AnswerTooLarge)
    return Failure(
        error_class=error.error_class, retryable=not too_large, reason=error.reason
    )


def terminal_error(failures: Sequence[Failure]) -> RouterError:
    """Return what the caller is told after the attempts in `failures` all failed.

    The last failure decides where it found the request itself wrong. Otherwise a kind
    that names its reason is told only where all failures were of that kind.
    """
    last = failures[-1]
    details: dict[str, Detail] = {
        "attempts": len(failures),
        "error_class": last.error_class,
        "retryable": last.retryable,
    }
    if last.upstream_status is not None:
        details["upstream_status"] = last.upstream_status
    if not last.retryable and last.upstream_status is not None:
        return _rejection(last, details)
    kinds = [_ERROR_OF_CLASS.get(each.error_class, UpstreamFailed) for each in failures]
    kind = kinds[-1] if len(set(kinds)) == 1 else UpstreamFailed
    told = kind(
        _MESSAGE_OF_CLASS.get(last.error_class, _MESSAGE_OF_ERROR[kind]),
        details=details,
        retry_after_s=_soonest(failures) if kind is UpstreamRateLimited else None,
    )
    told.reason = last.reason
    return told


def error_behind(failure: Failure, what: str) -> UpstreamError:
    """Return what the caller is told of a failure inside its stream, in `what`."""
    details: dict[str, Detail] = {"error_class": failure.error_class}
    if not failure.retryable:
        return _rejection(failure, details)
    kind = _ERROR_OF_CLASS.get(failure.error_class, UpstreamFailed)
    return kind(what, details=details)


def _rejection(failure: Failure, details: Details) -> UpstreamRejectedRequest:
    """Return what a rejected request is; inside a stream the status told nothing."""
    status = failure.upstream_status or HTTPStatus.BAD_REQUEST
    return UpstreamRejectedRequest(
        status=max(int(status), int(HTTPStatus.BAD_REQUEST)),
        body=failure.body,
        details=details,
    )


def scrubbed(body: bytes, credentials: Sequence[bytes]) -> bytes:
    """Take the router's own credentials out of a body that a provider sent back."""
    for spelling in sorted(_spellings(credentials), key=len, reverse=True):
        body = body.replace(spelling, _SCRUBBED)
    return body


def _spellings(credentials: Sequence[bytes]) -> set[bytes]:
    """Return each credential as it is, and as JSON may spell it."""
    known = {credential for credential in credentials if credential}
    quoted = {each.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for each in known}
    return known | quoted | {each.replace(b"/", b"\\/") for each in quoted}


def _unlisted(body: bytes) -> bytes:
    """Take an error out of the list that some providers put it into."""
    if not body.startswith(b"["):
        return body
    try:
        (error,) = _decode_list(body)
    except ValueError:
        return body
    return bytes(error)


def _class_of(status: int, body: bytes) -> str:
    # What is not found is the model, unless it is something that the input names.
    if status == HTTPStatus.NOT_FOUND and _IS_ABOUT_THE_INPUT(body):
        return "upstream_bad_request"
    if status in {400, 402, 403, 429} and any(mark in body for mark in _QUOTA_MARKS):
        return "upstream_quota_exhausted"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = _CLASS_OF_STATUS.get(status, "upstream_server_error")
        return _class_behind(body) or told
    if status in _CLASS_OF_STATUS:
        return _CLASS_OF_STATUS[status]
    if status >= HTTPStatus.BAD_REQUEST:
        return "upstream_bad_request"
    return "upstream_unexpected_status"


def _class_behind(body: bytes) -> str | None:
    """Return the class that another router found, where the provider is one."""
    found = _CLASS_BEHIND(body)
    claimed = found[1].decode() if found else None
    return claimed if claimed in _CLASSES_BEHIND else None


def _seconds(retry_after: str | None) -> int | None:
    """Read `Retry-After` in seconds, rounded up; a date is not passed on."""
    if retry_after is None or not _SECONDS.fullmatch(retry_after):
        return None
    return math.ceil(float(retry_after))


def _soonest(failures: Sequence[Failure]) -> int | None:
    """Return the shortest wait that a provider named, where it is short enough."""
    waits = [each.retry_after_s for each in failures if each.retry_after_s is not None]
    soonest = min(waits, default=None)
    return soonest if soonest is not None and soonest <= RETRY_AFTER_MAX_S else None


def failure_of_error_event(raw: bytes, *, credentials: Sequence[bytes] = ()) -> Failure:
    """Say what an error inside a stream with status 200 means.

    Providers put the status they would have answered into `code`; where it is one, it
    is read as that status. Others name the kind in `code` or `type`. Whether another
    target may be asked is as if it had come with a status of its own.
    """
    error_class = _class_of_event(raw)
    rejected = error_class in _REQUEST_FAULT_CLASSES
    return Failure(
        error_class=error_class,
        retryable=not rejected,
        upstream_status=200,
        body=b'{"error":' + scrubbed(raw, credentials) + b"}" if rejected else b"",
    )


def _class_of_event(raw: bytes) -> str:
    try:
        event = _decode_error_event(raw)
    except msgspec.DecodeError:
        event = _ErrorEvent()
    code = event.code
    if behind := _class_behind(raw):
        return behind
    if isinstance(code, int) and HTTPStatus.BAD_REQUEST <= code < _STATUS_END:
        return _class_of(code, raw)
    error_class = _class_of(HTTPStatus.BAD_REQUEST, raw)
    if error_class != "upstream_bad_request":
        return error_class
    named = _CLASS_OF_CODE.get(str(code)) or _CLASS_OF_CODE.get(str(event.type))
    return named or "upstream_error_in_stream"


class _ErrorEvent(msgspec.Struct):
    """The two fields of an error object that class it."""

    code: int | str | None = None
    type: str | None = None


_STATUS_END: Final = 600
_decode_error_event: Final = msgspec.json.Decoder(_ErrorEvent).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
