"""A JSON object whose top-level values stay exactly as they were written.

The relay lane replaces single top-level values of a request. Everything else must
reach the provider as the caller wrote it: number spellings like `1.00`, the order of
keys, escapes, and fields that did not exist when this was written. So the body is
taken apart into raw values, and put together again from the same bytes.

A key that stands twice is kept once, with its last value. That is also the value that
the router itself reads, so a provider cannot be shown another one than was checked.
"""

import re
from json import JSONDecoder
from typing import Final

import msgspec

from smart_llmrouter.wire.surrogates import has_half_pairs, without_half_pairs

RawMembers = dict[str, msgspec.Raw]

_decode_members: Final = msgspec.json.Decoder(RawMembers).decode
_encode: Final = msgspec.json.Encoder().encode
_scan_value: Final = JSONDecoder().raw_decode
_VALUE_BEGINS: Final = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")


class NotAnObject(ValueError):
    """The bytes are not one JSON object; the message says what is wrong, and where."""


def parse_members(body: bytes) -> RawMembers:
    """Take a JSON object apart into its raw top-level values, in order.

    Raises `NotAnObject` for anything else than one complete JSON object.
    """
    try:
        return _decode_members(body)
    except msgspec.ValidationError:
        raise NotAnObject("the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        if has_half_pairs(body):
            return _members_around_half_pairs(body)
        if not body.strip():
            raise NotAnObject("the body is empty") from None
        raise NotAnObject(f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise NotAnObject("the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise NotAnObject("the body is not UTF-8") from None


def _members_around_half_pairs(body: bytes) -> RawMembers:
    """Take an object apart that the fast decoder refuses for half a surrogate pair.

    A copy without the halves is of the same length, so what the standard library finds
    in it stands at the same places of the original.
    """
    try:
        text = without_half_pairs(body).decode()
        members, places = _decode_members(text.encode()), _value_places(text)
    except (ValueError, RecursionError) as error:
        raise NotAnObject(f"the body is not valid JSON: {error}") from None
    return {key: msgspec.Raw(body[slice(*places[key])]) for key in members}


def _value_places(text: str) -> dict[str, tuple[int, int]]:
    """Return where each top-level value of an object begins and ends, in bytes."""
    places: dict[str, tuple[int, int]] = {}
    position, offset, counted = text.index("{") + 1, 0, 0
    while (quote := text.find('"', position)) >= 0:
        key, end = _scan_value(text, quote)
        if "\ufffd" in key:
            raise ValueError("a key holds half a surrogate pair")
        begin = _VALUE_BEGINS.match(text, end).end()  # type: ignore[union-attr]
        _, position = _scan_value(text, begin)
        offset += len(text[counted:begin].encode())
        length = len(text[begin:position].encode())
        places[key] = (offset, offset + length)
        offset, counted = offset + length, position
    return places


def render_members(members: RawMembers) -> bytes:
    """Put an object together again from its raw values."""
    # What is raw is encoded as the bytes that it is.
    return _encode(members)
