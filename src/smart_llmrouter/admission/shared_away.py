"""What calls are told while a shared store is away.

closed    nothing passes that cannot be counted: `CountersAway`, at once
"""

from typing import Protocol

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.core.errors.faults import CountersAway


class Away(Protocol):
    """What counts instead of a store that is away."""

    told: str
    """What it means for calls, for operators."""

    def take(self, chain: Chain, demand: Demand, /) -> Verdict:
        """Take what a call needs. Raises `CountersAway`."""

    def grow(self, lease: Lease, tokens: int, nusd: int, /) -> Verdict:
        """Take more for a call in flight."""

    def settle(self, lease: Lease, spent: Spent, /) -> None:
        """Settle what was taken here."""


class Closed:
    """Lets nothing pass."""

    told = "calls that something limits are refused"

    def take(self, _chain: Chain, _demand: Demand, /) -> Verdict:
        """Refuse."""
        raise CountersAway

    def grow(self, lease: Lease, _tokens: int, _nusd: int, /) -> Verdict:
        """Let a call in flight go on: it is settled with what it has used."""
        return lease

    def settle(self, _lease: Lease, _spent: Spent, /) -> None:
        """Do nothing: nothing is taken here."""
