"""Spans and moments as people write them."""

import pytest

from smart_llmrouter.ledger.interval import (
    BadMoment,
    Interval,
    interval_of,
    moment_ms,
    utc_text,
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


@pytest.mark.parametrize("text", ["", "yesterday", "24", "0h", "-3h", "24h ", "13/13"])
def test_anything_else_is_explained(text: str) -> None:
    """The message shows what would be understood."""
    with pytest.raises(BadMoment, match="24h, 7d"):
        moment_ms(text, now_ms=NOW_MS)


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
