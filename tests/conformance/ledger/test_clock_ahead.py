"""A clock that was set ahead by years does not let retention remove everything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.retention_report import status_text
from smart_llmrouter.ledger.upkeep import LOOK_EVERY_S, Upkeep
from smart_llmrouter.stores.reading import connect_for_reading
from tests.support.databases import KINDS, state_with
from tests.support.ledger import StateDirectory
from tests.support.rollups import DAY, HOUR, MIDNIGHT, a_call, added, retained, row_ids

A_WEEK: Final = Retention(usage_detail_days=7)
NOW: Final = MIDNIGHT + 12 * HOUR
YEARS: Final = 9 * 365 * DAY
REFUSED: Final = "retention_refused"


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_with(request.param, tmp_path)


@pytest.fixture
def state(empty: StateDirectory) -> StateDirectory:
    """Return a state directory with a call of each of the last four days."""
    added(empty.url, [a_call(number, NOW - number * DAY) for number in range(4)])
    return empty


class Router:
    """Its ingester, as far as it keeps the database, and what it says."""

    def __init__(self, state: StateDirectory, now_ms: int) -> None:
        """Begin at a moment."""
        self.now_ms = now_ms
        self.told: list[str] = []
        self._url = state.url
        self._monotonic_s = 0.0
        self._upkeep = self._begun()

    def restart(self) -> None:
        """Forget all that is not on record."""
        self._upkeep = self._begun()

    def look(self) -> list[str]:
        """Do all there is to do; return which calls have rows then."""
        self._monotonic_s += LOOK_EVERY_S
        while self._upkeep.step():
            pass
        return row_ids(self._url)

    def days(self, count: int) -> Iterator[list[str]]:
        """Let days pass, and yield which calls have rows after each."""
        for _ in range(count):
            self.now_ms += DAY
            yield self.look()

    def status(self) -> str:
        """Return what `retention status` says."""
        with connect_for_reading(self._url) as reading:
            return status_text(reading, A_WEEK, now_ms=self.now_ms)

    def _begun(self) -> Upkeep:
        return Upkeep(
            self._url,
            retention=A_WEEK,
            router_version="1",
            now_ms=lambda: self.now_ms,
            monotonic=lambda: self._monotonic_s,
            log=self._log,
        )

    def _log(self, event: str, /, **fields: str | int) -> None:
        assert "on record" in str(fields["reason"])
        self.told.append(event)


def jobs_of(state: StateDirectory) -> list[str]:
    """Return what became of each run."""
    return [str(status) for (status,) in state.select("status", "retention_jobs")]


def test_a_clock_that_jumps_ahead_removes_nothing(state: StateDirectory) -> None:
    """Once a day it is said; when the clock is right again, all is as before."""
    router = Router(state, NOW)
    before = router.look()
    quiet = list(router.told)

    router.now_ms += YEARS
    after = [router.look(), router.look(), *router.days(1)]
    status = router.status()
    router.now_ms -= YEARS
    later = [router.look(), *router.days(6)]

    assert len(before) == 4
    assert quiet == []
    assert after == [before] * 3
    assert router.told == [REFUSED] * 2
    assert "\nnothing is removed by itself for now: " in status
    assert later[0] == before
    assert later[-1] == before[:1]
    assert "for now" not in router.status()
    assert jobs_of(state) == ["done", "failed", "failed", *["done"] * 7]


def test_calls_under_a_wrong_clock_prove_nothing_at_once(state: StateDirectory) -> None:
    """They come at once, and with them the first days of the time that is not."""
    router = Router(state, NOW)
    router.look()
    router.now_ms += YEARS

    for day in range(3):
        added(state.url, [a_call(100 + day, router.now_ms)])
        router.restart()
        router.look()
        router.now_ms += DAY

    assert router.told == [REFUSED] * 3
    assert len(row_ids(state.url)) == 7


def test_after_a_long_gap_it_waits_for_three_days(state: StateDirectory) -> None:
    """Whoever was away needs to do nothing; no call need come meanwhile."""
    router = Router(state, NOW + 30 * DAY)

    kept = [len(router.look()), *(len(rows) for rows in router.days(4))]

    assert kept == [4, 4, 4, 0, 0]
    assert router.told == [REFUSED] * 3
    assert jobs_of(state) == ["failed"] * 3 + ["done"] * 2


def test_where_nothing_is_old_nothing_is_refused(empty: StateDirectory) -> None:
    """A router that is new has no calls of earlier days."""
    added(empty.url, [a_call(0, NOW)])
    router = Router(empty, NOW)

    router.look()

    assert router.told == []
    assert jobs_of(empty) == ["done"]


def test_who_runs_it_is_believed(state: StateDirectory) -> None:
    """The command removes at once."""
    router = Router(state, NOW + 30 * DAY)
    refused = router.look()

    retained(state.url, A_WEEK, now_ms=router.now_ms)

    assert len(refused) == 4
    assert row_ids(state.url) == []
