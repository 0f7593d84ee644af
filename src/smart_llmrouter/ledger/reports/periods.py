"""Hours, days and months as they begin in a time zone, across daylight saving.

A database knows no zones: it is told by how much a zone's clocks differ from UTC, and
from when on they do so otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import BigInteger, ColumnElement, case, cast, literal_column

from smart_llmrouter.ledger.interval import Interval, Zone

Unit = Literal["hour", "day", "month"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
_MONTHS: Final = 12
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the local one, wherever that is
_LAST_MS: Final = 7_258_118_400_000
"""The year 2200: what lies beyond is shown with the offset of then."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Up to `until_ms` a zone's clocks are `offset_ms` ahead of UTC."""

    until_ms: int
    offset_ms: int


def offset_ms(at_ms: int, zone: Zone) -> int:
    """Return by how much the clocks of a zone are ahead of UTC."""
    within = min(max(at_ms, 0), _LAST_MS)
    ahead = datetime.fromtimestamp(within / 1000, tz=zone.tz).utcoffset()
    return round((ahead or timedelta()) / timedelta(milliseconds=1))


def stretches(interval: Interval, zone: Zone) -> list[_Stretch]:
    """Return the stretches of an interval in which the offset does not change."""
    last_ms = min(interval.to_ms, _LAST_MS)
    found: list[_Stretch] = []
    at_ms, ahead = interval.from_ms, offset_ms(interval.from_ms, zone)
    while at_ms < last_ms and zone.tz is not UTC:
        next_ms = min(at_ms + DAY_MS, last_ms)
        then = offset_ms(next_ms, zone)
        if then != ahead:
            found.append(_Stretch(_changed(at_ms, next_ms, zone), ahead))
            ahead = then
        at_ms = next_ms
    return [*found, _Stretch(interval.to_ms, ahead)]


def _changed(before_ms: int, after_ms: int, zone: Zone) -> int:
    """Return the first moment with the offset of `after_ms`."""
    new = offset_ms(after_ms, zone)
    while after_ms - before_ms > 1:
        middle_ms = (before_ms + after_ms) // 2
        if offset_ms(middle_ms, zone) == new:
            after_ms = middle_ms
        else:
            before_ms = middle_ms
    return after_ms


def slot_of(
    moment: ColumnElement[int], unit: Unit, *, interval: Interval, zone: Zone
) -> ColumnElement[int]:
    """Return what in SQL tells apart the periods of an interval; see `slot_text`."""
    return _SLOTS[unit](moment, interval, zone)


def _hour(
    moment: ColumnElement[int], interval: Interval, zone: Zone
) -> ColumnElement[int]:
    return moment - (moment + _ahead(moment, interval, zone)) % HOUR_MS


def _day(
    moment: ColumnElement[int], interval: Interval, zone: Zone
) -> ColumnElement[int]:
    return (moment + _ahead(moment, interval, zone)) // literal_column(
        str(DAY_MS), BigInteger
    )


def _month(
    moment: ColumnElement[int], interval: Interval, zone: Zone
) -> ColumnElement[int]:
    slots = list(_month_slots(interval, zone))
    beginnings = [_month_ms(slot, zone) for slot in slots[1:]]
    if not beginnings:
        # A bare number would be taken for the place of a column.
        return cast(_constant(slots[0]), BigInteger)
    return case(
        *(
            (moment < _constant(ms), _constant(slot))
            for ms, slot in zip(beginnings, slots, strict=False)
        ),
        else_=_constant(slots[-1]),
    )


_SLOTS: Final[
    dict[Unit, Callable[[ColumnElement[int], Interval, Zone], ColumnElement[int]]]
] = {"hour": _hour, "day": _day, "month": _month}


def _ahead(
    moment: ColumnElement[int], interval: Interval, zone: Zone
) -> ColumnElement[int]:
    *earlier, last = stretches(interval, zone)
    if not earlier:
        return _constant(last.offset_ms)
    return case(
        *(
            (moment < _constant(each.until_ms), _constant(each.offset_ms))
            for each in earlier
        ),
        else_=_constant(last.offset_ms),
    )


def _constant(number: int) -> ColumnElement[int]:
    # Written out, so that an expression that stands twice in a query is one to it.
    return literal_column(str(number), BigInteger)


