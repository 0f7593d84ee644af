"""Spans of time as a person writes them: `24h`, `7d`, or a moment in ISO 8601.

A moment without an offset is UTC. An interval includes its first moment and excludes
its last, so that neighbouring intervals count nothing twice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])")
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class BadMoment(ValueError):
    """A text is neither a span nor a moment; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `from_ms` on, up to but without `to_ms`; milliseconds since 1970, UTC."""

    from_ms: int
    to_ms: int


def interval_of(since: str, until: str | None, *, now_ms: int) -> Interval:
    """Return the interval that two texts mean; raise `BadMoment` with the reason."""
    # Rounded up: a record of this very millisecond belongs to "until now".
    to_ms = now_ms + 1 if until is None else moment_ms(until, now_ms=now_ms)
    from_ms = moment_ms(since, now_ms=now_ms)
    if from_ms >= to_ms:
        raise BadMoment(
            f"nothing lies between {utc_text(from_ms)} and {utc_text(to_ms)}: "
            "--since must be before --until"
        )
    return Interval(from_ms, to_ms)


def moment_ms(text: str, *, now_ms: int) -> int:
    """Return the moment that a text means, as milliseconds since 1970, UTC."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now_ms - int(span[1]) * _UNIT_MS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadMoment(
            f"{text[:40]!r} is no span or moment: write 30m, 24h, 7d or 2w, or ISO "
            "8601 such as 2026-11-01 or 2026-11-01T08:00:00Z (UTC unless it says so)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def utc_text(ms: int) -> str:
    """Return a moment as `2026-11-01T08:00:00.000Z`; a very far one as its number."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
