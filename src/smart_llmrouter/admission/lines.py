"""Who is next at one bucket: start-time fair queueing over callers.

A line is where calls wait that one bucket of one scope has refused. Callers take turns
by their weights, however many calls each of them has. Each caller has a tag: how much
it has taken here, by its weight; the least is next. Whoever comes begins at the tag of
whoever was served last: nobody is owed anything for the time in which it did not wait.
What a call has taken counts when it was served, so a call that leaves costs nothing.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.verdicts import LimitName, Refusal
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.core.clock import Monotonic

LineKey = tuple[str, LimitName]
"""A bucket: the key of its scope, and its limit."""

NEVER: Final = math.inf
_STARTS: Final[LimitName] = "requests_per_second"
_INPUT: Final[LimitName] = "input_tokens_per_second"
_ROUNDING: Final = 1e-9
_MOST_STALE: Final = 64


def buckets_of(chain: Chain) -> Iterator[tuple[Scope, LimitName]]:
    """Yield the buckets out of which the calls of a chain are taken."""
    for scope in chain.scopes:
        if (shaping := scope.allowance.shaping) is not None:
            if shaping.flow.requests_per_second:
                yield scope, _STARTS
            if shaping.flow.input_tokens_per_second:
                yield scope, _INPUT


def cost_of(demand: Demand, limit: LimitName) -> float:
    """Return how much a call takes out of a bucket."""
    return 1.0 if limit == _STARTS else float(demand.input_tokens)


class Flow:
    """The calls of one caller to one group that wait, in the order they came in.

    All of them wait in one line, `line`: the one that holds up the first of them. The
    calls are keyed by their numbers, which grow with the time of arrival.
    """

    __slots__ = ("calls", "chain", "line")

    def __init__(self, chain: Chain, line: "Line") -> None:
        """Begin without a call."""
        self.chain = chain
        self.line = line
        self.calls: OrderedDict[int, Demand] = OrderedDict()

    @property
    def head(self) -> int:
        """The number of the call that came first."""
        return next(iter(self.calls))


class _Turns:
    """What one caller has waiting in a line."""

    __slots__ = ("amount", "calls", "flows", "weight")

    def __init__(self, weight: int) -> None:
        """Begin without anything."""
        self.weight = weight
        self.flows: dict[Flow, None] = {}
        self.amount = 0.0
        self.calls = 0

    def ahead_of(self, tag: float, own_tag: float) -> float:
        """Return how much is served before a call with this tag that comes now."""
        if own_tag > tag or not self.calls:
            return 0.0
        each = self.amount / self.calls
        if not each:
            return 0.0
        turns = math.floor((tag - own_tag) * self.weight / each + _ROUNDING) + 1
        return min(self.calls, turns) * each


class Line:
    """The callers that wait for one bucket; `due_s` is when the next may be served.

    `claims` are those that must be served before all others, the oldest first: they
    wait for this bucket together with another one.
    """

    def __init__(self, scope: Scope, limit: LimitName, *, now: Monotonic) -> None:
        """Begin with nobody."""
        self.key: LineKey = (scope.key, limit)
        self.limit = limit
        self.due_s = NEVER
        self.claims: dict[Flow, None] = {}
        self._now = now
        self._amount = 0.0
        self._served = 0.0
        self._tags: dict[str, float] = {}
        self._turns: dict[str, _Turns] = {}
        self._order = count()
        self._next: list[tuple[float, int, str]] = []
        self._level, self._at_s = 0.0, now()
        self._tune(scope)

    def __bool__(self) -> bool:
        """Say whether anybody waits here, or claims it."""
        return bool(self._turns or self.claims)

    def _tune(self, scope: Scope) -> None:
        self.scope, shaping = scope, scope.allowance.shaping
        if shaping is not None:
            flow, starts = shaping.flow, self.limit == _STARTS
            self._rate = flow.requests_per_second
            self._size = float(flow.burst)
            if not starts:
                self._rate = self._size = flow.input_tokens_per_second

    def learn(self, refusal: Refusal, demand: Demand) -> None:
        """Take note of what the store has said of the bucket."""
        self._tune(refusal.scope)
        need = min(cost_of(demand, self.limit), self._size)
        self._level = need - refusal.wait_s * self._rate
        self._at_s = self._now()

    def wait_s(self, demand: Demand) -> float:
        """Return when a call that is next may be served, as far as is known."""
        return self._until(min(cost_of(demand, self.limit), self._size))

    def _until(self, amount: float) -> float:
        return max(0.0, (amount - self._level_now()) / self._rate)

    def _level_now(self) -> float:
        come = (self._now() - self._at_s) * self._rate
        return min(self._size, self._level + come)

    def interval_s(self, demand: Demand) -> float:
        """Return how long the bucket takes to win back what a call takes."""
        return cost_of(demand, self.limit) / self._rate

    def predict_s(self, chain: Chain, demand: Demand) -> float:
        """Return how long a call would wait that comes now, in fair order."""
        caller_id, turns = chain.caller_id, self._turns
        own = turns.get(caller_id)
        ahead = own.amount if own is not None else 0.0
        tag = self._tag_of(caller_id) + ahead / chain.weight
        for other_id, other in turns.items():
            if other_id != caller_id:
                ahead += other.ahead_of(tag, self._tag_of(other_id))
        return self._until(ahead + min(cost_of(demand, self.limit), self._size))

    def longest_s(self, demand: Demand) -> float:
        """Return how long a call would wait that comes now and is the last of all."""
        need = min(cost_of(demand, self.limit), self._size)
        return self._until(self._amount + need)

    def refusal(self, wait_s: float) -> Refusal:
        """Return the refusal of a call that must not wait for so long."""
        return Refusal(
            scope=self.scope,
            limit=self.limit,
            value=math.ceil(self._rate),
            left=0,
            wait_s=wait_s,
        )

    def join(self, flow: Flow, calls: Iterable[Demand]) -> None:
        """Let these calls of a flow wait here, with others of it that do."""
        caller_id = flow.chain.caller_id
        turns = self._turns.get(caller_id)
        if turns is None:
            turns = self._turns[caller_id] = _Turns(flow.chain.weight)
            self._tags[caller_id] = tag = self._tag_of(caller_id)
            self._push(tag, caller_id)
        turns.flows[flow] = None
        for each in calls:
            cost = cost_of(each, self.limit)
            turns.calls += 1
            turns.amount += cost
            self._amount += cost

    def leave(self, flow: Flow, calls: Iterable[Demand]) -> None:
        """Let these calls of a flow wait here no more; without calls it is gone."""
        turns = self._turns[flow.chain.caller_id]
        for each in calls:
            cost = cost_of(each, self.limit)
            turns.calls -= 1
            turns.amount -= cost
            self._amount -= cost
        if not flow.calls or flow.line is not self:
            del turns.flows[flow]
            if not turns.flows:
                del self._turns[flow.chain.caller_id]

    @property
    def claimant(self) -> Flow | None:
        """Whose claim is the oldest."""
        return min(self.claims, key=lambda each: each.head) if self.claims else None

    def first(self) -> Flow | None:
        """Return whose call is next; `None`: nobody's, or one that waits elsewhere."""
        claimant = self.claimant
        if claimant is not None:
            return claimant if claimant.line is self else None
        waiting = self._next
        while waiting:
            tag, _, caller_id = waiting[0]
            turns = self._turns.get(caller_id)
            if turns is not None and self._tags[caller_id] == tag:
                return min(turns.flows, key=lambda each: each.head)
            heappop(waiting)
        return None

    def serve(self, chain: Chain, demand: Demand, *, here: bool) -> None:
        """Count what a call has taken; `here`: it was its turn in this line."""
        caller_id, cost = chain.caller_id, cost_of(demand, self.limit)
        tag = self._tag_of(caller_id)
        if here:
            self._served = max(self._served, tag)
        self._tags[caller_id] = tag = tag + cost / chain.weight
        if caller_id in self._turns:
            self._push(tag, caller_id)
        self._level, self._at_s = self._level_now() - cost, self._now()

    def _push(self, tag: float, caller_id: str) -> None:
        waiting = self._next
        if len(waiting) > _MOST_STALE + 2 * len(self._turns):
            tags, turns = self._tags, self._turns
            valid = [
                each
                for each in waiting
                if each[2] in turns and tags[each[2]] == each[0]
            ]
            # Of several that say the same of a caller, the oldest is kept.
            oldest = {each[2]: each for each in sorted(valid, reverse=True)}
            waiting[:] = oldest.values()
            heapify(waiting)
        heappush(waiting, (tag, next(self._order), caller_id))

    def _tag_of(self, caller_id: str) -> float:
        """Return the tag of a caller's next call."""
        tag = self._tags.get(caller_id, 0.0)
        return tag if caller_id in self._turns else max(self._served, tag)


class Lines(dict[LineKey, Line]):
    """All lines in which anybody waits, or which anybody claims."""

    def __init__(self, now: Monotonic) -> None:
        """Begin without any."""
        super().__init__()
        self._now = now

    def at(self, scope: Scope, limit: LimitName) -> Line:
        """Return the line of a bucket, a new one if need be."""
        key = scope.key, limit
        line = self.get(key)
        if line is None:
            line = self[key] = Line(scope, limit, now=self._now)
        return line

    def forget(self, line: Line) -> None:
        """Forget a line if nobody is there."""
        if not line:
            self.pop(line.key, None)

    def of(self, chain: Chain) -> Iterator[Line]:
        """Yield those at the buckets of a chain."""
        for scope, limit in buckets_of(chain):
            if (line := self.get((scope.key, limit))) is not None:
                yield line

    def predict_s(self, chain: Chain, demand: Demand) -> float:
        """Return how long a call would wait that comes now, in fair order."""
        return max(each.predict_s(chain, demand) for each in self.of(chain))

    def surely_within(self, most_s: float, chain: Chain, demand: Demand) -> bool:
        """Say whether a call would not wait for longer even if it were the last."""
        return all(each.longest_s(demand) <= most_s for each in self.of(chain))
