"""A small exact counter store, for tests of what stands in front of one."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.verdicts import (
    Lease,
    LimitName,
    Refusal,
    Standing,
    Verdict,
    Warned,
)
from smart_llmrouter.config.allowances import PeriodName, Scope
from smart_llmrouter.core.buckets import Bucket

_MINUTE_S = 60.0
_PERCENT = 100


class Held(Lease, eq=False):
    """A lease that knows what it holds."""

    chain: Chain | None = None


class Exact:
    """Counts requests a minute and a day, calls at a time, and buckets.

    `taken` is what was granted, in its order, with the time; `away` makes every
    decision fail with it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Begin with nothing used."""
        self._now = now
        self._starts: dict[str, list[float]] = {}
        self._held: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._warned: set[str] = set()
        self._buckets: dict[tuple[str, LimitName], Bucket] = {}
        self.taken: list[tuple[float, Demand]] = []
        self.settled: list[Spent] = []
        self.flushed = 0
        self.asked = 0
        self.away: Exception | None = None

    def take(self, scopes: Chain, demand: Demand) -> Verdict:
        """Grant all or nothing."""
        self.asked += 1
        if self.away is not None:
            raise self.away
        refusals = [
            refusal
            for each in scopes.scopes
            for refusal in self._refusals(each, demand)
        ]
        if refusals:
            return max(refusals, key=lambda each: each.wait_s)
        warned = tuple(
            each for scope in scopes.scopes for each in self._took(scope, demand)
        )
        self.taken.append((self._now(), demand))
        return Held(chain=scopes, warned=warned)

    def _refusals(self, scope: Scope, demand: Demand) -> Iterator[Refusal]:
        limits, now_s = scope.allowance.limits, self._now()
        starts = [
            each for each in self._starts.get(scope.key, ()) if each > now_s - _MINUTE_S
        ]
        if limits.rpm is not None and len(starts) >= limits.rpm:
            wait_s = starts[-limits.rpm] + _MINUTE_S - now_s
            yield _refusal(scope, "rpm", limits.rpm, wait_s)
        held = self._held.get(scope.key, 0)
        if limits.concurrent is not None and held >= limits.concurrent:
            yield _refusal(scope, "concurrent", limits.concurrent, 1.0)
        day = scope.allowance.budgets.caps.get("day")
        cap = None if day is None else day.requests
        if cap is not None and self._used.get(scope.key, 0) >= cap:
            yield _refusal(scope, "day.requests", cap, math.inf)
        for limit, amount, bucket in self._shaped(scope, demand):
            if (wait_s := bucket.wait_s(amount, now_s)) > 0:
                yield _refusal(scope, limit, 0, wait_s)

    def _shaped(
        self, scope: Scope, demand: Demand
    ) -> Iterator[tuple[LimitName, float, Bucket]]:
        if scope.allowance.shaping is None:
            return
        flow = scope.allowance.shaping.flow
        parts: list[tuple[LimitName, float, float, float]] = [
            ("requests_per_second", 1.0, flow.requests_per_second, flow.burst),
            (
                "input_tokens_per_second",
                demand.input_tokens,
                flow.input_tokens_per_second,
                flow.input_tokens_per_second,
            ),
        ]
        for limit, amount, rate, size in parts:
            if rate:
                full = Bucket(rate=rate, size=size, at_s=self._now())
                yield limit, amount, self._buckets.setdefault((scope.key, limit), full)

    def _took(self, scope: Scope, demand: Demand) -> Iterator[Warned]:
        key, budgets = scope.key, scope.allowance.budgets
        self._starts.setdefault(key, []).append(self._now())
        self._held[key] = self._held.get(key, 0) + 1
        self._used[key] = used = self._used.get(key, 0) + 1
        for _, amount, bucket in self._shaped(scope, demand):
            bucket.take(amount, self._now())
        cap = None if "day" not in budgets.caps else budgets.caps["day"].requests
        mark = budgets.warn_at_percent
        if cap and used * _PERCENT >= cap * mark and key not in self._warned:
            self._warned.add(key)
            yield Warned(scope=scope, period="day", unit="requests", used=used, cap=cap)

    def grow(self, lease: Lease, *, tokens: int, nusd: int) -> Verdict:
        """Grant it."""
        assert tokens >= 0
        assert nusd >= 0
        return lease

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Give back what is held, and all of it for a call that has used nothing."""
        assert isinstance(lease, Held)
        chain, lease.chain = lease.chain, None
        if chain is None:
            return
        self.settled.append(spent)
        for scope in chain.scopes:
            self._held[scope.key] -= 1
            if not spent.requests:
                self._used[scope.key] -= 1
                self._starts[scope.key].pop()

    def forget(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Count how often it is called."""
        self.flushed += 1

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Say nothing of what is used."""
        return [Standing(kind=each.kind, name=each.name, uses=()) for each in scopes]

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin anew."""
        assert period == "day"
        assert at_ms
        self._used.pop(scope.key, None)

    def condition(self) -> str | None:
        """Say whether it is away."""
        return None if self.away is None else "away"


class Remote:
    """The same store behind a wait: decisions are made one after another.

    `hold` is an event for which every decision waits before its answer arrives.
    """

    def __init__(self, exact: "Exact | Memory", *, takes_s: float = 0.0) -> None:
        """Decide as `exact` does; that takes so long each time."""
        self.exact = exact
        self.takes_s = takes_s
        self._turn = asyncio.Lock()
        self.hold = asyncio.Event()
        self.hold.set()

    async def take(self, scopes: Chain, demand: Demand) -> Verdict:
        """Decide now, and answer later."""
        async with self._turn:
            await asyncio.sleep(self.takes_s)
            verdict = self.exact.take(scopes, demand)
        await self.hold.wait()
        return verdict

    def grow(self, lease: Lease, *, tokens: int, nusd: int) -> Verdict:
        """Grant it."""
        return self.exact.grow(lease, tokens=tokens, nusd=nusd)

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Settle at once."""
        self.exact.settle(lease, spent)

    def forget(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Count how often it is called."""
        self.exact.flush()

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Say nothing of what is used."""
        return await self.exact.standing(scopes)

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin anew."""
        await self.exact.reset(scope, period, at_ms=at_ms)

    def condition(self) -> str | None:
        """Say whether it is away."""
        return self.exact.condition()


def _refusal(scope: Scope, limit: LimitName, value: int, wait_s: float) -> Refusal:
    return Refusal(scope=scope, limit=limit, value=value, left=0, wait_s=wait_s)
