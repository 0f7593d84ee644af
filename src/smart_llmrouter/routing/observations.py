"""What was seen of each target lately: the figures that scores and thresholds use.

A window holds the last attempts at one target, as many as matter and none older than
its seconds. Its sums are kept up with each attempt that comes and goes, and its
latencies in their order, so that no figure needs a look at more than one of them. That
the number of attempts is bounded, too, lets a target that turns slow be noticed after a
few calls, however many good ones came before.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Self

import msgspec

from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.clock import Monotonic

SCORED: Final = 64
"""How many attempts a score looks at: few, so that it moves quickly."""
JUDGED: Final = 1000
"""How many attempts a threshold looks at: many, so that small shares can be told."""

_MICRO: Final = 1_000_000
_INSTANT_US: Final = 1_000
_ONE_IN: Final = 20  # is slower than the 95th percentile


class Observation(msgspec.Struct, frozen=True, gc=False):
    """How one attempt at a target ended, where that says something of the target.

    `error_class` is `None` where it won. `first_event_s` is the time to the first
    meaningful event of a stream, `None` for a plain answer. An attempt that failed for
    the request's own fault, or that the caller ended, is not one.
    """

    error_class: str | None
    latency_s: float
    first_event_s: float | None = None
    output_tokens: int | None = None

    @property
    def timed_out(self) -> bool:
        """Whether it failed because it took too long."""
        return self.error_class is not None and self.error_class.endswith("timeout")


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The figures of a target over a window; `None` is what nobody has seen.

    `failures` counts all attempts that did not win, `timeouts` those among them that
    took too long. `p95_latency_s` is that of whole answers and of time-outs: how
    quickly a target refuses says nothing of its speed. `first_event_s` and
    `output_tokens` are means, `tokens_per_s` is of the time in which there was output.
    """

    attempts: int = 0
    failures: int = 0
    timeouts: int = 0
    p95_latency_s: float | None = None
    first_event_s: float | None = None
    tokens_per_s: float | None = None
    output_tokens: float | None = None


NOTHING: Final = Seen()


class _Kept(msgspec.Struct, frozen=True, gc=False):
    """An attempt in a window; times in whole microseconds, so that sums stay exact.

    What is negative is not known.
    """

    at_s: float
    failed: bool
    timed_out: bool
    latency_us: int
    first_us: int
    tokens: int
    output_us: int


def _kept(seen: Observation, at_s: float) -> _Kept:
    failed, timed_out = seen.error_class is not None, seen.timed_out
    latency_us = round(seen.latency_s * _MICRO)
    first_us = -1 if seen.first_event_s is None else round(seen.first_event_s * _MICRO)
    output_us = latency_us - max(first_us, 0)
    has_rate = bool(seen.output_tokens) and not failed and output_us >= _INSTANT_US
    return _Kept(
        at_s=at_s,
        failed=failed,
        timed_out=timed_out,
        latency_us=-1 if failed and not timed_out else latency_us,
        first_us=first_us,
        tokens=-1 if failed or seen.output_tokens is None else seen.output_tokens,
        output_us=output_us if has_rate else -1,
    )


class Span(NamedTuple):
    """How much a window holds: the last `most` attempts of the last `window_s`."""

    window_s: float
    most: int


def scored(settings: policies.Dynamic) -> Span:
    """Return what scores look at."""
    return Span(settings.window_s, max(SCORED, settings.min_observations))


def judged(settings: policies.Dynamic) -> Span:
    """Return what thresholds look at."""
    return Span(settings.window_s, max(JUDGED, settings.min_observations))


