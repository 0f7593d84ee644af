"""How far what calls cost by our prices is from what their providers say.

Both are known of a call where its target has a price, and reports a cost of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.stores.reading import Queries

_BOTH: Final = "total_cost_nusd IS NOT NULL AND upstream_reported_cost_nusd IS NOT NULL"
_OF_TARGETS: Final = f"""
SELECT target_provider, target_model, count(*), count(total_cost_nusd),
    count(upstream_reported_cost_nusd),
    sum(CASE WHEN {_BOTH} THEN 1 ELSE 0 END),
    sum(CASE WHEN {_BOTH} THEN total_cost_nusd ELSE 0 END),
    sum(CASE WHEN {_BOTH} THEN upstream_reported_cost_nusd ELSE 0 END)
FROM request_usage
WHERE ts_ms >= ? AND ts_ms < ? AND target_provider IS NOT NULL
GROUP BY target_provider, target_model
ORDER BY target_provider, target_model
"""  # noqa: S608 - nothing in it is from outside
_WORST: Final = f"""
SELECT request_id, ts_ms, target_provider, target_model, price_fingerprint,
    total_cost_nusd, upstream_reported_cost_nusd
FROM request_usage
WHERE ts_ms >= ? AND ts_ms < ? AND target_provider IS NOT NULL AND {_BOTH}
    AND total_cost_nusd <> upstream_reported_cost_nusd
ORDER BY abs(total_cost_nusd - upstream_reported_cost_nusd) DESC, request_id
LIMIT ?
"""  # noqa: S608 - nothing in it is from outside
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDrift:
    """The calls of one target, and of those of which both costs are known their sums.

    `priced` are those that have a cost by our price, `reported` those of which the
    provider has said one. Amounts are nano-dollars.
    """

    target: str
    calls: int
    priced: int
    reported: int
    compared: int
    ours_nusd: int
    theirs_nusd: int

    @property
    def difference_nusd(self) -> int:
        """How much more our prices come to; negative where it is less."""
        return self.ours_nusd - self.theirs_nusd

    @property
    def difference_percent(self) -> Decimal | None:
        """That, of what the provider says; unknown where that is nothing."""
        return percent_of(self.difference_nusd, self.theirs_nusd)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDrift:
    """One call of which the two costs differ."""

    request_id: str
    ts_ms: int
    target: str
    price_fingerprint: str | None
    ours_nusd: int
    theirs_nusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """All targets that were called in an interval, and the calls that differ most."""

    interval: Interval
    targets: Sequence[TargetDrift]
    worst: Sequence[CallDrift]


def drift_of(queries: Queries, interval: Interval, *, worst: int) -> Drift:
    """Compare the calls that began in an interval; `worst` of them are named."""
    span = (interval.from_ms, interval.to_ms)
    return Drift(
        interval=interval,
        targets=[
            TargetDrift(
                target=f"{provider}/{model}",
                calls=calls,
                priced=priced,
                reported=reported,
                compared=compared,
                ours_nusd=int(ours),
                theirs_nusd=int(theirs),
            )
            for (
                provider, model, calls, priced, reported, compared, ours, theirs,
            ) in queries.execute(_OF_TARGETS, span)
        ],
        worst=[
            CallDrift(
                request_id=request_id,
                ts_ms=ts_ms,
                target=f"{provider}/{model}",
                price_fingerprint=fingerprint,
                ours_nusd=ours,
                theirs_nusd=theirs,
            )
            for (
                request_id, ts_ms, provider, model, fingerprint, ours, theirs,
            ) in queries.execute(_WORST, (*span, worst))
        ],
    )  # fmt: skip


def percent_of(part: int, whole: int) -> Decimal | None:
    """Return how many percent of `whole` a part is, to two decimals."""
    if not whole:
        return None
    return (Decimal(part) * _PERCENT / Decimal(whole)).quantize(Decimal("0.01"))
