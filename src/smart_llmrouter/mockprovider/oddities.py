"""What no provider should write, in any dialect: wrong usage, odd fields."""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.script import WrongUsage

UsageNames = tuple[str, str, str]
"""What a dialect calls the input, the output, and both together."""

_COUNTS: Final[Mapping[WrongUsage, tuple[object, object, object]]] = {
    "absurd": (9_007_199_254_740_993, 1_000_000_000_000_000, 1),
    "negative": (-7, -3, -10),
    "strings": ("7", "3", "10"),
    "zero": (0, 0, 0),
}
_VENDOR: Final = (
    b',"x_vendor":{"score":1.00,"big":12345678901234567890,"e":1E+2,"null":null}'
)


def with_vendor_fields(document: bytes, duplicate: bytes) -> bytes:
    """Add an unknown field with odd numbers to an object, and the field `duplicate`."""
    return document[:-1] + _VENDOR + b"," + duplicate + b"}"


def wrong_usage(kind: WrongUsage, names: UsageNames) -> bytes:
    """Return usage that is wrong as `kind` says, `null` where it is absent."""
    if kind == "partial":
        return msgspec.json.encode({names[2]: 20})
    if kind not in _COUNTS:
        return b"null"
    return msgspec.json.encode(dict(zip(names, _COUNTS[kind], strict=True)))
