"""Opening the database: created once, checked always, never guessed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import OperationalError

from smart_llmrouter.ledger.record import UsageRecord, encode_record, split_record
from smart_llmrouter.stores import database
from smart_llmrouter.stores.backends import create_or_check_schema
from smart_llmrouter.stores.database import migrate, open_for_reading, upgrade
from smart_llmrouter.stores.decision_tables import DECISIONS
from smart_llmrouter.stores.event_tables import CONFIG_VERSIONS
from smart_llmrouter.stores.rollup_tables import ROLLUP_PERIODS
from smart_llmrouter.stores.sqlite import (
    condition,
    connect,
    database_path,
    sqlite_url,
)
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION, OLDER_REVISIONS
from smart_llmrouter.stores.sqlite_store import SqliteStore
from smart_llmrouter.stores.tables import REQUEST_USAGE
from smart_llmrouter.stores.unusable import (
    DatabaseMissing,
    SchemaMismatch,
    UnsupportedDatabase,
)
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.ledger import StateDirectory, a_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database shall be: a place with odd characters."""
    return tmp_path / "a b%41?#" / "usage.sqlite"


def test_a_new_database_is_created_private_and_in_wal_mode(path: Path) -> None:
    """The first start makes the directory, the file and the schema."""
    create_or_check_schema(sqlite_url(path))

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_a_second_start_keeps_what_is_there(path: Path) -> None:
    """Checking changes nothing."""
    create_or_check_schema(sqlite_url(path))
    before = path.read_bytes()

    create_or_check_schema(sqlite_url(path))

    assert path.read_bytes() == before


def test_a_crash_in_the_middle_of_creating_leaves_nothing_half_made(
    path: Path,
) -> None:
    """What an interrupted first start left is thrown away by the next."""
    path.parent.mkdir()
    path.with_name("usage.sqlite.new").write_bytes(b"half a database")
    path.touch()

    create_or_check_schema(sqlite_url(path))

    assert list(path.parent.iterdir()) == [path]


def old_database(path: Path, revision: str = "usage_0001") -> Path:
    """Make the database that a router of an older version left."""
    path.parent.mkdir(mode=0o700)
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    with engine.connect() as connection:
        migrate(connection, revision)
        connection.commit()
    engine.dispose()
    return path


def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the columns and the indexed columns of everything in a database."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
        return {
            name: connection.execute(f"PRAGMA table_info({name})").fetchall()
            + connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
            for (name,) in names
        }


def test_the_tables_are_what_the_schema_makes(path: Path) -> None:
    """What a new database holds is what the tables module says, to the column."""
    create_or_check_schema(sqlite_url(path))

    with open_for_reading(sqlite_url(path)).connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection), DECISIONS.metadata
        )
        usage = inspect(connection).get_columns("request_usage")

    assert ROLLUP_PERIODS.metadata is DECISIONS.metadata is CONFIG_VERSIONS.metadata
    assert differences == []
    assert [column["name"] for column in usage] == REQUEST_USAGE.columns.keys()


def test_migrations_and_a_first_start_make_the_same(path: Path, tmp_path: Path) -> None:
    """A database has the same shape however it came to be."""
    create_or_check_schema(sqlite_url(path))
    migrated = old_database(tmp_path / "old" / "usage.sqlite", "head")

    assert shape(migrated) == shape(path)


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    """`HEAD_REVISION` may not be forgotten when a migration is added."""
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_heads() == [HEAD_REVISION]
    assert {script.revision for script in scripts.walk_revisions()} == {
        *OLDER_REVISIONS,
        HEAD_REVISION,
    }


OLD_COLUMNS = """request_id, ts_ms, caller_id, caller_user, caller_project,
    caller_environment, token_id, client, inbound_dialect, status, attempts, latency_us,
    config_fingerprint, router_version, requested_model, resolved_group, strategy,
    target_provider, target_model, target_dialect, stream, error_code, error_class,
    upstream_status, ttfb_us, ttft_us, input_tokens, cached_input_tokens, output_tokens,
    reasoning_tokens, input_cost_nusd, cached_input_cost_nusd, output_cost_nusd,
    total_cost_nusd, upstream_reported_cost_nusd, price_fingerprint"""


def old_row(number: int) -> tuple[object, ...]:
    """Return a row of the first schema; every third has all that may be missing."""
    full = number % 3 == 0
    said = ('m, "ä"', "g", "fallback", "acme", "mini", "openai-chat")
    return (
        f"req_{number}", 1000 - number, "c", "u", "p", "e", "t", "curl", "openai-chat",
        200, 1, number, "f", "v", *(said if full else [None] * 6), number % 2,
        None, None, 200, 1, 2, *range(9), "pf" if full else None,
    )  # fmt: skip


def with_old_rows(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Fill a database of the first schema."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            f"INSERT INTO request_usage VALUES ({', '.join('?' * 36)})",  # noqa: S608 - no input
            rows,
        )
        connection.execute("INSERT INTO journal_positions VALUES ('s', 7)")
        connection.commit()


