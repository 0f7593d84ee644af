"""Closing entries: one record a call, in the journal before its last byte leaves."""

import asyncio
from typing import Protocol

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import JournalUnwritable, RouterError
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.journal import JournalHealth
from smart_llmrouter.stores.journal import JournalUnwritable as Unwritable


class Journal(Protocol):
    """Where records are appended."""

    def append(self, record: bytes) -> int:
        """Append one record in one write. Raises `stores.JournalUnwritable`."""

    def sync(self, mark: int) -> object:
        """Bring all up to a mark, which `append` returned, to the disk."""

    def probe(self) -> JournalHealth:
        """Say whether the next record can be written."""


class Recorder:
    """Write the record of each call, and count it."""

    def __init__(
        self,
        journal: Journal,
        tally: Tally,
        *,
        sync_always: bool,
        config_fingerprint: str,
        router_version: str,
        now: Monotonic,
    ) -> None:
        """Write to `journal`; with `sync_always` each record is on the disk at once."""
        self._journal = journal
        self._tally = tally
        self._sync_always = sync_always
        self._config_fingerprint = config_fingerprint
        self._router_version = router_version
        self._now = now
        self._doubtful = False

    def check(self) -> None:
        """Raise `JournalUnwritable` while the call could not be written down.

        Asked before a provider is called, so that nothing is paid for whose answer
        would be withheld. Costs nothing until a record could not be written.
        """
        if self._doubtful:
            if self._journal.probe().reason is not None:
                raise JournalUnwritable
            self._doubtful = False

    async def close(
        self, entry: Entry, *, status: int, error: RouterError | None = None
    ) -> None:
        """Write the entry's record, unless it is written already.

        Raises `JournalUnwritable`: then the answer must not leave.
        """
        if entry.closed:
            return
        record = entry.record(
            status=status,
            error=error,
            now_s=self._now(),
            config_fingerprint=self._config_fingerprint,
            router_version=self._router_version,
        )
        self._tally.count(record)
        try:
            mark = self._journal.append(encode_record(record))
            if self._sync_always:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, self._journal.sync, mark)
        except Unwritable:
            self._doubtful = True
            self._tally.unwritable += 1
            raise JournalUnwritable from None
