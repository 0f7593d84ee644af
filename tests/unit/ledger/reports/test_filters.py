"""Conditions as people write them."""

from pathlib import Path

import pytest

from smart_llmrouter.ledger.interval import UTC_ZONE, Interval, zone_of
from smart_llmrouter.ledger.reports.dimensions import UnknownDimension
from smart_llmrouter.ledger.reports.filters import (
    BadCondition,
    condition_of,
    narrowed,
)
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.reports import ingested, report_on


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["caller=alice"], {1, 2}),
        (["caller=alice,bob"], {1, 2, 3}),
        (["caller!=alice"], {3, 4}),
        (["caller=nobody"], set()),
        (["error="], {1, 3}),
        (["error!="], {2, 4}),
        (["error=(none)", "caller=alice"], {1}),
        (["error=timeout,"], {1, 2, 3}),
        (["error!=timeout,"], {4}),
        (["error!=timeout"], {1, 3, 4}),
        (["status=504"], {2}),
        (["status-class=5xx"], {2, 4}),
        (["stream=streamed"], {3}),
        (["stream!=streamed"], {1, 2, 4}),
        (['caller="carol, the third"'], {4}),
        (["target=acme/mini"], {1}),
        (["target="], {2, 3, 4}),
        (["owner=alice", "error!=", "status!=504"], {4}),
    ],
)
def test_calls_are_chosen(
    state: StateDirectory, where: list[str], expected: set[int]
) -> None:
    """All conditions hold of what is counted, and of nothing else."""
    ingested(
        state,
        [
            a_record(
                1, caller_id="alice", target_provider="acme", target_model="mini",
                input_tokens=1,
            ),
            a_record(
                2, caller_id="alice", error_code="timeout", status=504, input_tokens=10
            ),
            a_record(3, caller_id="bob", stream=True, input_tokens=100),
            a_record(
                4, caller_id="carol, the third", error_code="failed", status=502,
                input_tokens=1000,
            ),
        ],
    )  # fmt: skip

    measures = report_on(state, where=where).totals.measures

    assert measures.calls == len(expected)
    assert (measures.input_tokens.total or 0) == sum(10 ** (n - 1) for n in expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("caller", "write caller=alice,bob"),
        ("status=many", "status is never 'many': it is a number"),
        ("status-class=5", "2xx, 4xx"),
        ("stream=yes", "plain or streamed"),
        ("lane=fast", "relay or translate"),
        ("fallback=no", "first-target or fell-back"),
        ("day=monday", "is no day: write one such as 2026-11-01"),
        ("hour=", "is no hour"),
        ("month=2026-13", "is no month"),
        ('caller="x', "double quotes"),
    ],
)
def test_what_is_no_condition_is_explained(text: str, said: str) -> None:
    """With what could have been meant."""
    with pytest.raises(BadCondition) as raised:
        condition_of(text, zone=UTC_ZONE)

    assert said in str(raised.value)


def test_a_condition_about_nothing_names_the_dimensions() -> None:
    """As --group-by does."""
    with pytest.raises(UnknownDimension, match="did you mean caller"):
        condition_of("calller=alice", zone=UTC_ZONE)


@pytest.mark.parametrize(
    "text", ["caller=alice,bob", "error!=(none)", 'client="a,b"', "day!=2026-11-01"]
)
def test_a_condition_is_shown_as_it_is_written(text: str) -> None:
    """So that a report says what it was asked."""
    assert str(condition_of(text, zone=UTC_ZONE)) == text


def test_conditions_on_time_leave_stretches_of_the_interval() -> None:
    """A day is 25 hours long when the clocks are set back in its zone."""
    berlin = zone_of("Europe/Berlin")
    day_ms, hour_ms = 86_400_000, 3_600_000
    midnight_ms = 1_792_879_200_000
    interval = Interval(midnight_ms - day_ms, midnight_ms + 3 * day_ms)

    [on_it] = narrowed(
        interval, [condition_of("day=2026-10-25", zone=berlin)], zone=berlin
    )
    before, after = narrowed(
        interval, [condition_of("day!=2026-10-25", zone=berlin)], zone=berlin
    )

    assert on_it == Interval(midnight_ms, midnight_ms + 25 * hour_ms)
    assert before == Interval(interval.from_ms, midnight_ms)
    assert after == Interval(midnight_ms + 25 * hour_ms, interval.to_ms)
