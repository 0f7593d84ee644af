"""How much room the journal has left: a budget for what is unread, and the disk's.

While the database is away the journal grows. Before it has taken all that it may, there
is a warning; when it has, calls are refused, because what they use could not be written
down for long. Somebody looks about once a second; calls only ask what was found.
"""

from collections.abc import Callable
from typing import Final

import structlog

from smart_llmrouter.stores.journal import JournalHealth, JournalUnwritable, Pressure

PRESSURES: Final[tuple[Pressure, ...]] = ("none", "low", "full")

_WARN_PART: Final = 0.8
_WARN_FREE: Final = 2
"""Twice as much as must stay free is little."""

log = structlog.get_logger()


class JournalRoom:
    """Says whether the journal may grow, and warns before it may not.

    `full` says that no call is to be begun. `told` says why, or what there is little
    of, in safe words; `None` where there is enough.
    """

    __slots__ = ("_max_bytes", "_min_free_bytes", "full", "pressure", "told")

    def __init__(self, *, max_bytes: int = 0, min_free_bytes: int = 0) -> None:
        """Let `max_bytes` be unread (0: any number), and leave so many free."""
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self.full = False
        self.pressure: Pressure = "none"
        self.told: str | None = None

    def see(self, *, unread_bytes: int | None, free_bytes: int | None) -> None:
        """Take note of what was found; `None` is what nobody knows, and passes."""
        pressure, told = self._judged(unread_bytes or 0, free_bytes)
        if pressure != self.pressure:
            _tell(pressure, told)
        self.pressure, self.told = pressure, told
        self.full = pressure == "full"

    def writing(self, append: Callable[[bytes], object]) -> Callable[[bytes], None]:
        """Return what appends a line of no call, and only while there is room.

        Otherwise it raises `JournalUnwritable`.
        """

        def write(line: bytes) -> None:
            if self.full:
                raise JournalUnwritable("there is no room")
            append(line)

        return write

    def condition(self, health: JournalHealth) -> JournalHealth:
        """Return how the journal is, of which `health` knows whether it writes."""
        reason = self.told if self.full else health.reason
        return JournalHealth(reason, self.pressure, self.told)

    def _judged(
        self, unread_bytes: int, free_bytes: int | None
    ) -> tuple[Pressure, str | None]:
        most, least = self._max_bytes, self._min_free_bytes
        part = unread_bytes / most if most else 0.0
        unread = f"{unread_bytes >> 20} of {most >> 20} MiB of the journal are unread"
        left = f"only {(free_bytes or 0) >> 20} MiB left on the disk"
        if part >= 1:
            return "full", unread
        if free_bytes is not None and free_bytes < least:
            return "full", left
        if part >= _WARN_PART:
            return "low", unread
        if free_bytes is not None and free_bytes < _WARN_FREE * least:
            return "low", left
        return "none", None


def _tell(pressure: Pressure, told: str | None) -> None:
    """Write one line each time that it becomes better or worse."""
    if pressure == "none":
        log.info("journal has room again")
    elif pressure == "low":
        log.warning("journal has little room", reason=told)
    else:
        log.error("journal has no room: calls are refused", reason=told)


ROOMY: Final = JournalRoom()
"""Room without bounds."""
