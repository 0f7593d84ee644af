"""Copies of a usage database, made while the router works on it.

A copy is never seen half-made: it gets its name when it is whole and on the disk.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.usage_store import DatabaseAway

Told = Callable[[int, int], object]
"""Is told how much is copied, and of how much, as often as that changes."""

_PAGES: Final = 4096
_DUMP: Final = "pg_dump"


class NoDumpProgram(Exception):
    """`pg_dump` is not installed; the text says what to run where it is."""


class CopyFailed(Exception):
    """The copy could not be made; the text says why."""


def copy_database(
    url: str, out: Path, *, told: Told = lambda _done, _all: None
) -> None:
    """Write a copy of one moment of the database to the file `out`.

    Of SQLite it is a database, of PostgreSQL what `pg_restore` reads. Raises
    `DatabaseAway`, `NoDumpProgram`, `CopyFailed`, or `OSError` with the name of `out`.
    """
    with _whole_or_not_at_all(out) as unfinished:
        if backend_of(url) == "sqlite":
            _copy_file(sqlite.database_path(url), unfinished, told)
        else:
            _dump(url, unfinished)


@contextmanager
def _whole_or_not_at_all(out: Path) -> Iterator[Path]:
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        # What callers used is nobody else's business.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield unfinished
        _sync(unfinished)
        unfinished.replace(out)
    except OSError as error:
        # Nobody has heard of the other name.
        raise OSError(error.errno, error.strerror, str(out)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy_file(path: Path, unfinished: Path, told: Told) -> None:
    try:
        with (
            closing(sqlite.connect(path, mode="ro")) as source,
            closing(sqlite3.connect(unfinished)) as target,
        ):
            # In a transaction it sees one moment: else each row that comes meanwhile
            # would let it begin anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(
                target,
                pages=_PAGES,
                progress=lambda _status, left, of: told(of - left, of),
            )
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DatabaseAway(str(error), at=path) from error


def _dump(url: str, unfinished: Path) -> None:
    # Its driver is loaded where a URL names such a database.
    from smart_llmrouter.stores import postgres  # noqa: PLC0415

    with postgres.translated(), postgres.connect(url, read_only=True) as connection:
        found = connection.execute("SELECT current_schema()").fetchone()
    schema = "public" if found is None else str(found[0])
    program = shutil.which(_DUMP)
    if program is None:
        raise NoDumpProgram(
            f"{_DUMP} is not installed here; where it is, run: {_DUMP} --format=custom "
            f'--schema={schema} --file=usage.dump "$ROUTER_DATABASE_URL", with the '
            "variable that `state.database` refers to"
        )
    server, password = postgres.dumping_parameters(url)
    done = subprocess.run(
        [
            program,
            "--format=custom",
            f"--schema={schema}",
            "--no-password",
            f"--file={unfinished}",
            f"--dbname={server}",
        ],
        env={**os.environ, **password},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise CopyFailed(f"{_DUMP} failed: {said[-1] if said else done.returncode}")
