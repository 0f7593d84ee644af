"""Calls that wait: what is kept of each, how long it may, and what became of it."""

import asyncio
from typing import Final, Literal, get_args

import msgspec

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.lines import Flow, LineKey
from smart_llmrouter.admission.verdicts import Lease
from smart_llmrouter.config.allowances import Queue as Rules
from smart_llmrouter.config.allowances import Scope

Ending = Literal["passed", "refused", "late", "left", "full", "too-long", "not-queued"]
"""What became of a call that came too fast.

    passed       it waited for its turn, and passed
    refused      it waited, and something else refused it then
    late         it waited for as long as it may
    left         its caller stopped waiting
    full         it had to go at once: as many calls of its caller waited as may
    too-long     it had to go at once: it would have waited for too long
    not-queued   it had to go at once: where it came too fast, nobody may wait
"""
ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)


class Ticket(msgspec.Struct, eq=False):
    """A call that waits. `turn` is its lease, or why there is none.

    `waited_s` is how long it has waited when its turn has come. `seen` are the lines in
    which it has been the next.
    """

    number: int
    demand: Demand
    flow: Flow
    began_s: float
    deadline_s: float
    turn: asyncio.Future[Lease]
    alarm: asyncio.TimerHandle
    waited_s: float = 0.0
    seen: set[LineKey] = msgspec.field(default_factory=set)


def rules_of(chain: Chain, refusing: Scope) -> Rules | None:
    """Return how calls of a chain wait for the bucket of a scope, if they may."""
    shapings = [each.allowance.shaping for each in chain.scopes]
    rules = [each.queue for each in shapings if each is not None and each.queue]
    shaping = refusing.allowance.shaping
    if shaping is None or shaping.queue is None:
        return None
    return Rules(
        max_wait_s=min(each.max_wait_s for each in rules),
        max_depth=min(each.max_depth for each in rules),
    )
