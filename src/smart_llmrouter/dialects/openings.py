"""By what a conversation is known: a name that its client gave it, or how it began.

A client that sends a whole conversation again with each turn changes only the end of
it, so the instructions and the first turn of the user tell which one it is. Of these
their texts count: marks for caching, ids and the order of fields may differ from turn
to turn. Of a long text its two ends count, and how long it is.

Most conversations begin within the first `_LOOKED_AT` bytes; only those that do not
are read to their end.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from json import JSONDecoder
from typing import Final, TypeGuard

import msgspec

from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, leniently

UNANSWERED: Final = b"?"
"""What a key ends in while nothing was answered in a conversation without a name."""

_KEY_BYTES: Final = 16
_LOOKED_AT: Final = 8192
_TEXT_END: Final = 2048
_QUOTE: Final = ord('"')
_USER: Final = "user"
_ASKING: Final = frozenset({_USER, "system", "developer"})
_UNSCANNABLE: Final = (ValueError, RecursionError)


class _Turn(msgspec.Struct, frozen=True):
    """A turn of a conversation, as far as it is read here."""

    role: object = None
    type: object = None
    content: msgspec.Raw = ABSENT


_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_any: Final = msgspec.json.Decoder().decode
_decode_turns: Final = msgspec.json.Decoder(list[_Turn]).decode
_scan_value: Final = JSONDecoder().raw_decode
_next_turn: Final = re.compile(r"[\[,\s]*").match


def named_key(kind: str, name: str) -> bytes:
    """Return the key of a conversation to which its client has given a name.

    `kind` is where the name stands: the same text may stand elsewhere for another one.
    """
    return _digest(kind, [name])


def name_in(members: RawMembers, field: str) -> str | None:
    """Return the text of a field, if it is one and says anything."""
    raw = members.get(field)
    if raw is None or not bytes(raw).startswith(b'"'):
        return None
    return leniently(_decode_text, raw) or None


def opening_key(instructions: msgspec.Raw | None, turns: msgspec.Raw) -> bytes:
    """Return the key of a conversation that is known by how it began.

    While it has no answer, the key ends in `UNANSWERED`.
    """
    said, is_answered = _opening(turns)
    if instructions is not None:
        said.insert(0, _value_of(instructions))
    key = _digest("opening", [_shortened(text) for text in _texts(said)])
    return key if is_answered else key + UNANSWERED


def _opening(turns: msgspec.Raw) -> tuple[list[object], bool]:
    """Return what is said up to the first turn of the user, and whether it is answered.

    What cannot be read counts as it was written, and as not answered.
    """
    if len(memoryview(turns)) > _LOOKED_AT:
        start = str(memoryview(turns)[:_LOOKED_AT], "utf-8", "ignore")
        try:
            return _opening_of(_scanned(start))
        except _UNSCANNABLE:
            pass  # it does not begin and go on within so few bytes
    try:
        return _opening_of(
            (turn.role, turn) for turn in leniently(_decode_turns, turns)
        )
    except UNREADABLE:
        return [_USER, _value_of(turns)], False


def _opening_of(turns: Iterable[tuple[object, object]]) -> tuple[list[object], bool]:
    """Take turns, each with its role, until somebody answers."""
    said: list[object] = []
    is_opening = True
    for role, turn in turns:
        if not (isinstance(role, str) and role in _ASKING):
            return said, True
        if is_opening:
            said += (role, turn)
            is_opening = role != _USER
    return said, False


def _scanned(start: str) -> Iterator[tuple[object, object]]:
    """Read turn after turn; raises `ValueError` where the text ends before they do."""
    place = 0
    while True:
        gap = _next_turn(start, place)
        turn, place = _scan_value(start, place if gap is None else gap.end())
        if not _is_object(turn):
            raise ValueError("not a turn")
        yield turn.get("role"), turn


def _value_of(raw: msgspec.Raw) -> object:
    """Read a value; a text that is long is not read, but shortened as it is written."""
    view = memoryview(raw)
    if len(view) > _LOOKED_AT and view[0] == _QUOTE:
        start, end = _text(view[:_TEXT_END]), _text(view[-_TEXT_END:])
        return _ends(start, len(view), end)
    try:
        return leniently(_decode_any, raw)
    except UNREADABLE:
        return _text(view)


def _text(view: memoryview) -> str:
    return str(view, "utf-8", "replace")


def _ends(start: str, size: int, end: str) -> str:
    return f"{start}\0{size}\0{end}"


def _shortened(text: str) -> str:
    if len(text) <= _LOOKED_AT:
        return text
    return _ends(text[:_TEXT_END], len(text), text[-_TEXT_END:])


def _texts(value: object) -> Iterator[str]:
    """Give the texts in a value, and the kinds of what is no text."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, _Turn):
            bare = each.content is ABSENT
            waiting.append(each.type if bare else _value_of(each.content))
        elif _is_object(each):
            waiting.append(each.get("text", each.get("content", each.get("type"))))


def _digest(kind: str, texts: Sequence[str]) -> bytes:
    """Return a digest of texts; it ends in no mark, whatever they are."""
    sizes = ",".join([str(len(text)) for text in texts])
    whole = "\0".join((kind, sizes, *texts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=_KEY_BYTES).digest() + b"."


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
