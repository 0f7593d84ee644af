"""What a strategy is: it puts eligible targets into the order in which they are tried.

No strategy decides who is eligible, and none adds a target to those that it is given.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.decisions import Term
from smart_llmrouter.core.requirements import Requirements

_encode: Final = msgspec.json.Encoder().encode


class Score(msgspec.Struct):
    """How a target was scored, from how many observations, by which terms."""

    value: float
    observations: int
    terms: tuple[Term, ...]
    _encoded: msgspec.Raw | None = None

    @property
    def encoded_terms(self) -> msgspec.Raw:
        """The terms as JSON, encoded when that is first asked for."""
        if self._encoded is None:
            self._encoded = msgspec.Raw(_encode(self.terms))
        return self._encoded


NO_SCORES: Final[Mapping[str, Score]] = {}


class Ordering(msgspec.Struct, frozen=True):
    """Targets in the order in which they are tried, and their scores by label."""

    targets: Sequence[Target]
    scores: Mapping[str, Score] = NO_SCORES


class Strategy(Protocol):
    """Puts the targets of one group into an order."""

    def order(self, eligible: Sequence[Target], needs: Requirements) -> Ordering:
        """Return `eligible`, all of them, in the order in which they are tried."""


class AsListed:
    """The order of the configuration: the strategies `static` and `failover`."""

    def order(self, eligible: Sequence[Target], needs: Requirements) -> Ordering:  # noqa: ARG002 - a strategy
        """Return `eligible` as they are."""
        return Ordering(eligible)
