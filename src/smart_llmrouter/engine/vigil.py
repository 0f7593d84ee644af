"""Watching every silence of every call with one timer.

Deadlines, not time-outs: a call has one deadline, and while it waits for the provider
also a limit on that one wait. Both are times on the loop's clock. Moving one costs an
assignment: the one timer of the process is set to the nearest of all, and looks at
every call when it fires. It also sends keep-alives while a stream is silent.
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import UpstreamTimeout

Silence = Literal["first_event", "idle", "total"]
Beat = Callable[[], Coroutine[None, None, None]]

_NEVER: Final = float("inf")
_TICK_S: Final = 0.01
"""How often the timer fires at most, however many limits there are."""


class Watch:
    """The timer that all vigils of one event loop share."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch nobody yet."""
        self.loop = loop
        self.now: Monotonic = loop.time
        self.vigils: set[Vigil] = set()
        self.fires_at = _NEVER
        self._timer: asyncio.TimerHandle | None = None

    def over_this_task(self, *, total_s: float) -> "Vigil":
        """Return a vigil for the running task, which may take `total_s` in all.

        0 means that there is no such limit.
        """
        loop = self.loop
        deadline = loop.time() + total_s if total_s else _NEVER
        return Vigil(self, asyncio.current_task(loop), deadline)

    def fire_by(self, at: float) -> None:
        """Look at every vigil at the time `at`, or before."""
        if at < self.fires_at:
            if self._timer is not None:
                self._timer.cancel()
            self.fires_at = at
            self._timer = self.loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer, self.fires_at = None, _NEVER
        now = self.loop.time()
        nearest = min((each.look(now) for each in tuple(self.vigils)), default=_NEVER)
        if nearest < _NEVER:
            self.fire_by(max(nearest, now + _TICK_S))


class Vigil(msgspec.Struct, eq=False):
    """Watch over the task that entered the block; made by `Watch.over_this_task`.

    When a limit passes, `expired` names it and the task is cancelled. Whoever can go
    on catches the `CancelledError`, asks `expired` and calls `forgive`; otherwise the
    block ends with `UpstreamTimeout`. `beating` is a keep-alive on its way, which
    whoever wants to send waits for.

    `heard_s` is set, on the loop's clock, whenever something was sent on while more is
    waited for: the wait begins anew. It costs no more than that, because limits that
    only move away need no other timer.
    """

    _watch: Watch
    _task: asyncio.Task[object] | None
    _deadline: float
    _limit_at: float = _NEVER
    _limit_kind: Silence = "first_event"
    _limit_s: float = _NEVER
    _waits: bool = False
    _beat: Beat | None = None
    _beat_after_s: float = _NEVER
    _beat_at: float = _NEVER
    heard_s: float = 0.0
    beating: asyncio.Future[None] | None = None
    expired: Silence | None = None

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._watch.vigils.add(self)
        if self._deadline < self._watch.fires_at:
            self._watch.fire_by(self._deadline)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching; a limit that passed is raised as its error."""
        self._watch.vigils.discard(self)
        if self.beating is not None:
            self.beating.cancel()
        if self.expired is not None and isinstance(error, asyncio.CancelledError):
            raise self._timed_out(self._uncancelled()) from None

    @property
    def left_s(self) -> float:
        """How many seconds the call may still take."""
        return self._deadline - self._watch.loop.time()

    @property
    def now(self) -> Monotonic:
        """The clock of `heard_s`."""
        return self._watch.now

    def wait_for(self, kind: Silence, limit_s: float) -> None:
        """Let the wait that begins now take no more than `limit_s` seconds."""
        self._limit_kind = kind
        self._limit_at = at = self._watch.loop.time() + limit_s
        if at < self._watch.fires_at:
            self._watch.fire_by(at)

    def wait_for_more(self, limit_s: float) -> None:
        """Let the next event take `limit_s` seconds, now that something was sent on."""
        self.heard_s, self._limit_s = self._watch.loop.time(), limit_s
        self._catch_up()
        if self._limit_at < self._watch.fires_at:
            self._watch.fire_by(self._limit_at)

    def wait(self) -> None:
        """Wait for something that is no provider's, such as a turn in a queue.

        Only the deadline counts, and the caller is kept alive.
        """
        self._waits = True

    def rest(self) -> None:
        """Wait for nothing any longer: only the deadline counts now."""
        self._catch_up()
        self._limit_at, self._waits = _NEVER, False

    def keep_alive(self, beat: Beat, after_s: float) -> None:
        """Call `beat` whenever nothing was sent for `after_s` seconds; 0: never."""
        if after_s:
            self._beat, self._beat_after_s = beat, after_s
            self._beat_at = self._watch.loop.time() + after_s
            self._watch.fire_by(self._beat_at)

    def hurry(self, within_s: float) -> None:
        """Let the call take no more than so many seconds; nobody is kept alive."""
        at = self._watch.loop.time() + within_s
        self._deadline = min(self._deadline, at)
        self._beat_at = self._beat_after_s = _NEVER
        self._watch.fire_by(self._deadline)

    def forgive(self) -> Silence | None:
        """Take back the cancellation, so that the task can go on; return its reason.

        Raises `CancelledError` where the task was cancelled by others, too.
        """
        kind = self._uncancelled()
        self._limit_at = _NEVER
        self._watch.fire_by(self._next())
        return kind

    def look(self, now: float) -> float:
        """Act on what has passed by `now`; return when to look again."""
        if self.expired is not None:
            return _NEVER
        self._catch_up()
        if now >= self._deadline:
            return self._expire("total")
        if now >= self._limit_at:
            return self._expire(self._limit_kind)
        if now >= self._beat_at:
            self._start_beat(now)
        return self._next()

    def _catch_up(self) -> None:
        """Begin the wait anew that began anew when something was last heard."""
        heard_s = self.heard_s
        if heard_s:
            self.heard_s, self._limit_kind = 0.0, "idle"
            self._limit_at = heard_s + self._limit_s
            self._beat_at = heard_s + self._beat_after_s

    def _uncancelled(self) -> Silence | None:
        kind, self.expired = self.expired, None
        if self._task is not None and self._task.uncancel():
            raise asyncio.CancelledError
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

    def _expire(self, kind: Silence) -> float:
        self.expired = kind
        if self._task is not None:
            self._task.cancel()
        return _NEVER

    def _start_beat(self, now: float) -> None:
        """Send a keep-alive, unless the caller reads so slowly that one still waits."""
        self._beat_at = now + self._beat_after_s
        waiting = self._waits or self._limit_at < _NEVER
        if self._beat is not None and self.beating is None and waiting:
            self.beating = self._watch.loop.create_task(self._beat())
            self.beating.add_done_callback(self._beat_ended)

    def _beat_ended(self, beating: asyncio.Future[None]) -> None:
        self.beating = None
        if not beating.cancelled():
            beating.exception()
