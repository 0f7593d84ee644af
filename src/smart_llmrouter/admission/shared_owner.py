"""Who holds leases in a shared store: a process, for as long as it lives.

A name tells the router, when it was started, the worker's seat, and which process has
the seat. So whoever starts knows who is dead for certain: a seat has one worker at a
time, and a state directory one router.
"""

from dataclasses import dataclass

import msgspec

from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared_terms import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerName:
    """A worker process: `instance` is its router, `boot` when that was started."""

    instance: str
    boot: str
    seat: int
    worker: str

    def life(self, number: int) -> str:
        """Return the name of one of its lives: after a long sleep, another begins."""
        return f"{self._process}.{number}"

    @property
    def dead(self) -> str:
        """How the names begin of those that are dead if this one lives.

        The first that fits decides, and `!` stands before one that is not.
        """
        router = f"{self.instance}/{self.boot}/"
        return f"!{self._process}. {router}{self.seat}/ !{router} {self.instance}/"

    def mends(self, name: str) -> bool:
        """Say whether it is this process that settles what the owner has left.

        What an earlier router has left, the first worker settles.
        """
        own = name.startswith(f"{self.instance}/{self.boot}/")
        return self.outlives(name) and (own or self.seat == 1)

    def outlives(self, name: str) -> bool:
        """Say whether the owner of this name is dead for certain."""
        for prefix in self.dead.split():
            if name.startswith(prefix.removeprefix("!")):
                return not prefix.startswith("!")
        return False

    @property
    def _process(self) -> str:
        return f"{self.instance}/{self.boot}/{self.seat}/{self.worker}"


class Settlement(msgspec.Struct, eq=False):
    """What a lease is settled with; it is kept until the store has said that it knows.

    `number` counts the settlements of one life; `step` is when the lease was taken, -1
    where that is not known. The `oldest` that is sent may stand where one is missing.
    """

    terms: Told
    demand: Demand
    step: int
    spent: Spent
    number: int = 0
    oldest: bool = False


class Life:
    """One life of an owner: its leases, and settlements that are on their way.

    `epoch` counts its connections: a store grants nothing to what comes from an
    earlier one.
    """

    __slots__ = ("_last", "epoch", "held", "name", "repeats", "unheard")

    def __init__(self, name: str) -> None:
        """Begin without leases."""
        self.name = name
        self.epoch = 0
        self.held = 0
        self.repeats = False
        self.unheard: dict[int, Settlement] = {}
        self._last = 0

    @property
    def over(self) -> bool:
        """Say whether nothing of it is left."""
        return self.held == 0 and not self.unheard

    def number(self, settlement: Settlement) -> Settlement:
        """Give a settlement its number, and keep it."""
        self._last += 1
        settlement.number = self._last
        self.unheard[self._last] = settlement
        return settlement
