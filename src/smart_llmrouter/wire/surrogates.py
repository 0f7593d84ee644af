r"""JSON text with half a surrogate pair in it, such as `"\ud83d"`.

JavaScript writes such halves when it cuts a string inside an emoji, and some providers
stream the two halves of one in two chunks. RFC 8259 (section 8.2) allows the escape and
leaves its meaning open; the decoder used here refuses it. The router must neither
refuse nor change it: it reads a copy in which the halves stand replaced, and passes on
the original.
"""

import re
from typing import Final

# One escape after the other, so that an escaped backslash is not taken for the start of
# one; a half is what matched the group.
_ESCAPES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = rb"\ufffd"


def has_half_pairs(text: bytes) -> bool:
    """Say whether some escape in `text` is half a surrogate pair."""
    return any(escape[1] for escape in _ESCAPES.finditer(text))


def without_half_pairs(text: bytes) -> bytes:
    """Return a copy of the same length that can be decoded: halves read U+FFFD."""
    return _ESCAPES.sub(_whole, text)


def _whole(escape: re.Match[bytes]) -> bytes:
    return _REPLACEMENT if escape[1] else escape[0]
