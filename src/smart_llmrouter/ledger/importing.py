"""Journals of another machine into this database: exactly once, however often.

A call's moment and id are its key, so that a line that comes twice changes nothing:
an import that was cut off is simply begun again. The files that are read stay as they
are; the journal of this machine and the positions in it are not touched.

Of an hour whose rows retention has removed nobody knows any more which calls were in
it: its sums are kept, and a line of such an hour is left out rather than counted twice.
"""

import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from smart_llmrouter.ledger.ingester import NOTHING, Ingester, Progress
from smart_llmrouter.ledger.periods import period_at
from smart_llmrouter.stores.event_rows import EventRow
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.segments import list_segments
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    Decided,
    Labels,
    Measures,
    UsageStore,
)

_REJECTED: Final = "rejected.jsonl"
_HEAD_BYTES: Final = 1 << 16
_OF_OBJECT, _OF_HEAD = b'"notes_count":', b"notes_count"
"""What the first line of an export has, of JSON lines and of CSV; no record has it."""
_TRIES: Final = 50
_AGAIN_S: Final = 0.2
_TS_MS: Final = 1
"""Where in a call's measures it stands when the call began."""
_REMOVED: Final = (
    "SELECT start_ms FROM usage_rollup_periods WHERE period = 'hour' AND source_gone"
)


class NothingToImport(Exception):
    """Where an import was to come from there is no journal, or something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import came to. `unfinished` files are still being written.

    `removed` are lines of hours whose rows retention has removed. Of the lines that
    were `rejected`, `torn` are those that a router was killed while it wrote them.
    """

    files: int
    records: int
    duplicates: int
    removed: int
    rejected: int
    torn: int
    unfinished: int


def journal_files(given: Sequence[Path]) -> list[Path]:
    """Return the files of journals: those that are named, and those in directories.

    Of a state directory its journal is meant. Raise `NothingToImport` where there is
    nothing of the kind, or an export, and `OSError` where a file cannot be read.
    """
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            _refuse_export(path)
            found.append(path)
            continue
        inside = next(
            (each for each in (path, path / "journal") if list_segments(each)), None
        )
        if inside is None:
            raise NothingToImport(
                f"{path} holds no journal: neither it nor its `journal` has a file "
                f"with a name such as {_segment(1)}; files of other names are to be "
                "given one by one"
            )
        found += [inside / name for name in list_segments(inside)]
    return list(dict.fromkeys(each.resolve() for each in found))


def _refuse_export(path: Path) -> None:
    """Raise `NothingToImport` where a file is what `usage export` writes.

    Of a call it has less than a journal has, and would take its place for good.
    """
    with path.open("rb") as file:
        first = file.readline(_HEAD_BYTES)
    if _OF_OBJECT in first if first[:1] == b"{" else _OF_HEAD in first.split(b","):
        raise NothingToImport(
            f"{path} is an export, not a journal: give the state directory of the "
            "machine that it is from, or the files of its journal; nothing was imported"
        )


def removed_hours(reading: Queries) -> frozenset[int]:
    """Return when each hour begins of which rows were removed, as of now."""
    return frozenset(int(start_ms) for (start_ms,) in reading.execute(_REMOVED))


def import_journals(
    files: Sequence[Path],
    *,
    store: UsageStore,
    removed: Callable[[], Collection[int]],
    state_directory: Path,
    sleep: Callable[[float], None],
    told: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Bring the records of files into the database; `told` hears how many bytes are.

    `removed` is asked again and again for the hours whose rows are gone.
    Lines that are no records are set aside in the journal's `rejected.jsonl`, with the
    file that they are from. Raises `DatabaseAway` where the database stays away.
    """
    with _staged(files, state_directory) as directory:
        apart = _SegmentsApart(store, removed)
        ingester = Ingester(directory, apart)
        done = NOTHING
        while True:
            step = _patiently(ingester.advance, sleep)
            done += step
            told(apart.read_bytes)
            if not step.more:
                break
        unfinished = len(list_segments(directory))
        torn = _set_aside(directory, files, state_directory / "journal")
    return Imported(
        files=len(files),
        records=done.records,
        duplicates=done.duplicates - apart.left_out,
        removed=apart.left_out,
        rejected=done.rejected,
        torn=torn,
        unfinished=unfinished,
    )


def _patiently(
    advance: Callable[[], Progress], sleep: Callable[[float], None]
) -> Progress:
    """Take one step, also where somebody else is writing to the database."""
    for _ in range(_TRIES):
        try:
            return advance()
        except DatabaseAway:
            sleep(_AGAIN_S)
    return advance()


@contextmanager
def _staged(files: Sequence[Path], state_directory: Path) -> Iterator[Path]:
    """Lend a directory in which links to the files stand, under names of segments.

    The ingester deletes what it has read, which here are links.
    """
    with tempfile.TemporaryDirectory(prefix="import-", dir=state_directory) as name:
        directory = Path(name)
        for index, path in enumerate(files):
            (directory / _segment(index)).symlink_to(path)
        yield directory


def _segment(index: int) -> str:
    return f"{index:015d}-import-000001.jsonl"


def _set_aside(directory: Path, files: Sequence[Path], journal: Path) -> int:
    """Append what was rejected to the journal's own file, with where it is from.

    Return how many of it are only the torn end of a file.
    """
    found = directory / _REJECTED
    if not found.exists():
        return 0
    names = {_segment(index): str(path) for index, path in enumerate(files)}
    lines, torn = [], 0
    for line in found.read_bytes().splitlines():
        entry: dict[str, Any] = json.loads(line)
        entry["segment"] = names.get(entry["segment"], entry["segment"])
        torn += entry["reason"] == "torn"
        lines.append(msgspec.json.encode(entry) + b"\n")
    journal.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    with os.fdopen(os.open(journal / _REJECTED, flags, 0o600), "ab") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    return torn


@dataclass
class _SegmentsApart:
    """A store that keeps the positions of an import apart from all others.

    They are forgotten when it ends: what is in the database is known by its keys.
    `left_out` are the lines of hours whose rows are gone.
    """

    store: UsageStore
    removed: Callable[[], Collection[int]]
    left_out: int = 0
    _ends: dict[str, int] = field(default_factory=dict)

    @property
    def read_bytes(self) -> int:
        """Return up to where all files have been read, together."""
        return sum(self._ends.values())

    def positions(self) -> dict[str, int]:
        return dict(self._ends)

    def decided(self) -> dict[str, int]:
        return {}

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
        gone = self.removed()
        kept = [
            each
            for each in zip(measures, labels, strict=True)
            if _hour_of(each[0]) not in gone
        ]
        new = self.store.add(
            [each for each, _ in kept],
            [each for _, each in kept],
            segment=self._apart(segment),
            end_offset=end_offset,
            decided_offset=decided_offset,
            events=events,
        )
        self._ends[segment] = end_offset
        self.left_out += len(measures) - len(kept)
        return new

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        self.store.add_decisions(
            decided, segment=self._apart(segment), decided_offset=decided_offset
        )

    def settle(self, segment: str) -> None:
        self.store.settle(self._apart(segment))

    def forget(self, segments: Sequence[str]) -> None:
        self.store.forget([self._apart(segment) for segment in segments])

    def close(self) -> None:
        self.store.close()

    def _apart(self, segment: str) -> str:
        return f"{segment}.{os.getpid()}"


def _hour_of(measures: Measures) -> int:
    ts_ms = measures[_TS_MS]
    assert isinstance(ts_ms, int)  # noqa: S101 - for the types
    return period_at("hour", ts_ms).start_ms
