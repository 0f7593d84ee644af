"""Our errors as callers of the Responses API read them, plain and inside a stream.

A plain error has OpenAI's shape: `error.code` is our stable code, and OpenAI's own
where Codex acts on that. Inside a stream an error is a `response.failed`, whose code
decides what Codex does next: go on trying, wait, or stop and tell.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.errors import RouterError, UpstreamRejectedRequest
from smart_llmrouter.dialects.openai_responses.schema import (
    encode,
    text_of,
)
from smart_llmrouter.dialects.openai_responses.writing import frame_of
from smart_llmrouter.dialects.overflow import overflow_in
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.rawvalues import UNREADABLE

TYPE_OF_STATUS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    426: "invalid_request_error",
    429: "rate_limit_error",
}
SERVER_ERROR: Final = "server_error"
RATE_LIMITED: Final = "rate_limit_exceeded"
OVERFLOW: Final = "context_length_exceeded"
STREAM_CODES: Final = {
    "upstream-rate-limited": RATE_LIMITED,
    "upstream_rate_limited": RATE_LIMITED,
    "upstream-quota-exhausted": "insufficient_quota",
    "upstream_quota_exhausted": "insufficient_quota",
    "upstream-overloaded": "server_is_overloaded",
    "upstream_overloaded": "server_is_overloaded",
    "upstream_context_length": OVERFLOW,
    "upstream_context_length_exceeded": OVERFLOW,
}
"""The code in a stream, by our code or by the class of the provider's failure."""
_REFUSED: Final = "invalid_prompt"
_USUAL_WAIT_S: Final = 1
_LAST: Final = 2**31 - 1
"""Higher than the number of each event before it, which is not known here."""
_MESSAGE_FIELDS: Final = ("error", "message", "detail")


def render_error(error: RouterError, *, request_id: str) -> bytes:
    """Render the body of an error answer.

    A provider's own rejection keeps its body; the request id and our details are added.
    """
    if isinstance(error, UpstreamRejectedRequest):
        return _render_rejection(error, request_id=request_id)
    return encode({"error": _error_object(error, request_id=request_id)})


def encode_error_event(
    error: RouterError, *, request_id: str, answer_id: str | None = None
) -> bytes:
    """Encode an error as the last event of a stream that has begun.

    OpenAI's SDK takes it for a fault of its own when the answer has another id here
    than in the first event.
    """
    code = stream_code(error)
    message = f"{error.message} (request {request_id})"
    if isinstance(error, UpstreamRejectedRequest):
        message = f"{_said_in(error.body) or error.message} (request {request_id})"
    if code == RATE_LIMITED:
        wait_s = error.retry_after_s or _USUAL_WAIT_S
        message = f"{message}. Please try again in {wait_s}s."
    answer = {
        "id": answer_id or f"resp_{request_id.removeprefix('req_')}",
        "object": "response",
        "created_at": 0,
        "status": "failed",
        "background": False,
        "error": {"code": code, "message": message},
        "incomplete_details": None,
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    return frame_of("response.failed", _LAST, b',"response":' + encode(answer))


def stream_code(error: RouterError) -> str:
    """Return the code by which Codex knows what to do."""
    named = STREAM_CODES.get(error.code) or STREAM_CODES.get(
        str(error.details.get("error_class"))
    )
    if named is not None:
        return named
    if isinstance(error, UpstreamRejectedRequest) and overflow_in(error.body):
        return OVERFLOW
    if error.status == 429:
        return RATE_LIMITED
    return _REFUSED if error.permanent else SERVER_ERROR


def _error_object(error: RouterError, *, request_id: str) -> dict[str, object]:
    return {
        "message": f"{error.message} (request {request_id})",
        "type": TYPE_OF_STATUS.get(error.status, SERVER_ERROR),
        "code": error.code,
        "param": error.details.get("field"),
        "request_id": request_id,
        "details": error.details,
    }


def _render_rejection(error: UpstreamRejectedRequest, *, request_id: str) -> bytes:
    """Add to the provider's error object what it lacks; change nothing that it has."""
    ours = _error_object(error, request_id=request_id)
    if overflow_in(error.body):
        ours["code"] = OVERFLOW
    try:
        answer = parse_members(error.body)
    except NotAnObject:
        return encode({"error": ours})
    try:
        members = parse_members(bytes(answer["error"]))
    except (NotAnObject, KeyError):
        return encode({"error": ours | _said(answer)})
    added = {
        name: msgspec.Raw(encode(ours[name]))
        for name in ("request_id", "details", "message", "type", "code")
        if name in ("request_id", "details") or name not in members
    }
    answer["error"] = msgspec.Raw(render_members(members | added))
    return render_members(answer)


def _said(answer: RawMembers) -> dict[str, str]:
    """Find the message of a provider whose errors have another shape than OpenAI's."""
    for name in _MESSAGE_FIELDS:
        with suppress(*UNREADABLE):
            text = text_of(answer.get(name))
            if text:
                return {"message": text}
    return {}


def _said_in(body: bytes) -> str | None:
    """Find the message in a provider's rejection."""
    try:
        answer = parse_members(body)
        inner = answer.get("error")
        if inner is not None and bytes(inner)[:1] == b"{":
            answer = parse_members(bytes(inner))
    except NotAnObject:
        return None
    return _said(answer).get("message")
