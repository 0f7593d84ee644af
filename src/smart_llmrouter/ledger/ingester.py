"""From the journal to the database, each record exactly once.

A batch of rows and the offset after its last line are committed in one transaction,
so a crash at any point leaves both or neither. A segment is deleted when its writer
is gone, all of it is committed, and that commit is on the disk.

Nothing here waits: `Ingester.advance` does what can be done now. When to call it
again is `ledger.ingester_loop`'s business.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from smart_llmrouter.ledger.record import UsageRecord, decode_record
from smart_llmrouter.ledger.rejected import RejectedLine, RejectedLines
from smart_llmrouter.stores.segments import (
    Block,
    SegmentFile,
    list_segments,
    open_segment,
)
from smart_llmrouter.stores.usage_store import Row, UnstorableRows, UsageStore

BLOCK_BYTES: Final = 1 << 20
"""About a thousand records: large enough to share a commit, small enough to hold."""

_BLOCKS_AT_ONCE: Final = 64
_row_of: Final[Callable[[UsageRecord], Row]] = msgspec.structs.astuple
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Progress:
    """What one call of `advance` did. `more` says that there is more to do at once."""

    records: int = 0
    duplicates: int = 0
    rejected: int = 0
    more: bool = False

    def __add__(self, other: "Progress") -> "Progress":
        """Add up two steps."""
        return Progress(
            self.records + other.records,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.more or other.more,
        )


class Ingester:
    """Move what one journal directory holds into one database.

    There must be only one at a time for a directory: `ledger.ingester_loop` takes the
    lock that sees to it.
    """

    def __init__(
        self, journal: Path, store: UsageStore, *, block_bytes: int = BLOCK_BYTES
    ) -> None:
        """Say from where to where; nothing is opened yet."""
        self._journal = journal
        self._store = store
        self._block_bytes = block_bytes
        self._rejected = RejectedLines(journal / "rejected.jsonl")
        self._positions: dict[str, int] | None = None

    def advance(self) -> Progress:
        """Ingest what is there now, within bounds, and delete what is finished.

        Raise `DatabaseAway` where the database cannot be used; all that was committed
        before is kept, and the next call goes on from there.
        """
        try:
            return self._advance()
        except BaseException:
            # Whether the last commit happened is for the database to say.
            self._positions = None
            raise

    def _advance(self) -> Progress:
        names = list_segments(self._journal)
        if self._positions is None:
            self._positions = self._known_positions(names)
        done = Progress()
        for name in names:
            try:
                with open_segment(self._journal, name) as segment:
                    done += self._advance_segment(segment, self._positions)
            except FileNotFoundError:
                continue
            if done.more:
                break
        return done

    def _known_positions(self, names: list[str]) -> dict[str, int]:
        positions = self._store.positions()
        vanished = positions.keys() - set(names)
        self._store.forget(sorted(vanished))
        return {name: end for name, end in positions.items() if name not in vanished}

    def _advance_segment(
        self, segment: SegmentFile, positions: dict[str, int]
    ) -> Progress:
        final = segment.is_final()
        done = Progress()
        for _ in range(_BLOCKS_AT_ONCE):
            offset = positions.get(segment.name, 0)
            block = segment.complete_lines(offset, at_most=self._block_bytes)
            if not block.lines:
                break
            done += self._commit(segment.name, offset, block)
            positions[segment.name] = block.end
        else:
            return done + Progress(more=True)
        return done + self._finish(segment, positions) if final else done

    def _commit(self, name: str, offset: int, block: Block) -> Progress:
        rows, bad = _rows_of(block, segment=name, offset=offset)
        self._rejected.add(bad)
        try:
            new = self._store.add(rows, segment=name, end_offset=block.end)
        except UnstorableRows as unstorable:
            rows, misfits = _without(rows, unstorable, segment=name, offset=offset)
            self._rejected.add(misfits)
            bad += misfits
            new = self._store.add(rows, segment=name, end_offset=block.end)
        return Progress(records=new, duplicates=len(rows) - new, rejected=len(bad))

    def _finish(self, segment: SegmentFile, positions: dict[str, int]) -> Progress:
        """Set a dead writer's torn line aside, and delete the segment."""
        end = positions.get(segment.name, 0)
        torn = segment.tail(end)
        if torn:
            self._rejected.add([RejectedLine(segment.name, end, "torn", torn)])
        if end:
            self._store.settle(segment.name)
        segment.delete()
        self._store.forget([segment.name])
        positions.pop(segment.name, None)
        return Progress(rejected=1 if torn else 0)


def _rows_of(
    block: Block, *, segment: str, offset: int
) -> tuple[list[Row], list[RejectedLine]]:
    if block.oversized:
        return [], [RejectedLine(segment, offset, "oversized", block.lines[0])]
    try:
        return [_row_of(decode_record(line)) for line in block.lines], []
    except _UNREADABLE:
        return _sorted_out(block.lines, segment=segment, offset=offset)


def _without(
    rows: list[Row], unstorable: UnstorableRows, *, segment: str, offset: int
) -> tuple[list[Row], list[RejectedLine]]:
    kept = [row for at, row in enumerate(rows) if at not in unstorable.indexes]
    misfits = [
        RejectedLine(segment, offset, "unstorable", msgspec.json.encode(row))
        for at, row in enumerate(rows)
        if at in unstorable.indexes
    ]
    return kept, misfits


def _sorted_out(
    lines: Iterable[bytes], *, segment: str, offset: int
) -> tuple[list[Row], list[RejectedLine]]:
    rows, bad = [], []
    for line in lines:
        try:
            rows.append(_row_of(decode_record(line)))
        except msgspec.ValidationError:
            bad.append(RejectedLine(segment, offset, "not a usage record", line))
        except _UNREADABLE:
            if line:
                bad.append(RejectedLine(segment, offset, "not JSON", line))
        offset += len(line) + 1
    return rows, bad
