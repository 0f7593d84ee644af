"""One target after another, until the first that really answers.

Each target of the plan is tried once. Where all have failed, those that failed in
passing are asked again, after a short wait, if the group and its budget allow it. Until
a target has won, the caller notices nothing of all that; see `engine.attempt`.
"""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from smart_llmrouter.admission.gate import Reservation
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import ImageNotFetched, RouterError
from smart_llmrouter.core.requirements import (
    CAPACITY,
    COOLING_DOWN,
    PASSING,
    Requirements,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.engine.attempt import AttemptFailed, Attempting
from smart_llmrouter.engine.course import Course, run_of
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.lanes import NO_NOTES, WITHOUT_FOREIGN, Lane, Relay
from smart_llmrouter.engine.refusals import unservable
from smart_llmrouter.engine.retries import Retries
from smart_llmrouter.engine.routes import Route
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.translation import Asked, Translation
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.engine.wins import StreamWin, Win
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.circuit import LATE
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.upstream.failure_classes import Failure, standing_of
from smart_llmrouter.upstream.failure_endings import terminal_error

_MS_PER_S: Final = 1000
CALLER_LEFT: Final = "caller_left"
"""What stands in a decision for the class of an attempt that its caller has ended."""


_NOBODYS: Final = frozenset({"request", "none"})
"""What a failure says that is not its target's."""


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
        observed: Observed | None = None,
    ) -> None:
        """Reach the targets in `routes`, by label, through `attempting`.

        `observed` is told of each attempt when it, or its stream, has ended.
        """
        self._attempting = attempting
        self._routes = routes
        self._health = health
        self._capacity = capacity
        self._limited = frozenset(filter(capacity.limits, retries.budgets))
        self._retries = retries
        self._tally = tally
        self._now = now
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
        needs: Requirements,
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
                break
        else:
            won = await self._once_more(course) if course.again else None
            if won is not None:
                return won
        raise self._nobody(course)

    async def _once_more(self, course: Course) -> Win | None:
        """Ask those again that failed in passing, now that no other target is left.

        Not where the caller is asking again itself: each would multiply the other.
        """
        if course.entry.arrival.retry_count:
            return None
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
                await self._retries.sleep(wait_s)
                won = await self._try(target, course)
                if won is not None or course.over:
                    return won
        return None

    async def _try(self, target: Target, course: Course) -> Win | None:
        """Try a target, if it can be called now, and note what became of it."""
        asked: Asked | None = course.asked
        if course.needs.image_urls and course.needs_data(target):
            if self._rests(target, course):
                return None
            asked = await self._with_data(course)
        lane = None if asked is None else self._lane_of(target, asked, course)
        begun = LATE if lane is None else self._admitted(target, course)
        if lane is None or begun == LATE:
            return None
        label, vigil = target.label, course.vigil
        if self._observed is not None or course.entry.runs is not None:
            course.began_s = self._now()
        course.begin(target, lane.name)
        vigil.wait_for("first_event", course.first_event_timeout_s)
        try:
            win = await self._attempting.attempt(
                self._routes[label],
                lane,
                stream=course.asked.peek.stream,
                entry=course.entry,
            )
        except BaseException as ended:
            vigil.rest()
            failure = _failure_in(ended, vigil)
            if failure is None:
                # The caller has left, or this is a defect: neither is the target's.
                self._health.abandon(label, begun=begun)
                course.note_run(target, self._now(), CALLER_LEFT)
                raise
            self._lost(target, failure, course, begun)
            return None
        vigil.rest()
        self._won(win, course, begun)
        return win

    def _admitted(self, target: Target, course: Course) -> int:
        """Begin an attempt at a target; `LATE` where it is passed over."""
        health, label = self._health, target.label
        if course.too_few_tokens is not None and course.is_too_small(target):
            return LATE
        begun = health.begin(label)
        if begun == LATE:
            self._rests(target, course)
        elif course.plan.group in self._limited and not self._has_room(target, course):
            health.abandon(label, begun=begun)
            return LATE
        return begun

    def _rests(self, target: Target, course: Course) -> bool:
        """Pass a target over that is left alone now."""
        resting_s = self._health.resting_s(target.label)
        if resting_s:
            course.pass_over(target.label, COOLING_DOWN, resting_s)
        return resting_s > 0

    def _has_room(self, target: Target, course: Course) -> bool:
        """Take one call out of what the target may be called."""
        capacity, group, needs = self._capacity, course.plan.group, course.needs
        if capacity.take(group, target, needs):
            return True
        wait_s = capacity.wait_s(group, target, needs)
        course.pass_over(target.label, CAPACITY, wait_s)
        return False

    async def _with_data(self, course: Course) -> Asked | None:
        """Return what is asked for with the data of its images, fetched once a call.

        Nothing where they cannot be had: another target may take URLs. Raises
        `ImageUrlForbidden`.
        """
        images, asked = self._attempting.images, course.asked
        if images is None:
            return asked
        if course.fetched is None and course.unfetched is None:
            try:
                peek = await images.with_fetched(asked.dialect, asked.peek)
            except ImageNotFetched as failed:
                course.unfetched = failed
            else:
                course.fetched = Asked(
                    asked.dialect, peek, asked.group, maker=asked.maker
                )
        return course.fetched

    def _lane_of(self, target: Target, asked: Asked, course: Course) -> Lane | None:
        """Choose the lane of an attempt; there is none where nothing bridges."""
        route, arrival = self._routes[target.label], course.entry.arrival
        dialect = asked.dialect
        try:
            if dialect is route.dialect:
                if course.plan.has_siblings or route.serving.reasoning_levels:
                    return self._relay(route, asked, course)
                keep_seals = route.seals and target.label in self._attempting.routers
                return Relay(dialect, asked.peek, route.model, keep_seals)
            return Translation(
                asked,
                route.dialect,
                route.serving,
                request_id=arrival.request_id,
                created_s=arrival.ts_ms // _MS_PER_S,
            )
        except NotBridged as lacking:
            course.lacks(target.label, lacking.missing)
        return None

    def _relay(self, route: Route, asked: Asked, course: Course) -> Relay:
        """Return the lane on which bytes stay as they came, as far as this target lets.

        Raises `NotBridged`.
        """
        dialect, label = asked.dialect, route.target.label
        alone, levels = not course.plan.has_siblings, route.serving.reasoning_levels
        keep_seals = route.seals and label in self._attempting.routers
        shown = asked.peek if alone else asked.shown_to(label)
        notes = NO_NOTES if shown is asked.peek else WITHOUT_FOREIGN
        shown, note = dialect.at_level(shown, levels)
        return Relay(
            dialect,
            shown,
            route.model,
            keep_seals,
            None if alone else dialect.proof_mark,
            notes if note is None else (*notes, note),
        )

    def _lost(
        self, target: Target, failure: Failure, course: Course, begun: int
    ) -> None:
        """Note that an attempt has failed."""
        label, error_class = target.label, failure.error_class
        self._health.note(
            label, error_class, retry_after_s=failure.retry_after_s, begun=begun
        )
        self._tally.attempts[label, error_class] += 1
        if course.entry.usage != UNKNOWN_USAGE:
            course.entry.note_failed()
        course.fail(target, failure)
        if course.began_s:
            now_s = self._now()
            course.note_run(target, now_s, error_class, failure.retry_after_s)
            self._observe(label, error_class, now_s - course.began_s)

    def _won(self, win: Win, course: Course, begun: int) -> None:
        """Note that an attempt has won; a stream is looked at when it has ended."""
        label, entry = win.route.target.label, course.entry
        entry.error_class = None
        self._health.answered(label, begun)
        self._tally.attempts[label, "answered"] += 1
        if isinstance(win, StreamWin):
            win.began_s, win.begun = course.began_s, begun
        elif course.began_s:
            now_s = self._now()
            course.note_run(win.route.target, now_s, None)
            self._observe(label, None, now_s - course.began_s, usage=win.usage)

    def ended(self, win: StreamWin, entry: Entry, error_class: str | None) -> None:
        """Note how the stream of an attempt that had won has ended.

        `error_class` is `None` where it has come to its end, and `CALLER_LEFT` where
        it was not the target's to say.
        """
        label = win.route.target.label
        if error_class is not None and standing_of(error_class) != "none":
            self._health.note(label, error_class, begun=win.begun, broke_off=True)
            self._tally.attempts[label, error_class] += 1
        if not win.began_s:
            return
        now_s, event_s = self._now(), entry.first_event_s
        if entry.runs is not None:
            entry.runs.append(
                run_of(
                    label,
                    entry,
                    began_s=win.began_s,
                    now_s=now_s,
                    error_class=error_class,
                )
            )
        self._observe(
            label,
            error_class,
            now_s - win.began_s,
            first_event_s=None if event_s is None else event_s - win.began_s,
            usage=win.meter.usage,
        )

    def _observe(
        self,
        label: str,
        error_class: str | None,
        latency_s: float,
        *,
        first_event_s: float | None = None,
        usage: Usage = UNKNOWN_USAGE,
    ) -> None:
        """Tell of an attempt that says something of its target."""
        if self._observed is None:
            return
        if error_class is None or standing_of(error_class) not in _NOBODYS:
            self._observed(
                label, error_class, latency_s, first_event_s, usage.output_tokens
            )

    def _nobody(self, course: Course) -> RouterError:
        """Return what the caller is told when nobody has answered."""
        if course.failures:
            return terminal_error(course.failures)
        if course.unfetched is not None:
            return course.unfetched
        plan = course.plan
        waits_s = [
            self._health.resting_s(label)
            for label, codes in plan.missing.items()
            if PASSING.issuperset(codes)
        ]
        return unservable(
            plan.group,
            dialect=course.asked.dialect.name,
            missing={**plan.missing, **course.missing},
            wait_s=min([*waits_s, *course.waits_s], default=math.inf),
            client=course.entry.arrival.client,
        )


def _failure_in(ended: BaseException, vigil: Vigil) -> Failure | None:
    """Return how an attempt has failed; nothing where the failure is not its own."""
    if isinstance(ended, AttemptFailed):
        return ended.failure
    if isinstance(ended, asyncio.CancelledError) and vigil.expired is not None:
        with suppress(asyncio.CancelledError):
            return failure_of_silence(vigil)
    return None


def failure_of_silence(vigil: Vigil) -> Failure:
    """Say which limit passed, and let the task go on."""
    return Failure(error_class=f"upstream_{vigil.forgive()}_timeout")
