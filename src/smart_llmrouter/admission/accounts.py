"""The account of one scope: all that its calls have used, and what they may use.

An account has running totals of all that it ever counted, settled and held by calls in
flight. A minute, a day, a month are the difference between a total now and what it was
when they began. So all caps of one unit become one number, `most_...`: the total that
must not be passed. Whether a call fits is one comparison for each unit, however many
budgets there are; and counting it is one addition.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from math import inf
from typing import Final

from smart_llmrouter.admission.rolling import Minute, Step, ends_s
from smart_llmrouter.admission.tallies import Amounts, Book, Tally, Turn
from smart_llmrouter.admission.verdicts import Unit, Warned
from smart_llmrouter.config.allowances import (
    NO_ALLOWANCE,
    Allowance,
    PeriodName,
    Scope,
)
from smart_llmrouter.config.policies import Flow
from smart_llmrouter.core.buckets import Bucket

UNLIMITED: Final = 1 << 62
_NO_FLOW: Final = Flow()
_NONE: Final[Amounts] = (0, 0, 0)
# Configurations that calls may still see which began before the newest.
_PAST: Final = 8


class Account:
    """What one scope has used and may use.

    The attributes are read and written by `memory`, for it is called for every call;
    `rolls_at_s`, `from_ms` and `until_ms` say how long they are up to date.
    """

    __slots__ = (
        "books",
        "budget_requests",
        "budget_tokens",
        "from_ms",
        "held_nusd",
        "held_tokens",
        "in_flight",
        "inputs",
        "minute",
        "most_in_flight",
        "most_minute_requests",
        "most_minute_tokens",
        "most_nusd",
        "most_requests",
        "most_tokens",
        "nusd",
        "requests",
        "rolls_at_s",
        "rpm",
        "scope",
        "shaped",
        "starts",
        "starts_spare_s",
        "step",
        "superseded",
        "tokens",
        "tpm",
        "turn",
        "until_ms",
        "warn_nusd",
        "warn_requests",
        "warn_tokens",
        "warns",
    )

    def __init__(self, scope: Scope, *, now_s: float, now_ms: float) -> None:
        """Begin with nothing used."""
        self.requests = self.tokens = self.nusd = 0
        self.in_flight = self.held_tokens = self.held_nusd = 0
        self.minute: Minute | None = None
        self.starts: Bucket | None = None
        self.inputs: Bucket | None = None
        self.shaped = False
        self.books: tuple[Book, ...] = ()
        self.turn: Turn = ()
        self.step = Step(-1, self.turn)
        self.rolls_at_s = inf
        self.from_ms, self.until_ms = -inf, inf
        self.warns = False
        self.superseded: deque[Allowance] = deque(maxlen=_PAST)
        self.scope = Scope(scope.kind, scope.key, NO_ALLOWANCE)
        self.adopt(scope, now_s=now_s, now_ms=now_ms)

    @property
    def settled(self) -> Amounts:
        """Return the totals of what calls have used that are over."""
        return self.requests, self.tokens, self.nusd

    @property
    def held(self) -> Amounts:
        """Return what is reserved for calls in flight."""
        return self.in_flight, self.held_tokens, self.held_nusd

    def adopt(self, scope: Scope, *, now_s: float, now_ms: float) -> bool:
        """Keep other limits from now on, with what was counted so far.

        Says whether anything has changed: limits that were superseded, and come again
        with a call that saw an older configuration, are not taken back.
        """
        allowance = scope.allowance
        if allowance is self.scope.allowance or any(
            allowance is each for each in self.superseded
        ):
            return False
        if allowance == self.scope.allowance:
            self.scope = scope
            return False
        self.superseded.append(self.scope.allowance)
        self.scope = scope
        self._adopt_limits()
        self._adopt_shaping(now_s)
        self._adopt_budgets(now_ms)
        self._begin_step(now_s)
        self.find_bounds()
        return True

    def _adopt_limits(self) -> None:
        limits = self.scope.allowance.limits
        self.rpm, self.tpm, most = limits.rpm, limits.tpm, limits.concurrent
        self.most_in_flight = UNLIMITED if most is None else most
        if self.rpm is None and self.tpm is None:
            if self.minute is not None:
                self.minute.close()
            self.minute = None
        elif self.minute is None:
            self.step.counted = False
            self.minute = Minute(
                self.requests + self.in_flight, self.tokens + self.held_tokens
            )

    def _adopt_shaping(self, now_s: float) -> None:
        shaping = self.scope.allowance.shaping
        flow = _NO_FLOW if shaping is None else shaping.flow
        rate, tokens = flow.requests_per_second, flow.input_tokens_per_second
        self.starts = _retuned(self.starts, rate, flow.burst, now_s)
        self.inputs = _retuned(self.inputs, tokens, tokens, now_s)
        self.starts_spare_s = max(0.0, flow.burst - 1) / rate if rate else 0.0
        self.shaped = self.starts is not None or self.inputs is not None

    def _adopt_budgets(self, now_ms: float) -> None:
        budgets = self.scope.allowance.budgets
        known = {book.period: book for book in self.books}
        books = []
        for period, cap in budgets.caps.items():
            book = known.get(period) or Book(period, cap, budgets.timezone)
            if book.timezone != budgets.timezone:
                book.move(budgets.timezone, now_ms)
            book.cap = cap
            books.append(book)
        self.books = tuple(books)
        self.open(now_ms)

    def catch_up(self, now_s: float, began_ms: float) -> None:
        """Be ready for a call that began at `began_ms` and is looked at now."""
        if self.from_ms <= began_ms < self.until_ms:
            self.roll(now_s)
        else:
            self.open(began_ms)
            self._begin_step(now_s)
            self.find_bounds()

    def roll(self, now_s: float) -> None:
        """Begin the step that is now, which changes nothing but the minute."""
        self._begin_step(now_s)
        self._find_minute_bounds()

    def expire(self, now_s: float) -> None:
        """Let go of what has rolled out of the minute, though nobody calls."""
        if self.minute is not None and self.minute.expire(now_s):
            self.find_bounds()

    def _begin_step(self, now_s: float) -> None:
        if self.minute is None:
            self.step, self.rolls_at_s = Step(-1, self.turn), inf
        else:
            self.step = self.minute.begin(now_s, self.turn)
            self.rolls_at_s = ends_s(self.step)

    def open(self, at_ms: float) -> None:
        """Open the tallies to which a call belongs that began then."""
        turn = tuple(book.at(at_ms) for book in self.books)
        for tally in set(turn).symmetric_difference(self.turn):
            tally.turn(self.settled, self.held)
        self.turn = turn
        self.from_ms = max((tally.from_ms for tally in turn), default=-inf)
        self.until_ms = min((tally.until_ms for tally in turn), default=inf)
        self.rolls_at_s = -inf  # what is granted from now on is of another turn

    def find_bounds(self) -> None:
        """Find anew which totals must not be passed, and which are worth a warning."""
        most, warn = [UNLIMITED] * 3, [UNLIMITED] * 3
        percent = self.scope.allowance.budgets.warn_at_percent
        for book, tally in zip(self.books, self.turn, strict=True):
            for index, unit, cap in book.caps():
                none_used = tally.settled[index] + tally.held[index]
                most[index] = min(most[index], none_used + cap)
                if unit not in tally.warned:
                    mark = tally.settled[index] + _mark(cap, percent)
                    warn[index] = min(warn[index], mark)
        self.budget_requests, self.budget_tokens, self.most_nusd = most
        self.warn_requests, self.warn_tokens, self.warn_nusd = warn
        self._find_minute_bounds()
        self.look_at_marks()

    def _find_minute_bounds(self) -> None:
        """Find anew what the minute adds to the bounds that budgets set."""
        minute = self.minute
        self.most_minute_requests = self.most_minute_tokens = UNLIMITED
        if minute is not None and self.rpm is not None:
            self.most_minute_requests = minute.requests + self.rpm
        if minute is not None and self.tpm is not None:
            self.most_minute_tokens = minute.tokens + self.tpm
        self.most_requests = min(self.budget_requests, self.most_minute_requests)
        self.most_tokens = min(self.budget_tokens, self.most_minute_tokens)

    def look_at_marks(self) -> None:
        """Note whether somebody must be told how much is used."""
        self.warns = (
            self.requests >= self.warn_requests
            or self.tokens >= self.warn_tokens
            or self.nusd >= self.warn_nusd
        )

    def count(self, turn: Turn, settled: Amounts, held: Amounts) -> None:
        """Add to the totals, and to the tallies of a turn, which need not be open."""
        self.requests += settled[0]
        self.tokens += settled[1]
        self.nusd += settled[2]
        self.in_flight += held[0]
        self.held_tokens += held[1]
        self.held_nusd += held[2]
        # An open tally that is not of this turn must not notice; a closed one that is
        # of this turn must.
        for tally in set(turn).symmetric_difference(self.turn):
            tally.add(settled, held)

    def must_wait(self, input_tokens: int, now_s: float) -> bool:
        """Say whether the call comes too fast; see `Bucket.wait_s`."""
        starts, inputs = self.starts, self.inputs
        if starts is not None and starts.full_at_s - now_s > self.starts_spare_s:
            return True
        if inputs is None or inputs.full_at_s <= now_s:
            return False
        return bool(inputs.wait_s(input_tokens, now_s))

    def grow(self, step: Step, tokens: int, nusd: int) -> None:
        """Hold more of the budgets for a call; the minute is told when it is over."""
        self.count(step.turn, _NONE, (0, tokens, nusd))
        if self.minute is not None:
            self.minute.tokens += tokens
        self.find_bounds()

    def settle(
        self, step: Step, used: Amounts, held: Amounts, *, granted: int, now_s: float
    ) -> None:
        """Count what a call has used instead of what was held for it.

        In the minute `granted` tokens were taken for it.
        """
        self.count(step.turn, used, [-each for each in held])
        minute = self.minute
        if minute is not None:
            if now_s >= self.rolls_at_s:
                self._begin_step(now_s)
            requests, tokens, _ = used
            back = minute.give_back(step) if not requests else 0
            minute.requests += requests - 1 - back
            beyond = minute.settle(step, self.step, used=tokens, granted=granted)
            minute.tokens += tokens - held[1] - beyond
        self.find_bounds()

    def reset(self, period: PeriodName, at_ms: int) -> None:
        """Begin a period anew."""
        for book in self.books:
            if book.period == period:
                book.reset(at_ms)
        # What is open may have become shorter: the next call looks.
        self.from_ms, self.until_ms = inf, -inf

    def load(self, used: Mapping[PeriodName, Amounts], now_ms: float) -> None:
        """Add to the periods that are now; what passes its mark thereby is known."""
        self.open(now_ms)
        for book, tally in zip(self.books, self.turn, strict=True):
            # It was nothing when the total was so much less.
            tally.add([-each for each in used.get(book.period, _NONE)], _NONE)
            tally.warned |= set(self._above_mark(book, tally))
        self.find_bounds()

    def load_minute(self, taken: Mapping[int, tuple[int, int]], now_s: float) -> None:
        """Add requests and tokens to the steps of these numbers, as far as they count.

        Without limits of a minute nothing does.
        """
        if self.minute is not None:
            self.minute.load(taken)
            self.minute.expire(now_s)
            self.find_bounds()

    def used(self, tally: Tally) -> tuple[Amounts, Amounts]:
        """Return what is settled and what is held in a tally."""
        if tally not in self.turn:
            return tally.settled, tally.held
        return tally.since(self.settled, self.held)

    def tallies_of(self, step: Step) -> Iterator[tuple[Book, Tally]]:
        """Yield the tallies to which the calls of a step belong, and their books."""
        for book in self.books:
            for tally in step.turn:
                if tally.period == book.period:
                    yield book, tally

    def warnings(self) -> Iterator[Warned]:
        """Yield the budgets that have passed their mark, each once a period."""
        for book, tally in zip(self.books, self.turn, strict=True):
            settled, _ = self.used(tally)
            told = tally.warned
            tally.warned = told | set(self._above_mark(book, tally))
            for index, unit, cap in book.caps():
                if unit in tally.warned - told:
                    yield Warned(
                        scope=self.scope,
                        period=book.period,
                        unit=unit,
                        used=settled[index],
                        cap=cap,
                    )
        self.find_bounds()

    def _above_mark(self, book: Book, tally: Tally) -> Iterator[Unit]:
        percent = self.scope.allowance.budgets.warn_at_percent
        settled, _ = self.used(tally)
        for index, unit, cap in book.caps():
            if settled[index] >= _mark(cap, percent):
                yield unit


def _mark(cap: int, percent: int) -> int:
    """Return how much must be used of a budget before it is worth a warning."""
    return -(-cap * percent // 100)


def _retuned(
    bucket: Bucket | None, rate: float, size: float, now_s: float
) -> Bucket | None:
    if not rate:
        return None
    if bucket is None:
        return Bucket(rate=rate, size=size, at_s=now_s)
    return bucket.resized(rate=rate, size=size, at_s=now_s)
