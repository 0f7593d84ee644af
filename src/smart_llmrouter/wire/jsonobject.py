"""A JSON object whose top-level values stay exactly as they were written.

The relay lane replaces single top-level values of a request. Everything else must
reach the provider as the caller wrote it: number spellings like `1.00`, the order of
keys, escapes, and fields that did not exist when this was written. So the body is
taken apart into raw values, and put together again from the same bytes.

A key that stands twice is kept once, with its last value. That is also the value that
the router itself reads, so a provider cannot be shown another one than was checked.
"""

from typing import Final

import msgspec

RawMembers = dict[str, msgspec.Raw]

_decode_members: Final = msgspec.json.Decoder(RawMembers).decode
_encode_text: Final = msgspec.json.Encoder().encode


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
        raise NotAnObject(str(error)) from None
    except RecursionError:
        raise NotAnObject("the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise NotAnObject("the body is not UTF-8") from None


def render_members(members: RawMembers) -> bytes:
    """Put an object together again from its raw values."""
    pieces: list[bytes | msgspec.Raw] = []
    for key, raw in members.items():
        pieces += (b",", _encode_text(key), b":", raw)
    pieces[:1] = (b"{",)
    pieces.append(b"}")
    # A Raw lends its bytes to `join` without a copy of its own.
    return b"".join(pieces)
