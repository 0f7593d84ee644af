"""The strategy `weighted`: the first target by chance, the others behind it by weight.

Weights are looked at among the eligible targets only, so that those that are left share
what the others would have got.
"""

from collections.abc import Callable, Sequence

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.ordering import Ordering

Draw = Callable[[], float]
"""A number from 0 to below 1; each is as likely as any other."""


class Weighted:
    """Draws the first target; who follows is who weighs most.

    A target of weight 0 is behind all others. Where nobody weighs anything, the order
    of the configuration holds.
    """

    def __init__(self, draw: Draw) -> None:
        """Let `draw` decide."""
        self._draw = draw

    def order(self, eligible: Sequence[Target], needs: Requirements) -> Ordering:  # noqa: ARG002 - a strategy
        """Return `eligible`, all of them, in the order in which they are tried."""
        heavy_first = sorted(eligible, key=_heaviness)
        total = sum(target.weight for target in heavy_first)
        if total:
            place = drawn([target.weight for target in heavy_first], self._draw())
            heavy_first.insert(0, heavy_first.pop(place))
        return Ordering(heavy_first)


def drawn(shares: Sequence[float], point: float) -> int:
    """Return the place that `point`, from 0 to below 1, falls on.

    Each place is as wide as its share of the whole; one without a share is never hit.
    """
    left = point * sum(shares)
    last = 0
    for place, share in enumerate(shares):
        if share <= 0:
            continue
        if left < share:
            return place
        left -= share
        last = place
    return last  # only rounding leads here


def _heaviness(target: Target) -> int:
    return -target.weight
