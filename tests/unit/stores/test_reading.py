"""A connection for reading that is kept from one look to the next."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.stores.reading import Reader
from smart_llmrouter.stores.sqlite import sqlite_url
from smart_llmrouter.stores.usage_store import DatabaseAway


def database(path: Path, value: int) -> Path:
    """Make a database with one value, under this name in one step."""
    unfinished = path.with_suffix(".new")
    with closing(sqlite3.connect(unfinished)) as connection, connection:
        connection.execute("CREATE TABLE numbers (number)")
        connection.execute("INSERT INTO numbers VALUES (?)", (value,))
    unfinished.replace(path)
    return path


def numbers(reader: Reader) -> list[int]:
    """Look."""
    with reader.connection() as connection:
        rows = connection.execute("SELECT number FROM numbers").fetchall()
    return [number for (number,) in rows]


def test_one_connection_sees_what_is_written_meanwhile(tmp_path: Path) -> None:
    """It is not opened again, nor does it keep an old moment."""
    path = database(tmp_path / "a.db", 1)
    with closing(Reader(sqlite_url(path))) as reader:
        first = numbers(reader)
        with reader.connection() as before:
            pass
        with closing(sqlite3.connect(path)) as writing, writing:
            writing.execute("INSERT INTO numbers VALUES (2)")
        second = numbers(reader)
        with reader.connection() as after:
            pass

    assert (first, second) == ([1], [1, 2])
    assert after is before


def test_a_database_in_the_place_of_another_is_the_one_that_is_read(
    tmp_path: Path,
) -> None:
    """Also where there was none for a while, and while there is none it is missed."""
    path = database(tmp_path / "a.db", 1)
    with closing(Reader(sqlite_url(path))) as reader:
        found = [numbers(reader)]
        database(path, 2)
        found.append(numbers(reader))
        path.unlink()
        with pytest.raises(DatabaseAway, match="No such file or directory"):
            numbers(reader)
        database(path, 3)
        found.append(numbers(reader))

    assert found == [[1], [2], [3]]


def test_after_an_error_it_is_opened_again(tmp_path: Path) -> None:
    """Whatever was wrong with the connection."""
    path = database(tmp_path / "a.db", 1)
    with closing(Reader(sqlite_url(path))) as reader:
        with (
            pytest.raises(DatabaseAway, match="no such table"),
            reader.connection() as before,
        ):
            before.execute("SELECT * FROM letters")
        with pytest.raises(sqlite3.ProgrammingError):
            before.execute("SELECT 1")

        assert numbers(reader) == [1]


def test_a_reader_that_is_closed_opens_nothing_any_more(tmp_path: Path) -> None:
    """A look that comes late finds nothing, and leaves nothing open."""
    reader = Reader(sqlite_url(database(tmp_path / "a.db", 1)))
    with reader.connection() as connection:
        pass

    reader.close()
    reader.close()

    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    with pytest.raises(DatabaseAway, match="closed"):
        numbers(reader)
