"""Reading the fields of one object of a request, and naming the one that is wrong."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from smart_llmrouter.core.content import Extras
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.dialects.openai_responses.schema import (
    without,
)
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

T = TypeVar("T")

_decode_text: Final[Callable[[msgspec.Raw], str | None]] = msgspec.json.Decoder(
    str | None
).decode
_decode_members: Final = msgspec.json.Decoder(RawMembers).decode
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_flag: Final = msgspec.json.Decoder(bool).decode
_decode_count: Final = msgspec.json.Decoder(int).decode
_decode_number: Final = msgspec.json.Decoder(float).decode
_decode_texts: Final = msgspec.json.Decoder(dict[str, str]).decode


class Fields:
    """The members of the object at `path`; an explicit `null` is as absent."""

    __slots__ = ("members", "path")

    def __init__(self, members: RawMembers, path: str) -> None:
        """Read `members`; complaints name `path`."""
        self.members = members
        self.path = path

    def raw(self, name: str) -> msgspec.Raw | None:
        """Return a value as it was written."""
        raw = self.members.get(name)
        return None if raw is None or raw == NULL else raw

    def text(self, name: str) -> str | None:
        """Return a text."""
        raw = self.members.get(name)
        if raw is None:
            return None
        try:
            return _decode_text(raw)
        except UNREADABLE:
            raise self.wrong(name, "a string") from None

    def needed_text(self, name: str) -> str:
        """Return a text that must be there."""
        text = self.text(name)
        if text is None:
            raise self.wrong(name, "a string")
        return text

    def flag(self, name: str) -> bool | None:
        """Return a truth value."""
        return self._read(name, _decode_flag, "true or false")

    def count(self, name: str) -> int | None:
        """Return a whole number."""
        return self._read(name, _decode_count, "a whole number")

    def number(self, name: str) -> float | None:
        """Return a number."""
        return self._read(name, _decode_number, "a number")

    def texts(self, name: str) -> dict[str, str] | None:
        """Return an object that holds nothing but texts."""
        return self._read(name, _decode_texts, "an object of strings")

    def inner(self, name: str) -> "Fields | None":
        """Return an object."""
        members = self._read(name, _decode_members, "an object")
        return None if members is None else Fields(members, self._at(name))

    def items(self, name: str) -> Iterator["Fields"]:
        """Return a list of objects, one by one."""
        for place, raw in enumerate(self._read(name, _decode_items, "a list") or ()):
            path = f"{self._at(name)}.{place}"
            try:
                yield Fields(_decode_members(raw), path)
            except UNREADABLE:
                raise wrong(path, "an object") from None

    def is_text(self, name: str) -> bool:
        """Say whether a value is a text."""
        return bytes(self.members.get(name, NULL))[:1] == b'"'

    def is_object(self, name: str) -> bool:
        """Say whether a value is an object."""
        return bytes(self.members.get(name, NULL))[:1] == b"{"

    def rest(self, *known: str) -> Extras:
        """Return what is there beside the known fields."""
        return without(self.members, known)

    def whole(self) -> msgspec.Raw:
        """Return the object as it was written, but for blanks between its values."""
        return msgspec.Raw(msgspec.json.encode(self.members))

    def wrong(self, name: str, wanted: str) -> InvalidRequest:
        """Return the complaint about a field."""
        return wrong(self._at(name), wanted)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _read(
        self, name: str, decode: Callable[[msgspec.Raw], T], wanted: str
    ) -> T | None:
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return decode(raw)
        except UNREADABLE:
            raise self.wrong(name, wanted) from None


def wrong(path: str, wanted: str) -> InvalidRequest:
    """Return the complaint about the field at `path`."""
    return InvalidRequest(f"`{path}` must be {wanted}", details={"field": path})
