"""Putting the data of images in the place of their URLs."""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import members_in, text_in
from smart_llmrouter.dialects.rewriting import each_changed, member_changed

_DEEPEST: Final = 8
"""An image in a document in a result stands three deep; what is deeper stays."""
_encode: Final = msgspec.json.Encoder().encode


def with_images(peek: Peek, images: Mapping[str, str]) -> Peek:
    """Return the request with base64 for those URLs of images that are given.

    The data are given as URLs, `data:image/png;base64,…`.
    """

    def in_message(message: msgspec.Raw) -> msgspec.Raw:
        return member_changed(
            message, "content", lambda content: _in_content(content, images, depth=0)
        )

    messages = peek.members.get("messages")
    if messages is None:
        return peek
    changed = each_changed(messages, in_message)
    return msgspec.structs.replace(peek, members=peek.members | {"messages": changed})


def _in_content(
    content: msgspec.Raw, images: Mapping[str, str], *, depth: int
) -> msgspec.Raw:
    if depth > _DEEPEST:
        return content

    def inside(raw: msgspec.Raw) -> msgspec.Raw:
        return _in_content(raw, images, depth=depth + 1)

    def in_block(block: msgspec.Raw) -> msgspec.Raw:
        if text_in(members_in(block).get("type")) == "image":
            return member_changed(block, "source", lambda raw: _sourced(raw, images))
        inner = member_changed(block, "content", inside)
        return member_changed(
            inner, "source", lambda raw: member_changed(raw, "content", inside)
        )

    return each_changed(content, in_block)


def _sourced(source: msgspec.Raw, images: Mapping[str, str]) -> msgspec.Raw:
    data_url = images.get(text_in(members_in(source).get("url")) or "")
    if data_url is None:
        return source
    head, _, data = data_url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    return msgspec.Raw(
        _encode({"type": "base64", "media_type": media_type, "data": data})
    )
