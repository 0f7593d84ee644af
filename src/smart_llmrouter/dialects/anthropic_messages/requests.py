"""Reading a Messages request just far enough, and addressing it to a target."""

from typing import Final

import msgspec

from smart_llmrouter.dialects.anthropic_messages.thinking import own_thinking_only
from smart_llmrouter.dialects.anthropic_messages.thinking_off import with_messages
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.peeking import members_of, model_in, stream_in
from smart_llmrouter.wire.jsonobject import (
    render_members,
)

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_flag: Final = msgspec.json.Decoder(bool).decode


def peek_request(body: bytes) -> Peek:
    """Peek into the body of `POST /v1/messages` or of its `count_tokens`.

    Raises `InvalidJson` or `InvalidRequest`.
    """
    members = members_of(body)
    return Peek(members=members, model=model_in(members), stream=stream_in(members))


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
