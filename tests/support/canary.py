"""Secrets that sing: strings that must never turn up where they are not meant to be."""

import base64
import re
from pathlib import Path
from typing import Final

MARK: Final = "zqcanary"
"""Part of every canary, and of nothing else."""


def canary(kind: str) -> str:
    """Return the canary that is planted in `kind`."""
    return f"{MARK}-{kind}-0123456789abcdef"


def _spellings() -> re.Pattern[bytes]:
    """Match the mark as it is, in hexadecimal, and in base64 wherever it begins."""
    raw = MARK.encode()
    found = [re.escape(raw), raw.hex().encode()]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        # The first and last characters depend on the neighbours.
        found.append(re.escape(encoded[4 if shift else 0 : 4 * (len(raw) // 3)]))
    return re.compile(b"|".join(found), re.IGNORECASE)


_SINGS: Final = _spellings()


def songs(data: bytes) -> list[bytes]:
    """Return each place in `data` where a canary is heard, with what stands around."""
    return [
        data[max(0, found.start() - 40) : found.end() + 40]
        for found in _SINGS.finditer(data)
    ]


def songs_below(directory: Path) -> dict[str, list[bytes]]:
    """Return what is heard in the names and bytes of all files under a directory."""
    heard = {}
    for path in sorted(directory.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found = songs(str(path.relative_to(directory)).encode() + b"\n" + content)
        if found:
            heard[str(path)] = found
    return heard
