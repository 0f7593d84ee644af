"""By what a conversation is known: a name that its client gave it, or how it began.

A client that sends a whole conversation again with each turn changes only the end of
it, so the instructions and the first turn of the user tell which one it is. Of these
their texts count: marks for caching, ids and the order of fields may differ from turn
to turn. Of what is longer than `_LOOKED_AT` characters the beginning counts, as it was
written; those that begin alike for so long share a provider's cache anyhow.
"""

import hashlib
import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Final, TypeGuard

import msgspec

from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import UNREADABLE, leniently

UNANSWERED: Final = b"?"
"""What a key ends in while nothing was answered in a conversation without a name."""

_KEY_BYTES: Final = 16
_LOOKED_AT: Final = 16_384
_ASKING: Final = frozenset({"user", "system", "developer"})
_ANSWERED: Final = (b'"assistant"', b'_call"')
_unreadable: Final = (ValueError, *UNREADABLE)

_decode_text: Final = msgspec.json.Decoder(str).decode
_scan_value: Final = JSONDecoder().raw_decode
_next_item: Final = re.compile(r"[\[,\s]*").match


def named_key(kind: bytes, name: str) -> bytes:
    """Return the key of a conversation to which its client has given a name.

    `kind` is where the name stands: the same text may stand elsewhere for another one.
    """
    return _digest(kind, name.encode("utf-8", "surrogatepass"))


def name_in(members: RawMembers, field: str) -> str | None:
    """Return the text of a field, if it is one and says anything."""
    raw = members.get(field)
    if raw is None or not bytes(raw).startswith(b'"'):
        return None
    try:
        return leniently(_decode_text, raw) or None
    except UNREADABLE:
        return None


def opening_key(instructions: msgspec.Raw | None, turns: msgspec.Raw) -> bytes:
    """Return the key of a conversation that is known by how it began.

    While it has no answer, the key ends in `UNANSWERED`.
    """
    start = _start_of(turns)
    pieces, is_answered = _first_turns(start)
    if is_answered is None:
        whole = bytes(turns)
        is_answered = any(whole.find(mark) >= 0 for mark in _ANSWERED)
    key = _digest(b"opening", _instructions(instructions), *pieces)
    return key if is_answered else key + UNANSWERED


def _instructions(raw: msgspec.Raw | None) -> bytes:
    if raw is None:
        return b""
    start = _start_of(raw)
    try:
        value, _ = _scan_value(start)
    except _unreadable:
        return _bytes(start)
    return _bytes("\0".join(_texts(value)))


def _first_turns(start: str) -> tuple[list[bytes], bool | None]:
    """Return what is said up to the first turn of the user, and whether it is answered.

    `None` where that cannot be seen from the start alone.
    """
    said: list[bytes] = []
    is_opening = True
    try:
        for item in _items(start):
            role = item.get("role") if _is_object(item) else "user"
            if role not in _ASKING:
                return said, True
            if is_opening:
                said.append(_bytes("\0".join((str(role), *_texts(item)))))
                is_opening = role != "user"
    except _unreadable:
        return (said if not is_opening else [_bytes(start)]), None
    return said, False


def _items(start: str) -> Iterator[object]:
    """Give the turns of a conversation, or the one that is all of it.

    Raises `ValueError` where the text ends before the last one does.
    """
    place = _end_of_gap(start, 0)
    while start[place : place + 1] != "]":
        item, place = _scan_value(start, place)
        yield item
        if start[:1] != "[":
            return
        place = _end_of_gap(start, place)


def _end_of_gap(text: str, place: int) -> int:
    gap = _next_item(text, place)
    return place if gap is None else gap.end()


def _texts(value: object) -> Iterator[str]:
    """Give the texts in a value, and the kinds of what is no text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif _is_object(value):
        inner = value.get("text", value.get("content"))
        yield from _texts(str(value.get("type")) if inner is None else inner)


def _start_of(raw: msgspec.Raw) -> str:
    return str(memoryview(raw)[:_LOOKED_AT], "utf-8", "ignore")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digest(kind: bytes, *pieces: bytes) -> bytes:
    digest = hashlib.blake2b(kind, digest_size=_KEY_BYTES)
    for piece in pieces:
        digest.update(b"%d:" % len(piece))
        digest.update(piece)
    # Ends in no mark, whatever the digest is.
    return digest.digest() + b"."


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
