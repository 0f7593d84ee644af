"""Values of JSON that stay as they were written until somebody wants to know them."""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from smart_llmrouter.wire.surrogates import without_half_pairs

T = TypeVar("T")

ABSENT: Final = msgspec.Raw()
"""A raw field that is not there; msgspec has no optional raw values."""
NULL: Final = msgspec.Raw(b"null")
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding may raise."""

Tokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""A token count that can be one.

Negative or absurd counts would poison sums and prices; the bound is far above any
context window and well inside a 64-bit column at any price.
"""


Ticks = Annotated[int, msgspec.Meta(ge=0, le=10**16)]
"""What one call can have cost, in tenths of a nano-dollar."""


def is_there(raw: msgspec.Raw) -> bool:
    """Say whether a raw field has a value other than `null`."""
    return raw is not ABSENT and raw != NULL


def leniently(
    decode: Callable[[bytes | msgspec.Raw], T], text: bytes | msgspec.Raw
) -> T:
    """Decode JSON; half a surrogate pair in it reads U+FFFD.

    Raises one of `UNREADABLE`.
    """
    try:
        return decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return decode(without_half_pairs(bytes(text)))
