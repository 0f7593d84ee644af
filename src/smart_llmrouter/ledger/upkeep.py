"""What the ingester does when no records wait: roll-ups, and retention once a day.

One step at a time, each a transaction of its own that takes a fraction of a second, so
that records never wait long.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.ledger.clock_trust import doubt, may_remove
from smart_llmrouter.ledger.periods import Period
from smart_llmrouter.ledger.removing import Removed
from smart_llmrouter.ledger.retention import (
    JobOrder,
    is_due,
    note_refused,
    run_retention,
)
from smart_llmrouter.ledger.rollups import Due, next_due, roll_up
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.unusable import DatabaseUnusable
from smart_llmrouter.stores.usage_store import DatabaseAway
from smart_llmrouter.stores.writing import drop_empty_days, transaction

LOOK_EVERY_S: Final = 10.0
"""How often it is looked for something to do, where there was nothing."""

ACTOR: Final = "ingester"


class Log(Protocol):
    """Where the few things worth telling go, one line each."""

    def __call__(self, event: str, /, **fields: str | int) -> None:
        """Write one line."""
        ...


class Upkeep:
    """Keeps one database rolled up, and no larger than it is meant to be."""

    def __init__(
        self,
        url: str,
        *,
        retention: Retention,
        router_version: str,
        now_ms: Callable[[], int],
        monotonic: Monotonic,
        log: Log,
    ) -> None:
        """Look at nothing yet."""
        self._url = url
        self._transact = partial(transaction, url)
        self._retention = retention
        self._version = router_version
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._log = log
        self._look_at_s = monotonic()
        self._job: Iterator[Removed] | None = None
        self._failed: set[Period] = set()
        self._doing: dict[str, str] = {}

    def step(self) -> bool:
        """Do one thing, where there is one; say whether to ask again at once."""
        if self._job is None and self._monotonic() < self._look_at_s:
            return False
        try:
            busy = self._step()
        except (DatabaseAway, DatabaseUnusable) as error:
            self._job = None
            self._log("upkeep_failed", **self._doing, reason=str(error))
            busy = False
        if not busy:
            self._look_at_s = self._monotonic() + LOOK_EVERY_S
        return busy

    def _step(self) -> bool:
        if self._job is not None:
            self._doing = {"doing": "retention"}
            if next(self._job, None) is None:
                self._job = None
            return True
        self._doing = {"doing": "look"}
        now_ms = self._now_ms()
        with connect_for_reading(self._url) as reading:
            due = next_due(reading, now_ms=now_ms, skip=self._failed)
            job = due is None and is_due(reading, self._retention, now_ms=now_ms)
            sure = job and may_remove(reading, self._retention, now_ms=now_ms)
        if due is not None:
            self._roll_up(due, now_ms=now_ms)
        elif job:
            self._begin_job(now_ms, sure=sure)
        else:
            self._failed.clear()
        return due is not None or job

    def _begin_job(self, now_ms: int, *, sure: bool) -> None:
        """Run retention, a step at a time; but not by a clock that may be wrong."""
        self._doing = {"doing": "retention"}
        order = JobOrder(now_ms, ACTOR, self._version, automatic=True)
        if not sure:
            with self._transact() as writing:
                note_refused(writing, order)
            self._log("retention_refused", reason=doubt(now_ms))
            return
        self._job = run_retention(
            self._transact,
            self._retention,
            order,
            now=self._now_ms,
            tidy=partial(drop_empty_days, self._url),
        )

    def _roll_up(self, due: Due, *, now_ms: int) -> None:
        self._doing = {"doing": "roll-up", "period": str(due.period)}
        # One that cannot be rolled up keeps no other from it.
        self._failed.add(due.period)
        with self._transact() as writing:
            roll_up(writing, due, now_ms=now_ms, router_version=self._version)
        self._failed.discard(due.period)
