"""An error as an HTTP answer: its status, its headers and, in a dialect, its body.

Codex repeats a 5xx thirty times and a 403 six times, whatever the headers say. So to
Codex a refusal that can never pass is an answer with status 200 whose one event is
`response.failed`, with a code at which it stops. Two it understands as they are: a
wrong token, and a model that the token may not use.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from smart_llmrouter.core.errors import (
    NOT_BRIDGED,
    CapabilityRejected,
    LimitExceeded,
    MethodNotAllowed,
    ModelNotAllowed,
    NoEligibleTarget,
    RouterError,
    TooManyAuthFailures,
    Unauthorized,
    UpstreamCapacityThrottled,
    UpstreamError,
    WebSocketNotServed,
)
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.requirements import PASSING, STRUCTURED_OUTPUT
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.client import HeaderLines, header_lines

Fields = list[tuple[bytes, bytes]]


_MESSAGES: Final = "anthropic-messages"
_CLAUDE_CODE: Final = "claude-code"
_CAPABILITIES: Final = {
    "image": "image_block",
    "document": "document_block",
    "document_url": "document_block",
    STRUCTURED_OUTPUT: "structured_outputs_unsupported",
    "structured_outputs": "structured_outputs_unsupported",
    "safeguards": "safeguards",
}
"""What Claude Code calls a feature, by the requirement that a target misses."""
_JSON: Final = b"application/json"
_EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
_CODEX_UNDERSTANDS: Final = (Unauthorized, ModelNotAllowed)
_FLOODS: Final = frozenset({Unauthorized, TooManyAuthFailures})
"""What is said again and again where somebody guesses: it is rendered once."""
_BLANK_ID: Final = "req_" + "0" * 32


class Refusal(NamedTuple):
    """A whole error answer."""

    status: int
    headers: HeaderLines
    body: bytes


def refusal(
    error: RouterError,
    *more: tuple[bytes, bytes],
    dialect: DialectName,
    request_id: str,
    codex: bool = False,
) -> Refusal:
    """Return the answer that an error makes in `dialect`, with `more` headers.

    `codex` says that Codex is to read it, which changes how it is told, and not what
    it is.
    """
    if type(error) in _FLOODS and not more:
        blank = _blank(error.retry_after_s, dialect, codex=codex)
        blank_id, its_id = _BLANK_ID.encode(), request_id.encode()
        return Refusal(
            blank.status,
            blank.headers.replace(blank_id, its_id),
            blank.body.replace(blank_id, its_id),
        )
    return _rendered(error, *more, dialect=dialect, request_id=request_id, codex=codex)


@lru_cache(maxsize=256)
def _blank(retry_after_s: int | None, dialect: DialectName, *, codex: bool) -> Refusal:
    """Return an answer that is always the same but for the id of its request."""
    error = (
        Unauthorized() if retry_after_s is None else TooManyAuthFailures(retry_after_s)
    )
    return _rendered(error, dialect=dialect, request_id=_BLANK_ID, codex=codex)


def _rendered(
    error: RouterError,
    *more: tuple[bytes, bytes],
    dialect: DialectName,
    request_id: str,
    codex: bool,
) -> Refusal:
    fields = [*error_headers(error, dialect=dialect, request_id=request_id), *more]
    if codex and _stops_codex(error):
        fields[0] = (b"content-type", _EVENT_STREAM)
        body = error_event(error, dialect=dialect, request_id=request_id)
        return Refusal(200, header_lines(*fields), body)
    body = render_refusal(error, dialect=dialect, request_id=request_id)
    return Refusal(error.status, header_lines(*fields), body)


def unservable(
    group: str,
    *,
    dialect: DialectName,
    missing: Mapping[str, Sequence[str]],
    wait_s: float = math.inf,
    client: str = "",
) -> RouterError:
    """Return what a caller is told when no target of `group` can serve its request.

    `missing` names the requirements that each target misses. Where some could serve it
    after `wait_s` seconds, that is `UpstreamCapacityThrottled`. Where one would serve
    Claude Code without a single feature, that is said in the words at which it asks
    again without that; in all other cases it is `NoEligibleTarget`.
    """
    if wait_s < math.inf:
        waiting = [codes for codes in missing.values() if PASSING.issuperset(codes)]
        return UpstreamCapacityThrottled(target_count=len(waiting), wait_s=wait_s)
    if dialect == _MESSAGES and client == _CLAUDE_CODE:
        for reasons in missing.values():
            classes = {
                _CAPABILITIES.get(reason.removeprefix(f"{NOT_BRIDGED}:"))
                for reason in reasons
            }
            capability = classes.pop() if len(classes) == 1 else None
            if capability is not None:
                return CapabilityRejected(capability)
    return NoEligibleTarget(group=group, dialect=dialect, missing=missing)


def render_refusal(
    error: RouterError, *, dialect: DialectName, request_id: str
) -> bytes:
    """Render the body of an error answer."""
    return DIALECTS[dialect].render_error(error, request_id=request_id)


def error_event(
    error: RouterError,
    *,
    dialect: DialectName,
    request_id: str,
    answer_id: str | None = None,
) -> bytes:
    """Encode an error as the last event of a stream that has begun.

    `answer_id` is what its first event has called the answer.
    """
    return DIALECTS[dialect].encode_error_event(
        error, request_id=request_id, answer_id=answer_id
    )


def error_headers(
    error: RouterError, *, dialect: DialectName, request_id: str
) -> Fields:
    """Return the headers that go with an error; the first is its content type."""
    headers: Fields = [(b"content-type", _JSON)]
    headers += dialect_headers(dialect, request_id=request_id)
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    headers += _advice(error)
    if isinstance(error, UpstreamError):
        headers += _upstream_headers(error)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, WebSocketNotServed):
        # An answer with 426 must say what to speak (RFC 9110, 15.5.22).
        headers += [(b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade")]
    return headers


def _advice(error: RouterError) -> Fields:
    """Tell clients whether to ask again where the status would tell them otherwise.

    They ask again at once after a 429, and never after a 403.
    """
    if isinstance(error, LimitExceeded):
        if error.retry_after_s is None:
            return [(b"x-should-retry", b"false")]
        forbidden = error.status == HTTPStatus.FORBIDDEN
        return [(b"x-should-retry", b"true")] if forbidden else []
    return [(b"x-should-retry", b"false")] if error.permanent else []


def dialect_headers(dialect: DialectName, *, request_id: str) -> Fields:
    """Return the headers that every answer in `dialect` has, good or bad.

    Anthropic's clients look for the request id under a name of their own.
    """
    return [(b"request-id", request_id.encode())] if dialect == _MESSAGES else []


def _stops_codex(error: RouterError) -> bool:
    return error.permanent and not isinstance(error, _CODEX_UNDERSTANDS)


def _upstream_headers(error: UpstreamError) -> Fields:
    names = {
        "error_class": b"x-router-error-class",
        "upstream_status": b"x-upstream-status",
    }
    return [
        (header, str(error.details[detail]).encode())
        for detail, header in names.items()
        if detail in error.details
    ]
