"""Schemas of PostgreSQL: as described, and the same whether made or moved to."""

from pathlib import Path

import psycopg
from sqlalchemy import text

from smart_llmrouter.stores.backends import condition, create_or_check_schema
from smart_llmrouter.stores.database import open_for_reading, upgrade
from smart_llmrouter.stores.postgres_schema import (
    FIRST_REVISION,
    OLDER_REVISIONS,
)
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION
from tests.support.databases import change
from tests.support.ledger import StateDirectory, a_record
from tests.support.postgres import empty_database, postgres_or_skip

FIRST = Path(__file__).parents[2] / "data" / "postgres" / f"{FIRST_REVISION}.sql"
_COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable "
    "FROM information_schema.columns WHERE table_schema = 'public'"
)
_SHAPE = (
    _COLUMNS,
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p'",
)


def shape(url: str) -> list[list[tuple[object, ...]]]:
    """Return all that makes a schema, but for its revision."""
    with psycopg.connect(url) as connection:
        return [sorted(connection.execute(query.encode())) for query in _SHAPE]


def of_the_first_schema() -> str:
    """Return a database as the first version made it that had PostgreSQL."""
    postgres_or_skip()
    url = empty_database()
    change(url, FIRST.read_text())
    revision = f"INSERT INTO alembic_version VALUES ('{FIRST_REVISION}')"  # noqa: S608 - of our own words; values are bound
    change(url, revision)
    return url


def test_a_database_of_the_first_schema_is_brought_to_this_one() -> None:
    """It is then what a new one is; and it takes rows."""
    url, fresh = of_the_first_schema(), empty_database()
    create_or_check_schema(fresh)

    done = upgrade(url)

    assert done == (FIRST_REVISION, HEAD_REVISION)
    assert condition(url) == "ok"
    assert shape(url) == shape(fresh)


def test_only_schemas_from_the_first_one_on_can_be_upgraded() -> None:
    """What SQLite alone had is no schema of PostgreSQL's."""
    assert all(FIRST_REVISION <= each < HEAD_REVISION for each in OLDER_REVISIONS)
    assert FIRST_REVISION <= HEAD_REVISION


def test_calls_stand_in_the_partition_of_their_day(tmp_path: Path) -> None:
    """Absurd times have two, however many they are; nothing else is partitioned."""
    postgres_or_skip()
    url = empty_database()
    create_or_check_schema(url)
    state = StateDirectory(tmp_path, url)
    state.journalled(
        a_record(number, ts_ms=ts_ms)
        for number, ts_ms in enumerate(
            (-5, 0, 946_684_799_999, 946_684_800_000, 1_790_000_000_000,
             4_102_444_799_999, 4_102_444_800_000, 1 << 62)
        )
    )  # fmt: skip
    state.ingester().advance()

    found = state.ask(
        "SELECT CAST(tableoid::regclass AS text), count(*) FROM request_measures "
        "GROUP BY 1 ORDER BY 1"
    )

    assert found == [
        ("request_measures_after", 2),
        ("request_measures_before", 3),
        ("request_measures_d20000101", 1),
        ("request_measures_d20260921", 1),
        ("request_measures_d20991231", 1),
    ]


def test_a_report_sorts_in_memory_and_compiles_nothing() -> None:
    """Unless who runs the server gives more memory; nobody else is told anything."""
    postgres_or_skip()
    url = empty_database()
    create_or_check_schema(url)
    asked = text("SELECT current_setting('jit'), current_setting('work_mem')")
    found = []

    for memory in ("4MB", "256MB"):
        change(
            url, f"ALTER DATABASE {url.rpartition('/')[2]} SET work_mem = '{memory}'"
        )
        with open_for_reading(url).connect() as connection:
            found.append(tuple(connection.execute(asked).one()))

    assert found == [("off", "64MB"), ("off", "256MB")]
