"""What a shared store begins with: what is on record of periods that it does not know.

A period is begun in one step with what was on record when nobody had counted in it. So
whoever read the records first is heard, and calls that the store knows of count once.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.shared_terms import kept_ms, period_id
from smart_llmrouter.config.allowances import PeriodName, Scope
from smart_llmrouter.stores.valkey_connection import Reply

_SCOPES_AT_ONCE: Final = 100


class Recorded(NamedTuple):
    """What is on record of a period: requests, tokens, nano-dollars.

    `before` is what was on record when the store was told the last time: where that is
    all that is counted, it is made good. `reset_ms` is the last reset in the period.
    """

    used: tuple[int, int, int]
    before: tuple[int, int, int] | None = None
    reset_ms: int = 0


class Seed(msgspec.Struct, frozen=True):
    """What is on record of one scope's periods, those of `read_ms`."""

    scope: Scope
    read_ms: int
    periods: Mapping[PeriodName, Recorded]

    def told(self) -> Sequence[object]:
        """Return what the script is told of it."""
        zone = self.scope.allowance.budgets.timezone
        return (
            kept_ms(self.scope),
            self.read_ms,
            [
                (
                    period_id(period, bounds_ms(period, self.read_ms, zone)[0]),
                    each.reset_ms,
                    each.used,
                    each.before or (),
                )
                for period, each in self.periods.items()
            ],
        )


class Seeds:
    """What the store is still to be told."""

    def __init__(self, command: Callable[[Sequence[Seed]], bytes]) -> None:
        """Tell it by this command."""
        self._command = command
        self._left: deque[Sequence[Seed]] = deque()

    def add(self, seeds: Sequence[Seed]) -> None:
        """Have it told these, too."""
        for at in range(0, len(seeds), _SCOPES_AT_ONCE):
            self._left.append(seeds[at : at + _SCOPES_AT_ONCE])

    async def sow(self, asked: Callable[[bytes], Awaitable[Reply]]) -> None:
        """Tell it all, by a connection that may be lost: then the rest is kept."""
        while self._left:
            some = self._left[0]
            await asked(self._command(some))
            # Another connection may have told it, too; that did no harm.
            if self._left and self._left[0] is some:
                self._left.popleft()
