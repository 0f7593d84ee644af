"""When a target that failed in passing is asked again, and when better not.

Each wait is drawn at random from zero up to a bound that doubles, so that calls which
failed together do not come back together. And each group has a budget: one retry for
five calls, and a few more, so that under a general outage the router does not make it
worse.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.upstream.failure_classes import Failure

WAIT_MAX_S: Final = 2.0
"""Nobody is kept waiting longer than this for one more attempt."""

_FIRST_WAIT_S: Final = 0.25
_SPREAD_S: Final = 0.25
SHARE: Final = 0.2
"""How many retries a group may make for each of its calls."""

RESERVE: Final = 10.0
"""How many it may make at once beyond that, and at first."""

PER_S: Final = 1.0
"""How many a second it may make beyond that."""


class RetryBudget:
    """How many retries a group may make: a share of its calls, and a few a second."""

    def __init__(self, *, now: Monotonic) -> None:
        """Begin with the reserve."""
        self._now = now
        self._tokens = RESERVE
        self._at_s = now()
        self._counted = 0
        self.calls = 0
        """How many calls there were; whoever makes one adds it."""

    def take(self) -> bool:
        """Take one retry out of the budget, if there is one."""
        now_s = self._now()
        earned = (self.calls - self._counted) * SHARE + (now_s - self._at_s) * PER_S
        self._tokens = min(RESERVE, self._tokens + earned)
        self._counted, self._at_s = self.calls, now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


_NONE: Final[Mapping[str, RetryBudget]] = {}


class Retries:
    """The budgets of all groups, and how long to wait."""

    def __init__(
        self,
        groups: Iterable[str],
        *,
        draw: Callable[[], float],
        now: Monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        budgets: Mapping[str, RetryBudget] = _NONE,
    ) -> None:
        """Draw waits with `draw`, which gives numbers from 0 up to 1.

        `budgets` are those that groups have already.
        """
        self._draw = draw
        self.sleep = sleep
        """Waits for so many seconds."""
        self.budgets = {
            group: budgets.get(group) or RetryBudget(now=now) for group in groups
        }

    def wait_s(self, failure: Failure, turn: int, *, resting_s: float) -> float | None:
        """Return how long to wait before a target is asked again; `None`: it is not.

        It is the `turn`th time, from 0. What the provider asks for is waited for, and
        `resting_s`, if it is not too long.
        """
        then, told_s = failure.meaning.then, failure.retry_after_s
        if then not in {"again", "wait"} or (then == "wait" and told_s is None):
            return None
        least_s = max(resting_s, told_s or 0)
        if least_s > WAIT_MAX_S:
            return None
        if least_s:
            return least_s + self._draw() * _SPREAD_S
        return self._draw() * min(WAIT_MAX_S, _FIRST_WAIT_S * 2.0**turn)
