"""Spans of time as a person writes them: `24h`, `7d`, a date, or a moment in ISO 8601.

A moment without an offset is meant in the zone that is asked for, and a date is that
day's first moment there. An interval includes its first moment and excludes its last,
so that neighbouring intervals count nothing twice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfoNotFoundError, available_timezones

from smart_llmrouter.config.timezones import timezone

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_SPAN_LIKE: Final = re.compile(r"([+-]?)([0-9]+)([mhdw])", re.ASCII)
_MONTH: Final = re.compile(r"[0-9]{4}-[0-9]{2}")
_SPAN_DIGITS: Final = 6
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class BadMoment(ValueError):
    """A text is neither a span nor a moment; the message says what would be."""


class UnknownTimezone(ValueError):
    """There is no time zone of this name; the message names similar ones."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone, and its name in the tz database."""

    name: str
    tz: tzinfo


UTC_ZONE: Final = Zone("UTC", UTC)


@dataclass(frozen=True, slots=True)
class Interval:
    """From `from_ms` on, up to but without `to_ms`; milliseconds since 1970, UTC."""

    from_ms: int
    to_ms: int


def zone_of(name: str) -> Zone:
    """Return the time zone of this name; raise `UnknownTimezone` where there is none.

    Names are those of the tz database, such as `Europe/Berlin` or `UTC`.
    """
    try:
        return Zone(name, timezone(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {each.lower(): each for each in available_timezones()}
        tails = {each.rpartition("/")[2].lower(): each for each in known.values()}
        asked = name.lower()
        close = [*get_close_matches(asked, known), *get_close_matches(asked, tails)]
        found = {**tails, **known}
        hint = f"; did you mean {found[close[0]]}?" if close else ""
        raise UnknownTimezone(
            f"there is no time zone {name[:40]!r}: write a name of the tz database "
            f"such as Europe/Berlin or UTC{hint}"
        ) from None


def interval_of(
    since: str, until: str | None, *, now_ms: int, zone: Zone = UTC_ZONE
) -> Interval:
    """Return the interval that two texts mean; raise `BadMoment` with the reason."""
    from_ms = moment_ms(since, now_ms=now_ms, zone=zone)
    # Rounded up: a record of this very millisecond belongs to "until now".
    to_ms = now_ms + 1
    if until is not None:
        to_ms = moment_ms(until, now_ms=now_ms, zone=zone)
    if from_ms >= to_ms:
        raise BadMoment(
            f"nothing lies between {moment_text(from_ms, zone)} and "
            f"{moment_text(to_ms, zone)}: --since must be before --until"
        )
    return Interval(from_ms, to_ms)


def moment_ms(text: str, *, now_ms: int, zone: Zone = UTC_ZONE) -> int:
    """Return the moment that a text means, as milliseconds since 1970, UTC."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now_ms - int(span[1]) * _UNIT_MS[span[2]]
    try:
        iso = f"{text}-01" if _MONTH.fullmatch(text) else text
        moment = datetime.fromisoformat(iso)
    except ValueError:
        _refuse_span(text)
        raise BadMoment(
            f"{text[:40]!r} is no span or moment: write 30m, 24h, 7d or 2w, a month "
            "such as 2026-11, or ISO 8601 such as 2026-11-01 or 2026-11-01T08:00:00Z "
            f"({zone.name} unless it says so)"
        ) from None
    if moment.tzinfo is None:
        # Of an hour that a clock shows twice the first is meant, and one that it
        # leaves out begins when the clock is moved.
        moment = moment.replace(tzinfo=zone.tz)
    return round(moment.timestamp() * 1000)


def _refuse_span(text: str) -> None:
    """Raise `BadMoment` for what looks like a span, and is too short or too long."""
    found = _SPAN_LIKE.fullmatch(text)
    if found is None:
        return
    sign, number, _ = found.groups()
    if sign == "-" or not number.strip("0"):
        wrong = "must be above 0: it counts back from now"
    elif len(number.lstrip("0")) > _SPAN_DIGITS:
        wrong = f"is too long: write at most {_SPAN_DIGITS} digits, or a moment"
    else:
        wrong = "has a sign or a zero too many"
    raise BadMoment(f"the span {text[:40]!r} {wrong}, such as 24h, 7d or 2026-11-01")


def utc_text(ms: int) -> str:
    """Return a moment as `2026-11-01T08:00:00.000Z`; a very far one as its number."""
    return moment_text(ms, UTC_ZONE)


def moment_text(ms: int, zone: Zone) -> str:
    """Return a moment as ISO 8601 in a zone, its offset at the end (`Z` in UTC)."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, tz=zone.tz)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    text = moment.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z") if zone.tz is UTC else text


def exact_clock_text(ms: int, zone: Zone) -> str:
    """Return a moment as people read it, so that no other moment reads the same.

    With its milliseconds where there are any, and outside UTC with its offset.
    """
    try:
        moment = datetime.fromtimestamp(ms / 1000, tz=zone.tz)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    if zone.tz is UTC:
        moment = moment.replace(tzinfo=None)
    precision = "milliseconds" if ms % 1000 else "seconds"
    return moment.isoformat(sep=" ", timespec=precision)


def clock_text(ms: int, zone: Zone) -> str:
    """Return a moment as people read it, without its offset: `2026-11-01 08:00:00`."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, tz=zone.tz)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
