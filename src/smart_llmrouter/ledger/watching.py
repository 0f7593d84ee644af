"""New calls as they come into the database, each once.

A call is recorded when it ends, under the moment when it began: so the last while is
looked through again and again, and what was seen is remembered.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from smart_llmrouter.ledger.exporting import Row, last_rows, rows_of
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.reports.source import Question

_MS_PER_S: Final = 1000
_LATER_MS: Final = 60_000
"""Clocks of machines that share a database may differ."""


class Watch:
    """Remembers which calls of the last while were seen."""

    def __init__(self, question: Question, *, longest_call_s: float) -> None:
        """Watch for calls as `question` says; none takes longer than so long."""
        self._question = question
        self._back_ms = round(longest_call_s * _MS_PER_S) + _LATER_MS
        self._seen: dict[str, int] = {}

    def last_rows(self, connection: Connection, *, now_ms: int, most: int) -> list[Row]:
        """Return the last rows that there are now, however old, oldest first.

        All that is there now is seen, and no new row later on.
        """
        for _ in self.new_rows(connection, now_ms=now_ms):
            pass
        interval = Interval(0, now_ms + _LATER_MS)
        question = replace(self._question, interval=interval)
        return last_rows(connection, question, most=most)

    def new_rows(self, connection: Connection, *, now_ms: int) -> Iterator[Row]:
        """Yield the rows that were not there at the last look, oldest first."""
        from_ms = now_ms - self._back_ms
        interval = Interval(from_ms, now_ms + _LATER_MS)
        question = replace(self._question, interval=interval)
        self._seen = {
            request_id: ts_ms
            for request_id, ts_ms in self._seen.items()
            if ts_ms >= from_ms
        }
        for row in connection.execute(rows_of(question)).mappings():
            if row["request_id"] not in self._seen:
                self._seen[row["request_id"]] = row["ts_ms"]
                yield dict(row)
