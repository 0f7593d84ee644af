"""Putting the data of images in the place of their URLs."""

from collections.abc import Mapping

import msgspec

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.rewriting import (
    each_changed,
    link_changed,
    member_changed,
)


def with_images(peek: Peek, images: Mapping[str, str]) -> Peek:
    """Return the request with data URLs for those URLs of images that are given."""

    def in_part(part: msgspec.Raw) -> msgspec.Raw:
        return member_changed(
            part, "image_url", lambda link: link_changed(link, images)
        )

    def in_message(message: msgspec.Raw) -> msgspec.Raw:
        return member_changed(
            message, "content", lambda content: each_changed(content, in_part)
        )

    messages = peek.members.get("messages")
    if messages is None:
        return peek
    changed = each_changed(messages, in_message)
    return msgspec.structs.replace(peek, members=peek.members | {"messages": changed})