def test_an_upgrade_keeps_every_value_of_every_row(path: Path) -> None:
    """The first schema's rows are in the new tables, and read as they did."""
    rows = [old_row(number) for number in range(50)]
    with_old_rows(old_database(path), rows)

    done = upgrade(sqlite_url(path))

    assert done == ("usage_0001", HEAD_REVISION)
    create_or_check_schema(sqlite_url(path))
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT {OLD_COLUMNS} FROM request_usage"  # noqa: S608 - no input
        assert sorted(connection.execute(query).fetchall()) == sorted(rows)
        labels = connection.execute("SELECT count(*) FROM request_labels").fetchone()
        positions = connection.execute("SELECT * FROM journal_positions").fetchall()
    assert labels == (4,)
    assert positions == [("s", 7, 7, "")]


def test_migrated_labels_are_those_that_the_ingester_finds(path: Path) -> None:
    """A record like one of before the upgrade adds no labels."""
    record = a_record(7, requested_model='m, "ä"', stream=True)
    values = msgspec.structs.asdict(record)
    names = [name.strip() for name in OLD_COLUMNS.split(",")]
    with_old_rows(old_database(path), [tuple(values[name] for name in names)])
    upgrade(sqlite_url(path))
    measures, labels = split_record(a_record(8, ts_ms=1, **similar(record)))
    store = SqliteStore(sqlite_url(path))

    store.add([measures], [labels], segment="s", end_offset=1)
    store.close()

    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT count(*) FROM request_labels").fetchone()
    assert found == (1,)


PREVIOUS_COLUMNS = """request_id, ts_ms, latency_us, ttfb_us, ttft_us, input_tokens,
    cached_input_tokens, output_tokens, reasoning_tokens, input_cost_nusd,
    cached_input_cost_nusd, output_cost_nusd, total_cost_nusd,
    upstream_reported_cost_nusd, caller_id, caller_user, caller_project,
    caller_environment, token_id, client, inbound_dialect, status, attempts,
    config_fingerprint, router_version, requested_model, resolved_group, strategy,
    target_provider, target_model, target_dialect, stream, error_code, error_class,
    upstream_status, price_fingerprint"""


def with_previous_rows(path: Path, count: int) -> list[tuple[object, ...]]:
    """Fill a database of the second schema, as its ingester did; return the rows."""
    labels = [
        ("c", "u", "p", "e", "t", "curl", "openai-chat", 200, 1, "f", "v", *said,
         stream, None, None, 200, None)
        for said in ((None,) * 6, ("m", "g", "failover", "acme", "mini", "openai-chat"))
        for stream in (0, 1)
    ]  # fmt: skip
    measures = [(f"req_{n}", 1000 - n, n, None, 2, *range(9)) for n in range(count)]
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            f"INSERT INTO request_labels VALUES ({', '.join('?' * 24)})",  # noqa: S608 - no input
            [(n, f"digest {n}", *each) for n, each in enumerate(labels)],
        )
        connection.executemany(
            f"INSERT INTO request_measures VALUES ({', '.join('?' * 15)})",  # noqa: S608 - no input
            [(*each, n % len(labels)) for n, each in enumerate(measures)],
        )
        connection.execute("INSERT INTO journal_positions VALUES ('s', 7)")
        connection.commit()
    return [(*each, *labels[n % len(labels)]) for n, each in enumerate(measures)]


def test_an_upgrade_from_the_previous_schema_keeps_every_row(path: Path) -> None:
    """Each call of before was relayed if it had a target; nothing else is made up."""
    rows = with_previous_rows(old_database(path, "usage_0002"), 50)

    done = upgrade(sqlite_url(path))

    assert done == ("usage_0002", HEAD_REVISION)
    create_or_check_schema(sqlite_url(path))
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT {PREVIOUS_COLUMNS} FROM request_usage"  # noqa: S608 - no input
        assert set(connection.execute(query).fetchall()) == set(rows)
        ends = connection.execute(
            "SELECT DISTINCT target_dialect, lane, usage_estimated, notes_count, "
            "cache_write_5m_tokens, cache_write_1h_tokens, cache_write_cost_nusd "
            "FROM request_usage"
        ).fetchall()
        positions = connection.execute("SELECT * FROM journal_positions").fetchall()
    assert set(ends) == {
        (None, None, 0, 0, None, None, None),
        ("openai-chat", "relay", 0, 0, None, None, None),
    }
    assert positions == [("s", 7, 7, "")]


def test_lines_of_before_an_upgrade_are_ingested_after_it(path: Path) -> None:
    """What the journal still held has its rows beside those of new calls."""
    old_database(path, "usage_0002")
    upgrade(sqlite_url(path))
    state = StateDirectory(path.parent)
    writer = state.writer()
    writer.append(LINE_OF_BEFORE)
    writer.append(encode_record(a_record(2, cache_write_5m_tokens=3, lane="translate")))
    writer.close()

    done = state.ingester().advance()

    assert (done.records, done.rejected) == (2, 0)
    columns = "request_id, total_cost_nusd, cache_write_5m_tokens, lane, stream"
    assert state.rows(columns) == [
        (a_record(2).request_id, None, 3, None, 0),
        ("req_1", 630, None, "relay", 1),
    ]


