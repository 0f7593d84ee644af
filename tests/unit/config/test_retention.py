"""What is said about how long things are kept."""

import pytest

from smart_llmrouter.config.policies import Retention
from tests.support.configuration import SMALL, changed, loaded


def told(text: str) -> list[tuple[bool, str, str]]:
    """Return each finding about retention: is it an error, about what, and why."""
    return [
        (found.is_error, found.key_path, found.message)
        for found in loaded(text).findings
        if found.key_path.startswith("retention")
    ]


def test_all_is_kept_for_ever_unless_it_is_said() -> None:
    """And what is said is compiled, the time of the day as minutes."""
    nothing, something = (
        loaded(SMALL).snapshot,
        loaded(
            "retention: {usage_detail_days: 90, rollup_hourly_days: 400, at: '04:05'}\n"
            + SMALL
        ).snapshot,
    )

    assert nothing is not None
    assert something is not None
    assert nothing.state.retention == Retention()
    assert something.state.retention == Retention(
        usage_detail_days=90, rollup_hourly_days=400, at_minute=245
    )


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        (
            "rollup_hourly_days: 40",
            "rollup_hourly_days",
            "usage_detail_days keeps for ever what this keeps the sums of",
        ),
        (
            "usage_detail_days: 50, rollup_hourly_days: 40",
            "rollup_hourly_days",
            "usage_detail_days keeps for 50 days what this keeps the sums of",
        ),
        (
            "usage_detail_days: 9, rollup_daily_days: 40",
            "rollup_daily_days",
            "rollup_hourly_days keeps for ever what this keeps the sums of",
        ),
    ],
)
def test_what_is_finer_is_not_kept_longer(keys: str, key: str, message: str) -> None:
    """Sums would be removed that rows still have."""
    assert told(f"retention: {{{keys}}}\n" + SMALL) == [
        (True, f"retention.{key}", message)
    ]


def test_diagnostics_go_with_their_calls() -> None:
    """To keep them longer has no effect."""
    text = "retention: {usage_detail_days: 9, usage_diagnostics_days: 10}\n" + SMALL

    assert told(text) == [
        (
            False,
            "retention.usage_diagnostics_days",
            "has no effect: calls go after 9 days, with all that hangs on them",
        )
    ]


@pytest.mark.parametrize(
    ("zone", "days", "refused"),
    [
        ("Asia/Kolkata", 31, True),
        ("Asia/Kolkata", 32, False),
        ("Europe/Berlin", 31, False),
        ("UTC", 31, False),
    ],
)
def test_a_month_that_begins_within_an_hour_needs_its_rows(
    zone: str, days: int, *, refused: bool
) -> None:
    """Roll-ups could not tell what was used before it began."""
    budgets = f"    budgets: {{month: {{usd: 5}}, timezone: {zone}}}\n"
    text = changed("    allow: [chat]\n", "    allow: [chat]\n" + budgets)

    found = told(f"retention: {{usage_detail_days: {days}}}\n" + text)

    assert [key for error, key, _ in found if error] == (
        ["retention.usage_detail_days"] if refused else []
    )


@pytest.mark.parametrize("at", ["24:00", "3:15", "noon", "03:60"])
def test_a_time_of_the_day_is_one(at: str) -> None:
    """In hours and minutes."""
    assert told(f"retention: {{at: '{at}'}}\n" + SMALL) == [
        (True, "retention.at", "a time of the day is expected")
    ]
