"""Where calls wait for their turn that come faster than shaping lets them.

A call that only a bucket refuses waits in that bucket's line, if the bucket's scope has
a queue; see `lines` for whose turn it is. When its turn comes, the store is asked
again, for all limits together. There is one timer, for whatever line is due next.

A call that needs several buckets waits in one line at a time. Where its turn has come
in one but another bucket holds it up, it waits there instead; where that would go on
for ever, or the other one is only a moment away, it claims all its buckets: nobody but
an older claim is served out of them before it.

Every process has a queue of its own. Where a store is shared, so are the buckets, but
turns are fair only among those who wait in the same process.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import msgspec

from smart_llmrouter.admission.counters import Chain, Counters
from smart_llmrouter.admission.demand import NOTHING, Demand
from smart_llmrouter.admission.lines import (
    NEVER,
    Flow,
    Line,
    Lines,
    buckets_of,
)
from smart_llmrouter.admission.refusing import exceeded
from smart_llmrouter.admission.tickets import Ending, Ticket, rules_of
from smart_llmrouter.admission.verdicts import SHAPED, Lease, Refusal
from smart_llmrouter.config.allowances import Queue as Rules
from smart_llmrouter.config.allowances import ScopeKind
from smart_llmrouter.core.clock import Monotonic

_GRACE_S: Final = 0.005
"""Whose turn is due when its longest wait ends still gets it."""
_MS_PER_S: Final = 1000
_ROUNDING: Final = 1e-6
_ALIKE_S: Final = 1e-6
"""Times that are this near to each other are the same."""
_MOST_STALE: Final = 64
_PROBED_S: Final = 0.001
"""A bucket that is this far from what a call needs will not grant it by accident.

