"""Working in small pieces, so that nobody else on the same core waits long."""

from collections.abc import Callable
from typing import Final

from smart_llmrouter.core.clock import Monotonic

_PATIENCE_S: Final = 0.05


class Courtesy:
    """Gives the core away between two small pieces of work.

    The kernel lets a process finish its turn, which takes milliseconds, before another
    one that has just been woken gets the core: long for a call that is waiting. Whoever
    does not soon get the core back shares it with others that never rest; so courtesy
    ends 50 ms after `begin`, and a saturated core starves nobody.
    """

    def __init__(self, give_way: Callable[[], object], *, monotonic: Monotonic) -> None:
        """Let others run by calling `give_way`."""
        self._give_way = give_way
        self._monotonic = monotonic
        self._until_s = 0.0

    def begin(self, *, hurried: bool) -> None:
        """Begin a batch; whoever is hurried gives nothing away in it."""
        self._until_s = 0.0 if hurried else self._monotonic() + _PATIENCE_S

    def show(self) -> None:
        """Give way, unless the batch takes long already."""
        if self._monotonic() < self._until_s:
            self._give_way()


NO_COURTESY: Final = Courtesy(lambda: None, monotonic=lambda: 0.0)
