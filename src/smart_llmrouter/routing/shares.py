"""Which share of the calls each target is given first, from weights and scores."""

from collections.abc import Sequence
from typing import Final

from smart_llmrouter.config.policies import Dynamic

FADE: Final = 0.2
"""How far behind the best score a target gets nothing for its score any more."""


def shares_of(
    weights: Sequence[float],
    scores: Sequence[float],
    known: Sequence[bool],
    *,
    settings: Dynamic,
) -> list[float]:
    """Return the shares of targets that are `known` by enough observations, or not.

    They add up to 1, and who has no weight has no share. Who is not known yet gets the
    share of its weight. The others share the rest: by their weights, and as far as
    `settings.max_adjustment` lets them, by their scores.
    """
    by_weight = _portions(weights)
    rest = [
        share if is_known else 0.0
        for share, is_known in zip(by_weight, known, strict=True)
    ]
    whole = sum(rest)
    if whole <= 0:
        return by_weight
    by_score = _by_score(rest, scores, explore=settings.explore)
    moved = settings.max_adjustment
    return [
        (1 - moved) * share + moved * whole * scored if is_known else share
        for share, scored, is_known in zip(by_weight, by_score, known, strict=True)
    ]


def _by_score(
    weights: Sequence[float], scores: Sequence[float], *, explore: float
) -> list[float]:
    """Return the shares that scores alone would give.

    A target has the share of its weight while its score is the best, less of it the
    further it is behind, and what exploring leaves it from `FADE` on.
    """
    best = max(score for score, weight in zip(scores, weights, strict=True) if weight)
    led = _portions(
        [
            weight * max(0.0, 1 - (best - score) / FADE)
            for weight, score in zip(weights, scores, strict=True)
        ]
    )
    return _with_floors(led, _floors(led, weights, explore=explore))


def _floors(
    led: Sequence[float], weights: Sequence[float], *, explore: float
) -> list[float]:
    """Return what each gets at least, so that one that recovers is found out."""
    leader = max(range(len(led)), key=led.__getitem__)
    others = sum(weights) - weights[leader]
    if others <= 0:
        return [0.0] * len(led)
    return [
        0.0 if place == leader else explore * weight / others
        for place, weight in enumerate(weights)
    ]


def _with_floors(shares: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Raise shares to their floors, at the cost of those that are above theirs."""
    lifted = sum(
        floor for share, floor in zip(shares, floors, strict=True) if share < floor
    )
    above = sum(
        share for share, floor in zip(shares, floors, strict=True) if share >= floor
    )
    return [
        floor if share < floor else share * (1 - lifted) / above
        for share, floor in zip(shares, floors, strict=True)
    ]


def _portions(amounts: Sequence[float]) -> list[float]:
    total = sum(amounts)
    return [amount / total for amount in amounts] if total else [0.0] * len(amounts)
