"""Counting by oneself while a shared store is away: `state.counters_away: local`.

The bound: all processes together grant no more than the limits, beside what was granted
before. Where N processes shared the store,

    a minute, concurrent, shaping    each grants one Nth, rounded down. A limit below N
                                     lets nothing pass meanwhile; a burst is one call at
                                     least
    budgets                          each grants one Nth of what was left when it last
                                     heard of it; of a period that has begun since, one
                                     Nth of all of it. Who has never heard what is left
                                     grants nothing
    N                                is how many were alive when that was last known, or
                                     `server.workers` where that is more

When the store is back it is told what was used, once, and what is in flight: counters
then hold what they would hold if it had never been away, but that what was used in the
last minute counts for up to a minute longer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf, isinf
from typing import Final

import msgspec

from smart_llmrouter.admission.counters import Chain, chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.shared_away import LocalLease, Owed
from smart_llmrouter.admission.shared_terms import PERIODS, Keys, Terms, caps_of
from smart_llmrouter.admission.verdicts import Refusal, Verdict
from smart_llmrouter.config.allowances import Cap, Limits, PeriodName, Scope, Shaping
from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.core.errors.faults import CountersAway

_MINUTE_S: Final = 60
_MOST_ENTRIES: Final = 10_000


class _Left(msgspec.Struct, frozen=True):
    """What was left of a period of a budget, in units; and when that ends."""

    ends_ms: float
    amounts: tuple[int, ...]


class _Share(msgspec.Struct, frozen=True):
    """A process's share of a chain, for calls that begin before `until_ms`."""

    chain: Chain
    until_ms: float


