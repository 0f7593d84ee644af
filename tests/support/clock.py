"""A monotonic clock that stands still until a test turns it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """What time it is, in seconds; call it to read it."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s

    def turn(self, ahead_s: float) -> None:
        """Let so many seconds pass."""
        self.now_s += ahead_s
