"""PostgreSQL, changed in one transaction: see `stores.writing`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smart_llmrouter.stores import postgres
from smart_llmrouter.stores.postgres_schema import SCHEMA_LOCK, WRITING_LOCK
from smart_llmrouter.stores.postgres_statements import Statements

_LONGEST_S: Final = 300.0
_TAKE_TURNS: Final = (
    "SELECT pg_advisory_xact_lock_shared(?)",
    "SELECT pg_advisory_xact_lock(?)",
)


@contextmanager
def transaction(url: str) -> Iterator[Statements]:
    """Change a database, all of what the block does or nothing, and on the disk.

    Usage rows may come meanwhile, but nobody else is in here.
    """
    with (
        postgres.translated(),
        postgres.connect(url, longest_s=_LONGEST_S) as connection,
    ):
        postgres.check_schema(connection)
        with postgres.transaction(connection):
            statements = Statements(connection)
            for lock, statement in zip(
                (SCHEMA_LOCK, WRITING_LOCK), _TAKE_TURNS, strict=True
            ):
                statements.execute(statement, (lock,))
            postgres.require_head(postgres.revision_of(connection))
            yield statements
