"""When days and months begin, where clocks are turned and dates are skipped."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.config.allowances import PeriodName
from smart_llmrouter.config.timezones import timezone

BERLIN, SAO_PAULO, KOLKATA = "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata"
APIA, ST_JOHNS, HAVANA = "Pacific/Apia", "America/St_Johns", "America/Havana"
HOUR_MS: Final = 3_600_000


def at(text: str) -> int:
    """Return an instant of UTC in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_day_of_utc() -> None:
    """It begins at midnight, and lasts 24 hours."""
    assert bounds_ms("day", at("2026-03-01T12:00"), "UTC") == (
        at("2026-03-01T00:00"),
        at("2026-03-02T00:00"),
    )


def test_a_lifetime_has_no_bounds() -> None:
    """It never begins, and it never ends."""
    assert bounds_ms("lifetime", 0, BERLIN) == (-float("inf"), float("inf"))


@pytest.mark.parametrize(
    ("zone", "instant", "begins", "hours"),
    [
        # Clocks are turned at 02:00 and at 03:00.
        (BERLIN, "2026-03-29T12:00", "2026-03-28T23:00", 23),
        (BERLIN, "2026-10-25T12:00", "2026-10-24T22:00", 25),
        (KOLKATA, "2026-03-01T18:29:59", "2026-02-28T18:30", 24),
        (KOLKATA, "2026-03-01T18:30", "2026-03-01T18:30", 24),
        # At 00:00 they were turned to 01:00, and to 23:00.
        (SAO_PAULO, "2018-11-04T12:00", "2018-11-04T03:00", 23),
        (SAO_PAULO, "2018-02-17T12:00", "2018-02-17T02:00", 25),
        (SAO_PAULO, "2018-02-18T12:00", "2018-02-18T03:00", 24),
        # The 30th of December 2011 was skipped.
        (APIA, "2011-12-30T09:59", "2011-12-29T10:00", 24),
        (APIA, "2011-12-30T10:00", "2011-12-30T10:00", 24),
        # 00:00 comes twice: at 01:00 they are turned to 00:00.
        (HAVANA, "2026-11-01T12:00", "2026-11-01T04:00", 25),
        # At 00:01 they were turned to 23:01 of the day before: the day had begun.
        (ST_JOHNS, "2010-11-07T03:00", "2010-11-07T02:30", 25),
    ],
)
def test_days_where_clocks_are_turned(
    zone: str, instant: str, begins: str, hours: int
) -> None:
    """A day begins when its date is shown first."""
    begins_ms, ends_ms = bounds_ms("day", at(instant), zone)

    assert begins_ms == at(begins)
    assert (ends_ms - begins_ms) / HOUR_MS == hours


@pytest.mark.parametrize(
    ("zone", "instant", "begins", "hours"),
    [
        ("UTC", "2028-02-29T23:59:59", "2028-02-01T00:00", 29 * 24),
        (BERLIN, "2026-03-31T21:59:59", "2026-02-28T23:00", 31 * 24 - 1),
        (BERLIN, "2026-03-31T22:00", "2026-03-31T22:00", 30 * 24),
        (BERLIN, "2026-12-31T23:00", "2026-12-31T23:00", 31 * 24),
        (APIA, "2011-12-15T00:00", "2011-12-01T10:00", 30 * 24),
    ],
)
def test_months(zone: str, instant: str, begins: str, hours: int) -> None:
    """A month begins with its first day, however long its days are."""
    begins_ms, ends_ms = bounds_ms("month", at(instant), zone)

    assert begins_ms == at(begins)
    assert (ends_ms - begins_ms) / HOUR_MS == hours


@given(
    zone=st.sampled_from(
        [BERLIN, SAO_PAULO, KOLKATA, APIA, ST_JOHNS, HAVANA, "Africa/Cairo", "UTC"]
    ),
    seconds=st.integers(at("1990-01-01T00:00") // 1000, at("2030-01-01T00:00") // 1000),
    period=st.sampled_from(["day", "month"]),
)
def test_every_instant_belongs_to_one_period(
    zone: str, seconds: int, period: PeriodName
) -> None:
    """Periods follow each other without a gap, and never overlap."""
    timezone(zone)
    instant_ms = seconds * 1000

    begins_ms, ends_ms = bounds_ms(period, instant_ms, zone)

    assert begins_ms <= instant_ms < ends_ms
    assert bounds_ms(period, begins_ms, zone) == (begins_ms, ends_ms)
    assert bounds_ms(period, ends_ms - 1, zone) == (begins_ms, ends_ms)
    assert bounds_ms(period, ends_ms, zone)[0] == ends_ms
    shown = datetime.fromtimestamp(begins_ms / 1000, ZoneInfo(zone))
    before = shown.astimezone(UTC) - timedelta(seconds=1)
    assert before.astimezone(ZoneInfo(zone)).date() < shown.date()
    assert period == "day" or shown.day == 1
