"""Time and chance, as arguments.

Nothing outside `bootstrap` reads a clock or draws a random number by itself, so
that a test can turn the hands.
"""

from collections.abc import Callable

Monotonic = Callable[[], float]
"""Seconds that only ever grow; for durations and deadlines."""

WallClock = Callable[[], float]
"""Seconds since 1970-01-01 UTC; for what is written down."""

RandomBytes = Callable[[int], bytes]
"""As many random bytes as asked for."""