def slot_text(slot: int, unit: Unit, zone: Zone) -> str:
    """Return a period as people write it: an hour with its offset, a day, a month."""
    if unit == "hour":
        moment = datetime.fromtimestamp(slot / 1000, tz=zone.tz)
        text = moment.isoformat(timespec="minutes")
        return text.replace("+00:00", "Z") if zone.tz is UTC else text
    if unit == "day":
        return (_EPOCH + timedelta(days=slot)).date().isoformat()
    return f"{slot // _MONTHS:04}-{slot % _MONTHS + 1:02}"


def slot_interval(slot: int, unit: Unit, zone: Zone) -> Interval:
    """Return from when until when a period lasts."""
    if unit == "hour":
        return Interval(slot, slot + HOUR_MS)
    if unit == "day":
        return Interval(_day_ms(slot, zone), _day_ms(slot + 1, zone))
    return Interval(_month_ms(slot, zone), _month_ms(slot + 1, zone))


def _day_ms(slot: int, zone: Zone) -> int:
    return _local_ms(_EPOCH + timedelta(days=slot), zone)


def _month_ms(slot: int, zone: Zone) -> int:
    return _local_ms(datetime(slot // _MONTHS, slot % _MONTHS + 1, 1), zone)  # noqa: DTZ001


def _local_ms(local: datetime, zone: Zone) -> int:
    return round(local.replace(tzinfo=zone.tz).timestamp() * 1000)


def _month_slots(interval: Interval, zone: Zone) -> Iterator[int]:
    ends = (interval.from_ms, max(interval.from_ms, interval.to_ms - 1))
    first, last = (_month_at(min(max(ms, 0), _LAST_MS), zone) for ms in ends)
    yield from range(first, last + 1)


def _month_at(ms: int, zone: Zone) -> int:
    local = datetime.fromtimestamp(ms / 1000, tz=zone.tz)
    return local.year * _MONTHS + local.month - 1


def starts(interval: Interval, unit: Unit, zone: Zone) -> list[int]:
    """Return where in an interval periods begin, but for one that begins with it."""
    found = []
    slot = unit_slot_at(interval.from_ms, unit, zone)
    while (at := slot_interval(slot, unit, zone)).to_ms < interval.to_ms:
        found.append(at.to_ms)
        slot = unit_slot_at(at.to_ms, unit, zone)
    return found


def unit_slot_at(at_ms: int, unit: Unit, zone: Zone) -> int:
    """Return the period in which a moment lies."""
    if unit == "month":
        return _month_at(at_ms, zone)
    local_ms = at_ms + offset_ms(at_ms, zone)
    return local_ms // DAY_MS if unit == "day" else at_ms - local_ms % HOUR_MS


def unit_slot(text: str, unit: Unit, zone: Zone) -> int:
    """Return the period that a text means; `ValueError` where it means none."""
    moment = datetime.fromisoformat(f"{text}-01" if unit == "month" else text)
    if unit == "day":
        return (datetime.combine(moment.date(), _EPOCH.time()) - _EPOCH).days
    if unit == "month":
        return moment.year * _MONTHS + moment.month - 1
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone.tz)
    ms = round(moment.timestamp() * 1000)
    return ms - (ms + offset_ms(ms, zone)) % HOUR_MS


def without(interval: Interval, taken: list[Interval]) -> Iterator[Interval]:
    """Yield what is left of an interval."""
    at_ms = interval.from_ms
    for each in sorted(taken, key=lambda one: one.from_ms):
        if each.from_ms > at_ms:
            yield Interval(at_ms, min(each.from_ms, interval.to_ms))
        at_ms = max(at_ms, each.to_ms)
        if at_ms >= interval.to_ms:
            return
    yield Interval(at_ms, interval.to_ms)


def overlap(one: Interval, other: Interval) -> Interval | None:
    """Return what two intervals share, if anything."""
    from_ms, to_ms = max(one.from_ms, other.from_ms), min(one.to_ms, other.to_ms)
    return Interval(from_ms, to_ms) if from_ms < to_ms else None


def joined(intervals: list[Interval]) -> list[Interval]:
    """Return neighbouring intervals as one, in order."""
    found: list[Interval] = []
    for each in sorted(intervals, key=lambda one: one.from_ms):
        if found and each.from_ms <= found[-1].to_ms:
            last_ms = max(found[-1].to_ms, each.to_ms)
            found[-1] = Interval(found[-1].from_ms, last_ms)
        else:
            found.append(each)
    return found
