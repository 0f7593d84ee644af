"""From the parts of a turn to those of a message's content."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Final

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
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.base import NotBridged

_DETAILS: Final = frozenset({"auto", "low", "high"})
_UNNAMED: Final = "document"
_EXTENSIONS: Final = {"application/pdf": ".pdf"}

WirePart = dict[str, object]


def content_of(
    parts: Sequence[Part], *, own: bool, notes: Notes
) -> str | list[object] | None:
    """Return the `content` of a message: a plain text alone, parts else, or nothing."""
    written = list(_written(parts, own=own, notes=notes))
    if not written:
        return None
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Text) and not (own and first.extras):
        return first.text
    return written


def _written(
    parts: Iterable[Part], *, own: bool, notes: Notes
) -> Iterable[WirePart | object]:
    for part in parts:
        match part:
            case Opaque():
                yield part.raw
            case Text() | Refusal() | Image() | Document() | Audio():
                said = _said(part, own=own, notes=notes)
                yield _with_extras(said, part.extras) if own else said
            case _:
                continue


def _said(
    part: Text | Refusal | Image | Document | Audio, *, own: bool, notes: Notes
) -> WirePart:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Image():
            return {"type": "image_url", "image_url": _image(part, own, notes)}
        case Document():
            return _document(part, own=own, notes=notes)
        case Audio():
            sound = {"data": part.data, "format": part.format}
            return {"type": "input_audio", "input_audio": sound}


def _image(image: Image, own: bool, notes: Notes) -> WirePart:  # noqa: FBT001
    if image.data is not None:
        url = f"data:{image.media_type or 'image/png'};base64,{image.data}"
    elif image.url is not None:
        url = image.url
    else:
        raise NotBridged("file_id")
    detail = image.detail
    if detail is not None and detail not in _DETAILS and not own:
        notes.approximated("content.detail", "asked of the provider as high")
        detail = "high"
    return {"url": url} if detail is None else {"url": url, "detail": detail}


def _document(document: Document, *, own: bool, notes: Notes) -> WirePart:
    text = document_text(document)
    if text is not None and not own:
        notes.approximated("content.document", "sent as text")
        return {"type": "text", "text": text}
    file: WirePart = {}
    if document.title is not None:
        file["filename"] = document.title
    if document.file_id is not None and own:
        file["file_id"] = document.file_id
    elif document.data is not None:
        media_type = document.media_type or "application/pdf"
        file["file_data"] = f"data:{media_type};base64,{document.data}"
        if not own:
            extension = _EXTENSIONS.get(media_type, "")
            file.setdefault("filename", f"{_UNNAMED}{extension}")
    elif not own:
        raise NotBridged("file_id" if document.file_id else "document_url")
    return {"type": "file", "file": file}


def document_text(document: Document) -> str | None:
    """Return what a document says, under its title, if it is text."""
    text = document.text
    if text is None and (document.media_type or "").startswith("text/"):
        try:
            text = base64.b64decode(document.data or "", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
    if text is None or document.title is None:
        return text
    return f"{document.title}\n\n{text}"


def _with_extras(said: WirePart, extras: Extras) -> WirePart:
    """Return a part with its extras: those named `inner.field` inside of `inner`."""
    for name, raw in extras.items():
        outer, dot, inner = name.partition(".")
        holder = said.get(outer)
        if dot and isinstance(holder, dict):
            holder[inner] = raw
        else:
            said[name] = raw
    return said
