"""The rolling minute of a scope, in steps of a tenth of a second.

A step holds what the calls granted in it have taken, and rolls out of the minute as a
whole: so what a call takes counts until 60 s after its step has begun. Only the steps
in which something was granted exist, at most 600 of them.
"""

from collections import deque
from collections.abc import Callable, Mapping
from math import floor, inf
from typing import Final

from smart_llmrouter.admission.tallies import Turn

STEPS_A_SECOND: Final = 10
_STEPS: Final = 60 * STEPS_A_SECOND
# A wait that was told must be enough, whatever floating point loses on the way.
_ROUNDING_S: Final = 1e-6


class Step:
    """What calls have taken that were granted in one tenth of a second.

    They have also been granted in one `turn` of the account: see `tallies`. A step that
    has rolled out of its minute is not `counted` any more; it does at `gone_at_s`, by
    the clock that counts the steps.
    """

    __slots__ = ("counted", "gone_at_s", "number", "requests", "tokens", "turn")

    def __init__(self, number: int, turn: Turn) -> None:
        """Begin with nothing taken."""
        self.number = number
        self.gone_at_s = (number + _STEPS) / STEPS_A_SECOND + _ROUNDING_S
        self.turn = turn
        self.requests = 0
        self.tokens = 0
        self.counted = True


def requests_of(step: Step) -> int:
    """Return how many calls were granted in a step."""
    return step.requests


def tokens_of(step: Step) -> int:
    """Return how many tokens were taken in a step."""
    return step.tokens


def _number_of(step: Step) -> int:
    return step.number


class Minute:
    """The steps of the last minute.

    An account counts all that was ever taken; `requests` and `tokens` are how much of
    that is not of this minute, so that what counts is the difference.
    """

    __slots__ = ("requests", "steps", "tokens")

    def __init__(self, requests: int, tokens: int) -> None:
        """Begin empty, where so much was ever taken."""
        self.requests = requests
        self.tokens = tokens
        self.steps: deque[Step] = deque()

    def load(self, taken: Mapping[int, tuple[int, int]]) -> None:
        """Add steps from before it was counted here: their requests and tokens.

        By the numbers of the steps.
        """
        loaded = []
        for number, (requests, tokens) in taken.items():
            step = Step(number, ())
            step.requests, step.tokens = requests, tokens
            self.requests -= requests
            self.tokens -= tokens
            loaded.append(step)
        self.steps = deque(sorted([*loaded, *self.steps], key=_number_of))

    def begin(self, now_s: float, turn: Turn) -> Step:
        """Begin a step; those that are over a minute old count no more."""
        step = Step(int(now_s * STEPS_A_SECOND), turn)
        self.expire(now_s)
        self.steps.append(step)
        return step

    def expire(self, now_s: float) -> bool:
        """Count no more what is over a minute old; say whether there was something."""
        steps, before = self.steps, len(self.steps)
        last_out = int(now_s * STEPS_A_SECOND) - _STEPS
        while steps and steps[0].number <= last_out:
            step = steps.popleft()
            step.counted = False
            self.requests += step.requests
            self.tokens += step.tokens
        return len(steps) < before

    def close(self) -> None:
        """Count nothing any more."""
        for step in self.steps:
            step.counted = False

    def give_back(self, step: Step) -> int:
        """Give a call back to its step; return by how much fewer calls count."""
        if not step.counted or step.number < 0:
            return 0
        step.requests -= 1
        return -1

    def settle(self, step: Step, last: Step, *, used: int, granted: int) -> int:
        """Count what a call has used of the minute; return the difference.

        What it did not use is given back to its step, if that counts still; what it
        used beyond counts in the last one.
        """
        if used > granted:
            last.tokens += used - granted
        elif not step.counted or step.number < 0:
            return 0
        else:
            step.tokens -= granted - used
        return used - granted

    def wait_s(
        self, missing: int, now_s: float, *, amount_of: Callable[[Step], int]
    ) -> float:
        """Say when so much will have rolled out; `inf`: that much is not in it."""
        for step in self.steps:
            missing -= amount_of(step)
            if missing <= 0:
                return reset_after_s(step, now_s)
        return inf

    def reset_s(self, now_s: float, *, amount_of: Callable[[Step], int]) -> float:
        """Say when all will have rolled out."""
        for step in reversed(self.steps):
            if amount_of(step):
                return reset_after_s(step, now_s)
        return 0.0


def number_at(at_s: float) -> int:
    """Return the number of the step that is then."""
    return floor(at_s * STEPS_A_SECOND)


def ends_s(step: Step) -> float:
    """Return when a step is over, by the clock that counts them."""
    return (step.number + 1) / STEPS_A_SECOND


def reset_after_s(step: Step, now_s: float) -> float:
    """Return in how many seconds a step will have rolled out."""
    return max(step.gone_at_s - now_s, _ROUNDING_S)
