"""From the journal to the database, each record exactly once.

A batch of rows and the offset after its last line are committed in one transaction,
so a crash at any point leaves both or neither. A segment is deleted when its writer
is gone, all of it is committed, and that commit is on the disk. Where decisions stand
behind records, they come after all records: see `ledger.decisions_pass`.

Nothing here waits: `Ingester.advance` does what can be done now. When to call it
again is `ledger.ingester_loop`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from smart_llmrouter.ledger.courtesy import NO_COURTESY, Courtesy
from smart_llmrouter.ledger.decision_line import parted
from smart_llmrouter.ledger.decisions_pass import DecisionsPass, without_decisions
from smart_llmrouter.ledger.journal_events import Parted, is_event, part_events
from smart_llmrouter.ledger.record import (
    check_labels,
    decode_record,
    split_lines,
    split_record,
)
from smart_llmrouter.ledger.rejected import RejectedLine, RejectedLines
from smart_llmrouter.stores.event_rows import EventRow
from smart_llmrouter.stores.segments import (
    Block,
    SegmentFile,
    list_segments,
    open_segment,
)
from smart_llmrouter.stores.usage_store import (
    Labels,
    Measures,
    UnstorableRows,
    UsageStore,
)

BLOCK_BYTES: Final = 1 << 20
"""About three thousand records: enough to share a commit, few enough to hold."""

_BLOCKS_AT_ONCE: Final = 64
_PIECE: Final = 32
"""How many lines are read between two moments in which others may have the core."""

_MOST_LABELS: Final = 8192
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Progress:
    """What one call of `advance` did. `more` says that there is more to do at once.

    Of `events` some may have been there already.
    """

    records: int = 0
    duplicates: int = 0
    rejected: int = 0
    more: bool = False
    events: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        """Add up two steps."""
        return Progress(
            self.records + other.records,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.more or other.more,
            self.events + other.events,
        )


NOTHING: Final = Progress()


@dataclass(slots=True)
class _Batch:
    """Lines that are records, what they say, and the lines that are none."""

    lines: list[bytes] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    events: Sequence[EventRow] = ()

    def add(self, line: bytes, measures: Measures, labels: Labels) -> None:
        """Take one more record."""
        self.lines.append(line)
        self.measures.append(measures)
        self.labels.append(labels)


class Ingester:
    """Move what one journal directory holds into one database.

    There must be only one at a time for a directory: `ledger.ingester_loop` takes the
    lock that sees to it.
    """

    def __init__(
        self,
        journal: Path,
        store: UsageStore,
        *,
        block_bytes: int = BLOCK_BYTES,
        courtesy: Courtesy = NO_COURTESY,
    ) -> None:
        """Say from where to where; nothing is opened yet.

        Where there is less than a block to do, `courtesy` is shown between its lines;
        the store may share it.
        """
        self._journal = journal
        self._store = store
        self._block_bytes = block_bytes
        self._courtesy = courtesy
        self._rejected = RejectedLines(journal / "rejected.jsonl")
        self._decisions = DecisionsPass(
            store, self._rejected, block_bytes=block_bytes, courtesy=courtesy
        )
        self._positions: dict[str, int] | None = None
        self._decided: dict[str, int] = {}
        self._read_labels: set[Labels] = set()

    @property
    def positions(self) -> dict[str, int]:
        """Return up to where each segment is in the database, as far as is known.

        With all that stands behind its records.
        """
        return {
            name: min(end, self._decided.get(name, end))
            for name, end in (self._positions or {}).items()
        }

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
                return done
        return done + self._advance_decisions(self._positions)

    def _advance_decisions(self, positions: dict[str, int]) -> Progress:
        """Ingest about one block of decisions, where there are any behind records.

        Records that come meanwhile go before the next block.
        """
        rejected, ended, left = 0, False, self._block_bytes
        for name, end in positions.items():
            start = self._decided.get(name, end)
            if start >= end:
                continue
            if left <= 0:
                return Progress(rejected=rejected, more=True)
            try:
                with open_segment(self._journal, name) as segment:
                    passed = self._decisions.advance(segment, start, end)
                    ended = ended or segment.is_final()
            except FileNotFoundError:
                del self._decided[name]
                continue
            self._decided[name] = passed.end
            rejected += passed.rejected
            left -= passed.end - start
        behind = any(self._is_behind(name, positions) for name in positions)
        return Progress(rejected=rejected, more=behind or ended)

    def _known_positions(self, names: list[str]) -> dict[str, int]:
        positions, self._decided = self._store.positions(), self._store.decided()
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
            behind = block.end - offset > self._block_bytes // 2
            self._courtesy.begin(hurried=behind)
            done += self._commit(segment.name, offset, block)
            positions[segment.name] = block.end
            if not (behind or final):
                # What came meanwhile may gather: a commit costs as much as many rows.
                break
        else:
            return done + Progress(more=True)
        if final and not self._is_behind(segment.name, positions):
            return done + self._finish(segment, positions)
        return done

    def _is_behind(self, name: str, positions: dict[str, int]) -> bool:
        """Say whether decisions of a segment are still to come."""
        end = positions.get(name, 0)
        return self._decided.get(name, end) < end

    def _commit(self, name: str, offset: int, block: Block) -> Progress:
        told = Parted(block.lines) if block.oversized else part_events(block.lines)
        records = without_decisions(told.others)
        if records is told.others and self._decided.get(name, offset) == offset:
            self._decided[name] = block.end
        else:
            self._decided.setdefault(name, offset)
        batch = self._batch_of(name, offset, block, records=records)
        batch.events = told.events
        batch.rejected += [
            RejectedLine(name, offset + before, "not an event", line)
            for before, line in told.poison
        ]
        self._rejected.add(batch.rejected)
        try:
            new = self._add(batch, name, block.end)
        except UnstorableRows as unstorable:
            batch, misfits = _without(batch, unstorable, segment=name, offset=offset)
            self._rejected.add(misfits)
            new = self._add(batch, name, block.end)
        return Progress(
            records=new,
            duplicates=len(batch.lines) - new,
            rejected=len(batch.rejected),
            events=len(batch.events),
        )

    def _add(self, batch: _Batch, segment: str, end_offset: int) -> int:
        return self._store.add(
            batch.measures,
            batch.labels,
            segment=segment,
            end_offset=end_offset,
            decided_offset=self._decided[segment],
            events=batch.events,
        )

    def _batch_of(
        self, name: str, offset: int, block: Block, *, records: list[bytes]
    ) -> _Batch:
        if block.oversized:
            giant = RejectedLine(name, offset, "oversized", block.lines[0])
            return _Batch([], [], [], [giant])
        try:
            measures, labels = self._split(records)
            self._check(set(labels))
        except _UNREADABLE:
            return _sorted_out(block.lines, segment=name, offset=offset)
        return _Batch(records, measures, labels, [])

    def _split(self, lines: list[bytes]) -> tuple[list[Measures], list[Labels]]:
        measures: list[Measures] = []
        labels: list[Labels] = []
        for at in range(0, len(lines), _PIECE):
            more_measures, more_labels = split_lines(lines[at : at + _PIECE])
            measures += more_measures
            labels += more_labels
            self._courtesy.show()
        return measures, labels

    def _check(self, labels: set[Labels]) -> None:
        """Read those labels that were not read before."""
        for each in labels - self._read_labels:
            check_labels(each)
        if len(self._read_labels) > _MOST_LABELS:
            self._read_labels.clear()
        self._read_labels |= labels

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
        self._decided.pop(segment.name, None)
        return Progress(rejected=1 if torn else 0)


def _without(
    batch: _Batch, unstorable: UnstorableRows, *, segment: str, offset: int
) -> tuple[_Batch, list[RejectedLine]]:
    kept, misfits = _Batch(events=batch.events), []
    for at, row in enumerate(
        zip(batch.lines, batch.measures, batch.labels, strict=True)
    ):
        if at in unstorable.indexes:
            misfits.append(RejectedLine(segment, offset, "unstorable", row[0]))
        else:
            kept.add(*row)
    kept.rejected.extend([*batch.rejected, *misfits])
    return kept, misfits


def _sorted_out(lines: list[bytes], *, segment: str, offset: int) -> _Batch:
    """Read line by line, and tell those that are records from the others."""
    batch = _Batch()
    for line in lines:
        try:
            record, _ = parted(line)
            if not is_event(record):
                batch.add(record, *split_record(decode_record(record)))
        except msgspec.ValidationError:
            batch.rejected.append(
                RejectedLine(segment, offset, "not a usage record", line)
            )
        except _UNREADABLE:
            if line:
                batch.rejected.append(RejectedLine(segment, offset, "not JSON", line))
        offset += len(line) + 1
    return batch
