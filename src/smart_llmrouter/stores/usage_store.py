"""The port through which rows get into the usage database, whichever kind it is.

`open_store` gives the writer of a URL. All promise the same: rows and journal positions
are written together or not at all, and each row exactly once.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.stores.event_rows import EventRow

Measures = tuple[object, ...]
"""A row of `request_measures`, in the order of `request_usage`, but for its labels.

Where nothing is rare about a call, the last nine columns are left out.
"""

Labels = bytes
"""A row of `request_labels`: JSON values in the table's order, and a `]` at the end.

Equal labels are equal byte by byte. Of the last nine columns those may be missing that
are as usual; instead of how many notes there are stand the notes.
"""

Decided = tuple[str, int, KeptDecision]
"""A call's id, when it began, and how it was decided."""

_LABELS: Final = 31
_NOTES_AT: Final = 24
_NO_NOTES: Final[list[dict[str, str]]] = []
_USUAL_ENDS: Final = (
    "relay",
    False,
    _NO_NOTES,
    *(False, None, None, None),
    *(None, None),
)


class DatabaseAway(Exception):
    """The database cannot be used now; the same call may succeed later.

    `reason` is a short kind, such as `database is locked`, never a value or a URL. `at`
    is the file, where it is one and that is known.
    """

    def __init__(self, reason: str, *, at: Path | None = None) -> None:
        """Keep the reason, and the file."""
        super().__init__(reason)
        self.reason = reason
        self.at = at


class UnstorableRows(Exception):
    """Some rows of a batch fit into no table; `indexes` says which."""

    def __init__(self, indexes: frozenset[int]) -> None:
        """Keep where in the batch they were."""
        super().__init__(f"{len(indexes)} rows cannot be stored")
        self.indexes = indexes


class UsageStore(Protocol):
    """Adds usage rows exactly once; not safe in several threads at a time.

    It opens its connection when it first needs it, and again after a failure. Each
    method raises `DatabaseAway` where the database cannot be used now.
    """

    def positions(self) -> dict[str, int]:
        """Return the offset up to which each of our segments is in the database."""

    def decided(self) -> dict[str, int]:
        """Return the offset up to which decisions are, too, of each of them."""

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
        """Commit rows and how far their segment has been read, in one transaction.

        Of each row its measures and, at the same place of the other sequence, its
        labels. Return how many rows are new: one that is already there changes
        nothing, nor does an event that is. `decided_offset` is up to where decisions
        are stored, too; everywhere by default. Raise `UnstorableRows` where a value
        fits into no column (a number beyond 64 bits): then nothing at all was
        committed. Events are such that they always fit.
        """

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        """Commit decisions and how far those of their segment have been read.

        Those of calls that are not in the database are left out. Raises as `add` does.
        """

    def settle(self, segment: str) -> None:
        """Make all that was added survive a loss of power, up to `segment` at least."""

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that are no more."""

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""


def open_store(
    url: str,
    *,
    journal: Path | None = None,
    between: Callable[[], object] = lambda: None,
) -> UsageStore:
    """Return the writer of the database at `url`, which is opened when it is needed.

    Of a database that several state directories share it knows the positions of the
    one with this `journal` alone. While rows are added, `between` is called after every
    few of them. Raises
    `UnsupportedDatabase` for other URLs than those of our kinds of databases.
    """
    # One process writes to one kind of database, and loads the driver of no other.
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores.postgres_store import (  # noqa: PLC0415
            PostgresStore,
        )

        return PostgresStore(url, journal=journal, between=between)
    from smart_llmrouter.stores.sqlite_store import SqliteStore  # noqa: PLC0415

    return SqliteStore(url, between=between)


def labels_digest(labels: Labels) -> str:
    """Return the key under which labels are found."""
    return hashlib.blake2b(labels, digest_size=16).hexdigest()


class LabelRow(NamedTuple):
    """What labels become: a row of `request_labels` but for its id, and the notes."""

    values: tuple[object, ...]
    notes: list[tuple[int, str, str, str]]


def label_row(labels: Labels) -> LabelRow:
    """Read labels; each note has its place, its field, what happened to it, and why.

    A NUL, which a caller may put into the name of a model, becomes U+FFFD: PostgreSQL
    has none, and both kinds of databases shall hold the same.
    """
    values: list[Any] = msgspec.json.decode(b"[" + labels)
    if b"\\u0000" in labels:
        values = [
            each.replace("\0", "\ufffd") if isinstance(each, str) else each
            for each in values
        ]
    values += _USUAL_ENDS[len(values) - _LABELS :] if len(values) < _LABELS else ()
    notes = values[_NOTES_AT]
    values[_NOTES_AT] = len(notes)
    return LabelRow(
        (labels_digest(labels), *values),
        [
            (seq, note["field"], note["action"], note["reason"])
            for seq, note in enumerate(notes)
        ],
    )
