"""By what a Messages conversation is known.

Claude Code writes the id of its session into `metadata.user_id`: as a field of the JSON
in there, and in older versions as the end of its text. What others write there names a
user, not a conversation.
"""

import re
from typing import Final

import msgspec

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openings import named_key, opening_key
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    """`metadata`."""

    user_id: str | None = None


class _User(msgspec.Struct, frozen=True, gc=False):
    """What Claude Code writes for `user_id`."""

    session_id: str | None = None


_decode_metadata: Final = msgspec.json.Decoder(_Metadata | None).decode
_decode_user: Final = msgspec.json.Decoder(_User).decode
_session_at_end: Final = re.compile(r"_session_([0-9a-fA-F-]{36})\Z").search


def conversation_of(peek: Peek) -> bytes | None:
    """Return the key of the conversation, if the request tells which one it is."""
    session = _session_in(peek.members)
    if session:
        return named_key("session", session)
    messages = peek.members.get("messages")
    if messages is None:
        return None
    return opening_key(peek.members.get("system"), messages)


def _session_in(members: RawMembers) -> str | None:
    try:
        metadata = _decode_metadata(members.get("metadata", NULL))
        user = None if metadata is None else metadata.user_id
        if user is None:
            return None
        if user.startswith("{"):
            return _decode_user(user).session_id
    except UNREADABLE:
        return None
    found = _session_at_end(user)
    return None if found is None else found[1]
