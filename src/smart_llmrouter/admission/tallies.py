"""What was used in each day, each month and in all: the budgets of one scope.

A tally is one period, such as the 3rd of May. What counts in it is kept in one of two
forms. A tally to which calls belong that begin now is *open*: the account has one
running total of all that it ever counted, and the tally only holds what that was when
there was nothing in it yet. So one call is counted once, not once a period. All other
tallies are *closed*, and hold what was used. Opening and closing are the same step:

    total - used = what it was at the beginning; total - that = used

The tallies that are open together are a *turn* of the account. A call belongs to the
turn in which it was taken, however long it lasts.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.verdicts import LimitName, Unit
from smart_llmrouter.config.allowances import Cap, PeriodName

UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens", "usd")
Amounts = Sequence[int]
"""Requests, tokens and nano-dollars, in the order of `UNITS`."""

# Clocks are set back now and then, over more than one midnight hardly ever.
_KEPT: Final = 16


class Tally:
    """What was settled, and what is held by calls in flight, in one period.

    Open or closed, see above. `warned` are the units whose mark has been passed, and
    somebody was told.
    """

    __slots__ = ("from_ms", "held", "period", "settled", "until_ms", "warned")

    def __init__(self, period: PeriodName, from_ms: float, until_ms: float) -> None:
        """Begin closed, with nothing used."""
        self.period: PeriodName = period
        self.from_ms = from_ms
        self.until_ms = until_ms
        self.settled = [0, 0, 0]
        self.held = [0, 0, 0]
        self.warned: set[Unit] = set()

    def turn(self, settled: Amounts, held: Amounts) -> None:
        """Open it, or close it, when the running totals are these."""
        self.settled, self.held = self.since(settled, held)

    def since(self, settled: Amounts, held: Amounts) -> tuple[list[int], list[int]]:
        """Return the difference of running totals and what it holds."""
        return (
            [now - then for now, then in zip(settled, self.settled, strict=True)],
            [now - then for now, then in zip(held, self.held, strict=True)],
        )

    def add(self, settled: Amounts, held: Amounts) -> None:
        """Add to what it holds."""
        for index in range(3):
            self.settled[index] += settled[index]
            self.held[index] += held[index]


Turn = tuple[Tally, ...]


class Book:
    """The tallies of one kind of period, those that were used last."""

    __slots__ = ("cap", "period", "resets_ms", "tallies", "timezone")

    def __init__(self, period: PeriodName, cap: Cap, timezone: str) -> None:
        """Begin empty."""
        self.period: PeriodName = period
        self.cap = cap
        self.timezone = timezone
        self.resets_ms: list[int] = []
        self.tallies: dict[float, Tally] = {}

    def caps(self) -> Iterator[tuple[int, Unit, int]]:
        """Yield the index, the name and the value of each unit that has a cap."""
        values = (self.cap.requests, self.cap.tokens, self.cap.nusd)
        for index, value in enumerate(values):
            if value is not None:
                yield index, UNITS[index], value

    def limit(self, unit: Unit) -> LimitName:
        """Return what a cap is called."""
        return _NAMES[self.period, unit]

    def at(self, at_ms: float) -> Tally:
        """Return the tally to which a call belongs that begins then."""
        from_ms, until_ms = bounds_ms(self.period, at_ms, self.timezone)
        for reset_ms in self.resets_ms:
            if reset_ms <= at_ms:
                from_ms = max(from_ms, reset_ms)
            else:
                until_ms = min(until_ms, reset_ms)
        tally = self.tallies.pop(from_ms, None) or Tally(self.period, from_ms, until_ms)
        self.tallies[from_ms] = tally
        while len(self.tallies) > _KEPT:
            del self.tallies[next(iter(self.tallies))]
        return tally

    def reset(self, at_ms: int) -> None:
        """Let calls that begin at `at_ms` or later begin a tally of their own."""
        tally = self.at(at_ms)
        if tally.from_ms == at_ms:
            return
        tally.until_ms = at_ms
        self.resets_ms = sorted({*self.resets_ms, at_ms})[-_KEPT:]

    def move(self, timezone: str, now_ms: float) -> None:
        """Count days of another time zone; today's tally goes on."""
        today = self.at(now_ms)
        self.timezone = timezone
        self.tallies = {}
        moved = self.at(now_ms)
        today.from_ms, today.until_ms = moved.from_ms, moved.until_ms
        self.tallies = {today.from_ms: today}


_NAMES: Final[dict[tuple[PeriodName, Unit], LimitName]] = {
    ("day", "requests"): "day.requests",
    ("day", "tokens"): "day.tokens",
    ("day", "usd"): "day.usd",
    ("month", "requests"): "month.requests",
    ("month", "tokens"): "month.tokens",
    ("month", "usd"): "month.usd",
    ("lifetime", "requests"): "lifetime.requests",
    ("lifetime", "tokens"): "lifetime.tokens",
    ("lifetime", "usd"): "lifetime.usd",
}
