"""What one caller has used, by day and by group: for the caller itself.

Nothing that is slow to load is needed here, because the router loads it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.stores.reading import Reading, connect_for_reading
from smart_llmrouter.stores.rollup_schema import GONE, TABLE_OF
from smart_llmrouter.stores.usage_store import DatabaseAway

DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MS_PER_S: Final = 1000
_OLD_MS: Final = 30 * DAY_MS
"""Roll-ups of hours are kept for longer than this, at least."""
_MOST_LINES: Final = 100_000
"""Some 40 MB; of more the days that were asked for least recently are read again."""
_MOST_S: Final = 10.0
"""How long one look at the rows may take, also where nothing can be kept."""
_TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_SUMMED: Final = (*_TOKENS, "total_cost_nusd")
# Of rows that retention has removed, roll-ups keep the sums of hours, and then of days.
_GONE_IN: Final = (TABLE_OF["hour"], TABLE_OF["day"])
_GONE: Final = " ".join(
    f"UNION ALL SELECT start_ms / {DAY_MS}, labels_id, calls, {', '.join(_SUMMED)} "  # noqa: S608 - of our own words; values are bound
    f"FROM {table} WHERE part = {GONE} AND start_ms >= ? AND start_ms < ? %s"
    for table in _GONE_IN
)
# What calls have in common is looked up once for all of them, not once a call.
_QUERY: Final = f"""
SELECT caller_id, day, resolved_group, sum(calls),
    sum(CASE WHEN error_code IS NULL THEN 0 ELSE calls END),
    {", ".join(f"sum({name})" for name in _SUMMED)}
FROM (
    SELECT ts_ms / {DAY_MS} AS day, labels_id, count(*) AS calls,
        {", ".join(f"sum({name}) AS {name}" for name in _SUMMED)}
    FROM request_measures WHERE ts_ms >= ? AND ts_ms < ? %s GROUP BY 1, 2
    {_GONE}
) AS used JOIN request_labels ON request_labels.id = labels_id
GROUP BY 1, 2, 3
"""  # noqa: S608 - constants
_SOURCES: Final = 1 + len(_GONE_IN)
_OF_ALL: Final = _QUERY % (("",) * _SOURCES)
_OF_ONE: Final = _QUERY % (
    ("AND labels_id IN (SELECT id FROM request_labels WHERE caller_id = ?)",) * _SOURCES
)


class UsageUnread(Exception):
    """The rows cannot be read now."""


class Amounts(NamedTuple):
    """How many calls, and what they add up to; what is unknown adds nothing."""

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nusd: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return both together."""
        return Amounts(*map(sum, zip(self, other, strict=True)))


class UsageLine(NamedTuple):
    """The calls of one day, in days since 1970 UTC, and one group, `None` for none."""

    day: int
    group: str | None
    amounts: Amounts


_Kept = dict[str, list[UsageLine]]
"""What was read of some time, by the caller."""


