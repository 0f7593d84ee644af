"""Before a report: what was journalled is counted, or its absence is told."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.ledger.catch_up import catch_up
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.ledger.record import encode_record
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import StateDirectory, a_record, state_in


class Hands:
    """A clock whose hands move only when somebody sleeps."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.now_s = 0.0
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move the hands on."""
        self.naps.append(seconds)
        self.now_s += seconds

    def monotonic(self) -> float:
        """Read the clock."""
        return self.now_s


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def caught_up(state: StateDirectory, hands: Hands, *, decided: bool = False) -> int:
    """Catch up and return the bytes that are still unread."""
    return catch_up(
        state.path,
        state.url,
        sleep=hands.sleep,
        monotonic=hands.monotonic,
        decided=decided,
    )


def test_an_empty_journal_needs_no_wait(state: StateDirectory) -> None:
    """Before the first call there is nothing to wait for."""
    hands = Hands()

    assert caught_up(state, hands) == 0
    assert hands.naps == []


def test_leftovers_are_ingested_where_nobody_else_does(state: StateDirectory) -> None:
    """After a router was killed, its last calls are in the report all the same."""
    state.journalled(a_record(number) for number in range(20))
    hands = Hands()

    assert caught_up(state, hands) == 0
    assert len(state.request_ids()) == 20


@pytest.mark.parametrize("block_bytes", [1 << 16, 600])
def test_decisions_are_waited_for_where_they_are_wanted(
    state: StateDirectory, block_bytes: int
) -> None:
    """They come after records, which a report does not wait for."""
    writer = state.writer()
    for number in range(8):
        writer.append(various_line(number))
    writer.close()
    ingester = state.ingester(block_bytes=block_bytes)
    ingester.advance()

    assert caught_up(state, Hands(), decided=True) == 0
    assert kept_decisions(state, range(8)) == [various_decision(n) for n in range(8)]


def test_a_living_writers_records_are_ingested_too(state: StateDirectory) -> None:
    """A router whose ingester is being restarted loses nothing in a report."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))

    assert caught_up(state, Hands()) == 0
    assert len(state.request_ids()) == 1
    writer.close()


def test_an_ingester_that_runs_is_waited_for_and_then_not(
    state: StateDirectory,
) -> None:
    """After five seconds the report goes out and says how much is missing."""
    state.journalled([a_record(1)])
    hands = Hands()
    size = sum(path.stat().st_size for path in state.journal.iterdir())

    with ingester_lock(state.path) as acquired:
        assert acquired()
        unread = caught_up(state, hands)

    assert unread == size
    assert 5.0 <= hands.now_s < 5.2


def test_half_a_line_is_not_waited_for(state: StateDirectory) -> None:
    """A write that failed in the middle leaves one, until its segment is finished."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))
    [name] = state.segments()
    with (state.journal / name).open("ab") as segment:
        segment.write(encode_record(a_record(2))[:-20])
    state.ingester().advance()
    hands = Hands()

    with ingester_lock(state.path) as acquired:
        assert acquired()
        unread = caught_up(state, hands)

    assert (unread, hands.naps) == (0, [])
    writer.close()


def test_a_locked_database_makes_the_report_incomplete(state: StateDirectory) -> None:
    """A report never fails because the last records cannot be added now."""
    state.journalled([a_record(1)])
    hands = Hands()

    with closing(sqlite3.connect(state.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        unread = catch_up(
            state.path,
            state.url,
            sleep=hands.sleep,
            monotonic=hands.monotonic,
            longest_wait_s=0.05,
        )

    assert unread > 0


def test_what_is_journalled_later_is_not_waited_for(state: StateDirectory) -> None:
    """Under constant load a report does not run after the newest record."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))
    hands = Hands()

    def sleep(seconds: float) -> None:
        hands.sleep(seconds)
        state.ingester().advance()
        writer.append(encode_record(a_record(len(hands.naps) + 1)))

    with ingester_lock(state.path) as acquired:
        assert acquired()
        unread = catch_up(
            state.path,
            state.url,
            sleep=sleep,
            monotonic=hands.monotonic,
        )

    assert (unread, len(hands.naps)) == (0, 1)
    writer.close()
