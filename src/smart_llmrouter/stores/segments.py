"""Journal segments from the reader's side: names, order, complete lines, the end.

A segment is a file of newline-terminated lines with one writer, which holds an
exclusive `flock` on it for as long as it may still write. Nothing here knows what a
line means, and nothing here writes one.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[0-9]{15}-[a-z0-9]{1,32}-[0-9]{6}\.jsonl")
_WRITER_ID: Final = re.compile(r"[a-z0-9]{1,32}")
_LOOK_BYTES: Final = 1 << 12
MAX_LINE_BYTES: Final = 1 << 20
"""What is longer than this is no line of ours, and is given up on piece by piece."""


def segment_name(*, start_ms: int, writer_id: str, sequence: int) -> str:
    """Return a segment's file name; names sort by the time they were opened."""
    if _WRITER_ID.fullmatch(writer_id) is None:
        raise ValueError("a writer id is 1 to 32 lower-case letters and digits")
    return f"{start_ms:015d}-{writer_id}-{sequence:06d}.jsonl"


def list_segments(directory: Path) -> list[str]:
    """Return the names of all segments, oldest first; none where nothing is yet."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _NAME.fullmatch(name))


def segment_sizes(directory: Path) -> dict[str, int]:
    """Return how many bytes each segment holds now."""
    sizes = {}
    for name in list_segments(directory):
        with suppress(FileNotFoundError):
            sizes[name] = (directory / name).stat().st_size
    return sizes


def line_ends(directory: Path) -> dict[str, int]:
    """Return up to where each segment holds whole lines now.

    Behind that there may be half a line of a writer that is gone.
    """
    ends = {}
    for name in list_segments(directory):
        with suppress(FileNotFoundError), (directory / name).open("rb") as file:
            ends[name] = _last_end(file.fileno())
    return ends


def _last_end(fd: int) -> int:
    size, looked = os.fstat(fd).st_size, _LOOK_BYTES
    while True:
        start = max(0, size - looked)
        found = os.pread(fd, size - start, start).rfind(b"\n")
        if found >= 0 or start == 0:
            return start + found + 1
        if looked > MAX_LINE_BYTES:
            return size
        looked *= 16


@dataclass(frozen=True, slots=True)
class Block:
    """Lines without their newlines, and the offset just after the last of them.

    `oversized` says that the one "line" is a piece of something that has no newline
    within `MAX_LINE_BYTES`.
    """

    lines: list[bytes]
    end: int
    oversized: bool = False


class SegmentFile:
    """One segment, open for reading."""

    __slots__ = ("_fd", "_path", "name")

    def __init__(self, directory: Path, name: str) -> None:
        """Open the segment; `FileNotFoundError` if somebody deleted it."""
        self.name = name
        self._path = directory / name
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def size(self) -> int:
        """Return the number of bytes that have been written."""
        return os.fstat(self._fd).st_size

    def complete_lines(self, offset: int, *, at_most: int) -> Block:
        """Return the whole lines that begin at `offset`, from about `at_most` bytes.

        A line whose newline is not there yet is left for later: the same offset
        gives it when it is complete.
        """
        data = os.pread(self._fd, at_most, offset)
        cut = data.rfind(b"\n") + 1
        if cut == 0 and len(data) == at_most:
            data = os.pread(self._fd, max(at_most, MAX_LINE_BYTES), offset)
            cut = data.find(b"\n") + 1
            if cut == 0 and len(data) >= MAX_LINE_BYTES:
                return Block([data], offset + len(data), oversized=True)
        if cut == 0:
            return Block([], offset)
        return Block(data[: cut - 1].split(b"\n"), offset + cut)

    def tail(self, offset: int) -> bytes:
        """Return everything from `offset` on: of a final segment, the torn line."""
        return os.pread(self._fd, MAX_LINE_BYTES, offset)

    def is_final(self) -> bool:
        """Say whether the writer is gone, so that not one byte will be added.

        When it is, this keeps the lock until the segment is closed. Ask this first
        and read afterwards: what was read before may not have been the end.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def delete(self) -> None:
        """Remove the file and let the removal reach the disk."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)

    def close(self) -> None:
        """Let go of the file, and of the lock where `is_final` took it."""
        os.close(self._fd)


@contextmanager
def open_segment(directory: Path, name: str) -> Iterator[SegmentFile]:
    """Open a segment for the length of a block."""
    segment = SegmentFile(directory, name)
    try:
        yield segment
    finally:
        segment.close()


def sync_directory(directory: Path) -> None:
    """Make what was created or removed in `directory` survive a loss of power."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
