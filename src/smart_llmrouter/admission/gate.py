"""One gate in front of all providers.

An attempt needs a `Reservation`, and only a gate gives one, for the length of a block:
however the block is left, the reservation is settled. No limit is configured in this
version that could refuse, so the gate always admits.
"""

from typing import Protocol, Self

import msgspec

from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage


class Reservation(msgspec.Struct, eq=False):
    """What a call has been granted; a block that settles it when it is left.

    `used` is set by the meter as it learns; the reservation is settled with it.
    """

    caller: Caller
    group: str
    used: Usage = UNKNOWN_USAGE

    def __enter__(self) -> Self:
        """Hold the reservation."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Settle it with what was used."""


class Gate(Protocol):
    """Grant what a call needs, or refuse it."""

    def reserve(self, caller: Caller, group: str) -> Reservation:
        """Take all that a call needs, or raise what is missing."""


class OpenGate:
    """Admit every call: nothing that could refuse one is counted."""

    def reserve(self, caller: Caller, group: str) -> Reservation:
        """Grant a reservation that costs nothing."""
        return Reservation(caller, group)
