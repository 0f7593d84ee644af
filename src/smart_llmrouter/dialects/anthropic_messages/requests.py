"""Reading a Messages request just far enough, and addressing it to a target."""

from typing import Final

import msgspec

from smart_llmrouter.core.errors import InvalidJson, InvalidRequest
from smart_llmrouter.dialects.anthropic_messages.thinking import own_thinking_only
from smart_llmrouter.dialects.anthropic_messages.thinking_off import with_messages
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_flag: Final = msgspec.json.Decoder(bool).decode


def peek_request(body: bytes) -> Peek:
    """Peek into the body of `POST /v1/messages` or of its `count_tokens`.

    Raises `InvalidJson` or `InvalidRequest`.
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
    return Peek(members=members, model=_model(members), stream=_stream(members))


def address_request(peek: Peek, *, model: bytes, keep_seals: bool = False) -> bytes:
    """Render the request for one target; `model` is its JSON-encoded model id.

    All else keeps its bytes, but for thinking that no provider would take back; with
    `keep_seals` the target is one that takes back what was sealed.
    """
    members = peek.members | {"model": msgspec.Raw(model)}
    messages = members.get("messages")
    if messages is not None:
        kept = own_thinking_only(messages, keep_seals=keep_seals)
        if kept is not messages:
            members = with_messages(members, kept)
    return render_members(members)


def _model(members: RawMembers) -> str | None:
    raw = members.get("model")
    if raw is None or raw == NULL:
        return None
    try:
        return _decode_text(raw)
    except UNREADABLE:
        raise InvalidRequest(
            "`model` must be a string", details={"field": "model"}
        ) from None


def _stream(members: RawMembers) -> bool:
    raw = members.get("stream")
    if raw is None or raw == NULL:
        return False
    try:
        return _decode_flag(raw)
    except UNREADABLE:
        raise InvalidRequest(
            "`stream` must be true or false", details={"field": "stream"}
        ) from None
