"""One gate in front of all providers.

An attempt needs a `Reservation`, and only a gate gives one, for the length of a block:
however the block is left, the reservation is settled. No limit is configured in this
version that could refuse, so the gate always admits.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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

    def reserved(
        self, caller: Caller, group: str
    ) -> AbstractContextManager[Reservation]:
        """Hold a reservation for the length of the block, and settle it at its end."""


class OpenGate:
    """Admit every call."""

    @contextmanager
    def reserved(self, caller: Caller, group: str) -> Iterator[Reservation]:
        """Hold a reservation that costs nothing."""
        yield Reservation(caller, group)
