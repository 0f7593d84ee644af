"""Our errors in the shape that OpenAI's clients read.

`error.code` is our stable code, `error.type` OpenAI's type for the status.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.errors import RouterError, UpstreamRejectedRequest
from smart_llmrouter.dialects.overflow import overflow_in
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)

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
_SERVER_ERROR: Final = "server_error"
_OVERFLOW: Final = "context_length_exceeded"
_MESSAGE_FIELDS: Final = ("error", "message", "detail")
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def render_error(error: RouterError, *, request_id: str) -> bytes:
    """Render the body of an error answer.

    A provider's own rejection keeps its body; the request id and our details are added.
    """
    if isinstance(error, UpstreamRejectedRequest):
        return _render_rejection(error, request_id=request_id)
    return _encode({"error": _error_object(error, request_id=request_id)})


def encode_error_event(error: RouterError, *, request_id: str) -> bytes:
    """Encode an error as the last event of a stream that has begun."""
    return b"data: " + render_error(error, request_id=request_id) + b"\n\n"


def _error_object(error: RouterError, *, request_id: str) -> dict[str, object]:
    return {
        "message": f"{error.message} (request {request_id})",
        "type": TYPE_OF_STATUS.get(error.status, _SERVER_ERROR),
        "code": error.code,
        "param": error.details.get("field"),
        "request_id": request_id,
        "details": error.details,
    }


def _render_rejection(error: UpstreamRejectedRequest, *, request_id: str) -> bytes:
    """Add to the provider's error object what it lacks; change nothing that it has."""
    ours = _error_object(error, request_id=request_id)
    if overflow_in(error.body):
        ours["code"] = _OVERFLOW
    try:
        answer = parse_members(error.body)
    except NotAnObject:
        return _encode({"error": ours})
    try:
        members = parse_members(bytes(answer["error"]))
    except (NotAnObject, KeyError):
        return _encode({"error": ours | _said(answer)})
    added = {
        name: msgspec.Raw(_encode(ours[name]))
        for name in ("request_id", "details", "message", "type", "code")
        if name in ("request_id", "details") or name not in members
    }
    answer["error"] = msgspec.Raw(render_members(members | added))
    return render_members(answer)


def _said(answer: RawMembers) -> dict[str, str]:
    """Find the message of a provider whose errors have another shape than OpenAI's."""
    for name in _MESSAGE_FIELDS:
        with suppress(KeyError, msgspec.DecodeError, UnicodeDecodeError):
            return {"message": _decode_text(answer[name])}
    return {}
