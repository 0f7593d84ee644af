"""Putting data in the place of URLs, deep inside of values that stay as they came.

A change is a function that takes a value as it was written, and returns what is to
stand there: the same object where that is the same value.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.dialects.glancing import is_list, is_text, members_in, text_in
from smart_llmrouter.wire.jsonobject import render_members
from smart_llmrouter.wire.rawvalues import leniently

Change = Callable[[msgspec.Raw], msgspec.Raw]

_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def each_changed(raw: msgspec.Raw, change: Change) -> msgspec.Raw:
    """Change each value of a list; what is no list stays."""
    if not is_list(raw):
        return raw
    items = leniently(_decode_items, raw)
    changed = [change(item) for item in items]
    if all(new is old for new, old in zip(changed, items, strict=True)):
        return raw
    return msgspec.Raw(b"[" + b",".join(changed) + b"]")


def member_changed(raw: msgspec.Raw, name: str, change: Change) -> msgspec.Raw:
    """Change one member of an object; what has none of this name stays."""
    members = members_in(raw)
    value = members.get(name)
    if value is None:
        return raw
    changed = change(value)
    if changed is value:
        return raw
    return msgspec.Raw(render_members(members | {name: changed}))


def link_changed(raw: msgspec.Raw, images: Mapping[str, str]) -> msgspec.Raw:
    """Return the data URL for a link, which is a string or an object with a `url`."""
    if not is_text(raw):
        return member_changed(raw, "url", lambda url: link_changed(url, images))
    data = images.get(text_in(raw) or "")
    return raw if data is None else msgspec.Raw(_encode(data))