LINE_OF_BEFORE = (
    b'["req_1",1790000000001,1001,500,700,10,0,5,0,250,0,380,630,null,'
    b'"alice-search-dev","alice","search","dev","rtr_alice_search_dev_k1",'
    b'"openai-python","openai-chat",200,1,"c0ffee","0.1.0","mini","chat","failover",'
    b'"acme","mini","openai-chat",true,null,null,200,"price_1"]'
)


def similar(record: UsageRecord) -> dict[str, object]:
    """Return what is unusual about a record."""
    return {"requested_model": record.requested_model, "stream": record.stream}


def test_an_upgrade_that_fails_leaves_everything_as_it_was(path: Path) -> None:
    """What an old database holds is not lost to a value that cannot be moved."""
    with_old_rows(old_database(path), [old_row(1)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE request_labels (somebody_elses)")
    before = shape(path)

    with pytest.raises(DatabaseAway, match="request_labels already exists"):
        upgrade(sqlite_url(path))

    assert shape(path) == before
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM request_usage").fetchone()
    assert count == 1


def test_an_upgrade_of_the_newest_changes_nothing(path: Path) -> None:
    """Asked twice, it has nothing to do."""
    create_or_check_schema(sqlite_url(path))

    assert upgrade(sqlite_url(path)) == (HEAD_REVISION, HEAD_REVISION)


def test_an_upgrade_makes_no_database(path: Path) -> None:
    """Where there is none, the first start makes it."""
    with pytest.raises(DatabaseMissing):
        upgrade(sqlite_url(path))

    assert not path.exists()


def test_an_older_schema_is_refused_with_the_command_to_run(path: Path) -> None:
    """Nothing is migrated behind anybody's back."""
    old_database(path)

    with pytest.raises(SchemaMismatch, match="smart-llmrouter db upgrade"):
        create_or_check_schema(sqlite_url(path))


def test_the_condition_of_a_database_is_one_safe_line(path: Path) -> None:
    """What readiness says of it, from missing to well."""
    url = sqlite_url(path)

    missing = condition(url)
    create_or_check_schema(url)
    well = condition(url)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'other'")
        connection.commit()
    other = condition(url)
    path.write_bytes(b"no database" * 1000)
    garbled = condition(url)

    assert (missing, well) == ("is missing", "ok")
    assert other == "has another schema than this version's"
    assert garbled == "cannot be read"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'usage_9999'", "usage_9999"),
        ("DROP TABLE alembic_version", "of another program"),
        ("DELETE FROM alembic_version", "unknown"),
        ("ALTER TABLE journal_positions DROP COLUMN end_offset", "missing"),
        ("DROP TABLE journal_positions", "missing"),
        ("DROP TABLE request_labels", "missing"),
        ("DROP VIEW request_usage", "missing"),
    ],
)
def test_another_schema_is_refused_with_a_remedy(
    path: Path, statement: str, said: str
) -> None:
    """A database of another version or program is never worked on."""
    create_or_check_schema(sqlite_url(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()

    with pytest.raises(SchemaMismatch) as caught:
        create_or_check_schema(sqlite_url(path))

    assert said in str(caught.value)
    assert HEAD_REVISION in str(caught.value)
    assert "move the file away" in str(caught.value)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Somebody's notes are not overwritten."""
    path.parent.mkdir()
    path.write_text("shopping list " * 100)

    with pytest.raises(SchemaMismatch, match="not an SQLite database"):
        create_or_check_schema(sqlite_url(path))

    assert path.read_text().startswith("shopping list")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://router:hunter2@db/usage", "mysql databases cannot be used"),
        ("mysql+asyncmy://router:hunter2@db/usage", "use `state.database: sqlite`"),
        ("postgresql://router:hunter2@db/usage?no_such=1", "no URL that PostgreSQL's"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("hunter2", "not a database URL"),
    ],
)
def test_other_databases_are_refused_without_their_password(
    url: str, said: str
) -> None:
    """The message says what to do, and repeats nothing of the URL."""
    with pytest.raises(UnsupportedDatabase, match=said) as caught:
        create_or_check_schema(url)

    assert "hunter2" not in str(caught.value)


def test_a_url_leads_to_its_file(path: Path) -> None:
    """Spaces and percent signs in a path survive the URL."""
    assert database_path(sqlite_url(path)) == path


def test_a_reader_cannot_write(path: Path) -> None:
    """Reports open the database read-only."""
    create_or_check_schema(sqlite_url(path))
    engine = open_for_reading(sqlite_url(path))

    with engine.connect() as connection:
        found = connection.execute(select(REQUEST_USAGE)).all()
        with pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql("DELETE FROM request_measures")

    assert found == []


def test_reading_before_the_first_start_says_so(path: Path) -> None:
    """Nothing is created by looking."""
    with pytest.raises(DatabaseMissing, match="smart-llmrouter serve"):
        open_for_reading(sqlite_url(path))

    assert not path.exists()


def test_a_writer_never_makes_an_empty_database(path: Path) -> None:
    """A database that went away stays away until it is back."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect(path, mode="rw")

    assert not path.exists()
