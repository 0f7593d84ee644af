"""Decisions from the journal to the database, behind the records that they belong to.

They are larger than records and cost more, so they come after them, up to an offset of
their own: however many decisions are kept, no record waits for one. Like records they
are committed together with their offset, each exactly once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from smart_llmrouter.ledger.courtesy import Courtesy
from smart_llmrouter.ledger.decision_line import TAB, decode_decision, parted
from smart_llmrouter.ledger.record import call_of
from smart_llmrouter.ledger.rejected import RejectedLine, RejectedLines
from smart_llmrouter.stores.segments import Block, SegmentFile
from smart_llmrouter.stores.usage_store import Decided, UnstorableRows, UsageStore

_PIECE: Final = 16
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Passed:
    """Up to where decisions are in the database now, and how many were set aside."""

    end: int
    rejected: int


class DecisionsPass:
    """Brings decisions to one database."""

    def __init__(
        self,
        store: UsageStore,
        rejected: RejectedLines,
        *,
        block_bytes: int,
        courtesy: Courtesy,
    ) -> None:
        """Write to `store`, and what is no decision to `rejected`."""
        self._store = store
        self._rejected = rejected
        self._block_bytes = block_bytes
        self._courtesy = courtesy

    def advance(self, segment: SegmentFile, start: int, end: int) -> Passed:
        """Ingest one block of what is between two offsets, whose records are stored."""
        at_most = min(self._block_bytes, end - start)
        block = segment.complete_lines(start, at_most=at_most)
        passed = min(block.end, end)
        self._courtesy.begin(hurried=False)
        decided: list[Decided] = []
        misfits: list[RejectedLine] = []
        for each in [] if block.oversized else self._read(block, segment.name, start):
            if isinstance(each, RejectedLine):
                misfits.append(each)
            else:
                decided.append(each)
        self._rejected.add(misfits)
        rejected = len(misfits) + self._add(decided, segment.name, start, end=passed)
        return Passed(passed, rejected)

    def _read(
        self, block: Block, segment: str, offset: int
    ) -> Iterator[Decided | RejectedLine]:
        """Yield the decisions of a block, and what stands there instead of one."""
        for at, line in enumerate(block.lines):
            record, tail = parted(line)
            if tail and (call := _call_of(record)) is not None:
                try:
                    yield (*call, decode_decision(tail))
                except _UNREADABLE:
                    yield RejectedLine(segment, offset, "no decision", tail)
            offset += len(line) + 1
            if at % _PIECE == 0:
                self._courtesy.show()

    def _add(
        self, decided: list[Decided], segment: str, offset: int, *, end: int
    ) -> int:
        """Commit decisions; return how many were set aside."""
        try:
            self._store.add_decisions(decided, segment=segment, decided_offset=end)
        except UnstorableRows as unstorable:
            misfits = [
                RejectedLine(segment, offset, "unstorable", msgspec.json.encode(kept))
                for at, (_, _, kept) in enumerate(decided)
                if at in unstorable.indexes
            ]
            self._rejected.add(misfits)
            fitting = [
                each for at, each in enumerate(decided) if at not in unstorable.indexes
            ]
            self._store.add_decisions(fitting, segment=segment, decided_offset=end)
            return len(misfits)
        return 0


def _call_of(record: bytes) -> tuple[str, int] | None:
    """Return a call's id and when it began; `None` where the line is no record."""
    try:
        return call_of(record)
    except _UNREADABLE:
        # It was set aside when records were read.
        return None


def without_decisions(lines: list[bytes]) -> list[bytes]:
    """Return the records of lines; the same list where there are no decisions."""
    with_decisions = [at for at, line in enumerate(lines) if TAB in line]
    if not with_decisions:
        return lines
    records = lines.copy()
    for at in with_decisions:
        records[at], _ = parted(lines[at])
    return records