Where a store takes longer to answer, such a call may overtake another one.
"""


class Queue:
    """The calls of one process that wait. `endings` counts what became of them."""

    def __init__(
        self,
        counters: Counters,
        loop: asyncio.AbstractEventLoop,
        *,
        now: Monotonic,
        waited: Callable[[ScopeKind, float], None] | None = None,
    ) -> None:
        """Ask `counters`; `waited` is told of each call that has its turn.

        It is told whose bucket held the call up last, and for how many seconds in all
        the call has waited.
        """
        self._counters = counters
        self._loop = loop
        self._now = now
        self._waited = waited
        self._numbers = count()
        self._tickets: dict[int, Ticket] = {}
        self._flows: dict[Chain, Flow] = {}
        self._depths: Counter[str] = Counter()
        self._due: list[tuple[float, int, Line]] = []
        self._asked: Ticket | None = None
        self._wake: asyncio.Future[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self.lines = Lines(now)
        self.endings: Counter[Ending] = Counter()

    @property
    def depth(self) -> int:
        """How many calls wait now."""
        return len(self._tickets)

    def stand_behind(self, chain: Chain, demand: Demand) -> Ticket | None:
        """Let a call wait behind those who do already, if that is all it must wait for.

        `None`: the store must be asked; it refuses what would overtake anybody, and
        says what else there is to refuse. Raises `TrafficShaped` as `enter` does.
        """
        flow = self._flows.get(chain)
        lines = [*self.lines.of(chain)] if flow is None else [flow.line]
        if not lines:
            return None
        line = max(lines, key=lambda each: each.longest_s(demand))
        wait_s = line.wait_s(demand)
        if wait_s > _PROBED_S:
            return None
        return self._enter(chain, demand, line, line.refusal(wait_s))

    def enter(self, chain: Chain, demand: Demand, refusal: Refusal) -> Ticket:
        """Let a call wait that a bucket has refused.

        Raises `TrafficShaped`, with when the call would pass, where the scope of the
        bucket has no queue, where the caller has no room left in it, and where the
        call would have to wait for too long.
        """
        line = self.lines.at(refusal.scope, refusal.limit)
        line.learn(refusal, demand)
        return self._enter(chain, demand, line, refusal)

    def _enter(
        self, chain: Chain, demand: Demand, line: Line, refusal: Refusal
    ) -> Ticket:
        rules = rules_of(chain, line.scope)
        ending = self._refusing(chain, demand, rules)
        if rules is not None and ending is None:
            return self._admit(chain, demand, line, rules)
        wait_s = self.lines.predict_s(chain, demand)
        self.lines.forget(line)
        self.endings[ending or "not-queued"] += 1
        raise exceeded(msgspec.structs.replace(refusal, wait_s=wait_s), demand)

    def _refusing(
        self, chain: Chain, demand: Demand, rules: Rules | None
    ) -> Ending | None:
        """Say why a call must not wait; `None`: it may."""
        if rules is None:
            return "not-queued"
        if self._depths[chain.caller_id] >= rules.max_depth:
            return "full"
        lines, most_s = self.lines, rules.max_wait_s
        if lines.surely_within(most_s, chain, demand):
            return None
        return "too-long" if lines.predict_s(chain, demand) > most_s else None

    async def turn_of(self, ticket: Ticket) -> Lease:
        """Wait for a call's turn; whoever stops waiting leaves the queue.

        Raises `LimitExceeded` or `CountersAway`.
        """
        try:
            return await ticket.turn
        except asyncio.CancelledError:
            self._left(ticket)
            raise

    def _admit(self, chain: Chain, demand: Demand, line: Line, rules: Rules) -> Ticket:
        """Put a call behind those of its kind."""
        loop, number, now_s = self._loop, next(self._numbers), self._now()
        flow = self._flows.get(chain)
        if flow is None:
            flow = self._flows[chain] = Flow(chain, line)
        alarm_s = rules.max_wait_s + _GRACE_S
        ticket = Ticket(
            number,
            demand,
            flow,
            began_s=now_s,
            deadline_s=now_s + rules.max_wait_s,
            turn=loop.create_future(),
            alarm=loop.call_later(alarm_s, self._alarmed, number),
        )
        self._tickets[number] = ticket
        self._depths[chain.caller_id] += 1
        flow.calls[number] = demand
        flow.line.join(flow, [demand])
        self.lines.forget(line)
        self._plan(flow.line)
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        return ticket

    async def _serve(self) -> None:
        """Serve whoever is due, while anybody waits."""
        try:
            while self._tickets:
                line = self._next_due()
                if line is None:
                    await self._sleep()
                else:
                    await self._serve_next(line)
                    # Who has got its turn goes on, before others get theirs.
                    await asyncio.sleep(0)
        finally:
            self._serving = None

    def _next_due(self) -> Line | None:
        """Return a line that is due now."""
        due = self._due
        while due and (due[0][2].due_s != due[0][0] or not due[0][2]):
            heappop(due)
        return due[0][2] if due and due[0][0] <= self._now() + _ALIKE_S else None

    async def _sleep(self) -> None:
        """Sleep until a line is due."""
        self._wake = wake = self._loop.create_future()
        timer = None
        if self._due:
            ahead_s = self._due[0][0] - self._now()
            timer = self._loop.call_later(_whole_ms(ahead_s), _set, wake)
        try:
            await wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    def _plan(self, line: Line) -> None:
        """Find out when a line is due next, and see to it that it is served then."""
        flow = line.first()
        if flow is None:
            line.due_s = NEVER
        else:
            wait_s = line.wait_s(flow.calls[flow.head])
            self._plan_at(line, self._now() + wait_s)

    def _plan_at(self, line: Line, due_s: float) -> None:
        if abs(line.due_s - due_s) < _ALIKE_S:
            return
        line.due_s = due_s
        if len(self._due) > _MOST_STALE + 2 * len(self.lines):
            self._due = [
                each for each in self._due if each[2] and each[2].due_s == each[0]
            ]
            heapify(self._due)
        heappush(self._due, (due_s, next(self._numbers), line))
        wake = self._wake
        if wake is not None and not wake.done() and self._due[0][2] is line:
            wake.set_result(None)

    async def _serve_next(self, line: Line) -> None:
        """Ask the store for the call whose turn it is in a line."""
        flow = line.first()
        if flow is None:
            line.due_s = NEVER
            return
        ticket = self._tickets[flow.head]
        if ticket.turn.done():
            self._remove(ticket, "left")
            return
        ticket.seen.add(line.key)
        elsewhere = self._held_up(ticket)
        if elsewhere is not None:
            self._move(flow, elsewhere)
            return
        verdict = await self._ask(ticket)
        if isinstance(verdict, Lease):
            self._passed(ticket, line, verdict)
        elif verdict is not None:
            self._refused(ticket, line, verdict)
        elif line:
            self._plan(line)

    async def _ask(self, ticket: Ticket) -> Lease | Refusal | None:
        """Return what the store says; nothing where that is of use to nobody."""
        self._asked = ticket
        try:
            said = self._counters.take(ticket.flow.chain, ticket.demand)
            verdict = said if isinstance(said, Lease | Refusal) else await said
        except Exception as failed:  # noqa: BLE001 - whoever waits must hear of it
            self._fail(ticket, failed)
            return None
        finally:
            self._asked = None
        if not ticket.turn.done():
            return verdict
        if isinstance(verdict, Lease):
            self._give_back(verdict)
        return None

    def _passed(self, ticket: Ticket, line: Line, lease: Lease) -> None:
        """Let a call go that the store has granted."""
        chain, demand = ticket.flow.chain, ticket.demand
        self._remove(ticket, "passed", replan=False)
        for each in self.lines.of(chain):
            each.serve(chain, demand, here=each is line)
            self._plan(each)
        ticket.waited_s = self._now() - ticket.began_s
        ticket.turn.set_result(lease)
        if self._waited is not None:
            self._waited(line.scope.kind, ticket.waited_s)

    def _refused(self, ticket: Ticket, line: Line, refusal: Refusal) -> None:
        """Find out where a call waits on that the store has refused in its turn."""
        flow, demand = ticket.flow, ticket.demand
        rules = rules_of(flow.chain, refusal.scope)
        if refusal.limit not in SHAPED or rules is None:
            self._fail(ticket, exceeded(refusal, demand))
            return
        holding = self.lines.at(refusal.scope, refusal.limit)
        holding.learn(refusal, demand)
        if self._now() >= ticket.deadline_s:
            self._expire(ticket)
        elif holding is line:
            self._plan_at(line, self._now() + refusal.wait_s)
        else:
            soon = refusal.wait_s <= line.interval_s(demand)
            if soon or holding.key in ticket.seen:
                self._claim(flow)
            self._move(flow, holding)
        self.lines.forget(holding)

    def _claim(self, flow: Flow) -> None:
        """Let nobody be served before a flow out of any of its buckets."""
        for scope, limit in buckets_of(flow.chain):
            if rules_of(flow.chain, scope) is not None:
                self.lines.at(scope, limit).claims[flow] = None

    def _move(self, flow: Flow, line: Line) -> None:
        """Let a flow wait in another line."""
        before, flow.line = flow.line, line
        before.leave(flow, flow.calls.values())
        line.join(flow, flow.calls.values())
        self._plan(line)
        self.lines.forget(before)

    def _remove(self, ticket: Ticket, ending: Ending, *, replan: bool = True) -> None:
        """Let a call wait no more."""
        flow, chain = ticket.flow, ticket.flow.chain
        ticket.alarm.cancel()
        del self._tickets[ticket.number], flow.calls[ticket.number]
        self._depths[chain.caller_id] -= 1
        if not flow.calls:
            del self._flows[chain]
        self.endings[ending] += 1
        flow.line.leave(flow, [ticket.demand])
        touched = {flow.line.key: flow.line}
        for line in self.lines.of(chain):
            if line.claims.pop(flow, NEVER) is None:
                touched[line.key] = line
        for line in touched.values():
            self.lines.forget(line)
            if replan and line:
                self._plan(line)
        if not self._tickets and self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        if not ticket.turn.done():
            self._remove(ticket, "refused")
            ticket.turn.set_exception(error)

    def _alarmed(self, number: int) -> None:
        """See to a call that has waited for as long as it may."""
        ticket = self._tickets[number]
        # What the store is deciding now may still pass.
        if ticket is not self._asked and not ticket.turn.done():
            self._expire(ticket)

    def _expire(self, ticket: Ticket) -> None:
        """Refuse a call that has waited for as long as it may."""
        line, chain, demand = ticket.flow.line, ticket.flow.chain, ticket.demand
        self._remove(ticket, "late")
        wait_s = line.predict_s(chain, demand)
        ticket.turn.set_exception(exceeded(line.refusal(wait_s), demand))

    def _left(self, ticket: Ticket) -> None:
        """Forget a call whose caller has stopped waiting."""
        if ticket.number in self._tickets:
            self._remove(ticket, "left")
        elif not ticket.turn.cancelled() and ticket.turn.exception() is None:
            self._give_back(ticket.turn.result())

    def _give_back(self, lease: Lease) -> None:
        self._counters.settle(lease, NOTHING)
        self._counters.flush()

    def _held_up(self, ticket: Ticket) -> Line | None:
        """Return where others must be served before a call whose turn it is here.

        That is where somebody else claims one of its buckets, or where others wait and
        it has not.
        """
        flow = ticket.flow
        for line in self.lines.of(flow.chain):
            claimant = line.claimant
            if claimant is not None and claimant is not flow:
                return line
            if claimant is None and line.key not in ticket.seen:
                return line
        return None


def _whole_ms(delay_s: float) -> float:
    """Return a delay rounded up: timers of some loops know nothing smaller."""
    return max(0, math.ceil(delay_s * _MS_PER_S - _ROUNDING)) / _MS_PER_S


def _set(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)
