"""What calls are told while a shared store is away.

closed    nothing passes that cannot be counted: `CountersAway`, at once
local     each process counts by itself, see `shared_local`
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared_terms import SharedLease, Terms
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.core.errors.faults import CountersAway


class LocalLease(Lease, kw_only=True):
    """What was granted while the store was away, by a process itself.

    `told` says that the store has been told of it since it is back, or is being told;
    `shared` is the lease that it has of it then. `spent` is what it was settled with.
    """

    own: Lease
    chain: Chain
    demand: Demand
    told: bool = False
    shared: SharedLease | None = None
    spent: Spent | None = None


class Owed(msgspec.Struct, frozen=True):
    """What was used while the store was away; `recent`: also of this minute."""

    terms: Terms
    began_ms: int
    spent: Spent
    recent: bool


class Away(Protocol):
    """What counts instead of a store that is away."""

    told: str
    """What it means for calls, for operators."""
    tells_left: bool
    """Whether it wants to know what is left of budgets."""

    def note(self, terms: Terms, lefts: bytes, /) -> None:
        """Take note of what is left of budgets, as the store tells it."""

    def meet(self, processes: int, /) -> None:
        """Take note of how many processes share the store."""

    def lost(self) -> None:
        """Take note that the store is away from now on."""

    def forget(self) -> None:
        """Drop what is kept of chains."""

    def take(self, chain: Chain, demand: Demand, /) -> Verdict:
        """Take what a call needs. Raises `CountersAway`."""

    def grow(self, lease: LocalLease, tokens: int, nusd: int, /) -> Verdict:
        """Take more for a call in flight."""

    def settle(self, lease: LocalLease, spent: Spent, /) -> None:
        """Settle what was taken here; owe it to a store that was not told of it."""

    def owe(self, lease: LocalLease, spent: Spent, /) -> None:
        """Owe to the store what a lease was settled with."""

    def owed(self) -> Iterator[Owed]:
        """Yield what the store must be told, once it is back; it is told then."""

    def in_flight(self) -> Iterable[LocalLease]:
        """Return the leases of calls in flight that the store does not know."""


class Closed:
    """Lets nothing pass."""

    told = "calls that something limits are refused"
    tells_left = False

    def note(self, _terms: Terms, _lefts: bytes, /) -> None:
        """Do nothing."""

    def meet(self, _processes: int, /) -> None:
        """Do nothing."""

    def lost(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""

    def take(self, _chain: Chain, _demand: Demand, /) -> Verdict:
        """Refuse."""
        raise CountersAway

    def grow(self, lease: LocalLease, _tokens: int, _nusd: int, /) -> Verdict:
        """Do nothing: nothing is taken here."""
        return lease

    def settle(self, _lease: LocalLease, _spent: Spent, /) -> None:
        """Do nothing: nothing is taken here."""

    def owe(self, _lease: LocalLease, _spent: Spent, /) -> None:
        """Do nothing: nothing is taken here."""

    def owed(self) -> Iterator[Owed]:
        """Yield nothing."""
        return iter(())

    def in_flight(self) -> Iterable[LocalLease]:
        """Return nothing."""
        return ()
