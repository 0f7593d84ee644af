"""One target after another, until the first that really answers.

Each target of the plan is tried once. Where all have failed, those that failed in
passing are asked again, after a short wait, if the group and its budget allow it. Until
a target has won, the caller notices nothing of all that; see `engine.attempt`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import msgspec

from smart_llmrouter.admission.gate import Reservation
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import ClientLeft
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.engine.attempt import Attempting, AttemptFailed
from smart_llmrouter.engine.course import Course
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.lanes import NO_NOTES, WITHOUT_FOREIGN, Lane, Relay
from smart_llmrouter.engine.retries import Retries
from smart_llmrouter.engine.routes import Route
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.translation import Asked, Translation
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.engine.wins import PlainWin, StreamWin, Win
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.health import LATE, HealthBook
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failure_endings import terminal_error

_MS_PER_S: Final = 1000
CALLER_LEFT: Final = "caller_left"
"""What stands in a decision for the class of an attempt that its caller has ended."""

Sleep = Callable[[float], Awaitable[None]]


class Observed(Protocol):
    """Takes note of how an attempt has ended that says something of its target."""

    def __call__(
        self,
        label: str,
        error_class: str | None,
        latency_s: float,
        first_event_s: float | None,
        output_tokens: int | None,
    ) -> None:
        """`error_class` is `None` where it answered; times count from its beginning.

        `first_event_s` is that of a stream, `None` for a plain answer.
        """


class Attempts:
    """Try the targets of a plan in their order."""

    def __init__(
        self,
        attempting: Attempting,
        routes: Mapping[str, Route],
        *,
        health: HealthBook,
        capacity: Capacity,
        retries: Retries,
        tally: Tally,
        now: Monotonic,
        sleep: Sleep = asyncio.sleep,
        observed: Observed | None = None,
    ) -> None:
        """Reach the targets in `routes`, by label, through `attempting`.

        `observed` is told of each attempt when it, or its stream, has ended.
        """
        self._attempting = attempting
        self._routes = routes
        self._health = health
        self._capacity = capacity
        self._retries = retries
        self._tally = tally
        self._now = now
        self._sleep = sleep
        self._observed = observed

    async def first_to_answer(
        self,
        plan: Plan,
        asked: Asked,
        *,
        entry: Entry,
        vigil: Vigil,
        first_event_timeout_s: float,
        reservation: Reservation,  # noqa: ARG002 - the right to call a provider
        needs: Requirements | None = None,
    ) -> Win:
        """Return the first answer. Raises an `UpstreamError` when there is none.

        A target that cannot carry the request, rests, or is called as often as it may
        be, is passed over; where all are, that is `NoEligibleTarget` or
        `UpstreamCapacityThrottled`. The reservation is what gives the right to call a
        provider at all.
        """
        course = Course(
            plan=plan,
            asked=asked,
            entry=entry,
            vigil=vigil,
            first_event_timeout_s=first_event_timeout_s,
            needs=needs,
        )
        self._retries.budgets[plan.group].calls += 1
        for target in plan.targets:
            won = await self._try(target, course)
            if won is not None:
                return won
            if course.over:
                raise terminal_error(course.failures)
        if course.again and not entry.arrival.retry_count:
            won = await self._once_more(course)
            if won is not None:
                return won
        raise course.nobody()

    async def _once_more(self, course: Course) -> Win | None:
        """Ask those again that failed in passing, now that no other target is left."""
        budget = self._retries.budgets[course.plan.group]
        for turn in range(course.asked.group.same_target_retries):
            for target, failure in course.take_again():
                wait_s = self._retries.wait_s(
                    failure, turn, resting_s=self._health.resting_s(target.label)
                )
                if wait_s is None or wait_s >= course.vigil.left_s:
                    continue
                if not budget.take():
                    return None
                await self._wait(wait_s, course)
                won = await self._try(target, course)
                if won is not None or course.over:
                    return won
        return None

    async def _wait(self, wait_s: float, course: Course) -> None:
        """Wait, for no longer than the call may take."""
        course.vigil.rest()
        await self._sleep(wait_s)

    async def _try(self, target: Target, course: Course) -> Win | None:
        """Try a target, if it can be called now; note what became of it."""
        label = target.label
        resting_s = self._health.resting_s(label)
        if resting_s or course.is_too_small(target):
            course.pass_over(label, resting_s)
            return None
        try:
            lane = self._lane_of(self._routes[label], course)
        except NotBridged as lacking:
            course.missing[label] = lacking.missing
            return None
        if not self._has_room(target, course):
            return None
        begun = self._health.begin(label)
        if begun == LATE:
            course.pass_over(label, self._health.resting_s(label))
            return None
        course.begin(target, lane.name)
        try:
            outcome = await self._outcome(target, lane, course, begun=begun)
        except BaseException:
            # The caller has left, or this is a defect: neither is the target's.
            self._health.abandon(label, begun=begun)
            course.end(CALLER_LEFT, self._now())
            raise
        if isinstance(outcome, Failure):
            self._note_failure(target, outcome, course, begun=begun)
            return None
        self._note_win(outcome, course, begun=begun)
        return outcome

    def _has_room(self, target: Target, course: Course) -> bool:
        """Take one call out of what the target may be called, where that is limited."""
        capacity, group, needs = self._capacity, course.plan.group, course.needs
        if needs is None or not capacity.limits(group):
            return True
        if capacity.take(group, target, needs):
            return True
        course.pass_over(target.label, capacity.wait_s(group, target, needs))
        return False

    def _lane_of(self, route: Route, course: Course) -> Lane:
        """Choose the lane of an attempt. Raises `NotBridged`."""
        asked, arrival, label = course.asked, course.entry.arrival, route.target.label
        if asked.dialect is not route.dialect:
            return Translation(
                asked,
                route.dialect,
                route.serving,
                request_id=arrival.request_id,
                created_s=arrival.ts_ms // _MS_PER_S,
            )
        keep_seals = route.seals and label in self._attempting.routers
        if not course.plan.has_siblings:
            return Relay(asked.dialect, asked.peek, route.model, keep_seals)
        shown = asked.shown_to(label)
        return Relay(
            asked.dialect,
            shown,
            route.model,
            keep_seals,
            asked.dialect.proof_mark,
            NO_NOTES if shown is asked.peek else WITHOUT_FOREIGN,
        )

    async def _outcome(
        self, target: Target, lane: Lane, course: Course, *, begun: int
    ) -> Win | Failure:
        """Make one attempt, and wait no longer for its first event than it may take."""
        entry, vigil = course.entry, course.vigil
        if self._observed is not None or entry.runs is not None:
            course.began_s = self._now()
        vigil.wait_for("first_event", course.first_event_timeout_s)
        try:
            win = await self._attempting.attempt(
                self._routes[target.label],
                lane,
                stream=course.asked.peek.stream,
                entry=entry,
            )
        except AttemptFailed as failed:
            return failed.failure
        except asyncio.CancelledError:
            if vigil.expired is None:
                raise
            return failure_of_silence(vigil)
        vigil.rest()
        if isinstance(win, StreamWin):
            win.began_s, win.begun = course.began_s, begun
        return win

    def _note_win(self, win: Win, course: Course, *, begun: int) -> None:
        entry, label = course.entry, win.route.target.label
        entry.error_class = None
        self._health.note(label, None, begun=begun)
        self._tally.attempts[label, "answered"] += 1
        if isinstance(win, PlainWin) and course.began_s:
            now_s = self._now()
            course.end(None, now_s)
            self._observe(label, None, now_s - course.began_s, None, win.usage)
