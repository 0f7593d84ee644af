"""Files that no output of a command may take the place of."""

import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from smart_llmrouter.config.snapshot import State

_SQLITE_BEGINS: Final = b"SQLite format 3\0"
_BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""How the files of an SQLite database end that belong together."""


class NotReplaced(Exception):
    """A file may not be written where it was asked for; the text says why."""


def spare_databases(out: Path) -> None:
    """Raise `NotReplaced` where `out` is an SQLite database, whosever it is."""
    path = out.resolve()
    with suppress(OSError):
        # A pipe is not opened: that would wait for somebody who writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            return
        with path.open("rb") as file:
            if file.read(len(_SQLITE_BEGINS)) == _SQLITE_BEGINS:
                raise NotReplaced(f"{out} is a database: choose another file")


def spare_state(out: Path, state: "State") -> None:
    """Raise `NotReplaced` where `out` is something that the router keeps.

    So is its database, wherever that is, what is there already in the state directory,
    and whatever would be put among the files of the journal.
    """
    path, directory = out.resolve(), state.directory.resolve()
    in_journal = path.is_relative_to(directory / "journal")
    there = path.parent == directory and path.is_file()
    if in_journal or there or path in _database_files(state):
        raise NotReplaced(
            f"{out} is among the files that the router works with: choose another"
        )


def _database_files(state: "State") -> set[Path]:
    from smart_llmrouter.stores.database_url import backend_of
    from smart_llmrouter.stores.sqlite import database_path

    url = state.database_url.reveal()
    if backend_of(url) != "sqlite":
        return set()
    path = database_path(url).resolve()
    return {path.with_name(path.name + ending) for ending in _BESIDE}


def spare_other_file(out: Path, *, force: bool) -> None:
    """Raise `NotReplaced` where something is at `out`; with `force`, if no file is."""
    if out.is_dir():
        raise NotReplaced(f"{out} is a directory: name a file in it")
    if not (out.exists() or out.is_symlink()):
        return
    if not force:
        raise NotReplaced(f"{out} is there already: choose another, or add --force")
    if not out.is_file():
        raise NotReplaced(f"{out} is no file that could be replaced")
