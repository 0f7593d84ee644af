"""Reading the parts of messages and of tool results."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    Audio,
    Document,
    Extras,
    Image,
    Opaque,
    Part,
    Refusal,
    ResultPart,
    Text,
)
from smart_llmrouter.dialects.openai_responses.fields import Fields

OTHER: Final = "other"
"""The kind of a part that only this dialect can have."""
EMPTY_LISTS: Final = frozenset({"annotations", "logprobs"})
"""What says nothing while it is empty, and is always there."""

_DATA_URL: Final = re.compile(r"data:([^;,]*)((?:;[^;,]*)*);base64,", re.IGNORECASE)


def read_content(owner: Fields, name: str) -> tuple[Part, ...]:
    """Return the content of a message: a text, or a list of parts."""
    if owner.is_text(name):
        return (Text(text=owner.needed_text(name)),)
    return tuple(_read_part(part) for part in owner.items(name))


def read_output(owner: Fields, name: str) -> tuple[ResultPart, ...]:
    """Return what a tool gave back: a text, or a list of parts."""
    if owner.is_text(name):
        text = owner.needed_text(name)
        return (Text(text=text),) if text else ()
    return tuple(_result_parts(owner.items(name)))


def _result_parts(parts: Iterator[Fields]) -> Iterator[ResultPart]:
    for fields in parts:
        part = _read_part(fields)
        if isinstance(part, Text | Image | Document | Opaque):
            yield part
        else:
            yield Opaque(kind=OTHER, raw=fields.whole())


def _read_part(part: Fields) -> Part:
    read = _READERS.get(part.needed_text("type"))
    return Opaque(kind=OTHER, raw=part.whole()) if read is None else read(part)


def _read_text(part: Fields) -> Text:
    return Text(text=part.needed_text("text"), extras=_told(part.rest("type", "text")))


def _read_refusal(part: Fields) -> Refusal:
    return Refusal(
        text=part.needed_text("refusal"), extras=_told(part.rest("type", "refusal"))
    )


def _told(extras: Extras) -> Extras:
    """Leave out the lists that are empty."""
    told = {
        name: raw
        for name, raw in extras.items()
        if name not in EMPTY_LISTS or bytes(raw) != b"[]"
    }
    return told or NO_EXTRAS


def _read_image(part: Fields) -> Image:
    url, file_id = part.text("image_url"), part.text("file_id")
    if url is None and file_id is None:
        raise part.wrong("image_url", "a string")
    media_type, data = split_data_url(url)
    return Image(
        url=None if data is not None else url,
        data=data,
        media_type=media_type,
        file_id=file_id,
        detail=part.text("detail"),
        extras=part.rest("type", "image_url", "file_id", "detail"),
    )


def _read_file(part: Fields) -> Document:
    given = part.text("file_data")
    media_type, data = split_data_url(given)
    return Document(
        data=given if data is None else data,
        media_type=media_type,
        url=part.text("file_url"),
        file_id=part.text("file_id"),
        title=part.text("filename"),
        extras=part.rest("type", "file_data", "file_url", "file_id", "filename"),
    )


def _read_audio(part: Fields) -> Audio:
    sound = part.inner("input_audio")
    if sound is None:
        raise part.wrong("input_audio", "an object")
    return Audio(
        data=sound.needed_text("data"),
        format=sound.needed_text("format"),
        extras=part.rest("type", "input_audio"),
    )


def split_data_url(url: str | None) -> tuple[str | None, str | None]:
    """Return the media type and the base64 of a `data:` URL, nothing for others."""
    found = _DATA_URL.match(url) if url else None
    if found is None or url is None:
        return None, None
    return found[1] + found[2], url[found.end() :]


_READERS: Final[Mapping[str, Callable[[Fields], Part]]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}
