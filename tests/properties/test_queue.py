"""The queue in any order of arrivals and leavings, on a clock that costs no time."""

import asyncio
import math
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.admission.counters import Chain, Counters
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.gate import Gate, Reservation
from smart_llmrouter.admission.lines import buckets_of, cost_of
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.queue import Queue
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.config.allowances import Allowance, Allowances
from smart_llmrouter.core.errors import TrafficShaped
from tests.support.allowances import caller, demand, shaped
from tests.support.counters import Remote
from tests.support.virtual import run_virtually

CALLERS: Final = ("a", "b", "c")
OWNERS: Final = ("alice", "bob")
GROUPS: Final = ("chat", "code")
FOR_EVER_S: Final = 1e6
GRACE_S: Final = 0.01
ONE_CALL: Final = Spent(1, 0, 0)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call, when it comes, and how long its caller stays at most."""

    who: str
    group: str
    at_s: float
    input_tokens: int
    stays_s: float


@dataclass(slots=True)
class Ended:
    """What became of a call."""

    arrival: Arrival
    number: int
    came: int = 0
    """Timers of the same moment go off in any order: how many had come before."""
    how: str = "nothing"
    at_s: float = math.nan
    retry_after_s: int | None = None


class Watched(Memory):
    """The store in memory, which tells what it has granted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use the clock of `loop`."""
        super().__init__(now=loop.time, wall=loop.time)
        self.loop = loop
        self.taken: list[tuple[float, Chain, Demand]] = []

    def take(self, scopes: Chain, demand: Demand) -> Verdict:
        """Note what is granted."""
        verdict = super().take(scopes, demand)
        if isinstance(verdict, Lease):
            self.taken.append((self.loop.time(), scopes, demand))
        return verdict


@dataclass(slots=True)
class Play:
    """A gate, and what became of the calls that came to it."""

    allowances: Allowances
    come: int = 0
    ended: list[Ended] = field(default_factory=list)
    taken: list[tuple[float, Chain, Demand]] = field(default_factory=list)

    async def run(self, arrivals: list[Arrival], takes_s: float | None) -> None:
        """Let the calls come; wait until all of them have ended."""
        loop = asyncio.get_running_loop()
        watched = Watched(loop)
        store: Counters = watched
        if takes_s is not None:
            store = Remote(watched, takes_s=takes_s)
        queue = Queue(store, loop, now=loop.time)
        gate = Gate(self.allowances, store, queue)
        self.ended = [Ended(each, number) for number, each in enumerate(arrivals)]
        began_s = loop.time()
        await asyncio.gather(*(self._call(gate, each, began_s) for each in self.ended))
        await asyncio.sleep(1)
        self.taken = [(at_s - began_s, *rest) for at_s, *rest in watched.taken]  # type: ignore[misc] # the rest is what it was

        assert queue.depth == 0
        assert queue.lines == {}
        assert len(asyncio.all_tasks()) == 1

    async def _call(self, gate: Gate, ended: Ended, began_s: float) -> None:
        arrival, loop = ended.arrival, asyncio.get_running_loop()
        await asyncio.sleep(arrival.at_s)
        ended.came, self.come = self.come, self.come + 1
        owner = OWNERS[CALLERS.index(arrival.who) % 2]
        chain = gate.chain(caller(arrival.who, owner=owner), arrival.group)
        needs = demand(str(ended.number), input_tokens=arrival.input_tokens)
        try:
            async with asyncio.timeout(arrival.stays_s):
                if chain is not None:
                    granted = gate.reserve(chain, needs)
                    if not isinstance(granted, Reservation):
                        granted = await granted
                    granted.settle(ONE_CALL)
            ended.how = "passed"
        except TrafficShaped as error:
            ended.how, ended.retry_after_s = "refused", error.retry_after_s
        except TimeoutError:
            ended.how = "left"
        ended.at_s = loop.time() - began_s


def paces(wait_s: float) -> st.SearchStrategy[Allowance]:
    """Return allowances with a pace of requests, of tokens, or of both."""
    return st.builds(
        lambda per_second, burst, tokens: shaped(
            per_second, burst=burst, input_tokens=tokens, wait_s=wait_s
        ),
        st.sampled_from([0.5, 1.0, 3.0]),
        st.integers(1, 3),
        st.sampled_from([0.0, 10.0]),
    )


def holders(
    names: tuple[str, ...], wait_s: float
) -> st.SearchStrategy[dict[str, Allowance]]:
    """Return paces for some of these."""
    return st.dictionaries(st.sampled_from(names), paces(wait_s))


def allowances(wait_s: float) -> st.SearchStrategy[Allowances]:
    """Return paces for some callers, users and groups."""
    return st.builds(
        lambda callers, owners, groups: Allowances(
            callers=callers, owners=owners, groups=groups
        ),
        holders(CALLERS, wait_s),
        holders(OWNERS, wait_s),
        holders(GROUPS, wait_s),
    )


def arrivals(*, leave: bool) -> st.SearchStrategy[list[Arrival]]:
    """Return calls that come in some seconds; some of their callers may leave."""
    stays = (
        st.sampled_from([0.4, 1.7, 5.0, FOR_EVER_S]) if leave else st.just(FOR_EVER_S)
    )
    return st.lists(
        st.builds(
            Arrival,
            who=st.sampled_from(CALLERS),
            group=st.sampled_from(GROUPS),
            at_s=st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0, 2.5, 6.0]),
            input_tokens=st.sampled_from([1, 4, 10, 25]),
            stays_s=stays,
        ),
        max_size=25,
    )


DELAYS: Final = st.sampled_from([None, 0.0, 0.0005])


def never_too_fast(play: Play) -> None:
    """Say that in no stretch of time more was granted than a bucket lets through."""
    drawn: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
    for at_s, chain, needs in play.taken:
        for scope, limit in buckets_of(chain):
            assert scope.allowance.shaping is not None
            flow = scope.allowance.shaping.flow
            starts = limit == "requests_per_second"
            rate = flow.requests_per_second if starts else flow.input_tokens_per_second
            size = flow.burst if starts else rate
            cost = cost_of(needs, limit)
            drawn.setdefault((scope.key, limit), []).append((at_s, cost, rate, size))
    for of_bucket in drawn.values():
        for first, last in combinations_with_replacement(range(len(of_bucket)), 2):
            # The last one needs no more than a full bucket, and may owe the rest.
            stretch = of_bucket[first : last + 1]
            (begin_s, _, rate, size), (end_s, cost, *_) = stretch[0], stretch[-1]
            taken = sum(each[1] for each in stretch[:-1]) + min(cost, size)
            assert taken <= size + rate * (end_s - begin_s) + 1e-3


def in_order(play: Play) -> None:
    """Say that the calls of one caller to one group have passed as they came."""
    passed = [int(needs.request_id) for _, _, needs in play.taken]
    for who in CALLERS:
        for group in GROUPS:
            came = [
                each.number
                for each in sorted(play.ended, key=lambda each: each.came)
                if (each.arrival.who, each.arrival.group) == (who, group)
            ]
            assert [each for each in passed if each in came] == [
                each for each in came if each in passed
            ]


@given(allowances(FOR_EVER_S), arrivals(leave=False), DELAYS)
def test_everybody_has_a_turn(
    allowed: Allowances, calls: list[Arrival], takes_s: float | None
) -> None:
    """Who can wait passes, in order, never above a pace, and in a bounded time."""
    play = Play(allowed)

    run_virtually(play.run(calls, takes_s))

    assert {each.how for each in play.ended} <= {"passed"}
    never_too_fast(play)
    if takes_s is None:
        # Of calls that a shared store decides at the same time, any may be the first.
        in_order(play)
    # No slower than if all buckets had let everything through one after another.
    owed_s = {
        (scope.key, limit): 0.0
        for _, chain, _ in play.taken
        for scope, limit in buckets_of(chain)
    }
    for _, chain, needs in play.taken:
        for scope, limit in buckets_of(chain):
            assert scope.allowance.shaping is not None
            rate = getattr(scope.allowance.shaping.flow, limit)
            owed_s[scope.key, limit] += cost_of(needs, limit) / rate
    last_s = max((each.at_s for each in play.ended), default=0.0)
    slack_s = len(calls) * 4 * (takes_s or 0.0) + 0.1
    assert last_s <= 6.0 + sum(owed_s.values()) + slack_s


@given(allowances(4.0), arrivals(leave=True), DELAYS)
def test_nobody_waits_for_longer_than_it_may(
    allowed: Allowances, calls: list[Arrival], takes_s: float | None
) -> None:
    """A call passes, is refused, or has left: within its longest wait, and honestly."""
    play = Play(allowed)

    run_virtually(play.run(calls, takes_s))

    never_too_fast(play)
    for each in play.ended:
        assert each.how in {"passed", "refused", "left"}
        within_s = min(4.0, each.arrival.stays_s) + GRACE_S + 50 * (takes_s or 0.0)
        assert each.at_s <= each.arrival.at_s + within_s
        assert (each.how == "refused") == (each.retry_after_s is not None)
    gone = {str(each.number) for each in play.ended if each.how == "refused"}
    assert gone.isdisjoint(needs.request_id for _, _, needs in play.taken)
