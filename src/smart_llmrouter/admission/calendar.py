"""When a day and a month begin in a time zone.

A day begins the first time that the clocks there show its date, and ends when the next
one begins. So every instant belongs to exactly one day, also where clocks are turned at
midnight and midnight comes never or twice; a date that a place has skipped is no day.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import inf
from typing import Final

from smart_llmrouter.config.allowances import PeriodName
from smart_llmrouter.config.timezones import timezone as zone_of

Bounds = tuple[float, float]
"""When something begins, and when it is over, in milliseconds since 1970 UTC."""

_DAY: Final = timedelta(days=1)
_EVER: Final = (-inf, inf)


def bounds_ms(period: PeriodName, at_ms: float, timezone: str) -> Bounds:
    """Return the period to which an instant belongs; for ever has no bounds."""
    return _BOUNDS[period](at_ms, timezone)


def _day_bounds(at_ms: float, timezone: str) -> Bounds:
    day = _day_of(at_ms, timezone)
    return _beginning_ms(day, timezone), _beginning_ms(day + _DAY, timezone)


def _month_bounds(at_ms: float, timezone: str) -> Bounds:
    first = _day_of(at_ms, timezone).replace(day=1)
    following = (first + 31 * _DAY).replace(day=1)
    return _beginning_ms(first, timezone), _beginning_ms(following, timezone)


def _lifetime_bounds(_at_ms: float, _timezone: str) -> Bounds:
    return _EVER


_BOUNDS: Final[Mapping[PeriodName, Callable[[float, str], Bounds]]] = {
    "day": _day_bounds,
    "month": _month_bounds,
    "lifetime": _lifetime_bounds,
}


def _day_of(at_ms: float, timezone: str) -> date:
    """Return the day that has begun last; clocks may show an earlier one again."""
    shown = datetime.fromtimestamp(at_ms // 1000, zone_of(timezone)).date()
    while at_ms >= _beginning_ms(shown + _DAY, timezone):
        shown += _DAY
    while at_ms < _beginning_ms(shown, timezone):
        shown -= _DAY
    return shown


@lru_cache(maxsize=256)
def _beginning_ms(day: date, timezone: str) -> int:
    """Return when a date is first shown, or a later one where it is skipped."""
    zone = zone_of(timezone)
    midnight = datetime.combine(day, time(), zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).date() > day or _is_skipped(midnight, instant):
        instant = _turning_point(midnight)
    return round(instant.timestamp()) * 1000


def _is_skipped(midnight: datetime, instant: datetime) -> bool:
    shown = instant.astimezone(midnight.tzinfo)
    return shown.replace(tzinfo=None) != midnight.replace(tzinfo=None)


def _turning_point(midnight: datetime) -> datetime:
    """Return when clocks are turned forward, over a midnight that is not shown.

    Read by the offset that holds after it, such a midnight lies before that instant;
    by the one before it, not before it.
    """
    earliest = int(midnight.replace(fold=1).timestamp())
    latest = int(midnight.timestamp())
    while earliest < latest:
        middle = (earliest + latest) // 2
        if datetime.fromtimestamp(middle, midnight.tzinfo).date() < midnight.date():
            earliest = middle + 1
        else:
            latest = middle
    return datetime.fromtimestamp(latest, UTC)