class Window:
    """The last attempts at one target."""

    __slots__ = (
        "_attempts",
        "_failures",
        "_first_us",
        "_firsts",
        "_latencies_us",
        "_output_us",
        "_rated_tokens",
        "_seen",
        "_span",
        "_timeouts",
        "_tokens",
        "_tokens_known",
    )

    def __init__(self, span: Span) -> None:
        """Hold as much as `span` says."""
        self._span = span
        self._attempts: deque[_Kept] = deque()
        self._latencies_us: list[int] = []
        self._failures = self._timeouts = 0
        self._first_us = self._firsts = 0
        self._tokens = self._tokens_known = 0
        self._rated_tokens = self._output_us = 0
        self._seen: Seen | None = NOTHING

    def spanning(self, span: Span) -> "Window":
        """Return a window of another span, with what of it this one has seen."""
        window = Window(span)
        for attempt in tuple(self._attempts)[-span.most :]:
            window._attempts.append(attempt)
            window._count(attempt, 1)
        return window

    def add(self, seen: Observation, now_s: float) -> None:
        """Take in an attempt that ended now."""
        if len(self._attempts) >= self._span.most:
            self._count(self._attempts.popleft(), -1)
        attempt = _kept(seen, now_s)
        self._attempts.append(attempt)
        self._count(attempt, 1)

    def seen(self, now_s: float) -> Seen:
        """Return the figures as they are now."""
        attempts, too_old_s = self._attempts, now_s - self._span.window_s
        while attempts and attempts[0].at_s <= too_old_s:
            self._count(attempts.popleft(), -1)
        if self._seen is None:
            self._seen = self._figures()
        return self._seen

    def _count(self, attempt: _Kept, by: int) -> None:
        """Add an attempt to all sums, or with -1 take it out of them."""
        self._seen = None
        self._failures += by * attempt.failed
        self._timeouts += by * attempt.timed_out
        if attempt.latency_us >= 0:
            latencies = self._latencies_us
            if by > 0:
                insort(latencies, attempt.latency_us)
            else:
                del latencies[bisect_left(latencies, attempt.latency_us)]
        if attempt.first_us >= 0:
            self._firsts += by
            self._first_us += by * attempt.first_us
        if attempt.tokens >= 0:
            self._tokens_known += by
            self._tokens += by * attempt.tokens
        if attempt.output_us >= 0:
            self._rated_tokens += by * attempt.tokens
            self._output_us += by * attempt.output_us

    def _figures(self) -> Seen:
        return Seen(
            attempts=len(self._attempts),
            failures=self._failures,
            timeouts=self._timeouts,
            p95_latency_s=_p95_s(self._latencies_us),
            first_event_s=_mean(self._first_us, self._firsts * _MICRO),
            tokens_per_s=_mean(self._rated_tokens * _MICRO, self._output_us),
            output_tokens=_mean(self._tokens, self._tokens_known),
        )


def _p95_s(ordered_us: list[int]) -> float | None:
    """Return the latency that 95 of 100 do not exceed."""
    if not ordered_us:
        return None
    return ordered_us[-1 - len(ordered_us) // _ONE_IN] / _MICRO


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None


def _window(span: Span, known: Mapping[Span, Window]) -> Window:
    """Return the window of a span, or one that goes on from the longest there is."""
    if span in known or not known:
        return known.get(span) or Window(span)
    return known[max(known, key=lambda each: (each.window_s, each.most))].spanning(span)


class Observations:
    """The windows of all targets, by their labels.

    A label has a window for each span that its groups ask for, nearly always one.
    Attempts at targets that nobody asks about are not kept.
    """

    def __init__(
        self,
        now: Monotonic,
        spans: Mapping[str, Iterable[Span]],
        *,
        known: "Observations | None" = None,
        anew: Collection[str] = (),
    ) -> None:
        """Keep windows of these spans for each label.

        What is `known` goes on: a window of the same span is the same one. Nothing is
        known of the labels in `anew`.
        """
        self._now = now
        self._windows: Mapping[str, dict[Span, Window]] = {
            label: {
                span: _window(
                    span,
                    {} if known is None or label in anew else known.windows(label),
                )
                for span in asked
            }
            for label, asked in spans.items()
        }
        self._notes = 0

    @classmethod
    def for_groups(
        cls,
        groups: Iterable[Group],
        now: Monotonic,
        *,
        known: "Observations | None" = None,
        anew: Collection[str] = (),
    ) -> Self:
        """Keep what the groups' strategies and thresholds look at; see `__init__`."""
        spans: dict[str, set[Span]] = {}
        for group in groups:
            asked = set[Span]()
            if group.strategy == "dynamic":
                asked.add(scored(group.dynamic))
            if group.thresholds is not None:
                asked.add(judged(group.dynamic))
            for target in group.targets if asked else ():
                spans.setdefault(target.label, set()).update(asked)
        return cls(now, spans, known=known, anew=anew)

    @property
    def labels(self) -> Collection[str]:
        """The targets of which attempts are kept."""
        return self._windows.keys()

    @property
    def now_s(self) -> float:
        """The time on the clock that windows forget by."""
        return self._now()

    @property
    def notes(self) -> int:
        """How many attempts have been noted; what is seen changes with them."""
        return self._notes

    def windows(self, label: str) -> Mapping[Span, Window]:
        """Return the windows of a target."""
        return self._windows.get(label, {})

    def note(self, label: str, observation: Observation) -> None:
        """Write down how an attempt at a target ended."""
        windows = self._windows.get(label)
        if windows is None:
            return
        self._notes += 1
        now_s = self._now()
        for window in windows.values():
            window.add(observation, now_s)

    def seen(self, label: str, span: Span) -> Seen:
        """Return the figures of a target over one of its windows, as they are now."""
        window = self._windows.get(label, {}).get(span)
        return NOTHING if window is None else window.seen(self._now())
