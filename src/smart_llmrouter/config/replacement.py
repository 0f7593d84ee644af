"""Replaces a configuration file: all at once or not at all, with a backup."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from smart_llmrouter.core.clock import WallClock


@contextmanager
def only_writer(backups: Path) -> Generator[None]:
    """Hold the right to change the file whose backups go here, while the block runs."""
    # `parents=True` would give the state directory above it the usual, wider mode.
    backups.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    backups.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(backups / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_with_backup(
    path: Path, new: bytes, *, backups: Path, wall_clock: WallClock
) -> Path:
    """Back the file up, put `new` in its place, and return the backup's path.

    The file keeps its mode and owner; through a symbolic link its target is replaced.
    A reader sees the old file or the new one, never a part. Raises `OSError`.
    """
    path = path.resolve(strict=True)
    backup = _back_up(path, backups, wall_clock)
    status = path.stat()
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with _exclusive(beside) as file:
            os.fchmod(file, status.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(file, status.st_uid, status.st_gid)
            _write_all(file, new)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync_directory(path.parent)
    return backup


def _back_up(path: Path, backups: Path, wall_clock: WallClock) -> Path:
    moment = datetime.fromtimestamp(wall_clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in count(1):
        ending = "" if number == 1 else f"-{number}"
        backup = backups / f"{path.stem}-{moment}{ending}{path.suffix}"
        try:
            with _exclusive(backup) as file:
                _write_all(file, path.read_bytes())
        except FileExistsError:
            continue
        return backup
    raise AssertionError  # pragma: no cover - the numbers do not end


@contextmanager
def _exclusive(path: Path) -> Generator[int]:
    """Open a new file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
