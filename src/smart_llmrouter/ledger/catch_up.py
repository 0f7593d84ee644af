"""Before a report: wait until what was journalled when it began can be counted.

Where an ingester runs, its positions tell when it got there. Where none does, the
leftovers are ingested here, under the same lock.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.stores.segments import segment_sizes
from smart_llmrouter.stores.tables import JOURNAL_POSITIONS
from smart_llmrouter.stores.usage_store import DatabaseAway, UsageStore

LONGEST_WAIT_S: Final = 5.0
_POLL_S: Final = 0.05
_POSITIONS: Final = JOURNAL_POSITIONS.c


def catch_up(
    state_directory: Path,
    database_url: str,
    *,
    reader: Engine,
    sleep: Callable[[float], None],
    monotonic: Monotonic,
    decided: bool = False,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> int:
    """Return how many bytes of what the journal holds now are not in the database.

    That is 0 unless the wait ran out. `reader` reads the database at `database_url`.
    Decisions come after records: with `decided` they are waited for, too.
    """
    journal = state_directory / "journal"
    wanted = segment_sizes(journal)
    deadline_s = monotonic() + longest_wait_s
    column = _POSITIONS.decided_offset if decided else _POSITIONS.end_offset
    while unread := _unread_bytes(journal, wanted, reader, column=column):
        if monotonic() >= deadline_s:
            return unread
        if not _ingested_here(state_directory, database_url):
            sleep(_POLL_S)
    return 0


def _unread_bytes(
    journal: Path, wanted: dict[str, int], reader: Engine, *, column: Column[int]
) -> int:
    if not wanted:
        return 0
    positions = _positions(reader, column)
    return sum(
        max(0, size - positions.get(name, 0))
        for name, size in wanted.items()
        # A segment is deleted only when all of it is in the database.
        if (journal / name).exists()
    )


def _positions(reader: Engine, column: Column[int]) -> dict[str, int]:
    try:
        with reader.connect() as connection:
            rows = connection.execute(select(_POSITIONS.segment, column))
            return {segment: int(end) for segment, end in rows}
    except SQLAlchemyError:
        return {}


def _ingested_here(state_directory: Path, database_url: str) -> bool:
    """Take one step of ingesting where nobody else does; say whether that worked."""
    if not os.access(state_directory, os.W_OK):
        return False
    with ingester_lock(state_directory) as acquired:
        if not acquired():
            return False
        store = UsageStore(database_url)
        try:
            done = Ingester(state_directory / "journal", store).advance()
        except (DatabaseAway, OSError):
            return False
        finally:
            store.close()
    return done.more or done.records > 0
