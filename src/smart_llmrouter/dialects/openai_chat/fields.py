"""Taking the members of a request's objects one by one, each with its type.

What was not taken is what this dialect has and the canon has not: the extras.
"""

from collections.abc import Callable
from typing import Annotated, Final, Generic, TypeVar

import msgspec

from smart_llmrouter.core.content import NO_EXTRAS, Extras
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Kind(msgspec.Struct, Generic[T_co], frozen=True):
    """How a value is read, and what an error calls it."""

    decode: Callable[[msgspec.Raw], T_co]
    told: str


def _kind(of: type[T], told: str) -> Kind[T]:
    return Kind(msgspec.json.Decoder(of).decode, told)


TEXT: Final = _kind(str, "a string")
FLAG: Final = _kind(bool, "true or false")
NUMBER: Final = _kind(float, "a number")
COUNT: Final = Kind(
    msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1)]).decode,
    "a whole number above zero",
)
OBJECT: Final = _kind(RawMembers, "an object")
OBJECTS: Final = _kind(list[RawMembers], "a list of objects")
TEXTS: Final = Kind(
    msgspec.json.Decoder(str | list[str]).decode, "a string or a list of strings"
)
LABELS: Final = _kind(dict[str, str], "an object of strings")
TEXT_OR_OBJECT: Final = Kind(
    msgspec.json.Decoder(str | dict[str, msgspec.Raw]).decode, "a string or an object"
)
CONTENT: Final = Kind(
    msgspec.json.Decoder(str | list[str | dict[str, msgspec.Raw]]).decode,
    "a string or a list of parts",
)
RAW: Final[Kind[msgspec.Raw]] = Kind(lambda raw: raw, "a value")


class Fields:
    """The members of one object that nobody took yet; a null is as absent."""

    __slots__ = ("_left", "_path")

    def __init__(self, members: RawMembers, path: str = "") -> None:
        """Begin with all; `path` is where the object stands in the request."""
        self._left = {name: raw for name, raw in members.items() if raw != NULL}
        self._path = path

    def take(self, name: str, kind: Kind[T]) -> T | None:
        """Take a member, if it is there.

        Raises `InvalidRequest` if it is of another kind.
        """
        raw = self._left.pop(name, None)
        if raw is None:
            return None
        try:
            return kind.decode(raw)
        except UNREADABLE:
            raise invalid(self.path_of(name), f"must be {kind.told}") from None

    def demand(self, name: str, kind: Kind[T]) -> T:
        """Take a member that must be there. Raises `InvalidRequest`."""
        value = self.take(name, kind)
        if value is None:
            raise invalid(self.path_of(name), f"is missing; it must be {kind.told}")
        return value

    def attempt(self, name: str, kind: Kind[T]) -> T | None:
        """Take a member if it is there and of this kind; else leave it."""
        raw = self._left.get(name)
        if raw is None:
            return None
        try:
            value = kind.decode(raw)
        except UNREADABLE:
            return None
        del self._left[name]
        return value

    def inside(self, name: str) -> "Fields":
        """Take an object that must be there, to be taken apart like this one."""
        return Fields(self.demand(name, OBJECT), self.path_of(name))

    def look(self, name: str) -> bytes | None:
        """Return a member as it was written, and leave it."""
        raw = self._left.get(name)
        return None if raw is None else bytes(raw).strip()

    def begins(self, name: str, with_bytes: bytes) -> bool:
        """Say whether a member is there and begins like this."""
        raw = self.look(name)
        return raw is not None and raw.startswith(with_bytes)

    def drop(self, *names: str) -> None:
        """Forget members that say nothing here."""
        for name in names:
            self._left.pop(name, None)

    def put(self, name: str, raw: msgspec.Raw) -> None:
        """Leave a member that was looked into."""
        self._left[name] = raw

    def extras(self) -> Extras:
        """Return what nobody took."""
        return self._left or NO_EXTRAS

    def path_of(self, name: str) -> str:
        """Return the path of a member from the top of the request."""
        return f"{self._path}.{name}" if self._path else name


def invalid(path: str, what: str) -> InvalidRequest:
    """Return the error about the field at `path`."""
    return InvalidRequest(f"`{path}` {what}", details={"field": path})
