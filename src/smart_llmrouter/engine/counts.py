"""What a tally holds at one moment: a value that can be sent, stored and added up."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Self, TypeVar

import msgspec

from smart_llmrouter.engine.tally import Histogram, Tally

K = TypeVar("K", bound=Hashable)


class Durations(msgspec.Struct, frozen=True):
    """A histogram: counts per bucket, and their sum in microseconds."""

    counts: list[int]
    sum_us: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a tally, with its labels; none of them ever goes down.

    `openings` (of circuits) and `capacity_refusals` are by target, and not the tally's,
    and neither are `queue_endings` and `cache_drops`: whoever makes a report adds them.
    """

    calls: dict[tuple[str, int, bool], int] = {}
    errors: dict[tuple[str, str], int] = {}
    tokens: dict[tuple[str, str], int] = {}
    attempts: dict[tuple[str, str], int] = {}
    refusals: dict[str, int] = {}
    cost_nusd: dict[str, int] = {}
    unwritable: int = 0
    openings: dict[str, int] = {}
    capacity_refusals: dict[str, int] = {}
    latency: dict[str, Durations] = {}
    first_token: dict[str, Durations] = {}
    connections_refused: dict[str, int] = {}
    auth_failures: dict[str, int] = {}
    throttled: int = 0
    limit_refusals: dict[str, int] = {}
    budget_warnings: dict[str, int] = {}
    reservation_tokens: dict[str, int] = {}
    reservation_nusd: dict[str, int] = {}
    queue_endings: dict[str, int] = {}
    queue_waits: dict[str, Durations] = {}
    cache: dict[tuple[str, str], int] = {}
    cache_drops: dict[str, int] = {}

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """Return what `tally` holds now."""
        reserved = tally.reservations
        return cls(
            calls=tally.calls,
            errors=tally.errors,
            tokens=tally.tokens,
            attempts=dict(tally.attempts),
            refusals=dict(tally.refusals),
            cost_nusd=tally.cost_nusd,
            unwritable=tally.unwritable,
            latency=_frozen(tally.latency),
            first_token=_frozen(tally.first_token),
            connections_refused=dict(tally.connections_refused),
            auth_failures=dict(tally.auth_failures),
            throttled=tally.throttled,
            limit_refusals=dict(tally.limit_refusals),
            budget_warnings=dict(tally.budget_warnings),
            reservation_tokens=_told(reserved.reserved_tokens, reserved.used_tokens),
            reservation_nusd=_told(reserved.reserved_nusd, reserved.used_nusd),
            queue_waits=_frozen(tally.queue_waits),
            cache=dict(tally.cache),
        )

    @classmethod
    def sum(cls, several: Iterable["Counts"]) -> "Counts":
        """Return all of them added up."""
        total = cls()
        for each in several:
            total = total.plus(each)
        return total

    def plus(self, other: "Counts") -> "Counts":
        """Return both added up."""
        return Counts(
            calls=_added(self.calls, other.calls),
            errors=_added(self.errors, other.errors),
            tokens=_added(self.tokens, other.tokens),
            attempts=_added(self.attempts, other.attempts),
            refusals=_added(self.refusals, other.refusals),
            cost_nusd=_added(self.cost_nusd, other.cost_nusd),
            unwritable=self.unwritable + other.unwritable,
            openings=_added(self.openings, other.openings),
            capacity_refusals=_added(self.capacity_refusals, other.capacity_refusals),
            latency=_added_durations(self.latency, other.latency),
            first_token=_added_durations(self.first_token, other.first_token),
            connections_refused=_added(
                self.connections_refused, other.connections_refused
            ),
            auth_failures=_added(self.auth_failures, other.auth_failures),
            throttled=self.throttled + other.throttled,
            limit_refusals=_added(self.limit_refusals, other.limit_refusals),
            budget_warnings=_added(self.budget_warnings, other.budget_warnings),
            reservation_tokens=_added(
                self.reservation_tokens, other.reservation_tokens
            ),
            reservation_nusd=_added(self.reservation_nusd, other.reservation_nusd),
            queue_endings=_added(self.queue_endings, other.queue_endings),
            queue_waits=_added_durations(self.queue_waits, other.queue_waits),
            cache=_added(self.cache, other.cache),
            cache_drops=_added(self.cache_drops, other.cache_drops),
        )


def _told(reserved: int, used: int) -> dict[str, int]:
    told = {"reserved": reserved, "used": used}
    return told if reserved or used else {}


def _frozen(histograms: Mapping[str, Histogram]) -> dict[str, Durations]:
    return {
        group: Durations(list(histogram.counts), histogram.sum_us)
        for group, histogram in histograms.items()
    }


def _added(one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


def _added_durations(
    one: Mapping[str, Durations], other: Mapping[str, Durations]
) -> dict[str, Durations]:
    both = {**one, **other}
    for group in one.keys() & other.keys():
        first, second = one[group], other[group]
        both[group] = Durations(
            [sum(pair) for pair in zip(first.counts, second.counts, strict=True)],
            first.sum_us + second.sum_us,
        )
    return both
