"""Our errors in the shape that OpenAI's clients read, on each of OpenAI's surfaces.

`error.code` is our stable code, `error.type` OpenAI's type for the status.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.errors import RouterError, UpstreamRejectedRequest
from smart_llmrouter.core.overflow import overflow_in
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.rawvalues import UNREADABLE, leniently

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
OVERFLOW: Final = "context_length_exceeded"
_MESSAGE_FIELDS: Final = ("error", "message", "detail")
_ALWAYS_OURS: Final = ("request_id", "details")
_OURS_IF_MISSING: Final = ("message", "type", "code")
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def render_error(error: RouterError, *, request_id: str) -> bytes:
    """Render the body of an error answer.

    A provider's own rejection keeps its body; the request id and our details are added.
    """
    if isinstance(error, UpstreamRejectedRequest):
        return _render_rejection(error, request_id=request_id)
    return _encode({"error": _error_object(error, request_id=request_id)})


def said_in(body: bytes) -> str | None:
    """Find the message in a provider's rejection."""
    try:
        answer = parse_members(body)
        inner = answer.get("error")
        if inner is not None and bytes(inner)[:1] == b"{":
            answer = parse_members(bytes(inner))
    except NotAnObject:
        return None
    return _said(answer).get("message")


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
        return _encode({"error": ours})
    try:
        members = parse_members(bytes(answer["error"]))
    except (NotAnObject, KeyError):
        return _encode({"error": ours | _said(answer)})
    missing = [name for name in _OURS_IF_MISSING if name not in members]
    added = {
        name: msgspec.Raw(_encode(ours[name])) for name in (*_ALWAYS_OURS, *missing)
    }
    answer["error"] = msgspec.Raw(render_members(members | added))
    return render_members(answer)


def _said(answer: RawMembers) -> dict[str, str]:
    """Find the message of a provider whose errors have another shape than OpenAI's."""
    for name in _MESSAGE_FIELDS:
        with suppress(KeyError, *UNREADABLE):
            if text := leniently(_decode_text, answer[name]):
                return {"message": text}
    return {}
