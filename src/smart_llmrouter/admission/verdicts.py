"""What a counter store says to a demand: granted with a lease, or a limit's refusal."""

from typing import Final, Literal

import msgspec

from smart_llmrouter.config.allowances import PeriodName, Scope, ScopeKind

Unit = Literal["requests", "tokens", "usd"]
LimitName = Literal[
    "rpm",
    "tpm",
    "concurrent",
    "requests_per_second",
    "input_tokens_per_second",
    "day.requests",
    "day.tokens",
    "day.usd",
    "month.requests",
    "month.tokens",
    "month.usd",
    "lifetime.requests",
    "lifetime.tokens",
    "lifetime.usd",
]
"""A limit, as the configuration spells it; a budget is its period and its unit."""
SHAPED: Final[frozenset[LimitName]] = frozenset(
    {"requests_per_second", "input_tokens_per_second"}
)
"""Limits for which a call may wait in a queue."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call must not go on now.

    Of all limits that refuse a call this is the tightest: the one that refuses it for
    the longest time. `value` is the limit, and `left` what is left of it (dollars in
    nano-dollars). `wait_s` is in how many seconds the same call would pass, as far as
    can be known now: `inf` where it never will. `resets_at_s` is when the window or
    period ends in which the limit counts, in seconds since 1970 UTC, where there is
    such an end.
    """

    scope: Scope
    limit: LimitName
    value: int
    left: int
    wait_s: float
    resets_at_s: float | None = None


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of which so much has been settled as is worth a warning.

    The first call that is granted then is told, once a period and unit. What is only
    reserved is mostly more than will be used, and is no reason to warn.
    """

    scope: Scope
    period: PeriodName
    unit: Unit
    used: int
    cap: int


class Lease(msgspec.Struct, eq=False):
    """What a call has been granted; its store knows more about it.

    `rpm` and `tpm` are the minute's limits of which the least is left, for the headers
    of the answer, `requests_left` and `tokens_left` are how much of them that is, and
    all of both is left again after `reset_s`.
    """

    rpm: int | None = None
    requests_left: int = 0
    tpm: int | None = None
    tokens_left: int = 0
    reset_s: float = 0.0
    warned: tuple[Warned, ...] = ()


Verdict = Lease | Refusal


class Use(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What of a limit is in use: settled, and reserved by calls in flight."""

    limit: LimitName
    value: int
    used: int
    reserved: int
    resets_at_s: float | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How all limits of one scope stand."""

    kind: ScopeKind
    name: str
    uses: tuple[Use, ...]
