"""By what a Responses conversation is known.

Codex writes the id of its session into `client_metadata`, and older versions of it into
`prompt_cache_key` only. A request that goes on from a stored answer does not hold the
beginning; who keeps that answer is known elsewhere.
"""

from typing import Final

import msgspec

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openings import name_in, named_key, opening_key
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE


class _Client(msgspec.Struct, frozen=True, gc=False):
    """`client_metadata`, as Codex writes it."""

    session_id: str | None = None


class _Stored(msgspec.Struct, frozen=True, gc=False):
    """`conversation`, where it is no bare id."""

    id: str | None = None


_decode_client: Final = msgspec.json.Decoder(_Client | None).decode
_decode_stored: Final = msgspec.json.Decoder(_Stored | str | None).decode


def conversation_of(peek: Peek) -> bytes | None:
    """Return the key of the conversation, if the request tells which one it is."""
    members = peek.members
    for kind, name in (
        ("session", _session_in(members)),
        ("cache", name_in(members, "prompt_cache_key")),
        ("stored", _stored_in(members)),
    ):
        if name:
            return named_key(kind, name)
    given = members.get("input", NULL)
    if given == NULL or name_in(members, "previous_response_id"):
        return None
    return opening_key(members.get("instructions"), given)


def _session_in(members: RawMembers) -> str | None:
    try:
        client = _decode_client(members.get("client_metadata", NULL))
    except UNREADABLE:
        return None
    return None if client is None else client.session_id


def _stored_in(members: RawMembers) -> str | None:
    try:
        stored = _decode_stored(members.get("conversation", NULL))
    except UNREADABLE:
        return None
    return stored.id if isinstance(stored, _Stored) else stored
