"""What one call may spend while it runs, and what it has spent when it ends.

A stream that outgrows what was reserved for it is followed: more is reserved as it
goes on. Where a budget has no more to give, the stream may finish all the same, or is
cut, as that budget says (`on_overrun`). What was used is counted either way.
"""

import asyncio
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from smart_llmrouter.admission.gate import FREE, Reservation
from smart_llmrouter.core.errors import LimitExceeded
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.reckoning import dearest_nusd, spent_by
from smart_llmrouter.engine.tally import Reservations

_EVENT: Final = b"data:"
_LEAST_MORE: Final = 64
"""How many tokens more are reserved at a time, at least."""
_SHARE_MORE: Final = 4


class Spending(Protocol):
    """The right to call providers, and the duty to say what came of it."""

    @property
    def reservation(self) -> Reservation:
        """What was granted."""

    @property
    def follows(self) -> bool:
        """Whether what is sent on of a stream is to be told by `saw`."""

    @property
    def refused(self) -> LimitExceeded | None:
        """What ends the stream at once, where it has used more than it may."""

    def saw(self, block: bytes) -> None:
        """Take note of events that were sent on."""

    def settle(
        self, *, body: bytes = b"", last: bytes = b"", complete: bool = False
    ) -> None:
        """Count what was used; once, however often it is called.

        `body` is the whole of a plain answer. `last` are those events of a stream that
        `saw` was not told of, for they are sent on after the record. `complete` says
        that nothing of the answer is missing.
        """

    def __enter__(self) -> Self:
        """Hold what was granted."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle it."""


class Unlimited:
    """The spending of calls that nothing limits."""

    reservation = FREE
    follows = False
    refused = None

    def saw(self, block: bytes) -> None:
        """Take no note."""

    def settle(
        self, *, body: bytes = b"", last: bytes = b"", complete: bool = False
    ) -> None:
        """Count nothing."""

    def __enter__(self) -> Self:
        """Hold nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle nothing."""


UNLIMITED: Final = Unlimited()


class Limited(msgspec.Struct, eq=False):
    """The spending of a call that limits or budgets count.

    `left` are the tokens that it may still answer out of what is reserved. `counted` is
    where reservations are added up.
    """

    entry: Entry
    reservation: Reservation
    left: int
    follows: bool
    counted: Reservations
    refused: LimitExceeded | None = None
    _events: int = 0
    _settled: bool = False
    _growing: asyncio.Future[LimitExceeded | None] | None = None

    def saw(self, block: bytes) -> None:
        """Take note of events that were sent on; more may have to be reserved."""
        self._events += block.count(_EVENT)
        if self._events > self.left and self._growing is None:
            self._grow()

    def _grow(self) -> None:
        """Reserve more; refused, the stream ends where the budget wants that."""
        more = max(_LEAST_MORE, self._events // _SHARE_MORE)
        self.left = self._events + more
        price = self.entry.price
        nusd = 0
        if price is not None:
            fitting = price.for_input(self.reservation.demand.input_tokens)
            nusd = dearest_nusd(fitting, 0, more)
        grown = self.reservation.grow(tokens=more, nusd=nusd)
        if grown is None or isinstance(grown, LimitExceeded):
            self.refused = grown
        else:
            self._growing = asyncio.ensure_future(grown)
            self._growing.add_done_callback(self._grown)

    def _grown(self, growing: asyncio.Future[LimitExceeded | None]) -> None:
        self._growing = None
        if not growing.cancelled() and growing.exception() is None:
            self.refused = growing.result()

    def settle(
        self, *, body: bytes = b"", last: bytes = b"", complete: bool = False
    ) -> None:
        """Count what was used, once."""
        if self._settled:
            return
        self._settled = True
        if self._growing is not None:
            self._growing.cancel()
        if last:
            self._events += last.count(_EVENT)
        reservation, counted = self.reservation, self.counted
        demand = reservation.demand
        spent = spent_by(
            self.entry,
            demand.input_tokens,
            events=self._events,
            body=body,
            complete=complete,
        )
        reservation.settle(spent)
        # What nothing limits was not reserved.
        if demand.tokens:
            counted.reserved_tokens += demand.tokens
            counted.used_tokens += spent.tokens
        if demand.nusd:
            counted.reserved_nusd += demand.nusd
            counted.used_nusd += spent.nusd

    def __enter__(self) -> Self:
        """Hold what was granted."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle it, unless that was done."""
        self.settle()
