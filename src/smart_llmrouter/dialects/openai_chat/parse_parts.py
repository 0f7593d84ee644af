"""From the parts of a message's content to those of the canon."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Extras,
    Image,
    Opaque,
    Part,
    Refusal,
    Text,
)
from smart_llmrouter.dialects.openai_chat.fields import (
    TEXT,
    TEXT_OR_OBJECT,
    Fields,
)
from smart_llmrouter.wire.jsonobject import RawMembers, render_members

_DATA_URL: Final = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_PDF: Final = "application/pdf"
_OWN_KINDS: Final = {"video_url": "video"}
"""Parts that only the wild has, and what they are called where they are missed."""


def read_content(content: Sequence[str | RawMembers], path: str) -> Iterable[Part]:
    """Read a list of parts; a string in it is a text. Raises `InvalidRequest`."""
    for place, part in enumerate(content):
        if isinstance(part, str):
            yield Text(text=part)
            continue
        fields = Fields(part, f"{path}.{place}")
        kind = fields.demand("type", TEXT)
        reader = _READERS.get(kind)
        if reader is None:
            name = _OWN_KINDS.get(kind, "other")
            yield Opaque(kind=name, raw=msgspec.Raw(render_members(part)))
        else:
            yield reader(fields)


def split_data_url(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 data of a `data:` URL, if it is one."""
    found = _DATA_URL.match(url)
    if found is None:
        return None
    return found[1].lower() or "text/plain", url[found.end() :]


def _text(fields: Fields) -> Part:
    return Text(text=fields.demand("text", TEXT), extras=fields.extras())


def _refusal(fields: Fields) -> Part:
    return Refusal(text=fields.demand("refusal", TEXT), extras=fields.extras())


def _image(fields: Fields) -> Part:
    given = fields.demand("image_url", TEXT_OR_OBJECT)
    path = fields.path_of("image_url")
    if isinstance(given, str):
        url, detail, inner = given, None, {}
    else:
        image = Fields(given, path)
        url, detail = image.demand("url", TEXT), image.take("detail", TEXT)
        inner = dict(image.extras())
    extras = _joined(fields.extras(), "image_url", inner)
    inline = split_data_url(url)
    if inline is None:
        return Image(url=url, detail=detail, extras=extras)
    return Image(media_type=inline[0], data=inline[1], detail=detail, extras=extras)


def _audio(fields: Fields) -> Part:
    audio = fields.inside("input_audio")
    data, form = audio.demand("data", TEXT), audio.demand("format", TEXT)
    extras = _joined(fields.extras(), "input_audio", audio.extras())
    return Audio(data=data, format=form, extras=extras)


def _file(fields: Fields) -> Part:
    file = fields.inside("file")
    data, title = file.take("file_data", TEXT), file.take("filename", TEXT)
    file_id = file.take("file_id", TEXT)
    media_type = None
    if data is not None:
        media_type, data = split_data_url(data) or (_PDF, data)
    return Document(
        data=data,
        media_type=media_type,
        file_id=file_id,
        title=title,
        extras=_joined(fields.extras(), "file", file.extras()),
    )


def _joined(outer: Extras, name: str, inner: Extras) -> Extras:
    """Return the extras of a part and of the object in it, as `name.field`."""
    return {**outer, **{f"{name}.{key}": raw for key, raw in inner.items()}}


_READERS: Final[dict[str, Callable[[Fields], Part]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}
