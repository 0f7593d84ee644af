"""How the limits of an account stand."""

from collections.abc import Iterator
from math import isinf

from smart_llmrouter.admission.accounts import Account
from smart_llmrouter.admission.refusals import Moment
from smart_llmrouter.admission.rolling import requests_of, tokens_of
from smart_llmrouter.admission.verdicts import Standing, Use


def standing_of(account: Account, moment: Moment) -> Standing:
    """Return how the limits and budgets of a scope stand; shaping has no use."""
    account.catch_up(moment.now_s, moment.wall_ms)
    scope = account.scope
    uses = (*_of_limits(account, moment), *_of_budgets(account))
    return Standing(kind=scope.kind, name=scope.name, uses=uses)


def _of_limits(account: Account, moment: Moment) -> Iterator[Use]:
    limits, minute = account.scope.allowance.limits, account.minute
    if minute is not None and limits.rpm is not None:
        used = account.requests + account.in_flight - minute.requests
        reset_s = minute.reset_s(moment.now_s, amount_of=requests_of)
        yield Use(
            limit="rpm",
            value=limits.rpm,
            used=used,
            reserved=0,
            resets_at_s=moment.wall_s + reset_s,
        )
    if minute is not None and limits.tpm is not None:
        used = account.tokens + account.held_tokens - minute.tokens
        reset_s = minute.reset_s(moment.now_s, amount_of=tokens_of)
        yield Use(
            limit="tpm",
            value=limits.tpm,
            used=used,
            reserved=0,
            resets_at_s=moment.wall_s + reset_s,
        )
    if limits.concurrent is not None:
        yield Use(
            limit="concurrent",
            value=limits.concurrent,
            used=account.in_flight,
            reserved=0,
        )


def _of_budgets(account: Account) -> Iterator[Use]:
    for book, tally in account.tallies_of(account.step):
        settled, held = account.used(tally)
        ends_s = tally.until_ms / 1000
        for index, unit, cap in book.caps():
            yield Use(
                limit=book.limit(unit),
                value=cap,
                used=settled[index],
                reserved=held[index],
                resets_at_s=None if isinf(ends_s) else ends_s,
            )
