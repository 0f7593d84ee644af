"""Reading a Chat Completions request just far enough, and addressing it to a target."""

from typing import Final

import msgspec

from smart_llmrouter.core.errors import (
    InvalidRequest,
    ResponsesBodyOnChatEndpoint,
)
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openai_chat.schema import StreamOptions
from smart_llmrouter.dialects.peeking import members_of, model_in, stream_in
from smart_llmrouter.wire.jsonobject import (
    RawMembers,
    parse_members,
    render_members,
)

_RESPONSES_FIELDS: Final = ("input", "instructions", "previous_response_id")
_NULL: Final = b"null"
_INCLUDE_USAGE: Final = msgspec.Raw(b'{"include_usage":true}')

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_flag: Final = msgspec.json.Decoder(bool | None).decode
_decode_options: Final = msgspec.json.Decoder(StreamOptions | None).decode
_encode: Final = msgspec.json.Encoder().encode


def parse_request(body: bytes) -> Peek:
    """Peek into the body of `POST /v1/chat/completions`.

    Raises `InvalidJson`, `InvalidRequest` or `ResponsesBodyOnChatEndpoint`.
    """
    members = members_of(body)
    if "messages" not in members:
        _refuse_responses_body(members)
    stream = stream_in(members)
    return Peek(
        members=members,
        model=model_in(members),
        stream=stream,
        wants_usage=stream and _wants_usage(members),
    )


def render_request(request: Peek, *, model: bytes) -> bytes:
    """Render the request for one target; `model` is its JSON-encoded model id.

    A stream is asked to end with its usage, since without it the call could not be
    charged. The extra chunk is taken out again unless the caller asked for it too.
    """
    members = request.members | {"model": msgspec.Raw(model)}
    if request.stream and not request.wants_usage:
        members["stream_options"] = _with_usage(members.get("stream_options"))
    return render_members(members)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or bytes(options) == _NULL:
        return _INCLUDE_USAGE
    asked = parse_members(bytes(options)) | {"include_usage": msgspec.Raw(b"true")}
    return msgspec.Raw(render_members(asked))


def _wants_usage(members: RawMembers) -> bool:
    raw = members.get("stream_options")
    if raw is None:
        return False
    try:
        options = _decode_options(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest(
            "`stream_options` must be an object with `include_usage` true or false",
            details={"field": "stream_options"},
        ) from None
    return options is not None and bool(options.include_usage)


def _refuse_responses_body(members: RawMembers) -> None:
    for field in _RESPONSES_FIELDS:
        if field in members:
            raise ResponsesBodyOnChatEndpoint(field)
