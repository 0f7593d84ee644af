"""Both kinds of usage databases, each empty, and changes that nobody of ours makes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.sqlite import database_path
from tests.support.ledger import StateDirectory, state_in
from tests.support.postgres import new_database, postgres_or_skip

KINDS: Final = ("sqlite", "postgresql")


def state_with(kind: str, directory: Path) -> StateDirectory:
    """Return a state directory with an empty database of this kind."""
    if kind == "sqlite":
        return state_in(directory)
    postgres_or_skip()
    state = StateDirectory(directory / "the state", new_database())
    state.path.mkdir()
    return state


def change(url: str, *statements: str) -> None:
    """Do with a database what its operator might."""
    if backend_of(url) == "sqlite":
        with closing(sqlite3.connect(database_path(url))) as file, file:
            for statement in statements:
                file.execute(statement)
        return
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())
