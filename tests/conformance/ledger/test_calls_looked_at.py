"""Calls that are counted for a hold, or shown because they were the last."""

from smart_llmrouter.ledger.exporting import last_rows
from smart_llmrouter.ledger.holds import FAR_MS, NewHold, calls_covered, is_on_record
from smart_llmrouter.ledger.interval import UTC_ZONE
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.stores.database import open_for_reading
from smart_llmrouter.stores.reading import connect_for_reading
from tests.support.ledger import StateDirectory
from tests.support.reports import EVERYTHING
from tests.support.rollups import HOUR, MIDNIGHT, a_call, added

CALLS = [a_call(number, MIDNIGHT + number * HOUR) for number in range(6)]


def test_a_hold_covers_calls_of_one_name_and_time(state: StateDirectory) -> None:
    """From its first moment on, up to and without its last."""
    added(state.url, CALLS)
    bob = NewHold(
        scope_kind="caller", scope_name="bob", from_ms=0, to_ms=FAR_MS, reason="a case"
    )
    first_hours = NewHold(
        scope_kind="all",
        scope_name="",
        from_ms=MIDNIGHT + HOUR,
        to_ms=MIDNIGHT + 3 * HOUR,
        reason="a case",
    )

    with connect_for_reading(state.url) as reading:
        covered = [calls_covered(reading, each) for each in (bob, first_hours)]
        known = [is_on_record(reading, "caller", name) for name in ("bob", "typo")]

    assert covered == [2, 2]
    assert known == [True, False]


def test_the_last_rows_are_the_newest(state: StateDirectory) -> None:
    """As many as asked for, in the order of time; none where none are wanted."""
    added(state.url, CALLS)
    question = Question(interval=EVERYTHING, zone=UTC_ZONE)

    with open_for_reading(state.url).connect() as connection:
        two, none, all_ = (
            [row["request_id"] for row in last_rows(connection, question, most=most)]
            for most in (2, 0, 100)
        )

    assert two == [call.request_id for call in CALLS[-2:]]
    assert none == []
    assert all_ == [call.request_id for call in CALLS]
