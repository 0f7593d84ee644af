"""Counters in the memory of one process: exact, and as quick as can be.

One process owns them, and nothing else runs while it looks and takes. What they hold is
lost with the process, and told to the next one by `load`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.admission.accounts import UNLIMITED, Account
from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.refusals import Moment, tightest, tightest_growth
from smart_llmrouter.admission.rolling import Step, number_at
from smart_llmrouter.admission.standings import standing_of
from smart_llmrouter.admission.verdicts import (
    Lease,
    Standing,
    Verdict,
    Warned,
)
from smart_llmrouter.config.allowances import PeriodName, Scope
from smart_llmrouter.core.clock import Monotonic, WallClock

_ROOMY: Final = UNLIMITED // 2
_MOST_CHAINS: Final = 65_536
_FOREIGN: Final = "a lease goes back to the counters that gave it"


class Used(msgspec.Struct, frozen=True, gc=False):
    """What the calls of one period have used, all of them settled."""

    requests: int = 0
    tokens: int = 0
    nusd: int = 0


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What calls have used that were granted at one moment of the last minute.

    `at_ms` is in milliseconds since 1970 UTC.
    """

    at_ms: int
    requests: int
    tokens: int


class Held(Lease):
    """A lease, and out of which accounts it was `taken`; none: it is settled.

    `granted` tokens were taken out of the minute, in a step of each account; what is
    held of budgets may have grown since.
    """

    taken: Sequence[tuple[Account, Step]] = ()
    granted: int = 0
    held_tokens: int = 0
    held_nusd: int = 0


