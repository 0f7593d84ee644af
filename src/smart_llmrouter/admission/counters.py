"""The port of counter stores: where limits and budgets are counted.

One decision is one step, which nothing else comes between: all limits of all scopes
are looked at together, and either all of the call is taken or nothing. All stores keep
these rules, which `tests/conformance/counters` checks:

    a minute      rolls, in steps of 0.1 s. What a call takes counts for 60 s from
                  the beginning of the step in which it was granted. When it
                  is settled, what it did not use is given back to the step in which it
                  was taken; what it used beyond is counted at the settlement, also
                  where the call has grown
    concurrent    one from the grant to the settlement, or to the end of the lease
    budgets       a call belongs to the day and month in which it began, by the wall
                  clock in the budget's time zone, and after a reset to the time after
                  it if it began then. What is reserved counts until it is settled
    shaping       buckets that begin full; a call larger than a whole bucket passes when
                  that is full, and leaves a debt (see `core.buckets`). What was taken
                  out of them is not given back
    nothing       a limit of which a call needs nothing does not refuse it
    never         a call that needs more than a limit has in all is refused for good
    settlement    happens once; what comes later for the same lease changes nothing
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.verdicts import Lease, Standing, Verdict
from smart_llmrouter.config.allowances import PeriodName, Scope


class Chain(msgspec.Struct, frozen=True, eq=False):
    """The scopes whose limits one kind of call must keep; made by `chain_of`.

    The gate makes one for each caller and group, and again with each configuration;
    stores remember what they need by its identity. `weight` is the caller's share of
    the turns where callers wait. `input`, `tokens` and `money` say whether anything
    limits the input tokens, all tokens, or what they cost: what nothing limits need
    not be estimated. `cuts` says that a stream may be ended by a budget.
    """

    caller_id: str
    scopes: tuple[Scope, ...]
    weight: int
    input: bool
    tokens: bool
    money: bool
    cuts: bool


def chain_of(caller_id: str, scopes: tuple[Scope, ...], *, weight: int = 1) -> Chain:
    """Return the chain of these scopes."""
    caps = [cap for each in scopes for cap in each.allowance.budgets.caps.values()]
    shapings = [each.allowance.shaping for each in scopes]
    limits = [each.allowance.limits for each in scopes]
    return Chain(
        caller_id,
        scopes,
        weight,
        input=any(each and each.flow.input_tokens_per_second for each in shapings),
        tokens=any(cap.tokens for cap in caps) or any(each.tpm for each in limits),
        money=any(cap.nusd for cap in caps),
        cuts=any(
            each.allowance.budgets.caps and each.allowance.budgets.on_overrun == "cut"
            for each in scopes
        ),
    )


class Counters(Protocol):
    """Where limits and budgets are counted."""

    def take(self, scopes: Chain, demand: Demand) -> Verdict | Awaitable[Verdict]:
        """Take all that a call needs out of all limits, or nothing.

        Raises `CountersAway` where nobody can tell, also when awaited.
        """

    def grow(
        self, lease: Lease, *, tokens: int, nusd: int
    ) -> Verdict | Awaitable[Verdict]:
        """Take so much more for a call in flight, or say which budget refuses it.

        A minute refuses nothing here, nor does it count it before the settlement.
        """

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Give back what was reserved, and count what was used instead.

        Returns at once. A shared store is told when `flush` is called.
        """

    def flush(self) -> None:
        """Let a shared store know what has been settled; the record is written."""

    def forget(self) -> None:
        """Drop what is kept of chains: those of another configuration follow."""

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Return how the limits of scopes stand."""

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin a budget's period anew: what began before `at_ms` counts no more.

        It may be told before the time has come. What was granted before it was told
        counts as before, whenever it began.
        """

    def condition(self) -> str | None:
        """Return why nothing can be counted now, in safe words; `None`: all is well."""
