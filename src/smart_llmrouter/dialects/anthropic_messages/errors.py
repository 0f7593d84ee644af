"""Our errors in the shape that Anthropic's clients read.

`error.type` is Anthropic's type for the status, `error.details.error_code` our stable
code. A provider's own rejection keeps its words, because clients act on them; a context
that is too long is told in the words that Claude Code knows, whoever found it so.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.errors import (
    CapabilityRejected,
    RouterError,
    UpstreamRejectedRequest,
)
from smart_llmrouter.core.overflow import overflow_in
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)

TYPE_OF_STATUS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    426: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER_ERROR: Final = "api_error"
_MESSAGE_FIELDS: Final = ("message", "error", "detail")
_TOO_LONG: Final = "prompt is too long"
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def render_error(error: RouterError, *, request_id: str) -> bytes:
    """Render the body of an error answer.

    A provider's own rejection keeps its body; the request id and our details are added.
    """
    if isinstance(error, UpstreamRejectedRequest):
        return _render_rejection(error, request_id=request_id)
    return _rendered(_error_object(error, request_id=request_id), request_id)


def encode_error_event(error: RouterError, *, request_id: str) -> bytes:
    """Encode an error as the last event of a stream that has begun."""
    body = render_error(error, request_id=request_id)
    return b"event: error\ndata: " + body + b"\n\n"


def _rendered(error: dict[str, object], request_id: str) -> bytes:
    return _encode({"type": "error", "error": error, "request_id": request_id})


def _error_object(error: RouterError, *, request_id: str) -> dict[str, object]:
    return {
        "type": TYPE_OF_STATUS.get(error.status, _SERVER_ERROR),
        "message": _message(error, request_id),
        "details": {"error_code": error.code, **error.details},
    }


def _message(error: RouterError, request_id: str) -> str:
    # Claude Code asks again without what it finds refused in exactly these words.
    if isinstance(error, CapabilityRejected):
        return error.message
    return f"{error.message} (request {request_id})"


def _render_rejection(error: UpstreamRejectedRequest, *, request_id: str) -> bytes:
    """Return an Anthropic error as it came, any other in the shape of one."""
    ours = _error_object(error, request_id=request_id)
    try:
        answer = parse_members(error.body)
    except NotAnObject:
        return _rendered(ours, request_id)
    try:
        members = parse_members(bytes(answer["error"]))
    except (NotAnObject, KeyError):
        said = _said(answer)
        return _rendered(ours | said | _too_long(error.body, said), request_id)
    if "type" not in answer:
        said = _said(members)
        return _rendered(ours | said | _too_long(error.body, said), request_id)
    added = {
        name: msgspec.Raw(_encode(ours[name])) for name in ours if name not in members
    }
    answer["error"] = msgspec.Raw(render_members(members | added))
    answer["request_id"] = msgspec.Raw(_encode(request_id))
    return render_members(answer)


def _said(members: RawMembers) -> dict[str, object]:
    """Find the message in an error of another shape."""
    for name in _MESSAGE_FIELDS:
        with suppress(KeyError, msgspec.DecodeError, UnicodeDecodeError):
            return {"message": _decode_text(members[name])}
    return {}


def _too_long(body: bytes, said: dict[str, object]) -> dict[str, object]:
    """Say in the words that Claude Code knows that a context is too long."""
    overflow = overflow_in(body)
    message = str(said.get("message", "no reason given"))
    if overflow is None or message.startswith(_TOO_LONG):
        return {}
    if overflow.tokens is None:
        return {"message": f"{_TOO_LONG}: {message}"}
    found, most = overflow.tokens
    return {"message": f"{_TOO_LONG}: {found} tokens > {most} maximum"}
