"""One call on its way from target to target: what has been tried, and what is left."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.decisions import AttemptRun, LaneName
from smart_llmrouter.core.errors import ImageNotFetched
from smart_llmrouter.core.overflow import overflow_in
from smart_llmrouter.core.requirements import CONTEXT, Requirements
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.translation import Asked
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.upstream.failure_classes import Failure

NOTHING: Final[Mapping[str, tuple[str, ...]]] = {}
_US_PER_S: Final = 1_000_000


# A `Struct` is made several times as fast as another object.
class Course(msgspec.Struct, eq=False, kw_only=True):
    """What the attempts of one call have come to.

    `missing` is why targets were passed over, and `waits_s` for how long, where that
    passes. `again` are those that failed, but may be asked again. `over` says that
    nobody else is asked. `began_s` is when the present attempt began, where anybody
    wants to know. `fetched` is what is asked for with the data of its images, where a
    target needed that, and `unfetched` why there is no such thing. A context of
    `too_few_tokens` is known to be too small.
    """

    plan: Plan
    asked: Asked
    entry: Entry
    vigil: Vigil
    first_event_timeout_s: float
    needs: Requirements
    # Most calls never need any of these; an empty tuple costs nothing.
    failures: tuple[Failure, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = NOTHING
    waits_s: tuple[float, ...] = ()
    again: tuple[tuple[Target, Failure], ...] = ()
    over: bool = False
    began_s: float = 0.0
    fetched: Asked | None = None
    unfetched: ImageNotFetched | None = None
    too_few_tokens: int | None = None

    def is_too_small(self, target: Target) -> bool:
        """Say whether a target holds no more than one that was too small."""
        least, has = self.too_few_tokens, target.context_tokens
        if least is None or has is None or has > least:
            return False
        self.lacks(target.label, (CONTEXT,))
        return True

    def lacks(self, label: str, codes: tuple[str, ...]) -> None:
        """Note why a target is passed over."""
        self.missing = {**self.missing, label: codes}

    def needs_data(self, target: Target) -> bool:
        """Say whether a target takes no URLs, and images are given as such."""
        needs = self.needs
        return needs.image_urls > 0 and "url" not in target.image_sources

    def pass_over(self, label: str, code: str, wait_s: float) -> None:
        """Leave a target out that could be called in `wait_s`."""
        self.lacks(label, (code,))
        self.waits_s += (wait_s,)

    def begin(self, target: Target, lane: LaneName) -> None:
        """Begin an attempt."""
        entry = self.entry
        if entry.runs:
            same = entry.runs[-1].label == target.label
            entry.runs[-1] = msgspec.structs.replace(
                entry.runs[-1], then="same-target" if same else "next-target"
            )
        if entry.target is not None and entry.target is not target:
            entry.fallback_used = True
        entry.target = target
        entry.attempts += 1
        entry.lane = lane
        entry.answering = True

    def fail(self, target: Target, failure: Failure) -> None:
        """End an attempt that has failed, and see what follows."""
        entry, then = self.entry, failure.meaning.then
        entry.answering = False
        entry.error_class = failure.error_class
        entry.upstream_status = failure.upstream_status
        self.failures += (failure,)
        if then in {"again", "wait"}:
            self.again += ((target, failure),)
        elif then == "larger":
            self.too_few_tokens = _too_small(target, failure, self.too_few_tokens)
        self.over = (
            then == "stop" or entry.attempts >= self.plan.max_attempts or entry.draining
        )

    def take_again(self) -> Sequence[tuple[Target, Failure]]:
        """Return those that may be asked again, and begin to gather them anew."""
        again, self.again = self.again, ()
        return again

    def note_run(
        self,
        target: Target,
        now_s: float,
        error_class: str | None,
        retry_after_s: int | None = None,
    ) -> None:
        """Write the present attempt down, where that is wanted: it ends now."""
        runs = self.entry.runs
        if runs is not None:
            runs.append(
                run_of(
                    target.label,
                    self.entry,
                    began_s=self.began_s,
                    now_s=now_s,
                    error_class=error_class,
                    retry_after_s=retry_after_s,
                )
            )


def _too_small(target: Target, failure: Failure, before: int | None) -> int | None:
    """Return how much context is known to be too little; `None`: nobody knows."""
    known = target.context_tokens
    if known is None:
        overflow = overflow_in(failure.body)
        told = overflow.tokens if overflow is not None else None
        known = None if told is None else told[1]
    return before if known is None else max(known, before or 0)


def run_of(
    label: str,
    entry: Entry,
    *,
    began_s: float,
    now_s: float,
    error_class: str | None,
    retry_after_s: int | None = None,
) -> AttemptRun:
    """Return the attempt at a target which began at `began_s` and ends now."""
    first_byte_us = _since(began_s, entry.first_byte_s)
    return AttemptRun(
        label=label,
        lane=entry.lane,
        began_us=_us(began_s - entry.arrival.began_s),
        duration_us=_us(now_s - began_s),
        first_byte_us=first_byte_us,
        first_event_us=_since(began_s, entry.first_event_s),
        status=None if first_byte_us is None else entry.upstream_status,
        error_class=error_class,
        retry_after_s=retry_after_s,
        then="answered" if error_class is None else "stop",
    )


def _us(seconds: float) -> int:
    return round(seconds * _US_PER_S)


def _since(began_s: float, at_s: float | None) -> int | None:
    """Return how long after the attempt's beginning something was; before is never."""
    return None if at_s is None or at_s < began_s else _us(at_s - began_s)
