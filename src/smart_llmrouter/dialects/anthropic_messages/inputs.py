"""Ids and inputs of tool calls as Messages takes them."""

import hashlib
import re
from typing import Final

import msgspec

_MARK_CHARS: Final = 8
_fits: Final = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")
_EMPTY: Final = msgspec.Raw(b"{}")
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def fitting_id(call_id: str) -> str:
    """Return an id of letters, digits, `_` and `-`, the same for the same call.

    What does not fit is replaced, and a fingerprint of the whole id added, so that two
    calls stay two. A call and its result are renamed alike, and a provider's own ids
    fit, so nothing is lost.
    """
    if _fits(call_id):
        return call_id
    mark = hashlib.sha256(call_id.encode()).hexdigest()[:_MARK_CHARS]
    return f"{_UNFIT.sub('_', call_id)}_{mark}"


def is_object(arguments: str) -> bool:
    """Say whether arguments are a JSON object, as every input here must be."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def input_of(arguments: str) -> msgspec.Raw:
    """Return arguments as the object that an input must be.

    No arguments are an empty object. Text that is none goes into `INVALID_JSON`, which
    is what Anthropic tells callers to do with the input of a call that was cut off.
    """
    if not arguments or arguments.isspace():
        return _EMPTY
    if is_object(arguments):
        return msgspec.Raw(arguments.encode())
    return msgspec.Raw(_encode({"INVALID_JSON": arguments}))
