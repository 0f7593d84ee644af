"""What the path must know of a request, as it stands in every dialect."""

from typing import Final

import msgspec

from smart_llmrouter.core.errors import InvalidJson, InvalidRequest
from smart_llmrouter.wire.jsonobject import NotAnObject, RawMembers, parse_members
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_flag: Final = msgspec.json.Decoder(bool).decode


def members_of(body: bytes) -> RawMembers:
    """Take the body of a request apart. Raises `InvalidJson`."""
    try:
        # The parser steps over strings; a wrong byte in one must not reach a provider.
        if not body.isascii():
            str(body, "utf-8")
        return parse_members(body)
    except NotAnObject as error:
        raise InvalidJson(str(error)) from None
    except UnicodeDecodeError:
        raise InvalidJson("the body is not UTF-8") from None


def model_in(members: RawMembers) -> str | None:
    """Return the model that is asked for, if one is. Raises `InvalidRequest`."""
    raw = members.get("model")
    if raw is None or raw == NULL:
        return None
    try:
        return _decode_text(raw)
    except UNREADABLE:
        raise InvalidRequest(
            "`model` must be a string", details={"field": "model"}
        ) from None


def stream_in(members: RawMembers) -> bool:
    """Say whether the answer is to be streamed. Raises `InvalidRequest`."""
    raw = members.get("stream")
    if raw is None or raw == NULL:
        return False
    try:
        return _decode_flag(raw)
    except UNREADABLE:
        raise InvalidRequest(
            "`stream` must be true or false", details={"field": "stream"}
        ) from None
