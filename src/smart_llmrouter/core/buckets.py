"""A bucket that fills at a steady rate: how often, or how much, something may be."""

from typing import Final

_ROUNDING_S: Final = 1e-6
"""A wait that was told must be enough: what floating point loses counts not."""


class Bucket:
    """A bucket that fills at a steady rate, and begins full.

    All that is kept is when it will be full again, in seconds of one clock: what it
    lacks now follows from that. What is larger than the whole bucket may be taken when
    that is full, and leaves a debt.
    """

    __slots__ = ("full_at_s", "rate", "size")

    def __init__(self, *, rate: float, size: float, at_s: float) -> None:
        """Begin full: it holds `size`, and `rate` comes in a second."""
        self.rate = rate
        self.size = size
        self.full_at_s = at_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Say in how many seconds so much may be taken; 0.0: now."""
        spare = self.size - amount
        wait_s = self.full_at_s - now_s - (spare / self.rate if spare > 0 else 0.0)
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, amount: float, now_s: float) -> None:
        """Take so much out, into debt if need be."""
        cost_s = amount / self.rate
        if self.full_at_s > now_s:
            self.full_at_s += cost_s
        else:
            self.full_at_s = now_s + cost_s

    def level(self, now_s: float) -> float:
        """Say how much is in it; negative: how much is owed."""
        missing_s = self.full_at_s - now_s
        return self.size - (missing_s * self.rate if missing_s > 0 else 0.0)

    def resized(self, *, rate: float, size: float, at_s: float) -> "Bucket":
        """Return one of another flow, which is as full for its size, or in debt."""
        bucket = Bucket(rate=rate, size=size, at_s=at_s)
        level = self.level(at_s)
        missing = size - level if level < 0.0 else size * (1.0 - level / self.size)
        bucket.full_at_s = at_s + missing / rate
        return bucket