class CallerUsage:
    """Adds up rows, and keeps what cannot change any more.

    Reading takes seconds for a million rows, of all callers together. So each
    hour is read once for all callers as soon as all of its calls must have ended; only
    what is younger is read each time. It is used by one thread at a time.
    """

    def __init__(
        self, url: str, *, settled_after_s: float, now: Monotonic, wall: WallClock
    ) -> None:
        """Read the database at `url`.

        A call has ended, and its row is there, `settled_after_s` seconds after it
        began; what was read when the journal was not is never kept.
        """
        self._url = url
        self._settled_after_ms = settled_after_s * _MS_PER_S
        self._now = now
        self._wall = wall
        self._kept: OrderedDict[range, _Kept] = OrderedDict()
        self._kept_lines = 0

    def of(
        self, caller_id: str, days: range, *, within_s: float, complete: bool
    ) -> list[UsageLine] | None:
        """Return what a caller has used on some days, which are counted from 1970 on.

        `None` is that there is more to read than `within_s` seconds are enough for:
        what was read is kept, so that asking again gets further. `complete` says that
        the journal holds no more than the rows. Raises `UsageUnread`.
        """
        began_s = self._now()
        settled_ms = self._wall() * _MS_PER_S - self._settled_after_ms
        found: list[UsageLine] = []
        try:
            with connect_for_reading(self._url) as reading:
                reading.give_up_after(_MOST_S, now=self._now)
                for span in self._spans(days, old_ms=settled_ms - _OLD_MS):
                    keep = complete and span.stop <= settled_ms
                    fresh = keep and span not in self._kept
                    found += self._lines(reading, caller_id, span, keep=keep)
                    # Where not all can be kept, asking again would not get further.
                    late = fresh and self._now() > began_s + within_s
                    if late and self._kept_lines < _MOST_LINES // 2:
                        return None
        except DatabaseAway as away:
            raise UsageUnread(away.reason) from away
        return _added_up(found)

    def _spans(self, days: range, *, old_ms: float) -> Iterator[range]:
        """Split days into pieces, of which the day is one that was read already."""
        for day in days:
            whole = range(day * DAY_MS, (day + 1) * DAY_MS)
            # Of an old day its hours may become one at any moment.
            if whole in self._kept or whole.stop < old_ms:
                yield whole
            else:
                yield from _hours(whole)
                self._merge(whole)

    def _lines(
        self,
        reading: Reading,
        caller_id: str,
        span: range,
        *,
        keep: bool,
    ) -> Iterable[UsageLine]:
        kept = self._kept.get(span)
        if kept is not None:
            self._kept.move_to_end(span)
            return kept.get(caller_id, ())
        bounds = (span.start, span.stop)
        if not keep:
            rows = reading.execute(_OF_ONE, (*bounds, caller_id) * _SOURCES).fetchall()
            return [line for _, line in map(_line, rows)]
        by_caller: dict[str, list[UsageLine]] = {}
        for row in reading.execute(_OF_ALL, bounds * _SOURCES).fetchall():
            whose, line = _line(row)
            by_caller.setdefault(whose, []).append(line)
        self._keep(span, by_caller)
        return by_caller.get(caller_id, ())

    def _merge(self, whole: range) -> None:
        """Keep a day as one, where all its hours are kept."""
        hours = _hours(whole)
        if not all(hour in self._kept for hour in hours):
            return
        together: dict[str, list[UsageLine]] = {}
        for hour in hours:
            kept = self._kept.pop(hour)
            self._kept_lines -= _size(kept)
            for caller_id, lines in kept.items():
                together.setdefault(caller_id, []).extend(lines)
        merged = {whose: _added_up(lines) for whose, lines in together.items()}
        self._keep(whole, merged)

    def _keep(self, span: range, by_caller: _Kept) -> None:
        self._kept[span] = by_caller
        self._kept_lines += _size(by_caller)
        while self._kept_lines > _MOST_LINES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_lines -= _size(dropped)


def _hours(day: range) -> list[range]:
    return [
        range(start_ms, start_ms + _HOUR_MS)
        for start_ms in range(day.start, day.stop, _HOUR_MS)
    ]


def _size(kept: _Kept) -> int:
    return 1 + sum(map(len, kept.values()))


def _line(row: Sequence[Any]) -> tuple[str, UsageLine]:
    """Read a row of the database: whose it is, and what it says."""
    caller_id, day, group, *amounts = row
    return caller_id, UsageLine(day, group, Amounts(*(each or 0 for each in amounts)))


def _added_up(lines: Iterable[UsageLine]) -> list[UsageLine]:
    """Return one line for each day and group, in their order."""
    found: dict[tuple[int, str | None], Amounts] = {}
    for line in lines:
        key = (line.day, line.group)
        found[key] = found.get(key, Amounts()).plus(line.amounts)
    ordered = sorted(found, key=lambda key: (key[0], key[1] or ""))
    return [UsageLine(*key, found[key]) for key in ordered]
