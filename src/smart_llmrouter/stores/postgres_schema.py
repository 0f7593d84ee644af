"""The usage database as PostgreSQL is told to build it, from what both kinds share.

The tables are those of `stores.tables`, the views those that SQLite has. Calls are
partitioned by the day they began on: a day that nobody needs any more is dropped in one
step, however many calls it had.
"""

import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from smart_llmrouter.stores import sqlite_schema

if TYPE_CHECKING:
    from psycopg import Connection

FIRST_REVISION: Final = "usage_0010"
"""The first schema that there is in PostgreSQL; older ones were SQLite's alone."""

OLDER_REVISIONS: Final = frozenset(
    each for each in sqlite_schema.OLDER_REVISIONS if each >= FIRST_REVISION
)
"""What `smart-llmrouter db upgrade` can bring to the head."""

SCHEMA_LOCK: Final = 0x6C6C6D_0001
"""Held by who changes the schema; shared by who writes rows."""

PARTITIONS_LOCK: Final = 0x6C6C6D_0002
"""Held by who makes or drops a partition."""

WRITING_LOCK: Final = 0x6C6C6D_0003
"""Held by who changes what is no usage row: see `stores.writing`."""

DAY_MS: Final = 86_400_000
FIRST_DAY: Final = 10_957
"""2000-01-01, in days since 1970: of all before there is one partition."""

LAST_DAY: Final = 47_482
"""2100-01-01: of it and all after there is one partition."""

ColumnKind = Literal["number", "text", "flag", "real"]
_KINDS: Final[dict[str, ColumnKind]] = {
    "VARCHAR": "text",
    "BOOLEAN": "flag",
    "DOUBLE": "real",
}
RELATIONS_THERE: Final = """
SELECT 1 FROM pg_class AS c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.objid = c.oid
        AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
LIMIT 1
"""
"""Finds a row where the schema is not empty; what extensions brought does not count."""

_REVISION: Final = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
_EDGES: Final = f"""
CREATE TABLE request_measures_before PARTITION OF request_measures
    FOR VALUES FROM (MINVALUE) TO ({FIRST_DAY * DAY_MS});
CREATE TABLE request_measures_after PARTITION OF request_measures
    FOR VALUES FROM ({LAST_DAY * DAY_MS}) TO (MAXVALUE)
"""
"""Where calls go whose clock was absurd; a partition each would be too many."""


def create_all(connection: "Connection[Any]") -> None:
    """Make all tables and views in an empty schema, within the caller's transaction."""
    for statement in statements():
        connection.execute(statement)
    connection.execute(
        "INSERT INTO alembic_version VALUES (%s)", (sqlite_schema.HEAD_REVISION,)
    )


def statements() -> list[str]:
    """Return what makes all tables and views, but for the revision."""
    return [*_tables(), _EDGES, *map(_view, views()), _REVISION]


def views() -> list[str]:
    """Return the statements that make the views, as SQLite is told them."""
    return [
        statement
        for statement in sqlite_schema.SCHEMA
        if statement.lstrip().startswith("CREATE VIEW")
    ]


def _view(statement: str) -> str:
    return statement.replace("group_concat(", "string_agg(")


def _tables() -> list[str]:
    # Only who makes a new database needs what describes tables, which is slow to load.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415

    from smart_llmrouter.stores import (  # noqa: PLC0415
        decision_tables,
        event_tables,
        rollup_tables,
        tables,
    )

    # Each of these has put its tables into the one description of all.
    [metadata] = {
        tables.REQUEST_MEASURES.metadata,
        decision_tables.DECISIONS.metadata,
        event_tables.CONFIG_VERSIONS.metadata,
        rollup_tables.ROLLUP_PERIODS.metadata,
    }
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # it has no types
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [
            str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes
        ]
    return made


@cache
def column_kinds() -> dict[str, dict[str, ColumnKind]]:
    """Return the columns of each table and view, in their order, and their kinds."""
    with closing(sqlite3.connect(":memory:")) as ours:
        for statement in sqlite_schema.SCHEMA:
            ours.execute(statement)
        query = "SELECT name, type FROM pragma_table_info(?)"
        return {
            relation: {
                name: _KINDS.get(kind, "number")
                for name, kind in ours.execute(query, (relation,))
            }
            for relation in sqlite_schema.RELATIONS
        }


def wanted_columns() -> dict[str, tuple[str, ...]]:
    """Return the columns that each table and view must have, in their order."""
    return {relation: tuple(columns) for relation, columns in column_kinds().items()}
