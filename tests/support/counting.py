"""What counters must say: a list of all calls, and sums over it, by brute force."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from math import inf
from typing import Final, Literal

from smart_llmrouter.config.allowances import Cap, PeriodName, Scope
from smart_llmrouter.config.timezones import timezone

Tally = tuple[object, ...]
"""Which day, month or lifetime it is, and the reset before it if there is one."""
Amounts = tuple[int, int, int]
"""Requests, tokens and nano-dollars."""
Place = tuple[str, PeriodName]

PERIODS: Final[tuple[PeriodName, ...]] = ("day", "month", "lifetime")
UNITS: Final = ("requests", "tokens", "usd")
GUESS_S: Final = 1.0


@dataclass(eq=False, kw_only=True)
class Call:
    """A call that was granted."""

    keys: Sequence[str]
    granted_s: float
    granted_ms: int
    tokens: int
    nusd: int
    input_tokens: int
    tallies: dict[Place, Tally]
    state: Literal["in flight", "settled", "lost"] = "in flight"
    grown_tokens: int = 0
    grown_nusd: int = 0
    used: Amounts = (0, 0, 0)
    settled_s: float = 0.0
    in_minute: bool = True
    in_buckets: bool = True

    @property
    def held(self) -> Amounts:
        """Return what is reserved for it of budgets."""
        return 1, self.tokens + self.grown_tokens, self.nusd + self.grown_nusd

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """Yield the steps in which it counts, with how many requests and tokens."""
        if self.in_minute:
            step = int(self.granted_s * 10)
            if self.state == "settled":
                requests, tokens, _ = self.used
                yield step, requests, min(tokens, self.tokens)
                yield int(self.settled_s * 10), 0, max(0, tokens - self.tokens)
            else:
                yield step, 1, self.tokens


@dataclass(frozen=True)
class Refused:
    """A limit that refuses, and in how many seconds it would not any more."""

    key: str
    limit: str
    wait_s: float


@dataclass
class Model:
    """All that has happened."""

    scopes: dict[str, Scope]
    calls: list[Call] = field(default_factory=list)
    resets: dict[Place, list[int]] = field(default_factory=dict)
    warned: set[tuple[str, PeriodName, Tally, str]] = field(default_factory=set)
    began_s: float = 0.0

    def places(self, keys: Sequence[str]) -> Iterator[Place]:
        """Yield all budgets of scopes."""
        for key in keys:
            for period in self.scopes[key].allowance.budgets.caps:
                yield key, period

    def tally(self, place: Place, began_ms: int) -> Tally:
        """Return where a call counts that began then."""
        dated = self._dated(place, began_ms)
        resets = [
            reset_ms
            for reset_ms in self.resets.get(place, ())
            if reset_ms <= began_ms and self._dated(place, reset_ms) == dated
        ]
        return dated, max(resets, default=None)

    def _dated(self, place: Place, at_ms: int) -> object:
        key, period = place
        day = self._day(key, at_ms)
        dates = {"day": day, "month": (day.year, day.month), "lifetime": None}
        return dates[period]

    def ends_ms(self, place: Place, began_ms: int) -> float:
        """Return when the calls begin that count elsewhere."""
        key, period = place
        day = self._day(key, began_ms)
        ends = {"day": day + timedelta(1), "month": _next_month(day)}
        ends_ms = inf
        if period != "lifetime":
            budgets = self.scopes[key].allowance.budgets
            zone = timezone(budgets.timezone)
            ends_ms = datetime.combine(ends[period], time(), zone).timestamp() * 1000
        resets = [each for each in self.resets.get(place, ()) if each > began_ms]
        return min([ends_ms, *resets])

    def _day(self, key: str, began_ms: int) -> date:
        zone = timezone(self.scopes[key].allowance.budgets.timezone)
        return datetime.fromtimestamp(began_ms // 1000, zone).date()

    def used(self, place: Place, tally: Tally) -> tuple[Amounts, Amounts]:
        """Return what is settled and what is reserved in a tally."""
        here = [call for call in self.calls if call.tallies.get(place) == tally]
        settled = [call.used for call in here if call.state == "settled"]
        held = [call.held for call in here if call.state == "in flight"]
        return _sum(settled), _sum(held)

    def in_flight(self, key: str) -> int:
        """Return how many calls of a scope are under way."""
        return sum(
            key in call.keys and call.state == "in flight" for call in self.calls
        )

    def minute(self, key: str, now_s: float) -> list[tuple[int, int, int]]:
        """Return the steps of the last minute, the oldest first."""
        return sorted(
            step
            for call in self.calls
            if key in call.keys
            for step in call.steps()
            if int(now_s * 10) - step[0] < 600
        )

    def refusals(
        self,
        keys: Sequence[str],
        call: Call,
        *,
        now_s: float,
        now_ms: int,
        began_ms: int,
    ) -> list[Refused]:
        """Return every limit that refuses a call."""
        found: list[Refused] = []
        for key in keys:
            found += self._refused_by_limits(key, call, now_s)
            found += self._refused_by_buckets(key, call, now_s)
        for place in self.places(keys):
            tally = self.tally(place, began_ms)
            ends_s = max(0.0, (self.ends_ms(place, began_ms) - now_ms) / 1000)
            found += self.refused_by_budget(place, tally, call.held, ends_s)
        return found

    def refused_by_budget(
        self, place: Place, tally: Tally, need: Amounts, ends_s: float
    ) -> Iterator[Refused]:
        """Yield which caps of a period refuse that so much more is used."""
        settled, held = self.used(place, tally)
        key, period = place
        caps = caps_of(self.scopes[key].allowance.budgets.caps[period])
        for index, cap in caps.items():
            if not need[index] or settled[index] + held[index] + need[index] <= cap:
                continue
            wait_s = GUESS_S
            if need[index] > cap:
                wait_s = inf
            elif settled[index] + need[index] > cap:
                wait_s = ends_s
            yield Refused(key, f"{period}.{UNITS[index]}", wait_s)

    def _refused_by_limits(
        self, key: str, call: Call, now_s: float
    ) -> Iterator[Refused]:
        limits = self.scopes[key].allowance.limits
        for name, limit, at, need in (
            ("rpm", limits.rpm, 1, 1),
            ("tpm", limits.tpm, 2, call.tokens),
        ):
            steps = [(step[0], step[at]) for step in self.minute(key, now_s)]
            over = sum(amount for _, amount in steps) + need - (limit or 0)
            if limit is not None and need and over > 0:
                wait_s = inf if need > limit else _rolled_out(steps, over, now_s)
                yield Refused(key, name, wait_s)
        most = limits.concurrent
        if most is not None and self.in_flight(key) >= most:
            yield Refused(key, "concurrent", GUESS_S)

    def _refused_by_buckets(
        self, key: str, call: Call, now_s: float
    ) -> Iterator[Refused]:
        shaping = self.scopes[key].allowance.shaping
        if shaping is None:
            return
        flow = shaping.flow
        taken = [each for each in self.calls if key in each.keys and each.in_buckets]
        for name, rate, size, need, poured in (
            (
                "requests_per_second",
                flow.requests_per_second,
                flow.burst,
                1,
                [(each.granted_s, 1) for each in taken],
            ),
            (
                "input_tokens_per_second",
                flow.input_tokens_per_second,
                flow.input_tokens_per_second,
                call.input_tokens,
                [(each.granted_s, each.input_tokens) for each in taken],
            ),
        ):
            level, at_s = size, self.began_s
            for then_s, amount in [*poured, (now_s, 0)]:
                level = min(size, level + (then_s - at_s) * rate) - amount
                at_s = then_s
            missing = min(need, size) - level
            if rate and need and missing > 0:
                yield Refused(key, name, missing / rate)

    def warnings(self, place: Place, tally: Tally) -> Iterator[str]:
        """Yield the units of a budget that are worth a warning, told or not."""
        key, period = place
        settled, _ = self.used(place, tally)
        budgets = self.scopes[key].allowance.budgets
        for index, cap in caps_of(budgets.caps[period]).items():
            if settled[index] * 100 >= cap * budgets.warn_at_percent:
                yield UNITS[index]


def caps_of(cap: Cap) -> Mapping[int, int]:
    """Return the caps that are set, by the index of their unit."""
    every = enumerate((cap.requests, cap.tokens, cap.nusd))
    return {index: value for index, value in every if value is not None}


def _rolled_out(steps: Sequence[tuple[int, int]], over: int, now_s: float) -> float:
    for step, amount in steps:
        over -= amount
        if over <= 0:
            return (step + 600) / 10 - now_s
    raise AssertionError("more must roll out than there is")


def _sum(amounts: Sequence[Amounts]) -> Amounts:
    requests, tokens, nusd = (
        sum(column) for column in zip((0, 0, 0), *amounts, strict=True)
    )
    return requests, tokens, nusd


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(31)).replace(day=1)
