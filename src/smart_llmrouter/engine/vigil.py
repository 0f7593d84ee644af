"""One timer that watches every silence of a call.

Deadlines, not time-outs: a call has one deadline, and while it waits for the provider
also a limit on that one wait. Both are times on the loop's clock that one timer looks
at when it fires; moving a limit costs two assignments and no timer. The same timer
sends keep-alives while a stream is silent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Literal, Self

from smart_llmrouter.core.errors import UpstreamTimeout

Silence = Literal["first_event", "idle", "total"]

_NEVER: Final = float("inf")


class Vigil:
    """Watch over the task that entered the block.

    When a limit passes, `expired` names it and the task is cancelled. Whoever can go
    on catches the `CancelledError`, asks `expired` and calls `forgive`; otherwise the
    block ends with `UpstreamTimeout`.
    """

    __slots__ = (
        "_beat",
        "_beat_after_s",
        "_beat_at",
        "_beating",
        "_deadline",
        "_fires_at",
        "_limit_at",
        "_limit_kind",
        "_loop",
        "_task",
        "_timer",
        "expired",
    )

    def __init__(self, *, total_s: float) -> None:
        """Let the whole call take `total_s` seconds; 0 for no such limit."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(self._loop)
        self._deadline = self._loop.time() + total_s if total_s else _NEVER
        self._limit_at = _NEVER
        self._limit_kind: Silence = "first_event"
        self._beat: Callable[[], Awaitable[None]] | None = None
        self._beat_after_s = _NEVER
        self._beat_at = _NEVER
        self._beating: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = _NEVER
        self.expired: Silence | None = None

    def __enter__(self) -> Self:
        """Begin to watch; the timer is set by the first `wait_for`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching; a limit that passed is raised as its error."""
        cut = self.expired is not None and isinstance(error, asyncio.CancelledError)
        passed = self.forgive() if cut else None
        # Last, because a deadline that has passed would be met again at once.
        if self._timer is not None:
            self._timer.cancel()
        if self._beating is not None:
            self._beating.cancel()
        if cut:
            raise self._timed_out(passed) from None

    def wait_for(self, kind: Silence, limit_s: float) -> None:
        """Let the wait that begins now take no more than `limit_s` seconds."""
        self._limit_at = self._loop.time() + limit_s
        self._limit_kind = kind
        if self._limit_at < self._fires_at:
            self._arm()

    def rest(self) -> None:
        """Wait for the provider no longer: only the deadline counts now."""
        self._limit_at = _NEVER

    def keep_alive(self, beat: Callable[[], Awaitable[None]], after_s: float) -> None:
        """Call `beat` whenever nothing was sent for `after_s` seconds; 0: never."""
        if after_s:
            self._beat, self._beat_after_s = beat, after_s
            self._beat_at = self._loop.time() + after_s

    async def sending(self) -> None:
        """Put the next keep-alive off, and wait for one that is on its way."""
        if self._beat is not None:
            self._beat_at = self._loop.time() + self._beat_after_s
        if self._beating is not None:
            await self._beating

    def forgive(self) -> Silence | None:
        """Take back the cancellation, so that the task can go on; return its reason.

        Raises `CancelledError` where the task was cancelled by others, too.
        """
        kind, self.expired = self.expired, None
        if self._task is not None and self._task.uncancel():
            raise asyncio.CancelledError
        self._limit_at = _NEVER
        self._arm()
        return kind

    @staticmethod
    def _timed_out(kind: Silence | None) -> UpstreamTimeout:
        return UpstreamTimeout(
            "the call took longer than `total_timeout_s`"
            if kind == "total"
            else "the provider fell silent in the middle of its stream",
            details={"error_class": f"upstream_{kind}_timeout"},
        )

    def _next(self) -> float:
        return min(self._limit_at, self._deadline, self._beat_at)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = at = self._next()
        self._timer = self._loop.call_at(at, self._fire) if at < _NEVER else None

    def _fire(self) -> None:
        now = self._loop.time()
        if now >= self._deadline:
            self._expire("total")
        elif now >= self._limit_at:
            self._expire(self._limit_kind)
        elif now >= self._beat_at:
            self._start_beat(now)
        self._timer = None
        if self.expired is None:
            self._arm()

    def _expire(self, kind: Silence) -> None:
        self.expired = kind
        if self._task is not None:
            self._task.cancel()

    def _start_beat(self, now: float) -> None:
        """Send a keep-alive, unless the caller reads so slowly that one still waits."""
        self._beat_at = now + self._beat_after_s
        waiting = self._limit_at < _NEVER
        if self._beat is not None and self._beating is None and waiting:
            self._beating = asyncio.ensure_future(self._beat())
            self._beating.add_done_callback(self._beat_ended)

    def _beat_ended(self, beating: asyncio.Future[None]) -> None:
        self._beating = None
        if not beating.cancelled():
            beating.exception()
