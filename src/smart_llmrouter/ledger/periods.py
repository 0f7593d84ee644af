"""Hours, days and months of UTC: where each begins and ends.

All times are milliseconds since 1970, UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.stores.rollup_schema import HOUR_MS, LEVELS, Level

DAY_MS: Final = 24 * HOUR_MS
_MS_PER_S: Final = 1000
_DECEMBER: Final = 12


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `from_ms` on, up to but without `to_ms`."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Period:
    """One hour, day or month, by the moment at which it begins."""

    level: Level
    start_ms: int

    def __str__(self) -> str:
        """Return its level and its beginning: `hour 2026-11-01T08:00Z`."""
        return f"{self.level} {utc_text(self.start_ms)[:16]}Z"

    @property
    def end_ms(self) -> int:
        """Return when the next one begins."""
        if self.level == "hour":
            return self.start_ms + HOUR_MS
        if self.level == "day":
            return self.start_ms + DAY_MS
        return _month_after(self.start_ms)

    @property
    def span(self) -> Span:
        """Return all of it."""
        return Span(self.start_ms, self.end_ms)

    @property
    def above(self) -> "Period | None":
        """Return the next longer one in which it lies; a month lies in none."""
        if self.level == "month":
            return None
        return period_at(LEVELS[LEVELS.index(self.level) + 1], self.start_ms)


def period_at(level: Level, ms: int) -> Period:
    """Return the period to which a moment belongs."""
    if level == "hour":
        return Period(level, ms - ms % HOUR_MS)
    if level == "day":
        return Period(level, ms - ms % DAY_MS)
    moment = datetime.fromtimestamp(ms // _MS_PER_S, tz=UTC)
    return Period(level, _ms(datetime(moment.year, moment.month, 1, tzinfo=UTC)))


def below(level: Level) -> Level:
    """Return the level of which a day or a month is made."""
    return LEVELS[LEVELS.index(level) - 1]


def _month_after(start_ms: int) -> int:
    moment = datetime.fromtimestamp(start_ms // _MS_PER_S, tz=UTC)
    if moment.month == _DECEMBER:
        return _ms(datetime(moment.year + 1, 1, 1, tzinfo=UTC))
    return _ms(datetime(moment.year, moment.month + 1, 1, tzinfo=UTC))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * _MS_PER_S
