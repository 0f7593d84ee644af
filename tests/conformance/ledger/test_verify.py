"""What `usage verify` compares, what it leaves, and that it says so."""

from smart_llmrouter.ledger.periods import Span
from smart_llmrouter.ledger.rollups import next_due, roll_up
from smart_llmrouter.ledger.verify import Verified, verify
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.writing import transaction
from tests.support.databases import change
from tests.support.ledger import StateDirectory
from tests.support.rollups import DAY, HOUR, MIDNIGHT, a_call, added, rolled_up

NOW = MIDNIGHT + 40 * DAY
CALLS = [a_call(number, MIDNIGHT + number * HOUR // 4) for number in range(12)]


def verified(state: StateDirectory, from_ms: int = 0) -> Verified:
    """Return what is found."""
    with connect_for_reading(state.url) as reading:
        reading.begin()
        *_, found = verify(reading, Span(from_ms, NOW))
    assert isinstance(found, Verified)
    return found


def test_a_row_that_was_changed_is_found_though_it_is_imported_again(
    state: StateDirectory,
) -> None:
    """What is on record already opens no roll-up, so all are compared."""
    added(state.url, CALLS)
    rolled_up(state.url, now_ms=NOW)
    added(state.url, CALLS)
    dearer = "UPDATE request_measures SET total_cost_nusd = 1000000000 WHERE ts_ms = "
    change(state.url, dearer + str(CALLS[5].ts_ms))

    found = verified(state)

    assert found.periods == {"hour": 3, "day": 1, "month": 1}
    assert found.waiting == {"hour": 0, "day": 0, "month": 0}
    assert [where for where, _ in found.wrong] == ["hour 2026-09-21T01:00Z"]


def test_what_holds_something_stale_is_not_compared(state: StateDirectory) -> None:
    """It is counted as waiting: a day with a late call, and its month."""
    calls = [*CALLS, a_call(50, MIDNIGHT + 2 * DAY)]
    added(state.url, calls)
    rolled_up(state.url, now_ms=NOW)
    added(state.url, [a_call(51, MIDNIGHT + 1)])

    stale = verified(state)
    rolled_up(state.url, now_ms=NOW)

    assert stale.wrong == []
    assert stale.periods == {"hour": 3, "day": 1, "month": 0}
    assert stale.waiting == {"hour": 1, "day": 1, "month": 1}
    assert verified(state).periods == {"hour": 4, "day": 2, "month": 1}


def test_an_hour_that_is_just_made_again_is_no_fault_of_its_day(
    state: StateDirectory,
) -> None:
    """Half of its sums are there, and nobody is told that they are wrong."""
    added(state.url, CALLS)
    rolled_up(state.url, now_ms=NOW)
    added(state.url, [a_call(51, MIDNIGHT + 1)])
    with connect_for_reading(state.url) as reading:
        due = next_due(reading, now_ms=NOW)
    assert due is not None
    with transaction(state.url) as writing:
        done = roll_up(writing, due, now_ms=NOW, router_version="1", slice_rows=2)

    found = verified(state)

    assert not done
    assert found.wrong == []
    assert found.waiting == {"hour": 1, "day": 1, "month": 1}
