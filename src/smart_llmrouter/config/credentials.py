"""Which texts look like a credential, and which header names carry one.

Anywhere in a configuration file, a text of a form that vendors use is an error. What
merely may be a credential is an error only in a header's value, but no message ever
quotes it. The tests are suspicious: a false alarm costs one environment variable, a
miss costs a key.
"""

import re
from typing import Final

_KNOWN_SHAPES: Final = re.compile(
    r"""
    (?:^|[^A-Za-z0-9])
    (?: sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}
      | rtr_[a-z0-9_-]+_[0-9a-f]{64}
      | gh[pousr]_[A-Za-z0-9]{16,}
      | github_pat_[A-Za-z0-9_]{16,}
      | glpat-[A-Za-z0-9_-]{12,}
      | xox[abeoprs]-[A-Za-z0-9-]{8,}
      | AIza[A-Za-z0-9_-]{20,}
      | AKIA[A-Z0-9]{12,}
      | (?:gsk|hf|pplx|xai|nvapi|r8)[_-](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}
      | -----BEGIN[ ]
      | (?:[Bb]earer|[Bb]asic)[ ]+[A-Za-z0-9._~+/=-]{8,}
    )
    """,
    re.VERBOSE,
)
_SUSPICIOUS: Final = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{8,}|(?:key|secret|token)[_-][A-Za-z0-9_-]{20,})"
)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_=~-]{24,}")
_ENOUGH_DIGITS: Final = 4
_WORD: Final = re.compile(r"[A-Za-z]{4,}|\d+")
_MOSTLY: Final = 0.7
_LONG_PIECE: Final = 20

_CREDENTIAL_HEADER: Final = re.compile(
    r"authorization|api[-_]?key|token|secret|cookie|password|credential|signature"
    r"|(?:^|[-_])(?:auth|key)(?:$|[-_])",
    re.IGNORECASE,
)


def has_known_shape(text: str) -> bool:
    """Say whether a text contains a credential in a form that vendors use."""
    return _KNOWN_SHAPES.search(text) is not None


def looks_like_a_credential(text: str) -> bool:
    """Say whether a text is, or contains, something that may be a credential."""
    if has_known_shape(text) or _SUSPICIOUS.search(text) is not None:
        return True
    return any(_is_opaque(run) for run in _OPAQUE.findall(text))


def is_credential_header(name: str) -> bool:
    """Say whether a header of this name usually carries a credential."""
    return _CREDENTIAL_HEADER.search(name) is not None


def _is_opaque(run: str) -> bool:
    """Tell random characters from names such as `claude-sonnet-4-5-20250929`."""
    digits = sum(character.isdigit() for character in run)
    if digits == len(run):
        return False
    pieces = re.split(r"[-_/]", run)
    if any(len(piece) >= _LONG_PIECE and _is_mixed(piece) for piece in pieces):
        return True
    readable = sum(len(piece) for piece in pieces if _WORD.fullmatch(piece))
    letters_and_digits = sum(len(piece) for piece in pieces)
    return digits >= _ENOUGH_DIGITS and readable < _MOSTLY * letters_and_digits


def _is_mixed(piece: str) -> bool:
    return piece.upper() != piece.lower() and any(map(str.isdigit, piece))
