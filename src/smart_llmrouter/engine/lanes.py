"""How one attempt carries a call: the relay lane, or the translate lane.

Both are asked the same things: what to send, what the plain answer is to the caller,
and what follows the stream on its way. The choice is made for each attempt anew, so
that a fallback may cross dialects before the first event.
"""

from typing import ClassVar, Final, Protocol

import msgspec

from smart_llmrouter.core.decisions import LaneName
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Dialect, Meter, Peek
from smart_llmrouter.dialects.proofs import ProofMark

NO_NOTES: Final[tuple[Note, ...]] = ()
WITHOUT_FOREIGN: Final = (
    Note("dropped", "reasoning", "only the target that made it can take it"),
)
"""What is noted of a request from which the proofs of others were taken."""


class Lane(Protocol):
    """What one attempt sends, and what becomes of the answer."""

    @property
    def name(self) -> LaneName:
        """`relay` or `translate`."""

    def take_body(self) -> bytes:
        """Return the request for the target; it is not kept."""

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        """Return the caller's plain answer. Raises `NotAnAnswer`."""

    def meter(self) -> Meter:
        """Return what follows the stream, and gives back what the caller is sent."""

    def stored_id(self, body: bytes) -> str | None:
        """Return the id of a plain answer that the provider keeps, if it does."""

    @property
    def proof_mark(self) -> ProofMark | None:
        """How proofs of reasoning stand in what the caller is sent, if any do."""

    def noted(self) -> tuple[Note, ...]:
        """Return what was approximated or dropped so far."""


# A `Struct` is made several times as fast as another object.
class Relay(msgspec.Struct, frozen=True, eq=False):
    """Both sides speak the same dialect: the bytes stay as they are.

    The request is addressed to `model`, which is encoded JSON. `keep_seals` says that
    the target is another router, `proof_mark` that it matters who gave a proof of
    reasoning: there are others who would refuse it. `notes` are what was taken out of
    the request already.
    """

    dialect: Dialect
    peek: Peek
    model: bytes
    keep_seals: bool = False
    proof_mark: ProofMark | None = None
    notes: tuple[Note, ...] = NO_NOTES

    name: ClassVar[LaneName] = "relay"

    def take_body(self) -> bytes:
        """Return the request as it came, but for what the router must set."""
        return self.dialect.address(
            self.peek, model=self.model, keep_seals=self.keep_seals
        )

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        """Return the answer as it came. Raises `NotAnAnswer`."""
        return body, self.dialect.usage_of(body)

    def meter(self) -> Meter:
        """Return what reads along."""
        return self.dialect.meter(self.peek)

    def stored_id(self, body: bytes) -> str | None:
        """Return the id of a plain answer that the provider keeps, if it does."""
        return self.dialect.stored_id(body)

    def noted(self) -> tuple[Note, ...]:
        """Return what was taken out, because the target would refuse it."""
        return self.notes
