"""Asking a model of the caller's own dialect for an effort that it knows."""

from collections.abc import Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.notes import Note
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import members_in, text_in
from smart_llmrouter.dialects.reasoning import asked_as, nearest_level
from smart_llmrouter.wire.jsonobject import render_members

_encode: Final = msgspec.json.Encoder().encode


def with_known_effort(
    peek: Peek, levels: Sequence[str], *, member: str, inner: str | None = None
) -> tuple[Peek, Note | None]:
    """Return the request with the effort in `member` as one of `levels`.

    With `inner` it is that member of the object in `member`. A request that asks for a
    known effort, or for none that can be read, is returned itself, without a note.
    """
    raw = peek.members.get(member)
    if raw is None or not levels:
        return peek, None
    around = members_in(raw) if inner is not None else {}
    wanted = text_in(raw if inner is None else around.get(inner))
    if wanted is None or wanted in levels:
        return peek, None
    level = nearest_level(wanted, levels)
    asked = msgspec.Raw(_encode(level))
    if inner is not None:
        asked = msgspec.Raw(render_members(around | {inner: asked}))
    changed = msgspec.structs.replace(peek, members=peek.members | {member: asked})
    return changed, Note("approximated", member, asked_as(level))
