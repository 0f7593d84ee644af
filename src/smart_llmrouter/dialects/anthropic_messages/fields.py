"""Taking a JSON object of a request apart, field by field.

What is left when all known fields were taken is what this dialect alone understands.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, NoReturn, TypeVar

import msgspec

from smart_llmrouter.core.content import NO_EXTRAS, Extras
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.wire.jsonobject import RawMembers, render_members
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE
from smart_llmrouter.wire.surrogates import without_half_pairs

T = TypeVar("T")

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_integer: Final = msgspec.json.Decoder(int).decode
_decode_number: Final = msgspec.json.Decoder(float).decode
_decode_flag: Final = msgspec.json.Decoder(bool).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode
_decode_object: Final = msgspec.json.Decoder(RawMembers).decode
_decode_objects: Final = msgspec.json.Decoder(list[RawMembers]).decode
_decode_content: Final = msgspec.json.Decoder(str | list[RawMembers]).decode


class Fields:
    """The members of one object, each of which can be taken once.

    An explicit null is as absent. All of this raises `InvalidRequest` with the path of
    a field that has a wrong type; half surrogate pairs in text become U+FFFD.
    """

    __slots__ = ("_members", "_path")

    def __init__(self, members: RawMembers, path: str = "") -> None:
        """Take `members`, which stand at `path` of the request."""
        self._members = members
        self._path = path

    def raw(self, name: str) -> msgspec.Raw | None:
        """Take a value as it was written."""
        raw = self._members.pop(name, None)
        return None if raw is None or raw == NULL else raw

    def peeked(self, name: str) -> msgspec.Raw | None:
        """Return a value as it was written, and leave it."""
        raw = self._members.get(name)
        return None if raw is None or raw == NULL else raw

    def has_any(self, names: AbstractSet[str]) -> bool:
        """Say whether one of these names is there, whatever its value."""
        return not names.isdisjoint(self._members)

    def peeked_text(self, name: str) -> str:
        """Return a string that must be there, and leave it."""
        try:
            return _decode_text(self._members[name])
        except (KeyError, *UNREADABLE):
            self.miss(name, "a string")

    def text(self, name: str) -> str | None:
        """Take a string."""
        return self._taken(name, _decode_text, "a string")

    def given_text(self, name: str) -> str:
        """Take a string that must be there."""
        text = self.text(name)
        return self.miss(name, "a string") if text is None else text

    def integer(self, name: str) -> int | None:
        """Take a whole number."""
        return self._taken(name, _decode_integer, "a whole number")

    def number(self, name: str) -> float | None:
        """Take a number."""
        return self._taken(name, _decode_number, "a number")

    def flag(self, name: str) -> bool | None:
        """Take a truth value."""
        return self._taken(name, _decode_flag, "true or false")

    def texts(self, name: str) -> tuple[str, ...]:
        """Take a list of strings, empty if there is none."""
        return tuple(self._taken(name, _decode_texts, "a list of strings") or ())

    def object(self, name: str) -> "Fields | None":
        """Take an object."""
        members = self._taken(name, _decode_object, "an object")
        return None if members is None else Fields(members, self._at(name))

    def objects(self, name: str) -> "list[Fields] | None":
        """Take a list of objects."""
        listed = self._taken(name, _decode_objects, "a list of objects")
        return None if listed is None else self._each(name, listed)

    def content(self, name: str) -> "str | list[Fields] | None":
        """Take a string, or a list of blocks."""
        content = self._taken(name, _decode_content, "a string or a list of blocks")
        if content is None or isinstance(content, str):
            return content
        return self._each(name, content)

    def copied(self) -> "Fields":
        """Return the fields once more, for what is taken from these."""
        return Fields(dict(self._members), self._path)

    def whole(self) -> msgspec.Raw:
        """Return the object with all that was not taken yet."""
        return msgspec.Raw(render_members(self._members))

    def rest(self) -> Extras:
        """Return what was not taken."""
        if not self._members:
            return NO_EXTRAS
        return {name: raw for name, raw in self._members.items() if raw != NULL}

    def miss(self, name: str, wanted: str) -> NoReturn:
        """Refuse the request for one of these fields."""
        field = self._at(name)
        raise InvalidRequest(f"`{field}` must be {wanted}", details={"field": field})

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _each(self, name: str, listed: Iterable[RawMembers]) -> "list[Fields]":
        path = self._at(name)
        return [Fields(each, f"{path}.{place}") for place, each in enumerate(listed)]

    def _taken(
        self, name: str, decode: Callable[[bytes | msgspec.Raw], T], wanted: str
    ) -> T | None:
        raw = self._members.pop(name, None)
        if raw is None or raw == NULL:
            return None
        try:
            return decode(raw)
        except msgspec.ValidationError:
            self.miss(name, wanted)
        except UNREADABLE:
            return self._mended(name, raw, decode, wanted)

    def _mended(
        self,
        name: str,
        raw: msgspec.Raw,
        decode: Callable[[bytes | msgspec.Raw], T],
        wanted: str,
    ) -> T:
        try:
            return decode(without_half_pairs(bytes(raw)))
        except UNREADABLE:
            self.miss(name, wanted)
