"""Reading a Chat Completions request just far enough, and addressing it to a target."""

from typing import Final

import msgspec

from smart_llmrouter.core.errors import (
    InvalidJson,
    InvalidRequest,
    ResponsesBodyOnChatEndpoint,
)
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openai_chat.schema import StreamOptions
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
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


ChatRequest = Peek


def parse_request(body: bytes) -> ChatRequest:
    """Peek into the body of `POST /v1/chat/completions`.

    Raises `InvalidJson`, `InvalidRequest` or `ResponsesBodyOnChatEndpoint`.
    """
    try:
        # The parser steps over strings; a wrong byte in one must not reach a provider.
        if not body.isascii():
            str(body, "utf-8")
        members = parse_members(body)
    except NotAnObject as error:
        raise InvalidJson(str(error)) from None
    except UnicodeDecodeError:
        raise InvalidJson("the body is not UTF-8") from None
    if "messages" not in members:
        _refuse_responses_body(members)
    stream = _flag(members, "stream")
    return ChatRequest(
        members=members,
        model=_model(members),
        stream=stream,
        wants_usage=stream and _wants_usage(members),
    )


def render_request(request: ChatRequest, *, model: bytes) -> bytes:
    """Render the request for one target; `model` is its JSON-encoded model id.

    A stream is asked to end with its usage, since without it the call could not be
    charged. The extra chunk is taken out again unless the caller asked for it too.
    """
    members = request.members | {"model": msgspec.Raw(model)}
    if request.stream and not request.wants_usage:
        members["stream_options"] = _with_usage(members.get("stream_options"))
    return render_members(members)


def encode_model(model: str) -> bytes:
    """Encode a target's model id once, for `render_request`."""
    return _encode(model)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or bytes(options) == _NULL:
        return _INCLUDE_USAGE
    asked = parse_members(bytes(options)) | {"include_usage": msgspec.Raw(b"true")}
    return msgspec.Raw(render_members(asked))


def _model(members: RawMembers) -> str | None:
    raw = members.get("model")
    if raw is None or bytes(raw) == _NULL:
        return None
    try:
        return _decode_text(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest(
            "`model` must be a string", details={"field": "model"}
        ) from None


def _flag(members: RawMembers, name: str) -> bool:
    raw = members.get(name)
    if raw is None:
        return False
    try:
        return bool(_decode_flag(raw))
    except msgspec.DecodeError:
        raise InvalidRequest(
            f"`{name}` must be true or false", details={"field": name}
        ) from None


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
