"""How one attempt carries a call: the relay lane, or the translate lane.

Both are asked the same things: what to send, what the plain answer is to the caller,
and what follows the stream on its way. The choice is made for each attempt anew, so
that a fallback may cross dialects before the first event.
"""

from typing import Final, Protocol

from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Dialect, Meter, Peek
from smart_llmrouter.dialects.proofs import ProofMark
from smart_llmrouter.ledger.record import Lane as LaneName

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


class Relay:
    """Both sides speak the same dialect: the bytes stay as they are."""

    __slots__ = ("_dialect", "_keep_seals", "_model", "_notes", "_peek", "proof_mark")

    name: LaneName = "relay"

    def __init__(
        self,
        dialect: Dialect,
        peek: Peek,
        model: bytes,
        *,
        keep_seals: bool,
        watched: bool,
        notes: tuple[Note, ...] = NO_NOTES,
    ) -> None:
        """Address the request to `model`, which is encoded JSON.

        `keep_seals` says that the target is another router, `watched` that it matters
        who gave a proof of reasoning: there are others who would refuse it. `notes`
        are what was taken out of the request already.
        """
        self._notes = notes
        self._keep_seals = keep_seals
        self.proof_mark = dialect.proof_mark if watched else None
        self._dialect = dialect
        self._peek = peek
        self._model = model

    def take_body(self) -> bytes:
        """Return the request as it came, but for what the router must set."""
        return self._dialect.address(
            self._peek, model=self._model, keep_seals=self._keep_seals
        )

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        """Return the answer as it came. Raises `NotAnAnswer`."""
        return body, self._dialect.usage_of(body)

    def meter(self) -> Meter:
        """Return what reads along."""
        return self._dialect.meter(self._peek)

    def stored_id(self, body: bytes) -> str | None:
        """Return the id of a plain answer that the provider keeps, if it does."""
        return self._dialect.stored_id(body)

    def noted(self) -> tuple[Note, ...]:
        """Return what was taken out, because the target would refuse it."""
        return self._notes
