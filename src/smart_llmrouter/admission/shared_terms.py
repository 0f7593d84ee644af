"""What a shared store is told of a chain, and how its answers are read.

All that is the same for many calls is made once: the names of the keys, and the limits
of all scopes with the periods that are open at the time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, inf
from typing import Final, cast, get_args

import msgspec

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.verdicts import (
    Lease,
    LimitName,
    Refusal,
    Standing,
    Unit,
    Use,
    Warned,
)
from smart_llmrouter.config.allowances import Allowance, Cap, PeriodName, Scope
from smart_llmrouter.config.policies import Flow
from smart_llmrouter.core.clock import WallClock

LIMITS: Final[tuple[LimitName, ...]] = get_args(LimitName)
PERIODS: Final[tuple[PeriodName, ...]] = ("day", "month", "lifetime")
LETTERS: Final[Mapping[PeriodName, str]] = {"day": "d", "month": "m", "lifetime": "l"}
UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens", "usd")

_MINUTE_LIMITS: Final = 5
_DAY_MS: Final = 86_400_000
_KEPT_WITHOUT_BUDGETS_MS: Final = _DAY_MS
_KEPT_WITH_BUDGETS_MS: Final = 70 * _DAY_MS
_MS_PER_S: Final = 1000
_PERCENT: Final = 100
_US_PER_S: Final = 1_000_000
_NO_FLOW: Final = Flow()
_WARNED_PARTS: Final = 5
_LEASE_PARTS: Final = 7
_MINUTE_PARTS: Final = 5
_PERIODS_END: Final = -2


class Keys:
    """The names of the keys of a namespace: they all are in one slot of a cluster."""

    def __init__(self, namespace: str) -> None:
        """All names begin with `{namespace}`."""
        self._tag = f"{{{namespace}}}:"
        self.clock = self._key("clock")
        self.owners = self._key("owners")

    def leases(self, owner: str) -> bytes:
        """Where the leases of an owner are."""
        return self._key(f"leases:{owner}")

    def family(self, instance: str) -> bytes:
        """Where all owners are noted that a router had."""
        return self._key(f"router:{instance}")

    def scope(self, key: str) -> bytes:
        """Where a scope is counted."""
        return self._key(f"scope:{key}")

    def _key(self, name: str) -> bytes:
        return f"{self._tag}{name}".encode()


class Told:
    """What scripts are told of scopes: their keys, and `places`, where to count.

    `prefixes` belongs to whoever sends it: what commands begin with.
    """

    __slots__ = ("keys", "places", "prefixes")

    def __init__(self, keys: Iterable[bytes], places: bytes) -> None:
        """Keep it."""
        self.keys = tuple(keys)
        self.places = places
        self.prefixes: dict[str, bytes] = {}


class Terms(Told):
    """A chain's scopes as they are for calls that begin within some bounds of time.

    `limits` is what scripts are told of what the scopes may use.
    """

    __slots__ = ("ends_ms", "from_ms", "limits", "scopes", "until_ms")

    def __init__(self, keys: Keys, scopes: Sequence[Scope], began_ms: float) -> None:
        """Be right for calls that begin at `began_ms`, and for others near it."""
        self.scopes = tuple(scopes)
        self.from_ms, self.until_ms = -inf, inf
        self.ends_ms: dict[tuple[int, PeriodName], float] = {}
        told, places = [], []
        for index, scope in enumerate(self.scopes):
            periods = list(self._periods(index, scope, began_ms))
            told.append([*_limits_of(scope), kept_ms(scope), periods])
            places.append([scope.key, kept_ms(scope), [each[0] for each in periods]])
        names = (keys.scope(each.key) for each in scopes)
        self.limits = msgspec.msgpack.encode(told)
        super().__init__(names, msgspec.msgpack.encode(places))

    def _periods(
        self, index: int, scope: Scope, began_ms: float
    ) -> Iterator[Sequence[object]]:
        budgets = scope.allowance.budgets
        for number, period in enumerate(PERIODS, start=1):
            if period not in budgets.caps:
                continue
            from_ms, until_ms = bounds_ms(period, began_ms, budgets.timezone)
            self.from_ms = max(self.from_ms, from_ms)
            self.until_ms = min(self.until_ms, until_ms)
            self.ends_ms[index, period] = until_ms
            caps = caps_of(budgets.caps[period])
            percent = budgets.warn_at_percent
            yield (
                period_id(period, from_ms),
                until_ms if until_ms < inf else 0,
                caps,
                [-(-cap * percent // _PERCENT) for cap in caps],
                number,
            )

    def hold_for(self, began_ms: float) -> bool:
        """Say whether they are right for a call that began then."""
        return self.from_ms <= began_ms < self.until_ms


def _limits_of(scope: Scope) -> Sequence[object]:
    allowance = scope.allowance
    limits, flow = allowance.limits, flow_of(allowance)
    return (
        scope.key,
        limits.rpm or 0,
        limits.tpm or 0,
        limits.concurrent or 0,
        flow.requests_per_second,
        flow.burst,
        flow.input_tokens_per_second,
    )


def period_id(period: PeriodName, from_ms: float) -> str:
    """Return what a period is called that begins then."""
    letter = LETTERS[period]
    return f"{letter}{from_ms:.0f}" if from_ms > -inf else letter


def kept_ms(scope: Scope) -> int:
    """Return for how long a scope is kept that nobody uses; 0: for ever."""
    caps = scope.allowance.budgets.caps
    if "lifetime" in caps:
        return 0
    return _KEPT_WITH_BUDGETS_MS if caps else _KEPT_WITHOUT_BUDGETS_MS


def caps_of(cap: Cap | None) -> list[int]:
    """Return the caps of a period in the order of `UNITS`, -1 where there is none."""
    if cap is None:
        return [-1, -1, -1]
    values = (cap.requests, cap.tokens, cap.nusd)
    return [-1 if value is None else value for value in values]


def flow_of(allowance: Allowance) -> Flow:
    """Return how a holder is shaped."""
    return _NO_FLOW if allowance.shaping is None else allowance.shaping.flow


def value_of(allowance: Allowance, limit: LimitName) -> int:
    """Return a limit of an allowance; 0 where there is none."""
    limits, flow = allowance.limits, flow_of(allowance)
    plain: Mapping[str, float | None] = {
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "concurrent": limits.concurrent,
        "requests_per_second": flow.requests_per_second,
        "input_tokens_per_second": flow.input_tokens_per_second,
    }
    if limit in plain:
        return ceil(plain[limit] or 0)
    period, _, unit = limit.partition(".")
    caps = caps_of(allowance.budgets.caps.get(cast("PeriodName", period)))
    return max(0, caps[UNITS.index(cast("Unit", unit))])


class SharedLease(Lease, kw_only=True):
    """A lease, and what its store must know to settle it."""

    terms: Terms
    demand: Demand
    owner: str
    step: int
    settled: bool = False


def lease_of(
    answer: list[int], terms: Terms, demand: Demand, *, owner: str
) -> SharedLease:
    """Read the answer to a demand that was granted."""
    _, step, rpm, requests, tpm, tokens, reset_ms = answer[:_LEASE_PARTS]
    warned = answer[_LEASE_PARTS:]
    return SharedLease(
        rpm or None,
        requests,
        tpm or None,
        tokens,
        reset_ms / _MS_PER_S,
        tuple(_warned(warned, terms)) if warned else (),
        terms=terms,
        demand=demand,
        owner=owner,
        step=step,
    )


def _warned(told: Sequence[int], terms: Terms) -> Iterator[Warned]:
    for at in range(0, len(told), _WARNED_PARTS):
        scope, period, unit, used, cap = told[at : at + _WARNED_PARTS]
        yield Warned(
            scope=terms.scopes[scope - 1],
            period=PERIODS[period - 1],
            unit=UNITS[unit - 1],
            used=used,
            cap=cap,
        )


def refusal_of(answer: Sequence[int], terms: Terms, *, wall: WallClock) -> Refusal:
    """Read the answer to a demand that was refused."""
    _, index, number, left, wait_us, ends_ms = answer
    scope, limit, now_s = terms.scopes[index - 1], LIMITS[number - 1], wall()
    resets_at_s = ends_ms / _MS_PER_S if ends_ms else None
    if resets_at_s is not None and number <= _MINUTE_LIMITS:
        resets_at_s += now_s
    wait_s = wait_us / _US_PER_S if wait_us >= 0 else inf
    if wait_us == _PERIODS_END and resets_at_s is not None:
        # A millisecond more, for a call's beginning is cut to one.
        wait_s = max(0.0, resets_at_s - now_s) + 1 / _MS_PER_S
    return Refusal(
        scope=scope,
        limit=limit,
        value=value_of(scope.allowance, limit),
        left=left,
        wait_s=wait_s,
        resets_at_s=resets_at_s,
    )


def _seconds(ends_ms: float) -> float | None:
    return ends_ms / _MS_PER_S if ends_ms < inf else None


def standing_of(
    told: Sequence[int], terms: Terms, index: int, *, now_s: float
) -> Standing:
    """Read how the limits of one of the scopes stand."""
    scope = terms.scopes[index]
    return Standing(
        kind=scope.kind,
        name=scope.name,
        uses=tuple(_uses(told, terms, index, now_s)),
    )


def _uses(told: Sequence[int], terms: Terms, index: int, now_s: float) -> Iterator[Use]:
    requests, tokens, in_flight, requests_ms, tokens_ms = told[:_MINUTE_PARTS]
    allowance = terms.scopes[index].allowance
    minute: Mapping[LimitName, tuple[int, float | None]] = {
        "rpm": (requests, now_s + requests_ms / _MS_PER_S),
        "tpm": (tokens, now_s + tokens_ms / _MS_PER_S),
        "concurrent": (in_flight, None),
    }
    for limit, (used, resets_at_s) in minute.items():
        value = value_of(allowance, limit)
        if value:
            yield Use(
                limit=limit,
                value=value,
                used=used,
                reserved=0,
                resets_at_s=resets_at_s,
            )
    caps = allowance.budgets.caps
    configured = [each for each in PERIODS if each in caps]
    for place, period in enumerate(configured):
        number, at = PERIODS.index(period), _MINUTE_PARTS + 2 * len(UNITS) * place
        for unit, cap in enumerate(caps_of(caps[period])):
            if cap >= 0:
                yield Use(
                    limit=LIMITS[_MINUTE_LIMITS + len(UNITS) * number + unit],
                    value=cap,
                    used=told[at + unit],
                    reserved=told[at + len(UNITS) + unit],
                    resets_at_s=_seconds(terms.ends_ms[index, period]),
                )
