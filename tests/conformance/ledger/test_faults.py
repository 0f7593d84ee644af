"""Whatever happens between the journal and the tables: one row for each record."""

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.stores.backends import condition, create_or_check_schema
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.event_rows import EventRow
from smart_llmrouter.stores.postgres_partitions import partition_of
from smart_llmrouter.stores.postgres_store import PostgresStore
from smart_llmrouter.stores.sqlite_store import SqliteStore
from smart_llmrouter.stores.unusable import SchemaMismatch
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    Decided,
    Labels,
    Measures,
    UsageStore,
    open_store,
)
from tests.support.databases import change
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import (
    NOON_MS,
    StateDirectory,
    a_record,
    add,
    kept_of,
    various_record,
)
from tests.support.postgres import empty_database, own_server, postgres_or_skip
from tests.support.wait import PATIENCE_S, eventually_sync

CALLS = 60
DAY_MS = 86_400_000


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it runs."""


class Fragile:
    """A real store whose process dies at a chosen step, before or after it works."""

    def __init__(self, store: UsageStore, *, steps: int, after: bool) -> None:
        """Die at the step after `steps` others; `after` it has committed."""
        self._store = store
        self._left = steps
        self._after = after

    def positions(self) -> dict[str, int]:
        """Ask the store."""
        return self._store.positions()

    def decided(self) -> dict[str, int]:
        """Ask the store."""
        return self._store.decided()

    def add(
        self,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
        *,
        segment: str,
        end_offset: int,
        decided_offset: int | None = None,
        events: Sequence[EventRow] = (),
    ) -> int:
        """Add rows, or die trying."""
        with self._step():
            return self._store.add(
                measures,
                labels,
                segment=segment,
                end_offset=end_offset,
                decided_offset=decided_offset,
                events=events,
            )

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        """Add decisions, or die trying."""
        with self._step():
            self._store.add_decisions(
                decided, segment=segment, decided_offset=decided_offset
            )

    def settle(self, segment: str) -> None:
        """Settle, or die trying."""
        with self._step():
            self._store.settle(segment)

    def forget(self, segments: Sequence[str]) -> None:
        """Forget, or die trying."""
        with self._step():
            self._store.forget(segments)

    def close(self) -> None:
        """Let go."""
        self._store.close()

    @contextmanager
    def _step(self) -> Iterator[None]:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Killed
        yield
        if self._left < 0:
            raise Killed


def finish(state: StateDirectory) -> None:
    """Ingest what is left."""
    while state.ingester(block_bytes=1 << 12).advance().more:
        pass


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_every_step_loses_and_doubles_nothing(
    state: StateDirectory, *, after: bool
) -> None:
    """Of adding rows, adding decisions, settling and forgetting, in every round."""
    writer = state.writer(segment_bytes=6000)
    for number in range(CALLS):
        writer.append(various_line(number))
    writer.sync()
    writer.close()
    deaths = 0

    for steps in range(100):
        store = open_store(state.url, journal=state.journal)
        fragile = Fragile(store, steps=steps % 7, after=after)
        try:
            done = Ingester(state.journal, fragile, block_bytes=2500).advance()
        except Killed:
            deaths += 1
            continue
        finally:
            store.close()
        if not done.more and not state.segments():
            break

    assert deaths > 10
    assert state.segments() == []
    assert state.kept() == [kept_of(various_record(n)) for n in range(CALLS)]
    decisions = [various_decision(n) for n in range(CALLS)]
    assert kept_decisions(state, range(CALLS)) == decisions
    assert state.rejected() == []


def test_several_ingesters_write_at_the_same_time(tmp_path: Path) -> None:
    """Labels, days and hours that all of them need are made once, and nobody waits."""
    postgres_or_skip()
    url = empty_database()
    states = [StateDirectory(tmp_path / f"state {which}", url) for which in range(4)]
    faults: list[BaseException] = []

    def work(which: int) -> None:
        try:
            create_or_check_schema(url)
            states[which].journalled(
                a_record(
                    number,
                    request_id=f"req_{number:020x}{which:012x}",
                    ts_ms=NOON_MS + number % 5 * DAY_MS,
                    client=f"client {(number * 7 + which) % 50}",
                )
                for number in range(400)
            )
            finish(states[which])
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    workers = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_S)

    assert faults == []
    assert len(set(states[0].request_ids())) == 1600
    assert states[0].count("request_labels") == 50
    assert states[0].count("journal_positions") == 0
    assert {state.segments() == [] for state in states} == {True}


def test_a_poison_record_is_set_aside_and_blocks_nothing(
    state: StateDirectory,
) -> None:
    """The others of its block are there, and it is told which one is not."""
    records = [a_record(number) for number in range(40)]
    records[7] = a_record(7, latency_us=1 << 70)
    records[8] = a_record(8, status=1 << 70)
    state.journalled(records)

    done = state.ingester().advance()

    assert (done.records, done.rejected) == (38, 2)
    assert [each["reason"] for each in state.rejected()] == ["unstorable"] * 2


@contextmanager
def locked(state: StateDirectory) -> Iterator[None]:
    """Hold what a writer needs."""
    if backend_of(state.url) == "sqlite":
        with closing(sqlite3.connect(state.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(state.url) as connection:
        connection.execute("LOCK TABLE request_labels IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def quick_store(state: StateDirectory) -> UsageStore:
    """Return a store that waits for nothing long."""
    if backend_of(state.url) == "sqlite":
        return SqliteStore(state.url)
    return PostgresStore(state.url, longest_s=0.5)


def test_a_locked_database_is_away_and_comes_back(state: StateDirectory) -> None:
    """Nothing is added while somebody holds it, and nothing is lost."""
    store = quick_store(state)
    with locked(state), pytest.raises(DatabaseAway):
        add(store, a_record(1))

    new = add(store, a_record(1))
    store.close()

    assert new == 1


def test_a_full_disk_keeps_records_in_the_journal(state: StateDirectory) -> None:
    """What does not fit is not set aside: it comes when there is room again."""
    state.journalled(
        a_record(number, client=f"client {number:099}") for number in range(4000)
    )
    with no_room(state) as (store, url, make_room):
        elsewhere = StateDirectory(state.path, url)
        ingester = Ingester(elsewhere.journal, store, block_bytes=1 << 16)
        with pytest.raises(DatabaseAway) as caught:
            advance_to_the_end(ingester)
        make_room()
        eventually_sync(lambda: _advanced(ingester), what="the end of the journal")

        assert "full" in caught.value.reason or "fault" in caught.value.reason
        assert len(elsewhere.request_ids()) == 4000
        assert elsewhere.rejected() == []


def advance_to_the_end(ingester: Ingester) -> None:
    """Ingest all that there is."""
    while ingester.advance().more:
        pass


def _advanced(ingester: Ingester) -> bool:
    try:
        return not ingester.advance().more
    except DatabaseAway:
        return False


class BoundedStore(SqliteStore):
    """One whose file cannot grow: SQLite says of that what it says of a full disk."""

    most_pages = 120

    def _connected(self) -> sqlite3.Connection:
        connection = super()._connected()
        connection.execute(f"PRAGMA max_page_count = {self.most_pages}")
        return connection

    def make_room(self) -> None:
        """Let it grow."""
        self.most_pages = 1 << 30


@contextmanager
def no_room(
    state: StateDirectory,
) -> Iterator[tuple[UsageStore, str, Callable[[], object]]]:
    """Yield the store and the URL of what cannot grow, and what lets it grow again."""
    if backend_of(state.url) == "sqlite":
        bounded = BoundedStore(state.url)
        yield bounded, state.url, bounded.make_room
        bounded.close()
        return
    with tempfile.TemporaryDirectory(prefix="postgres-") as directory:
        server = own_server(Path(directory), "--wal-segsize=1")
        url = server.new_database()
        create_or_check_schema(url)
        server.stop()
        server.start(largest_file=1 << 20)

        def make_room() -> None:
            server.stop()
            server.start()

        store = open_store(url)
        try:
            yield store, url, make_room
        finally:
            store.close()
            server.stop()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'usage_9999'", "usage_9999"),
        ("DELETE FROM alembic_version", "unknown"),
        ("DROP TABLE alembic_version", "another program"),
        ("DROP TABLE budget_events", "missing"),
        ("ALTER TABLE label_notes RENAME COLUMN reason TO reasons", "missing"),
    ],
)
def test_a_schema_of_another_version_is_refused(
    state: StateDirectory, statement: str, said: str
) -> None:
    """By who starts, by who writes and by who looks; nothing is changed."""
    change(state.url, statement)
    store = open_store(state.url)

    with pytest.raises(SchemaMismatch, match=said) as caught:
        create_or_check_schema(state.url)
    with pytest.raises(DatabaseAway, match=said):
        add(store, a_record(1))
    store.close()

    assert "run the version of the router that made it" in str(caught.value)
    assert condition(state.url) == "has another schema than this version's"
    assert state.count("request_measures") == 0


def test_a_schema_that_changes_under_a_writer_is_left_alone() -> None:
    """An upgrade while routers run: they wait, and find another schema than theirs."""
    postgres_or_skip()
    url = empty_database()
    create_or_check_schema(url)
    store = open_store(url)
    add(store, a_record(1))
    change(url, "UPDATE alembic_version SET version_num = 'usage_9999'")

    with pytest.raises(DatabaseAway, match="usage_9999"):
        add(store, a_record(2), end_offset=2)
    store.close()

    assert StateDirectory(Path(), url).count("request_measures") == 1


def test_somebody_elses_tables_are_left_alone() -> None:
    """A schema in which anything is already is none for the router."""
    postgres_or_skip()
    url = empty_database()
    change(url, "CREATE TABLE invoices (id int)")

    with pytest.raises(SchemaMismatch, match="schema of the router's own"):
        create_or_check_schema(url)


def test_routers_that_start_at_a_time_make_one_schema() -> None:
    """One of them does, and the others find it."""
    postgres_or_skip()
    url = empty_database()
    faults: list[BaseException] = []

    def start() -> None:
        try:
            create_or_check_schema(url)
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    routers = [threading.Thread(target=start) for _ in range(4)]
    for router in routers:
        router.start()
    for router in routers:
        router.join(PATIENCE_S)

    assert faults == []
    assert condition(url) == "ok"


def test_a_day_that_was_dropped_is_made_again_for_a_late_call() -> None:
    """Who writes need not know that somebody has dropped it."""
    postgres_or_skip()
    url = empty_database()
    create_or_check_schema(url)
    store = open_store(url)
    assert isinstance(store, PostgresStore)
    add(store, a_record(1))
    store._connected().execute(f"DROP TABLE {partition_of(NOON_MS // DAY_MS)}")

    new = add(store, a_record(2), end_offset=2)
    store.close()

    assert new == 1
    assert StateDirectory(Path(), url).request_ids() == [a_record(2).request_id]
