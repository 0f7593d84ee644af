"""The spending of a call whose answer may be kept: it sees all that is sent on.

What settles a call is told its answer before the call is on record and before its last
byte leaves; so the record can say whether the answer was kept.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from smart_llmrouter.admission.gate import Reservation
from smart_llmrouter.cache.recording import Recording
from smart_llmrouter.core.errors import LimitExceeded
from smart_llmrouter.engine.spending import Spending


class Keeping(msgspec.Struct, eq=False):
    """Spends as `spending` does; `ended` is told once that the answer has ended.

    It is told whether that is complete. See `engine.spending`.
    """

    spending: Spending
    recording: Recording
    ended: Callable[[bool], None]
    follows: bool = True
    _over: bool = False

    @property
    def reservation(self) -> Reservation:
        """What was granted."""
        return self.spending.reservation

    @property
    def refused(self) -> LimitExceeded | None:
        """What ends the stream at once, where it has used more than it may."""
        return self.spending.refused

    def saw(self, block: bytes) -> None:
        """Take note of events that were sent on."""
        if self.spending.follows:
            self.spending.saw(block)
        self.recording.take(block)

    def settle(
        self, *, body: bytes = b"", last: bytes = b"", complete: bool = False
    ) -> None:
        """Count what was used, once, and see whether the answer is kept."""
        self.spending.settle(body=body, last=last, complete=complete)
        if not self._over:
            if body:
                self.recording.take_whole(body)
            elif last:
                self.recording.take(last)
            self._end(complete=complete)

    def _end(self, *, complete: bool) -> None:
        self._over = True
        self.ended(complete)

    def __enter__(self) -> Self:
        """Hold what was granted."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take note that nothing was answered, unless something was."""
        if not self._over:
            self._end(complete=False)
