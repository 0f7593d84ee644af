"""`GET /v1/usage`: how a caller's own limits stand, and what it has used.

Nothing here is about anybody else. Of what several callers share, such as a project,
the limit is told and how much of it is in use, because that decides about this caller's
calls; by whom it was used is not told.
"""

import asyncio
import math
import os
import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, Protocol

import structlog

from smart_llmrouter.admission.verdicts import Standing, Use
from smart_llmrouter.config.allowances import Allowances, Scope, ScopeKind
from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.core.errors import (
    AGAIN_AFTER_S,
    InvalidRequest,
    RouterError,
    UsageUnavailable,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import usd_text
from smart_llmrouter.ledger.caller_usage import Amounts, UsageLine, UsageUnread

Document = dict[str, object]
Query = Mapping[str, str]

MOST_DAYS: Final = 366
_USUAL_DAYS: Final = 31
_S_PER_DAY: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_KEPT_S: Final = 1.0
_KEPT_FOR_EACH_S: Final = 10.0
_MOST_KEPT: Final = 256
_LOWEST_PRIORITY: Final = 19
_WAIT_S: Final = 10.0
_MAKE_WITHIN_S: Final = 600.0
_OWN: Final[frozenset[ScopeKind]] = frozenset({"caller", "group-caller"})

log = structlog.get_logger()


class Rows(NamedTuple):
    """What the database says; `complete` unless the journal has more than that."""

    lines: Sequence[UsageLine]
    complete: bool


Standings = Callable[[Sequence[Scope]], Awaitable[Sequence[Standing]]]


class ReadRows(Protocol):
    """Reads what a caller has used on some days since 1970, which may block."""

    def __call__(self, caller_id: str, days: range, /) -> Rows | None:
        """Return it, or `None`: asking again gets further. Raises `UsageUnread`."""


class UsageReports:
    """Tells callers what they have used, and keeps what it told for a moment.

    Rows are read in one thread, which gets the core when nobody else wants it, a piece
    for one caller after the other; and what took long is kept for ten times as long. So
    whoever asks again and again holds up nobody's calls.
    """

    def __init__(
        self,
        allowances: Allowances,
        *,
        standings: Standings,
        read_rows: ReadRows,
        now: Monotonic,
        wall_clock: WallClock,
    ) -> None:
        """Tell of the limits in `allowances`, which stand as `standings` says."""
        self._allowances = allowances
        self._standings = standings
        self._read_rows = read_rows
        self._now = now
        self._wall_clock = wall_clock
        self._reader = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="usage", initializer=_be_last
        )
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def of(self, caller: Caller, query: Query) -> Document:
        """Return what is told to `caller`. Raises the `RouterError` that refuses it."""
        days = _days(query, today=int(self._wall_clock() // _S_PER_DAY))
        while True:
            kept = self._kept.get(caller.id)
            if kept is not None and kept.tells_of(days):
                break
            if kept is None or kept.making.done():
                kept = self._begin(caller, days)
                break
            # A caller has one report made at a time.
            if not (await asyncio.wait([kept.making], timeout=_WAIT_S))[0]:
                raise UsageUnavailable
        try:
            async with asyncio.timeout(_WAIT_S):
                # Others may wait for the same, and it goes on when one of them leaves.
                return await asyncio.shield(kept.making)
        except TimeoutError:
            raise UsageUnavailable from None

    def _begin(self, caller: Caller, days: range) -> "_Kept":
        kept = _Kept(days, asyncio.create_task(self._made(caller, days)), now=self._now)
        self._kept[caller.id] = kept
        self._kept.move_to_end(caller.id)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _made(self, caller: Caller, days: range) -> Document:
        scopes = {
            scope.key: scope
            for group in sorted(caller.allowed_groups)
            for scope in self._allowances.scopes_of(caller, group)
        }
        as_of = _instant(math.floor(self._wall_clock()))
        usage = await self._usage(caller, days)
        standings = await self._standings(list(scopes.values()))
        return {
            "object": "usage",
            "as_of": as_of,
            "caller": {
                "id": caller.id,
                "owner": caller.owner_user,
                "project": caller.project,
                "environment": caller.environment,
            },
            "limits": [_limits_of(each) for each in standings if each.uses],
            "usage": usage,
        }

    async def _usage(self, caller: Caller, days: range) -> Document:
        def read() -> Document | None:
            rows = self._read_rows(caller.id, days)
            return None if rows is None else _usage(rows, days)

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_MAKE_WITHIN_S):
                while (told := await loop.run_in_executor(self._reader, read)) is None:
                    pass  # Whoever else waits had a turn in between.
        except (TimeoutError, UsageUnread) as unread:
            log.warning("usage cannot be read", reason=str(unread) or "takes too long")
            raise UsageUnavailable from None
        return told


class _Kept:
    """What is being made for a caller, or was made a moment ago."""

    def __init__(
        self, days: range, making: "asyncio.Task[Document]", *, now: Monotonic
    ) -> None:
        self.making = making
        self._days = days
        self._now = now
        self._began_s = now()
        self._until_s = math.inf
        making.add_done_callback(self._made)

    def tells_of(self, days: range) -> bool:
        """Say whether it is about these days, and not too old to be told again."""
        return days == self._days and self._now() < self._until_s

    def _made(self, making: "asyncio.Task[Document]") -> None:
        now_s = self._now()
        kept_s = _kept_failure_s(making)
        if kept_s is None:
            kept_s = max(_KEPT_S, _KEPT_FOR_EACH_S * (now_s - self._began_s))
        self._until_s = now_s + kept_s


def _kept_failure_s(making: "asyncio.Task[Document]") -> float | None:
    """Return how long a failure is told again, as it says itself; `None`: is none."""
    if making.cancelled():
        return AGAIN_AFTER_S
    error = making.exception()
    if isinstance(error, RouterError) and error.retry_after_s is not None:
        return error.retry_after_s
    return None if error is None else AGAIN_AFTER_S


def _be_last() -> None:
    """Let this thread run when no other wants the core; where that can be."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)


def _days(query: Query, *, today: int) -> range:
    """Return the days that are asked for. Raises `InvalidRequest`."""
    before = _day(query, "to", usual=today + 1)
    first = date.min.toordinal() - _EPOCH_ORDINAL
    since = _day(query, "from", usual=max(first, before - _USUAL_DAYS))
    if since >= before:
        raise InvalidRequest(
            "`from` must be before `to`, which is the first day that does not count",
            details={"field": "from"},
        )
    if before - since > MOST_DAYS:
        raise InvalidRequest(
            f"from `from` to `to` there may be {MOST_DAYS} days at most",
            details={"field": "from"},
        )
    return range(since, before)


def _day(query: Query, field: str, *, usual: int) -> int:
    text = query.get(field)
    if text is None:
        return usual
    try:
        parsed = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        parsed = None
    if parsed is None:
        raise InvalidRequest(
            f"`{field}` must be a day such as 2026-11-01 (UTC)",
            details={"field": field},
        )
    return parsed.toordinal() - _EPOCH_ORDINAL


def _limits_of(standing: Standing) -> Document:
    return {
        "scope": standing.kind,
        "name": standing.name,
        "shared": standing.kind not in _OWN,
        "limits": [_use(use) for use in standing.uses],
    }


def _use(use: Use) -> Document:
    left = max(0, use.value - use.used - use.reserved)
    amount = usd_text if use.limit.endswith(".usd") else _as_it_is
    return {
        "limit": use.limit,
        "value": amount(use.value),
        "used": amount(use.used),
        "reserved": amount(use.reserved),
        "left": amount(left),
        "resets_at": None if use.resets_at_s is None else _instant(use.resets_at_s),
    }


def _as_it_is(amount: int) -> int | str:
    return amount


def _usage(rows: Rows, days: range) -> Document:
    by_day: defaultdict[int, Amounts] = defaultdict(Amounts)
    by_group: defaultdict[str | None, Amounts] = defaultdict(Amounts)
    total = Amounts()
    for line in rows.lines:
        total = total.plus(line.amounts)
        by_day[line.day] = by_day[line.day].plus(line.amounts)
        by_group[line.group] = by_group[line.group].plus(line.amounts)
    return {
        "from": _day_text(days.start),
        "to": _day_text(days.stop),
        "complete": rows.complete,
        "total": _told(total),
        "by_day": [
            {"day": _day_text(day), **_told(amounts)}
            for day, amounts in sorted(by_day.items())
        ],
        "by_group": [
            {"group": group, **_told(by_group[group])}
            for group in sorted(by_group, key=lambda group: group or "")
        ],
    }


def _told(amounts: Amounts) -> Document:
    told: Document = dict(amounts._asdict())
    del told["cost_nusd"]
    return {**told, "cost_usd": usd_text(amounts.cost_nusd)}


def _day_text(day: int) -> str:
    return date.fromordinal(day + _EPOCH_ORDINAL).isoformat()


def _instant(at_s: float) -> str:
    instant = datetime.fromtimestamp(math.ceil(at_s), UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
