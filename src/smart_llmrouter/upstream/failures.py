"""What went wrong, read from what came back: each failed attempt is one `Failure`."""

import math
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import msgspec

from smart_llmrouter.core.errors import UpstreamRejectedRequest
from smart_llmrouter.upstream.failure_classes import MEANINGS, Failure
from smart_llmrouter.upstream.failure_wordings import worded_class
from smart_llmrouter.upstream.transport import ConnectionCut, TransportError

_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SCRUBBED: Final = b"[redacted]"
_STATUS_END: Final = 600
_UNANSWERED: Final = "upstream_unanswered"

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
_CLASS_OF_CODE: Final[Mapping[str, str]] = {
    "context_length_exceeded": "upstream_context_overflow",
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
"""What the `code` or `type` of an error inside a stream means."""

_CLASSES_BEHIND: Final = frozenset(
    name
    for name, meaning in MEANINGS.items()
    if meaning.then != "stop" and meaning.error is not UpstreamRejectedRequest
)
"""What another router may say of the failures behind it."""

_find_class_behind: Final = re.compile(
    rb'"error_class":"(upstream_[a-z_]{1,40})"'
).search
_find_retry_delay: Final = re.compile(
    rb'"retryDelay"\s*:\s*"([0-9]{1,9}(?:\.[0-9]{1,9})?)s"'
).search
_is_about_the_input: Final = re.compile(
    rb"\"param\"\s*:\s*\"(?:input|previous_response_id|conversation|prompt)"
).search


def failure_of_status(
    status: int,
    *,
    body: bytes,
    retry_after: str | None,
    credentials: Sequence[bytes],
    date: str | None = None,
) -> Failure:
    """Say what an answer with a status other than 200 means.

    `retry_after` and `date` are its headers of these names.
    """
    error_class = _class_of(status, body)
    wait_s = _seconds(retry_after, date=date)
    rejected = MEANINGS[error_class].error is UpstreamRejectedRequest
    return Failure(
        error_class=error_class,
        upstream_status=status,
        retry_after_s=_retry_delay(body) if wait_s is None else wait_s,
        body=scrubbed(_unlisted(body), credentials) if rejected else b"",
    )


def failure_of_transport(error: TransportError, *, answered: bool = True) -> Failure:
    """Say what an exchange that broke below HTTP means.

    `answered` says whether the head of an answer had come.
    """
    cut = type(error) is ConnectionCut
    return Failure(
        error_class=_UNANSWERED if cut and not answered else error.error_class,
        reason=error.reason,
    )


def failure_of_error_event(raw: bytes, *, credentials: Sequence[bytes] = ()) -> Failure:
    """Say what an error inside a stream with status 200 means.

    Providers put the status they would have answered into `code`; where it is one, it
    is read as that status. Others name the kind in `code` or `type`. Whether another
    target may be asked is as if it had come with a status of its own.
    """
    error_class = _class_of_event(raw)
    rejected = MEANINGS[error_class].error is UpstreamRejectedRequest
    return Failure(
        error_class=error_class,
        upstream_status=HTTPStatus.OK,
        retry_after_s=_retry_delay(raw),
        body=b'{"error":' + scrubbed(raw, credentials) + b"}" if rejected else b"",
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
    if status == HTTPStatus.NOT_FOUND and _is_about_the_input(body):
        return "upstream_bad_request"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and (told := _class_behind(body)):
        return told
    return worded_class(status, body) or _class_of_bare(status)


def _class_of_bare(status: int) -> str:
    """Return the class of a status whose body says no more."""
    if status in _CLASS_OF_STATUS:
        return _CLASS_OF_STATUS[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "upstream_server_error"
    if status >= HTTPStatus.BAD_REQUEST:
        return "upstream_bad_request"
    return "upstream_unexpected_status"


def _class_behind(body: bytes) -> str | None:
    """Return the class that another router found, where the provider is one."""
    found = _find_class_behind(body)
    claimed = found[1].decode() if found else None
    return claimed if claimed in _CLASSES_BEHIND else None


def _seconds(retry_after: str | None, *, date: str | None) -> int | None:
    """Read `Retry-After`, rounded up to whole seconds; nonsense promises nothing.

    Where it is a date, it is compared with the date of the answer: both are of the
    provider's clock.
    """
    if retry_after is None:
        return None
    if _SECONDS.fullmatch(retry_after):
        return math.ceil(float(retry_after))
    try:
        until = parsedate_to_datetime(retry_after)
        answered = parsedate_to_datetime(date or "")
        return max(0, math.ceil((until - answered).total_seconds()))
    except (TypeError, ValueError, OverflowError):
        # The first where only one of them says in which zone it is.
        return None


def _retry_delay(body: bytes) -> int | None:
    """Read how long Google asks to wait: it says so in the body only."""
    found = _find_retry_delay(body)
    return math.ceil(float(found[1])) if found else None


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
    named = _CLASS_OF_CODE.get(str(code)) or _CLASS_OF_CODE.get(str(event.type))
    worded = worded_class(HTTPStatus.BAD_REQUEST, raw)
    return worded or named or "upstream_error_in_stream"


class _ErrorEvent(msgspec.Struct):
    """The two fields of an error object that class it."""

    code: int | str | None = None
    type: str | None = None


_decode_error_event: Final = msgspec.json.Decoder(_ErrorEvent).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
