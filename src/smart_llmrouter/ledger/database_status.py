"""What there is to say of the usage database, and of the journal before it.

Nothing of it is a secret: of the URL no more is told than which kind it names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.stores.backends import bytes_on_disk, require_database, schema_of
from smart_llmrouter.stores.database_url import Backend, backend_of
from smart_llmrouter.stores.reading import Queries, connect_for_reading
from smart_llmrouter.stores.segments import segment_sizes
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION
from smart_llmrouter.stores.unusable import SchemaMismatch

_POSITIONS: Final = "SELECT segment, end_offset, decided_offset FROM journal_positions"


class DatabaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are bytes; times are milliseconds since 1970, UTC, `None` without calls.

    `positions` are those of all state directories that share the database;
    `unread_bytes` is what this one's journal holds beyond them. Where this version
    cannot use the database, `problem` says why and what to do, `revision` is `None` if
    it is another program's, and nothing is counted.
    """

    backend: Backend
    revision: str | None
    this_version_needs: str
    problem: str | None = None
    calls: int | None = None
    decisions: int | None = None
    oldest_ms: int | None = None
    newest_ms: int | None = None
    bytes_on_disk: int
    bytes_a_call: int | None = None
    positions: int | None = None
    journal_segments: int
    unread_bytes: int | None = None


def database_status(url: str, state_directory: Path) -> DatabaseStatus:
    """Look at the database. Raises `DatabaseAway` or `DatabaseUnusable`."""
    sizes = segment_sizes(state_directory / "journal")
    size = bytes_on_disk(url)
    try:
        require_database(url)
    except SchemaMismatch as mismatch:
        return DatabaseStatus(
            backend=backend_of(url),
            revision=schema_of(url),
            this_version_needs=HEAD_REVISION,
            problem=str(mismatch),
            bytes_on_disk=size,
            journal_segments=len(sizes),
        )
    with connect_for_reading(url) as reading:
        reading.begin()
        calls, oldest_ms, newest_ms = _one(
            reading, "SELECT count(*), min(ts_ms), max(ts_ms) FROM request_measures"
        )
        (decisions,) = _one(reading, "SELECT count(*) FROM request_decisions")
        (revision,) = _one(reading, "SELECT min(version_num) FROM alembic_version")
        ends = {
            segment: min(end, decided)
            for segment, end, decided in reading.execute(_POSITIONS)
        }
    return DatabaseStatus(
        backend=backend_of(url),
        revision=revision,
        this_version_needs=HEAD_REVISION,
        calls=calls,
        decisions=decisions,
        oldest_ms=oldest_ms,
        newest_ms=newest_ms,
        bytes_on_disk=size,
        bytes_a_call=size // calls if calls else None,
        positions=len(ends),
        journal_segments=len(sizes),
        unread_bytes=sum(
            max(0, size - ends.get(name, 0)) for name, size in sizes.items()
        ),
    )


def _one(reading: Queries, query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = reading.execute(query).fetchone()
    return found


def status_lines(status: DatabaseStatus) -> Iterator[tuple[str, str]]:
    """Yield what a person reads: a name, and what is said."""
    yield "database", status.backend
    yield "schema", status.revision or "of another program"
    if status.problem is None:
        yield "calls", f"{status.calls:,}"
        yield "decisions", f"{status.decisions:,}"
        yield "oldest call", _moment(status.oldest_ms)
        yield "newest call", _moment(status.newest_ms)
    yield "on disk", f"{status.bytes_on_disk:,} bytes"
    if status.bytes_a_call is not None:
        yield "", f"{status.bytes_a_call:,} bytes a call, all tables together"
    if status.problem is None:
        yield "journal positions", f"{status.positions:,}"
    yield "journal segments", f"{status.journal_segments:,}"
    if status.problem is None:
        yield "journal, unread", f"{status.unread_bytes:,} bytes"


def _moment(at_ms: int | None) -> str:
    return "none" if at_ms is None else utc_text(at_ms)
