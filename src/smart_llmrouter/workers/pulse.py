"""Whether a worker goes on, as its parent can tell: by what it publishes each second.

A process that was stopped, or whose event loop is stuck, has not ended; but nobody who
is dealt to it is served.
"""

from typing import Final

LOOK_EVERY_S: Final = 1.0
SILENT_S: Final = 5.0
"""Who has published nothing for so long does not count as serving any more."""
HUNG_S: Final = 30.0
"""Who has published nothing for so long is replaced."""

_ASLEEP_S: Final = 4 * LOOK_EVERY_S


class Pulse:
    """For how long a worker has published nothing."""

    __slots__ = ("_looked_s", "_seen", "_since_s")

    def __init__(self) -> None:
        """Begin without having looked."""
        self._seen: tuple[int | None, int] = (None, 0)
        self._since_s = self._looked_s = 0.0

    def silent_s(self, pid: int | None, number: int, *, now_s: float) -> float:
        """Return for how many seconds process `pid` has published nothing new.

        `number` is that of what it published last. Time in which the parent did not
        look is nobody's silence: then all of them were stopped, or the machine was.
        """
        asleep = now_s - self._looked_s > _ASLEEP_S
        self._looked_s = now_s
        if asleep or self._seen != (pid, number):
            self._seen, self._since_s = (pid, number), now_s
        return now_s - self._since_s
