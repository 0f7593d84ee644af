"""Closing entries: one record a call, in the journal before its last byte leaves.

Where a call's decision is kept, it stands in the line of its record.

All calls that end in the same turn of the event loop share one `write`, and with
`journal_sync: always` one wait for the disk: what ends their answers is handed over
with their records, and leaves when these are written.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import JournalUnwritable, RouterError
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.engine.entry import Entry, Likeness
from smart_llmrouter.engine.tally import Series, Tally
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.journal_room import JournalRoom
from smart_llmrouter.ledger.record import caller_labels, join_line, other_labels
from smart_llmrouter.stores.journal import JournalHealth
from smart_llmrouter.stores.journal import JournalUnwritable as Unwritable

_MOST_KINDS: Final = 10_000
_USUAL_BOUNDS: Final = Diagnostics()

log = structlog.get_logger()


class Ending(Protocol):
    """What follows the record of a call."""

    @property
    def request_id(self) -> str:
        """Which call it ends."""

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """End the answer: the record is written, or is not for this reason."""


class Lines(Protocol):
    """Where lines are appended."""

    def append(self, *records: bytes) -> int:
        """Append records in one write. Raises `stores.JournalUnwritable`."""

    def sync(self, mark: int) -> object:
        """Bring all up to a mark, which `append` returned, to the disk."""

    def probe(self) -> JournalHealth:
        """Say whether the next record can be written."""


class Journal(Lines, Protocol):
    """Where records are appended, and whether there is room for more."""

    @property
    def space(self) -> JournalRoom:
        """How much room there is; the same object all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What calls that ended alike share: their labels, encoded, and where they count.

    Whose they are is not among these labels.
    """

    labels: bytes
    series: Series


class Recorder:
    """Write the record of each call, and count it."""

    def __init__(
        self,
        journal: Journal,
        tally: Tally,
        *,
        loop: asyncio.AbstractEventLoop,
        sync_always: bool,
        config_fingerprint: str,
        router_version: str,
        now: Monotonic,
        bounds: Diagnostics = _USUAL_BOUNDS,
    ) -> None:
        """Write to `journal`; with `sync_always` each record is on the disk at once.

        `bounds` say how much is kept of a decision, not of which calls: that is said
        by the entries.
        """
        self._journal = journal
        self._tally = tally
        self._loop = loop
        self._sync_always = sync_always
        self._config_fingerprint = config_fingerprint
        self._router_version = router_version
        self._now = now
        self._bounds = bounds
        self._room = journal.space
        # A recorder before this one may have found the journal unwritable.
        self._doubtful = tally.unwritable > 0
        self._records: list[bytes] = []
        self._endings: list[Ending] = []
        self._kinds: dict[Likeness, _Kind] = {}
        self._caller_labels: dict[str, bytes] = {}

    def check(self) -> None:
        """Raise `JournalUnwritable` while the call could not be written down.

        Asked before a provider is called, so that nothing is paid for whose answer
        would be withheld. Costs nothing until a record could not be written, or the
        journal has no room.
        """
        if self._room.full:
            raise JournalUnwritable
        if self._doubtful:
            if self._journal.probe().reason is not None:
                raise JournalUnwritable
            self._doubtful = False

    def close(
        self,
        entry: Entry,
        *,
        status: int,
        error: RouterError | None = None,
        ending: Ending,
    ) -> None:
        """Write the entry's record, then do what ends its answer.

        An entry that is closed already is left as it is, and nothing is done.
        """
        if entry.closed:
            return
        if self._room.full and isinstance(error, JournalUnwritable):
            # It used nothing, and its record would take what room there is left.
            entry.closed = True
            self._tally.unwritable += 1
            ending.send(error)
            return
        # The measures first: a price is looked up for them that calls alike share.
        measures = entry.measures(self._now())
        likeness = entry.likeness(status, error)
        kind = self._kinds.get(likeness)
        if kind is None:
            kind = self._kind_of(entry, status=status, error=error)
            self._kinds[likeness] = kind
        caller = entry.arrival.caller
        whose = self._caller_labels.get(caller.token_id) or self._labels_of(caller)
        line = join_line(measures, whose, kind.labels)
        if entry.deciding is not None:
            line = self._with_decision(line, entry.deciding, error, entry)
        # From here on nothing can fail that would leave the call without its end.
        entry.closed = True
        kind.series.count(measures)
        if not self._records:
            self._loop.call_soon(self._write)
        self._records.append(line)
        self._endings.append(ending)

    def _with_decision(
        self, line: bytes, deciding: Deciding, error: RouterError | None, entry: Entry
    ) -> bytes:
        """Return the line with the decision; as it is where that cannot be had."""
        try:
            decision = deciding.decision(error)
            if decision is not None:
                return with_decision(line, decision, self._bounds)
        except Exception:
            # How a call was decided is worth no call.
            log.exception("decision not kept", request_id=entry.arrival.request_id)
        return line

    def _labels_of(self, caller: Caller) -> bytes:
        """Encode what says whose a call is; as often as there are callers."""
        labels = self._caller_labels[caller.token_id] = caller_labels(
            caller.id,
            caller.owner_user,
            caller.project,
            caller.environment,
            token_id=caller.token_id,
        )
        return labels

    def _kind_of(
        self, entry: Entry, *, status: int, error: RouterError | None
    ) -> _Kind:
        """Compute what calls like this one have in common."""
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        record = entry.record(
            status=status,
            error=error,
            now_s=0.0,
            config_fingerprint=self._config_fingerprint,
            router_version=self._router_version,
        )
        series = self._tally.series(
            record.resolved_group,
            status=status,
            stream=record.stream,
            error_code=record.error_code,
        )
        return _Kind(labels=other_labels(record), series=series)

    def _write(self) -> None:
        """Write what has gathered since the last turn of the loop."""
        records, self._records = self._records, []
        endings, self._endings = self._endings, []
        try:
            mark = self._journal.append(*records)
        except Unwritable as unwritable:
            # What is only in the kernel's memory is not enough where all is synced.
            sure = 0 if self._sync_always else unwritable.written
            _end(endings[:sure], None)
            self._give_up(endings[sure:], unwritable.reason)
            return
        if self._sync_always:
            syncing = self._loop.run_in_executor(None, self._journal.sync, mark)
            syncing.add_done_callback(lambda synced: self._synced(synced, endings))
        else:
            _end(endings, None)

    def _synced(self, synced: asyncio.Future[object], endings: list[Ending]) -> None:
        if synced.cancelled():
            self._give_up(endings, "the router is stopping")
        elif (fault := synced.exception()) is not None:
            self._give_up(endings, str(fault))
        else:
            _end(endings, None)

    def _give_up(self, endings: list[Ending], reason: str) -> None:
        for ending in endings:
            log.warning(
                "call not on record", request_id=ending.request_id, reason=reason
            )
        self._doubtful = True
        self._tally.unwritable += len(endings)
        _end(endings, JournalUnwritable())


def _end(endings: list[Ending], unwritable: JournalUnwritable | None) -> None:
    for ending in endings:
        try:
            ending.send(unwritable)
        except Exception:
            # The others have nothing to do with it.
            log.exception("answer could not be ended", request_id=ending.request_id)
