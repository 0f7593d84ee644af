"""A state directory for tests: records, a journal, an ingester, a database."""

import itertools
import json
import subprocess
import sys
import uuid
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.core.notes import Note
from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.ingester_loop import INGESTER_ARGUMENTS, settings_line
from smart_llmrouter.ledger.record import UsageRecord, encode_record, split_record
from smart_llmrouter.stores.backends import create_or_check_schema
from smart_llmrouter.stores.journal import JournalWriter
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.sqlite import sqlite_url
from smart_llmrouter.stores.usage_store import UsageStore, open_store

_FOR_EVER = Retention()
NOON_MS = 1_790_000_000_000


def a_record(number: int, **fields: object) -> UsageRecord:
    """Return an ordinary record; `fields` replaces what a test is about."""
    usual: dict[str, object] = {
        "request_id": f"req_{number:032x}",
        "ts_ms": NOON_MS + number,
        "caller_id": "alice-search-dev",
        "caller_user": "alice",
        "caller_project": "search",
        "caller_environment": "dev",
        "token_id": "rtr_alice_search_dev_k1",
        "client": "openai-python",
        "inbound_dialect": "openai-chat",
        "status": 200,
        "attempts": 1,
        "latency_us": 1000 + number,
        "config_fingerprint": "c0ffee",
        "router_version": "0.1.0",
    }
    return UsageRecord(**(usual | fields))  # type: ignore[arg-type]  # checked by msgspec


def various_record(number: int) -> UsageRecord:
    """Return a record of one of the kinds that are written down differently."""
    kinds: tuple[dict[str, object], ...] = (
        {},
        {"cache_write_5m_tokens": number, "cache_write_1h_tokens": 0},
        {"lane": "translate", "notes": (Note("dropped", "seed", "no such field"),)},
        {"usage_estimated": True, "cache_write_cost_nusd": number},
        {"charged_tokens": number, "charged_cost_nusd": 0, "queued_us": 3},
        {"refused_by": "caller:rpm"},
    )
    return a_record(number, **kinds[number % len(kinds)])


def kept_of(record: UsageRecord) -> tuple[object, ...]:
    """Return what `StateDirectory.kept` has of a record."""
    return (
        record.request_id,
        record.cache_write_5m_tokens,
        record.cache_write_cost_nusd,
        record.charged_tokens,
        record.queued_us,
        record.refused_by,
        int(record.usage_estimated),
        len(record.notes),
    )


@dataclass(frozen=True)
class StateDirectory:
    """One router's state, and what a test does with it."""

    path: Path
    server_url: str = ""
    """Where the database is, if it is no file of SQLite."""

    @property
    def journal(self) -> Path:
        """Return where the segments are."""
        return self.path / "journal"

    @property
    def database(self) -> Path:
        """Return where the database is."""
        return self.path / "usage.sqlite"

    @property
    def url(self) -> str:
        """Return the database's URL."""
        return self.server_url or sqlite_url(self.database)

    def writer(self, *, segment_bytes: int = 1 << 20) -> JournalWriter:
        """Open a journal writer, as one router process would."""
        seconds = itertools.count(1)
        return JournalWriter(
            self.journal,
            writer_id=uuid.uuid4().hex,
            now=lambda: float(next(seconds)),
            segment_bytes=segment_bytes,
        )

    def journalled(self, records: Iterable[UsageRecord]) -> None:
        """Write records as a router that has ended since."""
        writer = self.writer()
        for record in records:
            writer.append(encode_record(record))
        writer.close()

    def ingester(self, *, block_bytes: int = 1 << 16) -> Ingester:
        """Return an ingester in this process."""
        store = open_store(self.url, journal=self.journal)
        ingester = Ingester(self.journal, store, block_bytes=block_bytes)
        weakref.finalize(ingester, store.close)
        return ingester

    def ingester_process(
        self,
        *,
        cpus: Iterable[int] = (),
        retention: Retention = _FOR_EVER,
    ) -> subprocess.Popen[bytes]:
        """Start the ingester as the router does."""
        process = subprocess.Popen(
            [sys.executable, *INGESTER_ARGUMENTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(
            settings_line(self.path, self.url, cpus=cpus, retention=retention)
        )
        process.stdin.flush()
        return process

    def rows(self, columns: str = "request_id") -> list[tuple[object, ...]]:
        """Return those columns of all rows, in the order of the first."""
        return self.ask(f"SELECT {columns} FROM request_usage ORDER BY 1")  # noqa: S608 - of our own words; values are bound

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with connect_for_reading(self.url) as reading:
            return reading.execute(query).fetchall()

    def request_ids(self) -> list[str]:
        """Return the ids of all rows, in order."""
        return [str(row[0]) for row in self.rows()]

    def kept(self) -> list[tuple[object, ...]]:
        """Return of all rows what is written down in different ways, in order."""
        return self.rows(
            "request_id, cache_write_5m_tokens, cache_write_cost_nusd, "
            "charged_tokens, queued_us, refused_by, "
            "usage_estimated, notes_count"
        )

    def count(self, table: str) -> int:
        """Return how many rows a table or view has."""
        [[found]] = self.ask(f"SELECT count(*) FROM {table}")  # noqa: S608 - no input
        assert isinstance(found, int)
        return found

    def select(self, columns: str, table: str) -> list[tuple[object, ...]]:
        """Return those columns of all rows of a table or view."""
        return self.ask(f"SELECT {columns} FROM {table}")  # noqa: S608 - no input

    def decided_ids(self) -> list[str]:
        """Return the ids of all calls whose decision is kept, in order."""
        query = "SELECT request_id FROM request_routing_decisions ORDER BY 1"
        return [str(request_id) for (request_id,) in self.ask(query)]

    def segments(self) -> list[str]:
        """Return the names of the journal's segments."""
        return sorted(path.name for path in self.journal.glob("0*.jsonl"))

    def rejected(self) -> list[dict[str, object]]:
        """Return what was set aside."""
        path = self.journal / "rejected.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]


def add(
    store: UsageStore, *records: UsageRecord, segment: str = "s", end_offset: int = 1
) -> int:
    """Add records as the ingester does."""
    rows = [split_record(record) for record in records]
    return store.add(
        [measures for measures, _ in rows],
        [labels for _, labels in rows],
        segment=segment,
        end_offset=end_offset,
    )


def state_in(directory: Path, server_url: str = "") -> StateDirectory:
    """Return a state directory with an empty database."""
    state = StateDirectory(directory / "the state", server_url)
    create_or_check_schema(state.url)
    return state
