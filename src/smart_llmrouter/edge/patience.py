"""How long one caller is waited for: one that is silent, drips, or takes nothing."""

from typing import Final

IDLE_S: Final = 75.0
"""Longer than the pools of the usual clients keep a connection, so that it is they who
close it, and no request meets a connection that was just closed."""

_CROWDED_IDLE_S: Final = 5.0
_NEVER: Final = float("inf")
_HURRY_S: Final = 2.0
_LINGER_S: Final = 5.0
_LEAST_BYTES_PER_S: Final = 1024


class Patience:
    """When one caller has been waited for long enough. Times are on the hub's clock.

    `head_since_s` is when the head that is being read began to come; `heard_s` when
    the last byte of an unfinished request came, or its answer ended.
    """

    __slots__ = (
        "_cut_at_s",
        "_gone_by_s",
        "_head_by_s",
        "_limit_s",
        "_resumed_s",
        "_stuck_since_s",
        "_unsent_bytes",
        "head_since_s",
        "heard_s",
    )

    def __init__(self, limit_s: float, now_s: float) -> None:
        """Wait at most `limit_s` seconds for what the caller is to send or take."""
        self._limit_s = limit_s
        self.head_since_s: float | None = None
        self.heard_s = self._stuck_since_s = now_s
        # When reading went on that had been paused.
        self._resumed_s = 0.0
        self._unsent_bytes = 0
        # When to cut a caller that was hurried, and one that is to close its own side,
        # and when the head must be there where the process stops.
        self._cut_at_s = self._gone_by_s = self._head_by_s = _NEVER

    def hurry(self, now_s: float) -> None:
        """Let the caller make room soon for what was sent."""
        self._cut_at_s = now_s + _HURRY_S

    def calm(self) -> None:
        """Take back the hurry: there is room."""
        self._cut_at_s = _NEVER

    def hurry_head(self, now_s: float) -> None:
        """Let the rest of a head come soon."""
        self._head_by_s = now_s + _HURRY_S

    def resume(self, now_s: float) -> None:
        """Take note that what was not read before had no chance to come."""
        self._resumed_s = now_s

    def linger(self, now_s: float, *, stopping: bool) -> None:
        """Let the caller close its side, sooner where the process is `stopping`."""
        self._gone_by_s = now_s + (_HURRY_S if stopping else _LINGER_S)

    def ended(self, now_s: float, *, unsent_bytes: int, lingering: bool) -> bool:
        """Say whether to cut the caller, whatever it is about to send.

        It is called now and then: `unsent_bytes` is what the caller has yet to take.
        """
        if now_s >= self._cut_at_s or now_s >= self._gone_by_s:
            return True
        if unsent_bytes != self._unsent_bytes or not unsent_bytes:
            self._unsent_bytes, self._stuck_since_s = unsent_bytes, now_s
        if unsent_bytes and lingering:
            self._gone_by_s = now_s + _LINGER_S
        return now_s - self._stuck_since_s > self._limit_s

    def ended_with_head(self, now_s: float) -> bool:
        """Say whether the head that is being read has taken too long."""
        if self.head_since_s is None:
            return False
        since_s = max(self.head_since_s, self._resumed_s)
        return now_s - since_s > self._limit_s or now_s >= self._head_by_s

    def ended_with_body(self, now_s: float, *, began_s: float, body_bytes: int) -> bool:
        """Say whether a body has stopped coming, or drips."""
        silent = now_s - self.heard_s > self._limit_s
        allowed_s = self._limit_s + body_bytes / _LEAST_BYTES_PER_S
        since_s = max(began_s, self._resumed_s)
        return silent or now_s - since_s > allowed_s

    def ended_between(self, now_s: float, *, crowded: bool) -> bool:
        """Say whether nothing was asked for too long, which is less in a crowd."""
        return now_s - self.heard_s > (_CROWDED_IDLE_S if crowded else IDLE_S)
