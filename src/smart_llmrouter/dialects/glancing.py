"""Looking at single values of a request that nobody has checked.

What cannot be understood is nothing: the relay lane carries it as it is, and its
provider will say what is wrong.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GenericAlias
from typing import Final, Generic, Literal, NamedTuple, TypeVar

import msgspec

from smart_llmrouter.core.request import FormatKind
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE, leniently
from smart_llmrouter.wire.surrogates import without_half_pairs

T = TypeVar("T")

MOST_TOKENS: Final = 1_000_000_000
"""More than any model has; what asks for more asks for this."""
_QUOTE: Final = b'"'[0]
_LIST: Final = b"["[0]
_TRUE: Final = msgspec.Raw(b"true")
_FALSE: Final = msgspec.Raw(b"false")
_SCHEME_BYTES: Final = 32
_DATA: Final = b'"data:'
_FORMATS: Final[dict[str | None, FormatKind]] = {
    "json_object": "json_object",
    "json_schema": "json_schema",
}

_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_count: Final = msgspec.json.Decoder(int).decode
_decode_members: Final = msgspec.json.Decoder(RawMembers).decode
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


MediumKind = Literal["image", "document", "audio", "video"]


class Medium(NamedTuple):
    """Something in a request that is not text, and how it comes.

    `link` is its URL or its data, as it was written; `None` where it comes in another
    way. `is_file` says that it is the id of a file that the provider keeps.
    """

    kind: MediumKind
    link: msgspec.Raw | None = None
    is_file: bool = False


def count_media(needs: Requirements, media: Iterable[Medium]) -> None:
    """Write down how many there are of each kind, and how they come."""
    for kind, link, is_file in media:
        way = None if link is None else link_kind(link)
        if kind == "image":
            needs.image_urls += way == "url"
            needs.image_data += way == "data"
            needs.image_files += way is None and is_file
            continue
        needs.other_urls += way == "url"
        needs.documents += kind == "document"
        needs.audio = needs.audio or kind == "audio"


def urls_in(media: Iterable[Medium], *kinds: MediumKind) -> list[str]:
    """Return the URLs of media of these `kinds`, without those that hold their data."""
    links = (
        link_in(medium.link)
        for medium in media
        if medium.link is not None
        and medium.kind in kinds
        and link_kind(medium.link) == "url"
    )
    return [url for link in links if (url := text_in(link)) is not None]


Reader = Callable[[RawMembers, Requirements], None]
"""Reads one member, and writes down what it asks for."""


def read_needs(needs: Requirements, peek: Peek, readers: Mapping[str, Reader]) -> None:
    """Write down what the members of a request ask for; few of them are there."""
    members = peek.members
    for name, raw in members.items():
        if name in readers and raw != NULL:
            readers[name](members, needs)
    if not needs.tools:
        needs.parallel_tools = False


def is_text(raw: msgspec.Raw) -> bool:
    """Say whether a value, which must be there, is a string."""
    return memoryview(raw)[0] == _QUOTE


def is_list(raw: msgspec.Raw) -> bool:
    """Say whether a value, which must be there, is a list."""
    return memoryview(raw)[0] == _LIST


def holds_lists(raw: msgspec.Raw, body: bytes) -> bool:
    """Say whether there may be a list inside of a list, which is a part of `body`.

    It takes no reading to know.
    """
    # Where there is but one list in all, it is this one, and needs no copy.
    if body.find(b"[", body.find(b"[") + 1) < 0:
        return False
    return bytes(raw).find(b"[", 1) >= 0


def is_true(raw: msgspec.Raw | None) -> bool:
    """Say whether a value is `true`, in so many words."""
    return raw == _TRUE


def is_false(raw: msgspec.Raw | None) -> bool:
    """Say whether a value is `false`, in so many words."""
    return raw == _FALSE


def bytes_in(raw: msgspec.Raw) -> int:
    """Return how long a value is as it was written."""
    return memoryview(raw).nbytes


def text_in(raw: msgspec.Raw | None) -> str | None:
    """Return a string, nothing for what is none."""
    return None if raw is None else _read(raw, _decode_text)


def count_in(raw: msgspec.Raw | None) -> int | None:
    """Return a whole number above zero, nothing for what is none."""
    if raw is None:
        return None
    try:
        count = _decode_count(raw)
    except UNREADABLE:
        return None
    if 0 < count <= MOST_TOKENS:
        return count
    return MOST_TOKENS if count > 0 else None


def members_in(raw: msgspec.Raw | None) -> RawMembers:
    """Return the members of an object, none of what is no object."""
    return (None if raw is None else _read(raw, _decode_members)) or {}


def format_in(raw: msgspec.Raw | None) -> FormatKind | None:
    """Return the kind of JSON that `{"type": …}` asks for, if it does."""
    if raw is None:
        return None
    return _FORMATS.get(text_in(members_in(raw).get("type")))


def link_kind(raw: msgspec.Raw) -> Literal["url", "data"] | None:
    """Say whether an image's link is a URL to be fetched, or holds all its data.

    It is a string, or an object with a `url`; nothing for others.
    """
    link = link_in(raw)
    if link is None:
        return None
    head = memoryview(link)[: len(_DATA)].tobytes()
    if head[1:].isalpha():
        return "url"
    # What is not plain at a glance (an escape, a blank, a capital) is read.
    if head != _DATA and not _is_data_url(text_in(link) or ""):
        return "url"
    return "data"


def looks_linked(raw: msgspec.Raw) -> bool:
    """Say whether a string is a URL rather than plain base64; both may be long."""
    return b":" in memoryview(raw)[:_SCHEME_BYTES].tobytes()


def link_in(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return a link as it was written: a string, or the `url` of an object."""
    if not memoryview(raw).nbytes:
        return None
    if is_text(raw):
        return raw
    url = members_in(raw).get("url")
    return url if url is not None and is_text(url) else None


def _is_data_url(url: str) -> bool:
    return url.strip()[:5].lower() == "data:"


class Objects(Generic[T]):
    """Reads a list of objects of which only some members matter.

    Those that are no such objects are left out.
    """

    def __init__(self, of: type[T]) -> None:
        """Read each as `of`."""
        self._all: Callable[[msgspec.Raw], list[T]] = msgspec.json.Decoder(
            GenericAlias(list, (of,))
        ).decode
        self._one: Callable[[bytes | msgspec.Raw], T] = msgspec.json.Decoder(of).decode

    def read(self, raw: msgspec.Raw) -> list[T]:
        """Return the objects in a list, none for what is no list."""
        try:
            return self._all(raw)
        except UNREADABLE:
            return list(self._each(raw))

    def one(self, raw: msgspec.Raw) -> T | None:
        """Return one object, nothing for what is none."""
        return _read(raw, self._one)

    def _each(self, raw: msgspec.Raw) -> Iterator[T]:
        try:
            items = _decode_items(without_half_pairs(bytes(raw)))
        except UNREADABLE:
            return
        for item in items:
            one = self.one(item)
            if one is not None:
                yield one


def _read(raw: msgspec.Raw, decode: Callable[[bytes | msgspec.Raw], T]) -> T | None:
    try:
        return leniently(decode, raw)
    except UNREADABLE:
        return None
