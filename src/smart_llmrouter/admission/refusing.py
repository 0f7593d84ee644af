"""What a caller is told when a limit refuses: which one, whose, and what to do."""

import math
from datetime import UTC, datetime
from typing import Final

import msgspec

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.verdicts import SHAPED, LimitName, Refusal, Unit
from smart_llmrouter.config.allowances import Scope, ScopeKind
from smart_llmrouter.core.errors import (
    ConcurrencyExceeded,
    KeyExhausted,
    LimitExceeded,
    QuotaExhausted,
    RpmExceeded,
    TpmExceeded,
    TrafficShaped,
)
from smart_llmrouter.core.errors.limits import LONGEST_RETRY_AFTER_S
from smart_llmrouter.core.money import usd_text


class _Kind(msgspec.Struct, frozen=True):
    """What is said of a limit: `{}` is its value."""

    error: type[LimitExceeded]
    words: str
    unit: Unit = "requests"


_KINDS: Final[dict[LimitName, _Kind]] = {
    "rpm": _Kind(RpmExceeded, "the limit of {} requests a minute"),
    "tpm": _Kind(TpmExceeded, "the limit of {} tokens a minute", "tokens"),
    "concurrent": _Kind(ConcurrencyExceeded, "the limit of {} calls at the same time"),
    "requests_per_second": _Kind(TrafficShaped, "the pace of {} calls a second"),
    "input_tokens_per_second": _Kind(
        TrafficShaped, "the pace of {} input tokens a second"
    ),
    "day.requests": _Kind(QuotaExhausted, "the budget of {} requests a day"),
    "day.tokens": _Kind(QuotaExhausted, "the budget of {} tokens a day", "tokens"),
    "day.usd": _Kind(QuotaExhausted, "the budget of {} a day", "usd"),
    "month.requests": _Kind(QuotaExhausted, "the budget of {} requests a month"),
    "month.tokens": _Kind(QuotaExhausted, "the budget of {} tokens a month", "tokens"),
    "month.usd": _Kind(QuotaExhausted, "the budget of {} a month", "usd"),
    "lifetime.requests": _Kind(KeyExhausted, "the lifetime budget of {} requests"),
    "lifetime.tokens": _Kind(
        KeyExhausted, "the lifetime budget of {} tokens", "tokens"
    ),
    "lifetime.usd": _Kind(KeyExhausted, "the lifetime budget of {}", "usd"),
}
_WHOSE: Final[dict[ScopeKind, str]] = {
    "caller": "caller {}",
    "owner": "user {}",
    "project": "project {}",
    "environment": "project and environment {}",
    "group": "group {}",
    "group-caller": "each caller in group {}",
}


def exceeded(refusal: Refusal, demand: Demand, *, more: bool = False) -> LimitExceeded:
    """Return the error that tells the caller of `demand` what refuses it.

    With `more` that is what a call in flight needs beside what it has.
    """
    kind = _KINDS[refusal.limit]
    value, left = _value(refusal), _amount(kind.unit, max(0, refusal.left))
    shown = f"${value}" if kind.unit == "usd" else value
    limit = f"{kind.words.format(shown)} of {whose(refusal.scope)}"
    return kind.error(
        f"{limit} {_state(refusal, demand, kind.unit, more=more)}{_ahead(refusal)}",
        scope=refusal.scope.key,
        limit=refusal.limit,
        value=value,
        left=left,
        wait_s=refusal.wait_s,
        resets_at_s=refusal.resets_at_s,
    )


def whose(scope: Scope) -> str:
    """Return in words whose limits those of `scope` are."""
    name = scope.name
    if scope.kind == "group-caller":
        name = name.partition("/")[0]
    return _WHOSE[scope.kind].format(name)


def _value(refusal: Refusal) -> str:
    """Return a limit as the configuration has it: dollars, and rates with a point."""
    if refusal.limit not in SHAPED:
        return _amount(_KINDS[refusal.limit].unit, refusal.value)
    shaping = refusal.scope.allowance.shaping
    rate = refusal.value if shaping is None else getattr(shaping.flow, refusal.limit)
    return f"{rate:.6f}".rstrip("0").rstrip(".")


def _amount(unit: Unit, amount: int) -> str:
    return usd_text(amount) if unit == "usd" else str(amount)


def _state(refusal: Refusal, demand: Demand, unit: Unit, *, more: bool) -> str:
    """Say how the limit stands, against what the call asks for."""
    need = {"requests": 1, "tokens": demand.tokens, "usd": demand.nusd}[unit]
    sign = "$" if unit == "usd" else ""
    beside = " more" if more else ""
    needs = f"this call may use {sign}{_amount(unit, need)}{beside}"
    if need > refusal.value and math.isinf(refusal.wait_s):
        return f"can never be enough: {needs}"
    if refusal.left <= 0 or unit == "requests":
        return "is reached"
    return f"has {sign}{_amount(unit, refusal.left)} left, and {needs}"


def _ahead(refusal: Refusal) -> str:
    """Say when the call would pass, where it ever would."""
    wait_s = refusal.wait_s
    if math.isinf(wait_s):
        return ""
    if wait_s <= LONGEST_RETRY_AFTER_S or refusal.resets_at_s is None:
        return f"; try again in {max(1, math.ceil(wait_s))} s"
    resets_at = datetime.fromtimestamp(math.ceil(refusal.resets_at_s), UTC)
    return f"; it begins anew at {resets_at:%Y-%m-%d %H:%M:%S} UTC"
