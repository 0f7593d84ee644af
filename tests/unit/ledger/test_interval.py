"""Spans and moments as people write them."""

import re

import pytest

from smart_llmrouter.ledger.interval import (
    BadMoment,
    Interval,
    exact_clock_text,
    interval_of,
    moment_ms,
    utc_text,
    zone_of,
)

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW_MS - 30 * 60_000),
        ("24h", NOW_MS - 86_400_000),
        ("7d", NOW_MS - 7 * 86_400_000),
        ("2w", NOW_MS - 14 * 86_400_000),
        ("2026-11-01", 1_793_491_200_000),
        ("2026-11-01T00:00:00Z", 1_793_491_200_000),
        ("2026-11-01T02:00:00+02:00", 1_793_491_200_000),
        ("2026-11-01T00:00:00.250", 1_793_491_200_250),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text: str, expected: int) -> None:
    """Spans count back from now; the rest is ISO 8601."""
    assert moment_ms(text, now_ms=NOW_MS) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "24", "3 h", "24h ", "13/13"])
def test_anything_else_is_explained(text: str) -> None:
    """The message shows what would be understood."""
    with pytest.raises(BadMoment, match="24h, 7d"):
        moment_ms(text, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0h", "must be above 0"),
        ("000d", "must be above 0"),
        ("-1h", "must be above 0"),
        ("99999999d", "is too long"),
        ("+3h", "a sign or a zero too many"),
    ],
)
def test_a_span_that_is_none_is_told_why(text: str, said: str) -> None:
    """Rather than that it was not understood."""
    with pytest.raises(BadMoment, match=f"the span '{re.escape(text)}' .*{said}"):
        moment_ms(text, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("ms", "zone", "expected"),
    [
        (1_793_491_200_000, "UTC", "2026-11-01 00:00:00"),
        (1_793_491_200_250, "UTC", "2026-11-01 00:00:00.250"),
        (1_792_888_200_000, "Europe/Berlin", "2026-10-25 02:30:00+02:00"),
        (1_792_891_800_000, "Europe/Berlin", "2026-10-25 02:30:00+01:00"),
        (1 << 62, "Europe/Berlin", f"{1 << 62} ms"),
    ],
)
def test_no_two_moments_read_the_same(ms: int, zone: str, expected: str) -> None:
    """Neither in an hour that a clock shows twice, nor within a second."""
    assert exact_clock_text(ms, zone_of(zone)) == expected


def test_until_now_includes_this_very_moment() -> None:
    """A call that began in this millisecond is in a report that is made in it."""
    assert interval_of("1m", None, now_ms=NOW_MS) == Interval(
        NOW_MS - 60_000, NOW_MS + 1
    )


def test_an_empty_interval_is_refused() -> None:
    """From and to the wrong way round is a mistake, not an empty report."""
    with pytest.raises(BadMoment, match="--since must be before --until"):
        interval_of("1h", "2h", now_ms=NOW_MS)


def test_moments_are_written_in_utc() -> None:
    """Milliseconds are kept; what no calendar holds is shown as a number."""
    assert utc_text(1_793_491_200_250) == "2026-11-01T00:00:00.250Z"
    assert utc_text(1 << 62) == f"{1 << 62} ms"
