"""Before rows are read: wait until what the journal holds can be counted.

Where an ingester runs, its positions tell when it got there. Where none does, the
leftovers are ingested here, under the same lock.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.stores.reading import Reading, connect_for_reading
from smart_llmrouter.stores.segments import line_ends
from smart_llmrouter.stores.usage_store import DatabaseAway, open_store

LONGEST_WAIT_S: Final = 5.0
_POLL_S: Final = 0.05
_RECORDS: Final = "SELECT segment, end_offset FROM journal_positions"
_DECISIONS: Final = "SELECT segment, decided_offset FROM journal_positions"


def catch_up(
    state_directory: Path,
    database_url: str,
    *,
    sleep: Callable[[float], None],
    monotonic: Monotonic,
    decided: bool = False,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> int:
    """Return how many bytes of what the journal holds now are not in the database.

    That is 0 unless the wait ran out. Decisions come after records: with `decided` they
    are waited for, too.
    """
    journal = state_directory / "journal"
    wanted = line_ends(journal)
    deadline_s = monotonic() + longest_wait_s
    query = _DECISIONS if decided else _RECORDS
    while unread := _unread_bytes(journal, wanted, database_url, query=query):
        if monotonic() >= deadline_s:
            return unread
        if not _ingested_here(state_directory, database_url):
            sleep(_POLL_S)
    return 0


@contextmanager
def all_rows(
    state_directory: Path,
    database_url: str,
    *,
    sleep: Callable[[float], None],
    monotonic: Monotonic,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> Iterator[Reading]:
    """Open the database for reading when all that the journal holds now is there.

    What is read is one moment. However much there is to ingest, it is waited for;
    raises `DatabaseAway` where nothing has moved for `longest_wait_s`.
    """
    unread = None
    while left := catch_up(
        state_directory,
        database_url,
        sleep=sleep,
        monotonic=monotonic,
        longest_wait_s=longest_wait_s,
    ):
        if unread is not None and left >= unread:
            raise DatabaseAway(f"{left:,} bytes of the journal cannot be ingested")
        unread = left
    with connect_for_reading(database_url) as reading:
        reading.begin()
        yield reading


def _unread_bytes(
    journal: Path, wanted: dict[str, int], database_url: str, *, query: str
) -> int:
    if not wanted:
        return 0
    positions = _positions(database_url, query)
    return sum(
        max(0, size - positions.get(name, 0))
        for name, size in wanted.items()
        # A segment is deleted only when all of it is in the database.
        if (journal / name).exists()
    )


def _positions(database_url: str, query: str) -> dict[str, int]:
    try:
        with connect_for_reading(database_url) as reading:
            return {segment: int(end) for segment, end in reading.execute(query)}
    except DatabaseAway:
        return {}


def _ingested_here(state_directory: Path, database_url: str) -> bool:
    """Take one step of ingesting where nobody else does; say whether that worked."""
    if not os.access(state_directory, os.W_OK):
        return False
    with ingester_lock(state_directory) as acquired:
        if not acquired():
            return False
        journal = state_directory / "journal"
        store = open_store(database_url, journal=journal)
        try:
            done = Ingester(journal, store).advance()
        except (DatabaseAway, OSError):
            return False
        finally:
            store.close()
    return done.more or done.records > 0
