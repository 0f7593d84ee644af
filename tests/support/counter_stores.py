"""Counter stores under test, each with clocks that a test turns."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from smart_llmrouter.admission.counters import Chain, Counters, chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.memory import Memory, Taken, Used
from smart_llmrouter.admission.verdicts import Lease, Refusal, Verdict
from smart_llmrouter.config.allowances import (
    Allowance,
    Budgets,
    Cap,
    Limits,
    PeriodName,
    Scope,
    ScopeKind,
    Shaping,
)
from smart_llmrouter.config.policies import Flow
from smart_llmrouter.config.timezones import timezone as known
from tests.support.clock import Clock

NOON_S: Final = 1_772_366_400.0
"""The 1st of March 2026, at noon UTC."""

Settled = tuple[Scope, Mapping[PeriodName, Used]]
Reset = tuple[Scope, PeriodName, int]
Minute = tuple[Scope, Sequence[Taken]]


@dataclass(slots=True)
class Clocks:
    """A monotonic clock and one on the wall, which also may be set."""

    monotonic: Clock = field(default_factory=Clock)
    wall: Clock = field(default_factory=lambda: Clock(NOON_S))

    def turn(self, seconds: float) -> None:
        """Let time pass, by both clocks."""
        self.monotonic.turn(seconds)
        self.wall.turn(seconds)

    @property
    def now_ms(self) -> int:
        """Return when a call begins that begins now."""
        return int(self.wall() * 1000)


class Store(ABC):
    """A fresh counter store, and what a test does with it."""

    settling_s: float = 0.0
    """How long after `restart` nothing of the calls is left that were in flight."""
    outlives: bool = False
    """Whether it knows after `restart` of itself what was used in this minute and on
    other days, how full buckets are, and who was warned."""
    precision_s: float = 1e-5
    """By how much it may say that a wait is longer than it must be."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.clocks = Clocks()
        self.counters = self.fresh()
        self._count = 0

    @abstractmethod
    def fresh(self) -> Counters:
        """Return the counters of a process that has just started."""

    @abstractmethod
    async def restart(
        self,
        settled: Sequence[Settled],
        resets: Sequence[Reset] = (),
        minutes: Sequence[Minute] = (),
    ) -> None:
        """Die without a word, and start again.

        `settled` is what the records say has been used in the periods that are now, and
        `minutes` what calls have used that were granted lately. A store that outlives
        its processes has no need of it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Leave nothing behind."""

    async def take(
        self,
        chain: Chain,
        *,
        tokens: int = 0,
        nusd: int = 0,
        input_tokens: int = 0,
        began_ms: int | None = None,
    ) -> Verdict:
        """Ask for a call that begins now."""
        self._count += 1
        began_ms = self.clocks.now_ms if began_ms is None else began_ms
        demand = Demand(
            request_id=f"req_{self._count}",
            began_ms=began_ms,
            input_tokens=input_tokens,
            tokens=tokens,
            nusd=nusd,
        )
        return await _said(self.counters.take(chain, demand))

    async def grow(self, lease: Lease, *, tokens: int = 0, nusd: int = 0) -> Verdict:
        """Ask for more."""
        return await _said(self.counters.grow(lease, tokens=tokens, nusd=nusd))

    async def settle(
        self, lease: Lease, requests: int = 1, tokens: int = 0, nusd: int = 0
    ) -> None:
        """Settle a call, and let all know."""
        self.counters.settle(lease, Spent(requests, tokens, nusd))
        self.counters.flush()

    async def use(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return what of each limit is used and what is reserved."""
        (standing,) = await self.counters.standing([scope])
        return {each.limit: (each.used, each.reserved) for each in standing.uses}


async def _said(verdict: Verdict | Awaitable[Verdict]) -> Verdict:
    return await verdict if inspect.isawaitable(verdict) else verdict


class InMemory(Store):
    """The counters of one process."""

    def fresh(self) -> Counters:
        """Return counters that know nothing."""
        return Memory(now=self.clocks.monotonic, wall=self.clocks.wall)

    async def restart(
        self,
        settled: Sequence[Settled],
        resets: Sequence[Reset] = (),
        minutes: Sequence[Minute] = (),
    ) -> None:
        """Forget all, and be told what the records say."""
        memory = Memory(now=self.clocks.monotonic, wall=self.clocks.wall)
        for scope, period, at_ms in resets:
            await memory.reset(scope, period, at_ms=at_ms)
        for scope, used in settled:
            memory.load(scope, used)
        for scope, taken in minutes:
            memory.load_minute(scope, taken)
        self.counters = memory

    async def close(self) -> None:
        """Leave it to the garbage collector."""


STORES: Final[Mapping[str, Callable[[], Store]]] = {"memory": InMemory}
"""By name, how to make each. What is not there on a machine skips the test."""


def scope(
    name: str = "alice",
    kind: ScopeKind = "caller",
    *,
    day: Cap | None = None,
    month: Cap | None = None,
    lifetime: Cap | None = None,
    limits: Limits | None = None,
    flow: Flow | None = None,
    timezone: str = "UTC",
    warn_at_percent: int = 80,
) -> Scope:
    """Return somebody who may use so much."""
    known(timezone)  # as when a configuration is checked
    every: dict[PeriodName, Cap | None]
    every = {"day": day, "month": month, "lifetime": lifetime}
    allowance = Allowance(
        limits=limits or Limits(),
        budgets=Budgets(
            caps={period: cap for period, cap in every.items() if cap},
            timezone=timezone,
            warn_at_percent=warn_at_percent,
        ),
        shaping=Shaping(flow=flow) if flow else None,
    )
    return Scope(kind, f"{kind}:{name}", allowance)


def chain(*scopes: Scope) -> Chain:
    """Return the chain of these scopes."""
    return chain_of("alice", scopes)


def granted(verdict: Verdict) -> Lease:
    """Return the lease that was granted."""
    assert isinstance(verdict, Lease), verdict
    return verdict


def refused(verdict: Verdict) -> Refusal:
    """Return the refusal that was given."""
    assert isinstance(verdict, Refusal), verdict
    return verdict
