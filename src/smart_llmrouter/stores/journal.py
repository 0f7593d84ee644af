"""The journal: where a finished call is on record before its answer has left.

`JournalWriter` appends lines to a segment, those handed over together with one write,
and never waits for a disk in `append`. What a line means is the ledger's business;
reading is in `segments`.

A segment that could not take a whole line is never written to again: its torn end
has no newline, so no reader takes it for a record, and good lines go to a new
segment. (Cutting the file back instead would race with a reader.)
"""

import fcntl
import os
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.stores.segments import segment_name, sync_directory

SyncMode = Literal["interval", "always", "off"]
Pressure = Literal["none", "low", "full"]
SEGMENT_BYTES: Final = 64 << 20
MIN_FREE_BYTES: Final = 16 << 20
_NO_SEGMENT: Final = -1
_NEW_SEGMENT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class JournalUnwritable(Exception):
    """Not all records could be written.

    What the operating system said is in `reason`; the first `written` of the records
    that were handed over together are in the journal all the same.
    """

    def __init__(self, reason: str, *, written: int = 0) -> None:
        """Keep the safe reason, such as `No space left on device`."""
        super().__init__(f"the journal cannot be written: {reason}")
        self.reason = reason
        self.written = written


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """Whether the next record can be written; `reason` is `None` where it can.

    `pressure` says how little room there is for more, and `told` of what there is.
    """

    reason: str | None
    pressure: Pressure = "none"
    told: str | None = None


