"""A value in memory that one process writes and others, forked beside it, read.

It outlives its writer, also one that was killed in the middle of writing: there are
two copies, the older one is overwritten, and a torn one does not count.
"""

import os
from struct import Struct
from typing import Final
from zlib import crc32

_HEAD: Final = Struct("<QII")
_ATTEMPTS: Final = 8


class SharedValue:
    """The latest value of one writer; make it before forking.

    Its size has no bound. One process writes at a time; who takes over goes on where
    the last one stopped.
    """

    def __init__(self, name: str) -> None:
        """Hold nothing yet; `name` is what the system calls the memory."""
        self._copies = [
            os.memfd_create(f"smart-llmrouter-{name}", os.MFD_CLOEXEC) for _ in range(2)
        ]

    def write(self, value: bytes) -> None:
        """Put `value` in the place of the one before."""
        number = self._latest()[0] + 1
        head = _HEAD.pack(number, len(value), crc32(value, number & 0xFFFFFFFF))
        os.pwrite(self._copies[number % 2], head + value, 0)

    def read(self) -> tuple[int, bytes]:
        """Return which value this is, counted from 1, and the value; 0 for none."""
        return self._latest()

    def close(self) -> None:
        """Let go of the memory in this process."""
        while self._copies:
            os.close(self._copies.pop())

    def _latest(self) -> tuple[int, bytes]:
        for _ in range(_ATTEMPTS):
            found = [_whole(_content(copy)) for copy in self._copies]
            whole = [each for each in found if each is not None]
            if whole:
                return max(whole)
        raise RuntimeError("a shared value was being written each time it was read")


def _content(copy: int) -> bytes:
    return os.pread(copy, os.fstat(copy).st_size, 0)


def _whole(content: bytes) -> tuple[int, bytes] | None:
    """Return number and value, 0 where nothing was written yet, `None` where torn."""
    if not content:
        return 0, b""
    if len(content) < _HEAD.size:
        return None
    number, length, checksum = _HEAD.unpack_from(content)
    value = content[_HEAD.size : _HEAD.size + length]
    if len(value) != length or crc32(value, number & 0xFFFFFFFF) != checksum:
        return None
    return number, value
