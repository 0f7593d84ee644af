"""One gate in front of all providers: a call takes all that it needs, or nothing.

An attempt needs a `Reservation`, and only a gate gives one, for the length of a block:
however the block is left, the reservation is settled. A call that nothing limits has
no `Chain`, and is `FREE`.
"""

import asyncio
from collections.abc import Awaitable
from math import inf
from typing import Final, Self

import msgspec
import structlog

from smart_llmrouter.admission.counters import Chain, Counters, chain_of
from smart_llmrouter.admission.demand import NOTHING, Demand, Spent
from smart_llmrouter.admission.queue import Queue
from smart_llmrouter.admission.refusing import exceeded
from smart_llmrouter.admission.tickets import Ticket
from smart_llmrouter.admission.verdicts import SHAPED, Lease, Refusal, Verdict
from smart_llmrouter.config.allowances import NO_ALLOWANCE, Allowances
from smart_llmrouter.core.errors import LimitExceeded
from smart_llmrouter.core.identity import Caller

log = structlog.get_logger()

_MOST_CHAINS: Final = 65_536
_PERCENT: Final = 100
_MS_PER_S: Final = 1000


class Reservation(msgspec.Struct, eq=False):
    """What a call has been granted; a block that settles it when it is left.

    `queued_s` is how long it has waited for its turn.
    """

    demand: Demand
    lease: Lease
    _counters: Counters | None
    queued_s: float = 0.0

    def settle(self, spent: Spent) -> None:
        """Give back what was reserved and count what was spent; once only."""
        counters = self._counters
        if counters is not None:
            self._counters = None
            counters.settle(self.lease, spent)

    def grow(
        self, *, tokens: int, nusd: int
    ) -> LimitExceeded | Awaitable[LimitExceeded | None] | None:
        """Reserve so much more; say what ends the call, where a budget wants that.

        Where a budget has no more but lets calls finish, nothing more is reserved.
        """
        counters = self._counters
        if counters is None:
            return None
        verdict = counters.grow(self.lease, tokens=tokens, nusd=nusd)
        if isinstance(verdict, Lease | Refusal):
            return self._cut_by(verdict, tokens, nusd)
        return self._grown(verdict, tokens, nusd)

    async def _grown(
        self, verdict: Awaitable[Verdict], tokens: int, nusd: int
    ) -> LimitExceeded | None:
        return self._cut_by(await verdict, tokens, nusd)

    def _cut_by(self, verdict: Verdict, tokens: int, nusd: int) -> LimitExceeded | None:
        if isinstance(verdict, Lease):
            return None
        if verdict.scope.allowance.budgets.on_overrun != "cut":
            return None
        wanted = Demand(
            self.demand.request_id, self.demand.began_ms, tokens=tokens, nusd=nusd
        )
        # What the stream itself has reserved will be used: the period must end first.
        ends_s = verdict.resets_at_s
        wait_s = inf if ends_s is None else ends_s - wanted.began_ms / _MS_PER_S
        refusal = msgspec.structs.replace(verdict, wait_s=wait_s)
        return exceeded(refusal, wanted, more=True)

    def __enter__(self) -> Self:
        """Hold the reservation."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Settle it with nothing, where nobody has said what was spent."""
        self.settle(NOTHING)


FREE: Final = Reservation(Demand(request_id="", began_ms=0), Lease(), None)
"""The reservation of all calls that nothing limits: settling it changes nothing."""


class Gate:
    """Grants what a call needs, or refuses it, by the limits of one configuration."""

    def __init__(
        self, allowances: Allowances, counters: Counters, queue: Queue | None = None
    ) -> None:
        """Let pass what `allowances` allow, and count in `counters`.

        Without a `queue` nobody waits.
        """
        self._allowances = allowances
        self._counters = counters
        self._queue = queue
        self._chains: dict[tuple[str, str], Chain | None] = {}

    def chain(self, caller: Caller, group: str) -> Chain | None:
        """Return whose limits a call must keep; `None`: nothing limits it."""
        key = caller.id, group
        try:
            return self._chains[key]
        except KeyError:
            return self._linked(key, caller, group)

    def reserve(
        self, chain: Chain, demand: Demand
    ) -> Reservation | Awaitable[Reservation]:
        """Take all that a call needs. Where something must be waited for, wait.

        Raises `LimitExceeded` or `CountersAway`, at once or when awaited. Whoever
        stops waiting has taken nothing.
        """
        queue = self._queue
        if queue is not None and queue.lines:
            ticket = queue.stand_behind(chain, demand)
            if ticket is not None:
                return self._waited(queue, ticket)
        counters = self._counters
        verdict = counters.take(chain, demand)
        if isinstance(verdict, Lease):
            if verdict.warned:
                _warn(verdict)
            return Reservation(demand, verdict, counters)
        if not isinstance(verdict, Refusal):
            return self._told(verdict, chain, demand)
        if queue is None or verdict.limit not in SHAPED:
            raise exceeded(verdict, demand)
        return self._waited(queue, queue.enter(chain, demand, verdict))

    async def _told(
        self, verdict: Awaitable[Verdict], chain: Chain, demand: Demand
    ) -> Reservation:
        """Wait for what a store says."""
        said, queue = await self._said(verdict), self._queue
        if isinstance(said, Lease):
            return self._granted(said, demand)
        if queue is None or said.limit not in SHAPED:
            raise exceeded(said, demand)
        return await self._waited(queue, queue.enter(chain, demand, said))

    async def _waited(self, queue: Queue, ticket: Ticket) -> Reservation:
        """Wait for a call's turn."""
        lease = await queue.turn_of(ticket)
        return self._granted(lease, ticket.demand, ticket.waited_s)

    async def _said(self, verdict: Awaitable[Verdict]) -> Verdict:
        """Wait for what a store says; what nobody waits for any more is given back."""
        asking = asyncio.ensure_future(verdict)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._give_back)
            raise

    def _give_back(self, asking: asyncio.Future[Verdict]) -> None:
        if asking.cancelled() or asking.exception() is not None:
            return
        verdict = asking.result()
        if isinstance(verdict, Lease):
            self._counters.settle(verdict, NOTHING)
            self._counters.flush()

    def _granted(
        self, lease: Lease, demand: Demand, queued_s: float = 0.0
    ) -> Reservation:
        if lease.warned:
            _warn(lease)
        return Reservation(demand, lease, self._counters, queued_s)

    def _linked(self, key: tuple[str, str], caller: Caller, group: str) -> Chain | None:
        """Make a chain, and remember it."""
        allowances, chains = self._allowances, self._chains
        scopes = allowances.scopes_of(caller, group)
        own = allowances.callers.get(caller.id, NO_ALLOWANCE)
        chain = chain_of(caller.id, scopes, weight=own.weight) if scopes else None
        if len(chains) >= _MOST_CHAINS:
            del chains[next(iter(chains))]
        chains[key] = chain
        return chain


def _warn(lease: Lease) -> None:
    """Log the budgets of which this call is the first to use so much."""
    for each in lease.warned:
        log.warning(
            "budget warning",
            scope=each.scope.key,
            period=each.period,
            unit=each.unit,
            percent=each.used * _PERCENT // each.cap,
        )