class Memory:
    """The port `Counters`, in memory."""

    def __init__(self, *, now: Monotonic, wall: WallClock) -> None:
        """Begin with nothing counted."""
        self._now = now
        self._wall = wall
        self._accounts: dict[str, Account] = {}
        self._chains: dict[Chain, list[Account]] = {}
        self._to_tidy: Iterator[Account] = iter(())

    def take(self, scopes: Chain, demand: Demand) -> Verdict:
        """Take all that a call needs out of all limits, or nothing."""
        accounts = self._chains.get(scopes)
        if accounts is None:
            accounts = self._accounts_of(scopes)
        now_s, began_ms = self._now(), demand.began_ms
        tokens, nusd = demand.tokens, demand.nusd
        fits = True
        for each in accounts:
            if now_s >= each.rolls_at_s or not each.from_ms <= began_ms < each.until_ms:
                self._catch_up(each, now_s, began_ms)
            if (
                each.in_flight >= each.most_in_flight
                or each.requests + each.in_flight >= each.most_requests
                or each.tokens + each.held_tokens + tokens > each.most_tokens
                or each.nusd + each.held_nusd + nusd > each.most_nusd
                or (each.shaped and each.must_wait(demand.input_tokens, now_s))
                or each.warns
            ):
                fits = False
        warned: tuple[Warned, ...] = ()
        if not fits:
            refusal = tightest(accounts, demand, Moment(now_s, self._wall()))
            if refusal is not None:
                return refusal
            warned = tuple(
                warning
                for each in accounts
                if each.warns
                for warning in each.warnings()
            )
        return self._taken(accounts, demand, now_s, warned)

    def _taken(
        self,
        accounts: list[Account],
        demand: Demand,
        now_s: float,
        warned: tuple[Warned, ...],
    ) -> Held:
        """Take it, and find the minute's limits of which the least is left."""
        tokens, nusd = demand.tokens, demand.nusd
        requests_left = tokens_left = _ROOMY
        rpm = tpm = None
        gone_at_s, taken = now_s, []
        for each in accounts:
            step = each.step
            step.requests += 1
            step.tokens += tokens
            taken.append((each, step))
            in_flight = each.in_flight = each.in_flight + 1
            held_tokens = each.held_tokens = each.held_tokens + tokens
            each.held_nusd += nusd
            if each.starts is not None:
                each.starts.take(1, now_s)
            if each.inputs is not None:
                each.inputs.take(demand.input_tokens, now_s)
            left = each.most_minute_requests - each.requests - in_flight
            if left < requests_left:
                rpm, requests_left, gone_at_s = each.rpm, left, step.gone_at_s
            left = each.most_minute_tokens - each.tokens - held_tokens
            if left < tokens_left:
                tpm, tokens_left, gone_at_s = each.tpm, left, step.gone_at_s
        return Held(
            rpm,
            requests_left if requests_left > 0 else 0,
            tpm,
            tokens_left if tokens_left > 0 else 0,
            gone_at_s - now_s,
            warned,
            taken,
            tokens,
            tokens,
            nusd,
        )

    def _catch_up(self, account: Account, now_s: float, began_ms: int) -> None:
        """Bring an account up to date, and tidy up another one, each in its turn."""
        account.catch_up(now_s, began_ms)
        for idle in self._to_tidy:
            idle.expire(now_s)
            return
        self._to_tidy = iter([*self._accounts.values()])

    def grow(self, lease: Lease, *, tokens: int, nusd: int) -> Verdict:
        """Take so much more for a call in flight, or say which budget refuses it."""
        if not isinstance(lease, Held):
            raise TypeError(_FOREIGN)
        moment = Moment(self._now(), self._wall())
        refusal = tightest_growth(lease.taken, (0, tokens, nusd), moment)
        if refusal is not None:
            return refusal
        for account, step in lease.taken:
            account.grow(step, tokens, nusd)
        lease.held_tokens += tokens
        lease.held_nusd += nusd
        return lease

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Give back what was reserved, and count what was used instead."""
        if not isinstance(lease, Held):
            raise TypeError(_FOREIGN)
        taken, lease.taken = lease.taken, ()
        tokens, nusd = spent.tokens, spent.nusd
        held_tokens, held_nusd = lease.held_tokens, lease.held_nusd
        unused = held_tokens - tokens
        plain = spent.requests == 1 and held_tokens == lease.granted
        now_s = 0.0 if unused >= 0 else self._now()
        for each, step in taken:
            if not (plain and step.counted and step.turn is each.turn):
                self._settle_slowly(each, step, lease, spent)
                continue
            if unused >= 0:
                step.tokens -= unused
            else:
                if now_s >= each.rolls_at_s:
                    each.roll(now_s)
                each.step.tokens -= unused
            each.in_flight -= 1
            each.held_tokens -= held_tokens
            each.held_nusd -= held_nusd
            each.requests += 1
            each.tokens += tokens
            each.nusd += nusd
            if (
                each.requests >= each.warn_requests
                or each.tokens >= each.warn_tokens
                or each.nusd >= each.warn_nusd
            ):
                each.warns = True

    def _settle_slowly(
        self, account: Account, step: Step, held: Held, spent: Spent
    ) -> None:
        account.settle(
            step,
            (spent.requests, spent.tokens, spent.nusd),
            (1, held.held_tokens, held.held_nusd),
            granted=held.granted,
            now_s=self._now(),
        )

    def flush(self) -> None:
        """Do nothing: nobody else must know."""

    def forget(self) -> None:
        """Drop the accounts of chains, which are found again by their scopes."""
        self._chains.clear()

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Return how the limits of scopes stand; of shaping, nothing."""
        moment = Moment(self._now(), self._wall())
        return [standing_of(self._account(scope), moment) for scope in scopes]

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin a budget's period anew: what began before `at_ms` counts no more.

        This may be told before the time has come. What was granted before it was told
        counts as before, whenever it began.
        """
        self._account(scope).reset(period, at_ms)

    def load(self, scope: Scope, used: Mapping[PeriodName, Used]) -> None:
        """Add what calls have used that these counters have not seen.

        For each period it is what calls have used that belong to the one which is now.
        """
        account = self._account(scope)
        account.load(
            {
                period: (each.requests, each.tokens, each.nusd)
                for period, each in used.items()
            },
            self._wall() * 1000,
        )

    def load_minute(self, scope: Scope, taken: Iterable[Taken]) -> None:
        """Add to the rolling minute what these counters have not seen.

        It counts for as long as if it had been taken here at that time; what seems to
        come from the future counts from now on.
        """
        account = self._account(scope)
        now_s, now_ms = self._now(), self._wall() * 1000
        steps: dict[int, tuple[int, int]] = {}
        for each in taken:
            number = number_at(now_s - max(0.0, now_ms - each.at_ms) / 1000)
            requests, tokens = steps.get(number, (0, 0))
            steps[number] = (requests + each.requests, tokens + each.tokens)
        account.load_minute(steps, now_s)

    def condition(self) -> str | None:
        """Return that all is well: memory is always there."""
        return None

    def _accounts_of(self, chain: Chain) -> list[Account]:
        accounts = [self._account(scope) for scope in chain.scopes]
        if len(self._chains) >= _MOST_CHAINS:
            self._chains.clear()
        self._chains[chain] = accounts
        return accounts

    def _account(self, scope: Scope) -> Account:
        """Return the account of a scope, with the newest limits that are known."""
        account = self._accounts.get(scope.key)
        now_s, now_ms = self._now(), self._wall() * 1000
        if account is None:
            account = Account(scope, now_s=now_s, now_ms=now_ms)
            self._accounts[scope.key] = account
        elif account.adopt(scope, now_s=now_s, now_ms=now_ms):
            self._chains.clear()
        return account
