"""Journal lines that are no usage records: set aside, never in the way.

They are kept beside the journal for a person to look at, with where they stood and
why. After a crash the same line may be set aside twice.
"""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

RejectionReason = Literal[
    "not JSON",
    "not a usage record",
    "not an event",
    "oversized",
    "torn",
    "unstorable",
    "no decision",
]
_KEPT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """One line, where it began (of an unstorable one: its batch), and why.

    Where it is only the decision behind a record that is not read or stored, `line` is
    that decision, the offset that of its batch, and the record is in the database.
    """

    segment: str
    offset: int
    reason: RejectionReason
    line: bytes


class RejectedLines:
    """Append rejected lines to one file of JSON lines."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made with the first line."""
        self._path = path

    def add(self, lines: Sequence[RejectedLine]) -> None:
        """Write the lines and let them reach the disk."""
        if not lines:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(self._path, flags, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(b"".join(map(_rendered, lines)))
            file.flush()
            os.fsync(fd)


def _rendered(rejected: RejectedLine) -> bytes:
    entry = {
        "segment": rejected.segment,
        "offset": rejected.offset,
        "reason": rejected.reason,
        "bytes": len(rejected.line),
        "begins_base64": base64.b64encode(rejected.line[:_KEPT_BYTES]).decode(),
    }
    return msgspec.json.encode(entry) + b"\n"
