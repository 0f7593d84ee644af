"""What calls have used of budgets: from the rows of this and all earlier routers."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.config.allowances import Allowances
from smart_llmrouter.config.snapshot import State
from smart_llmrouter.ledger import budget_sums
from smart_llmrouter.ledger.budget_sums import (
    Periods,
    PeriodUse,
    ScopeUse,
    budget_uses,
    has_budgets,
)
from smart_llmrouter.ledger.catch_up import LONGEST_WAIT_S, all_rows, catch_up
from smart_llmrouter.ledger.minute_sums import MinuteUse, has_minutes, minute_uses
from smart_llmrouter.stores.backends import may_come_back
from smart_llmrouter.stores.budget_events import events_until, last_resets
from smart_llmrouter.stores.reading import Reading, connect_for_reading
from smart_llmrouter.stores.unusable import DatabaseUnusable
from smart_llmrouter.stores.usage_store import DatabaseAway

_MS_PER_S: Final = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the rows say at one moment, and which resets they know of."""

    periods: Periods
    uses: Mapping[str, ScopeUse]
    last_event: int

    def still_in(self, use: PeriodUse) -> bool:
        """Say whether a period has not ended since this was read."""
        return time.time() * _MS_PER_S < use.until_ms


def on_record(state: State, allowances: Allowances) -> OnRecord:
    """Return what was used of all budgets, by all calls whose answer was seen.

    Blocks until the journal is in the database, where there are budgets. Raises
    `DatabaseAway`, but not where nothing is to be known and the database may come back.
    """
    try:
        return _on_record(state, allowances)
    except DatabaseAway:
        if has_budgets(allowances) or not _may_come_back(state):
            raise
        return OnRecord(Periods(int(time.time() * _MS_PER_S), {}, bounds_ms), {}, 0)


def _on_record(state: State, allowances: Allowances) -> OnRecord:
    with _rows(state, all_of_them=has_budgets(allowances)) as connection:
        at_ms = int(time.time() * _MS_PER_S)
        periods = Periods(at_ms, last_resets(connection, at_ms=at_ms), bounds_ms)
        uses = budget_uses(connection, allowances, periods)
        return OnRecord(periods, uses, events_until(connection, at_ms=at_ms))


def charged_of(
    state: State, request_ids: Collection[str], *, since_ms: int
) -> dict[str, Spent]:
    """Return what these calls were charged, of those that are on record.

    They began at `since_ms` or later. Blocks until the journal is in the database.
    Raises `DatabaseAway`.
    """
    with _rows(state) as connection:
        found = budget_sums.charged_of(connection, request_ids, since_ms=since_ms)
    return {request_id: Spent(*used) for request_id, used in found.items()}


def minutes_on_record(state: State, allowances: Allowances) -> Sequence[MinuteUse]:
    """Return what was used of all rolling minutes, as far as it counts still.

    Blocks a few seconds for what the journal holds, where a minute is limited: were
    there more to read, the minute would be over before that is done. Raises
    `DatabaseAway`, unless the database may come back: by then the minute is over.
    """
    if not has_minutes(allowances):
        return []
    try:
        return _minutes_on_record(state, allowances)
    except DatabaseAway as away:
        if not _may_come_back(state):
            raise
        log.warning("the last minute is not known", reason=away.reason)
        return []


def _may_come_back(state: State) -> bool:
    return may_come_back(state.database_url.reveal())


def _minutes_on_record(state: State, allowances: Allowances) -> Sequence[MinuteUse]:
    with _rows(state, all_of_them=False) as connection:
        unread = catch_up(
            state.directory,
            state.database_url.reveal(),
            sleep=time.sleep,
            monotonic=time.monotonic,
            longest_wait_s=LONGEST_WAIT_S,
        )
        if unread:
            log.warning("the last minute is not known in full", unread_bytes=unread)
        now_ms = int(time.time() * _MS_PER_S)
        return minute_uses(connection, allowances, now_ms=now_ms)


@contextmanager
def _rows(state: State, *, all_of_them: bool = True) -> Iterator[Reading]:
    url = state.database_url.reveal()
    try:
        with (
            all_rows(state.directory, url, sleep=time.sleep, monotonic=time.monotonic)
            if all_of_them
            else connect_for_reading(url)
        ) as connection:
            yield connection
    except (DatabaseUnusable, OSError) as error:
        raise DatabaseAway(str(error)) from error
