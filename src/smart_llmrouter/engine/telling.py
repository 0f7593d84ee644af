"""A journal whose writes are told to others: what is on record may be settled."""

from collections.abc import Callable

import msgspec

from smart_llmrouter.engine.recorder import Lines
from smart_llmrouter.ledger.journal_room import ROOMY, JournalRoom
from smart_llmrouter.stores.journal import JournalHealth


class TellingJournal(msgspec.Struct, frozen=True):
    """Calls `written` after each write to `journal`, before answers end.

    Also where the write has failed: what the calls have used is used all the same.
    """

    journal: Lines
    written: Callable[[], None]
    space: JournalRoom = ROOMY

    def append(self, *records: bytes) -> int:
        """Append records in one write. Raises `stores.JournalUnwritable`."""
        try:
            return self.journal.append(*records)
        finally:
            self.written()

    def sync(self, mark: int) -> object:
        """Bring all up to a mark to the disk."""
        return self.journal.sync(mark)

    def probe(self) -> JournalHealth:
        """Say whether the next record can be written."""
        return self.journal.probe()
