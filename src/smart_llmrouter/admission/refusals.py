"""Which limits of an account refuse a call, and for how long."""

from collections.abc import Iterable, Iterator
from math import ceil, inf, isinf

import msgspec

from smart_llmrouter.admission.accounts import Account
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.rolling import Step, requests_of, tokens_of
from smart_llmrouter.admission.tallies import Amounts, Book, Tally
from smart_llmrouter.admission.verdicts import LimitName, Refusal
from smart_llmrouter.core.buckets import Bucket

_SHORT_S = 1.0
"""How long to wait for calls in flight, of which nobody knows how long they take."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When something is looked at: by the clock for durations, and by the wall's."""

    now_s: float
    wall_s: float

    @property
    def wall_ms(self) -> int:
        """Return the time by the wall's clock, in milliseconds, as calls have it."""
        return int(self.wall_s * 1000)


def tightest(
    accounts: Iterable[Account], demand: Demand, moment: Moment
) -> Refusal | None:
    """Return what refuses a call for the longest time, if anything does."""
    return _longest(
        refusal
        for account in accounts
        for refusal in _refusals(account, demand, moment)
    )


def tightest_growth(
    taken: Iterable[tuple[Account, Step]], need: Amounts, moment: Moment
) -> Refusal | None:
    """Return which budget refuses that a call in flight uses more."""
    return _longest(
        refusal
        for account, step in taken
        for book, tally in account.tallies_of(step)
        for refusal in _of_budget(account, book, tally, need, moment)
    )


def _longest(refusals: Iterable[Refusal]) -> Refusal | None:
    return max(refusals, key=lambda refusal: refusal.wait_s, default=None)


def _refusals(account: Account, demand: Demand, moment: Moment) -> Iterator[Refusal]:
    yield from _of_minute(account, demand, moment)
    if account.in_flight >= account.most_in_flight:
        yield Refusal(
            scope=account.scope,
            limit="concurrent",
            value=account.most_in_flight,
            left=0,
            wait_s=_SHORT_S,
        )
    yield from _of_shaping(account, demand, moment)
    need = (1, demand.tokens, demand.nusd)
    for book, tally in account.tallies_of(account.step):
        yield from _of_budget(account, book, tally, need, moment)


def _of_minute(account: Account, demand: Demand, moment: Moment) -> Iterator[Refusal]:
    minute = account.minute
    if minute is None:
        return
    limits = account.scope.allowance.limits
    requests = account.requests + account.in_flight - minute.requests
    tokens = account.tokens + account.held_tokens - minute.tokens
    each: tuple[tuple[LimitName, int | None, int, int], ...] = (
        ("rpm", limits.rpm, requests, 1),
        ("tpm", limits.tpm, tokens, demand.tokens),
    )
    for name, limit, used, need in each:
        if limit is None or not need or used + need <= limit:
            continue
        amount_of = requests_of if name == "rpm" else tokens_of
        wait_s, now_s = inf, moment.now_s
        if need <= limit:
            wait_s = minute.wait_s(used + need - limit, now_s, amount_of=amount_of)
        yield Refusal(
            scope=account.scope,
            limit=name,
            value=limit,
            left=max(0, limit - used),
            wait_s=wait_s,
            resets_at_s=moment.wall_s + minute.reset_s(now_s, amount_of=amount_of),
        )


def _of_shaping(account: Account, demand: Demand, moment: Moment) -> Iterator[Refusal]:
    each: tuple[tuple[LimitName, Bucket | None, int], ...] = (
        ("requests_per_second", account.starts, 1),
        ("input_tokens_per_second", account.inputs, demand.input_tokens),
    )
    for name, bucket, need in each:
        if bucket is None or not need:
            continue
        wait_s = bucket.wait_s(need, moment.now_s)
        if wait_s:
            yield Refusal(
                scope=account.scope,
                limit=name,
                value=ceil(bucket.rate),
                left=max(0, int(bucket.level(moment.now_s))),
                wait_s=wait_s,
            )


def _of_budget(
    account: Account, book: Book, tally: Tally, need: Amounts, moment: Moment
) -> Iterator[Refusal]:
    """Yield which budgets of a period have less left than is needed."""
    settled, held = account.used(tally)
    for index, unit, cap in book.caps():
        used = settled[index] + held[index]
        if not need[index] or used + need[index] <= cap:
            continue
        ends_s = tally.until_ms / 1000
        if need[index] > cap:
            wait_s = inf
        elif settled[index] + need[index] > cap:
            # A millisecond more, for a call's beginning is cut to one.
            wait_s = max(0.0, (tally.until_ms - moment.wall_ms) / 1000) + 0.001
        else:
            wait_s = _SHORT_S
        yield Refusal(
            scope=account.scope,
            limit=book.limit(unit),
            value=cap,
            left=max(0, cap - used),
            wait_s=wait_s,
            resets_at_s=None if isinf(ends_s) else ends_s,
        )
