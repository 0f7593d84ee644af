"""One gate in front of all providers.

An attempt needs a `Reservation`, and only a gate gives one, for the length of a block:
however the block is left, the reservation is settled. No limit is configured in this
version that could refuse, so the gate always admits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage


@dataclass(slots=True)
class Reservation:
    """What a call has been granted, and what it turned out to use.

    `used` is set by the meter as it learns; the gate reads it when the block ends.
    """

    caller: Caller
    group: str
    used: Usage = UNKNOWN_USAGE


class Gate(Protocol):
    """Grant what a call needs, or refuse it."""

    def reserved(self, caller: Caller, group: str) -> "ReservedBlock":
        """Hold a reservation for the length of the block."""


class ReservedBlock(Protocol):
    """A block within which a reservation is held."""

    def __enter__(self) -> Reservation:
        """Take all that is needed, or raise what is missing."""

    def __exit__(self, *exc_info: object) -> bool | None:
        """Settle against what was used."""


class OpenGate:
    """Admit every call."""

    @contextmanager
    def reserved(self, caller: Caller, group: str) -> Iterator[Reservation]:
        """Hold a reservation that costs nothing."""
        yield Reservation(caller, group)