class JournalWriter:
    """Append records to segments in one directory.

    `append`, `probe` and `close` belong to one thread, the event loop's;
    `sync` may be called from any other at the same time. `sync="interval"` expects
    somebody to call `sync` once a second, `"always"` expects `sync(mark)` before a
    call is answered, and with `"off"` the kernel decides when data reach the disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        writer_id: str,
        now: WallClock,
        sync: SyncMode = "interval",
        segment_bytes: int = SEGMENT_BYTES,
        min_free_bytes: int = MIN_FREE_BYTES,
    ) -> None:
        """Create the directory where needed and open the first segment.

        `writer_id` names this process among all that ever wrote here. Raise
        `JournalUnwritable` where that cannot be done.
        """
        self._directory = directory
        self._writer_id = writer_id
        self._now = now
        self._sync_mode = sync
        self._segment_bytes = segment_bytes
        self._min_free_bytes = min_free_bytes
        self._sequence = 0
        self._fd = _NO_SEGMENT
        self._rotate_at = segment_bytes
        self._size = 0
        self._appended = 0
        self._fault: str | None = None
        # Whoever syncs closes: an fd is never closed while another thread uses it.
        self._sync_lock = threading.Lock()
        self._retired: deque[int] = deque()
        self._synced = 0
        self._directory_changed = False
        self._segment_lost = False
        self._open_segment()

    def append(self, *records: bytes) -> int:
        """Write records, which hold no newline, with one `write`.

        Return the mark to give to `sync`. Raise `JournalUnwritable` if one of them is
        not, or not surely, in the journal.
        """
        return self._write(b"\n".join(records) + b"\n")

    def _write(self, lines: bytes) -> int:
        if self._fd < 0 or self._segment_lost:
            self._reopen()
        written = 0
        try:
            while written < len(lines):
                # Nearly always the first is the last, and then nothing is copied.
                written += os.write(self._fd, lines[written:])
        except OSError as error:
            if written:
                # The torn end stays where it is; the next line goes elsewhere.
                self._retire()
            self._appended += written
            raise self._unwritable(
                error, written=lines.count(b"\n", 0, written)
            ) from error
        self._fault = None
        self._appended += written
        self._size += written
        if self._size >= self._rotate_at:
            self._rotate()
        return self._appended

    def _unwritable(self, error: OSError, *, written: int = 0) -> JournalUnwritable:
        self._fault = error.strerror or type(error).__name__
        return JournalUnwritable(self._fault, written=written)

    def _rotate(self) -> None:
        full = self._fd
        try:
            self._open_segment()
        except JournalUnwritable:
            # The record is safe where it is; the next one or two will be, too.
            self._rotate_at = self._size + (self._segment_bytes >> 4) + 1
            return
        self._let_go(full)

    def _reopen(self) -> None:
        self._retire()
        self._segment_lost = False
        self._open_segment()

    def _retire(self) -> None:
        lost, self._fd = self._fd, _NO_SEGMENT
        if lost >= 0:
            self._let_go(lost)

    def _let_go(self, fd: int) -> None:
        if self._sync_mode == "off":
            os.close(fd)
        else:
            self._retired.append(fd)

    def _open_segment(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = self._locked_new_file()
        except OSError as error:
            raise self._unwritable(error) from error
        self._fd = fd
        self._size = 0
        self._rotate_at = self._segment_bytes
        self._directory_changed = True

    def _locked_new_file(self) -> int:
        while True:
            name = segment_name(
                start_ms=int(self._now() * 1000),
                writer_id=self._writer_id,
                sequence=self._sequence,
            )
            self._sequence += 1
            with ExitStack() as undo:
                fd = os.open(self._directory / name, _NEW_SEGMENT, 0o600)
                undo.callback(os.close, fd)
                fcntl.flock(fd, fcntl.LOCK_EX)
                # Not linked: a reader found the new file unlocked, took it for a dead
                # writer's empty segment and deleted it in the moment before the lock.
                if os.fstat(fd).st_nlink:
                    undo.pop_all()
                    return fd

    def sync(self, mark: int | None = None) -> None:
        """Make everything up to `mark` (all, by default) survive a loss of power.

        Blocks for as long as the disk needs; at once where there is nothing to do,
        so that many callers share one `fdatasync`. Safe in any thread. Raise
        `JournalUnwritable` when the disk refuses.
        """
        if self._sync_mode == "off" or (mark is not None and mark <= self._synced):
            return
        with self._sync_lock:
            if mark is not None and mark <= self._synced:
                return
            try:
                self._sync_now()
            except OSError as error:
                # After a failed sync the kernel may forget the pages: a new
                # segment is the only way to trust what comes next.
                self._segment_lost = True
                raise self._unwritable(error) from error

    def _sync_now(self) -> None:
        # In this order: what was appended by now is in `current` or already retired.
        appended, current = self._appended, self._fd
        retired = [self._retired.popleft() for _ in range(len(self._retired))]
        with ExitStack() as closing:
            for fd in retired:
                closing.callback(os.close, fd)
            if self._directory_changed:
                self._directory_changed = False
                sync_directory(self._directory)
            if current >= 0 and current not in retired and appended > self._synced:
                os.fdatasync(current)
                self._segment_lost = self._segment_lost or _is_unlinked(current)
            for fd in retired:
                os.fdatasync(fd)
        self._synced = appended

    def probe(self) -> JournalHealth:
        """Say whether the next record can be written; takes some microseconds.

        After a failure this tries an empty line, which readers skip, so that a
        process that is sent no calls because it is unready can become ready again.
        """
        try:
            if self._fd >= 0 and _is_unlinked(self._fd):
                self._segment_lost = True
            if self._fd < 0 or self._segment_lost or self._fault is not None:
                self._write(b"\n")
            space = os.statvfs(self._directory)
        except JournalUnwritable as unwritable:
            return JournalHealth(unwritable.reason)
        except OSError as error:
            return JournalHealth(error.strerror)
        free_bytes = space.f_bavail * space.f_frsize
        if free_bytes < self._min_free_bytes:
            return JournalHealth(f"only {free_bytes >> 20} MiB left on the disk")
        return JournalHealth(None)

    def close(self) -> None:
        """Sync what is left and release the segment, which makes it final.

        A straggler that appends after this is not lost: it gets a new segment.
        """
        self._retire()
        self.sync()


def _is_unlinked(fd: int) -> bool:
    return os.fstat(fd).st_nlink == 0