class Local:
    """Counts in memory what this process may grant alone."""

    told = "each process counts by itself, and grants its share of the limits"
    tells_left = True

    def __init__(
        self, keys: Keys, *, workers: int, now: Monotonic, wall: WallClock
    ) -> None:
        """Begin without having heard of the store."""
        self._keys = keys
        self._workers = self._processes = workers
        self._now = now
        self._wall = wall
        self._notes: dict[tuple[bytes, ...], tuple[Terms, bytes]] = {}
        self._left: dict[tuple[str, PeriodName], _Left] = {}
        self._memory = Memory(now=now, wall=wall)
        self._shares: dict[Chain, _Share] = {}
        self._terms: dict[Chain, Terms] = {}
        self._leases: dict[str, LocalLease] = {}
        self._owed: dict[tuple[Terms, int], Spent] = {}

    def note(self, terms: Terms, lefts: bytes, /) -> None:
        """Take note of what is left; it is read when it is needed."""
        self._notes.pop(terms.keys, None)
        self._notes[terms.keys] = terms, lefts

    def meet(self, processes: int, /) -> None:
        """Take note of how many share the store."""
        self._processes = max(self._workers, processes)

    def lost(self) -> None:
        """Find out what may be granted from now on."""
        self._shares.clear()
        self._memory = Memory(now=self._now, wall=self._wall)
        for terms, lefts in self._notes.values():
            self._read(terms, iter(msgspec.msgpack.decode(lefts, type=list[int])))
        self._notes.clear()

    def _read(self, terms: Terms, lefts: Iterator[int]) -> None:
        for index, scope in enumerate(terms.scopes):
            caps = scope.allowance.budgets.caps
            for period in PERIODS:
                if period in caps:
                    amounts = tuple(
                        max(0, next(lefts)) if cap >= 0 else -1
                        for cap in caps_of(caps[period])
                    )
                    ends_ms = terms.ends_ms[index, period]
                    self._left[scope.key, period] = _Left(ends_ms, amounts)

    def forget(self) -> None:
        """Drop what is kept of chains; those of another configuration follow."""
        self._shares.clear()
        self._terms.clear()

    def take(self, chain: Chain, demand: Demand, /) -> Verdict:
        """Take what a call needs out of this process's share."""
        share = self._shares.get(chain)
        if share is None or demand.began_ms >= share.until_ms:
            share = self._shares[chain] = self._share_of(chain, demand.began_ms)
        verdict = self._memory.take(share.chain, demand)
        if isinstance(verdict, Refusal):
            return _meant(verdict, chain)
        lease = LocalLease(
            verdict.rpm,
            verdict.requests_left,
            verdict.tpm,
            verdict.tokens_left,
            verdict.reset_s,
            own=verdict,
            chain=chain,
            demand=demand,
        )
        self._leases[demand.request_id] = lease
        return lease

    def grow(self, lease: LocalLease, tokens: int, nusd: int, /) -> Verdict:
        """Take more out of this process's share."""
        verdict = self._memory.grow(lease.own, tokens=tokens, nusd=nusd)
        return _meant(verdict, lease.chain) if isinstance(verdict, Refusal) else lease

    def settle(self, lease: LocalLease, spent: Spent, /) -> None:
        """Settle here, and owe it to a store that was not told of it."""
        self._leases.pop(lease.demand.request_id, None)
        self._memory.settle(lease.own, spent)
        if not lease.told:
            self.owe(lease, spent)

    def owe(self, lease: LocalLease, spent: Spent, /) -> None:
        """Owe to the store what a lease was settled with."""
        began_ms = lease.demand.began_ms
        terms = self._terms.get(lease.chain)
        if terms is None or not terms.hold_for(began_ms):
            terms = Terms(self._keys, lease.chain.scopes, began_ms)
            self._terms[lease.chain] = terms
        if len(self._owed) >= _MOST_ENTRIES:
            self._merge()
        place = terms, int(self._now())
        self._owed[place] = _plus(self._owed.get(place), spent)

    def owed(self) -> Iterator[Owed]:
        """Yield what is owed; what is older than a minute as one sum for each chain."""
        self._merge()
        owed, self._owed = self._owed, {}
        began_ms = int(self._wall() * 1000)
        for (terms, second), spent in owed.items():
            begins_ms = int(min(began_ms, terms.until_ms - 1))
            yield Owed(terms, begins_ms, spent, second >= 0)

    def in_flight(self) -> Iterable[LocalLease]:
        """Return the leases of calls in flight that the store does not know."""
        return [each for each in self._leases.values() if not each.told]

    def _merge(self) -> None:
        oldest = int(self._now()) - _MINUTE_S
        merged: dict[tuple[Terms, int], Spent] = {}
        for (terms, second), spent in self._owed.items():
            place = terms, second if second >= oldest else -1
            merged[place] = _plus(merged.get(place), spent)
        self._owed = merged

    def _share_of(self, chain: Chain, began_ms: int) -> _Share:
        """Return what of a chain this process may grant. Raises `CountersAway`."""
        until_ms = inf
        scopes = []
        for scope in chain.scopes:
            caps = {}
            for period, cap in scope.allowance.budgets.caps.items():
                left = self._left.get((scope.key, period))
                if left is None:
                    raise CountersAway
                if began_ms >= left.ends_ms:
                    left = _Left(inf, tuple(caps_of(cap)))
                until_ms = min(until_ms, left.ends_ms)
                caps[period] = self._cap(left)
            scopes.append(self._shared_scope(scope, caps))
        return _Share(chain_of(chain.caller_id, tuple(scopes)), until_ms)

    def _cap(self, left: _Left) -> Cap:
        requests, tokens, nusd = (
            None if amount < 0 else amount // self._processes for amount in left.amounts
        )
        return Cap(requests=requests, tokens=tokens, nusd=nusd)

    def _shared_scope(self, scope: Scope, caps: dict[PeriodName, Cap]) -> Scope:
        allowance = scope.allowance
        limits = allowance.limits
        each = [
            None if limit is None else limit // self._processes
            for limit in (limits.rpm, limits.tpm, limits.concurrent)
        ]
        if 0 in each:
            raise CountersAway
        return replace(
            scope,
            allowance=replace(
                allowance,
                limits=Limits(rpm=each[0], tpm=each[1], concurrent=each[2]),
                budgets=replace(allowance.budgets, caps=caps),
                shaping=self._shaping(allowance.shaping),
            ),
        )

    def _shaping(self, shaping: Shaping | None) -> Shaping | None:
        if shaping is None:
            return None
        flow = shaping.flow
        return replace(
            shaping,
            flow=replace(
                flow,
                requests_per_second=flow.requests_per_second / self._processes,
                burst=max(1, flow.burst // self._processes),
                input_tokens_per_second=flow.input_tokens_per_second / self._processes,
            ),
        )


def _plus(sum_so_far: Spent | None, spent: Spent) -> Spent:
    if sum_so_far is None:
        return spent
    return Spent(
        sum_so_far.requests + spent.requests,
        sum_so_far.tokens + spent.tokens,
        sum_so_far.nusd + spent.nusd,
    )


def _meant(refusal: Refusal, chain: Chain) -> Refusal:
    """Return a refusal as one of the limits that were configured.

    Raises `CountersAway` where only the share of this process refuses for good.
    """
    if isinf(refusal.wait_s):
        raise CountersAway
    (scope,) = (each for each in chain.scopes if each.key == refusal.scope.key)
    return msgspec.structs.replace(refusal, scope=scope)
