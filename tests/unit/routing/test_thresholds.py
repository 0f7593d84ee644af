"""Targets that were worse lately than their group asks for."""

import random

import pytest

from smart_llmrouter.config.policies import Dynamic, Thresholds
from smart_llmrouter.routing.observations import Observation, Observations, judged
from smart_llmrouter.routing.thresholds import ThresholdCheck
from tests.support.clock import Clock
from tests.support.targets import target

TARGETS = (target("acme"),)
LABEL = TARGETS[0].label
GOOD = Observation(None, 1.0)
FAILED = Observation("upstream_server_error", 0.1)
LATE = Observation("upstream_first_event_timeout", 60.0)
SLOW = Observation(None, 9.0)


def observed(clock: Clock, *noted: tuple[Observation, int]) -> Observations:
    """Return what was seen of one target."""
    observations = Observations(clock, {LABEL: [judged(Dynamic())]})
    for observation, times in noted:
        for _ in range(times):
            observations.note(LABEL, observation)
    return observations


def never_exploring() -> float:
    """Draw what lets nobody in."""
    return 0.99


@pytest.mark.parametrize(
    ("noted", "thresholds", "codes"),
    [
        ([(GOOD, 18), (FAILED, 2)], Thresholds(max_error_rate=0.1), ()),
        (
            [(GOOD, 17), (FAILED, 3)],
            Thresholds(max_error_rate=0.1),
            ("threshold-error-rate",),
        ),
        ([(GOOD, 16), (FAILED, 3)], Thresholds(max_error_rate=0.1), ()),
        ([(GOOD, 10), (FAILED, 10)], Thresholds(max_timeout_rate=0.1), ()),
        (
            [(GOOD, 17), (LATE, 3)],
            Thresholds(max_timeout_rate=0.1),
            ("threshold-timeout-rate",),
        ),
        ([(GOOD, 19), (SLOW, 1)], Thresholds(max_p95_latency_ms=5000), ()),
        (
            [(GOOD, 18), (SLOW, 2)],
            Thresholds(max_p95_latency_ms=5000),
            ("threshold-p95-latency",),
        ),
        ([(SLOW, 20)], Thresholds(max_p95_latency_ms=9000), ()),
        ([(FAILED, 20)], Thresholds(max_p95_latency_ms=1), ()),
        (
            [(LATE, 20)],
            Thresholds(max_error_rate=0, max_timeout_rate=0, max_p95_latency_ms=1),
            (
                "threshold-error-rate",
                "threshold-timeout-rate",
                "threshold-p95-latency",
            ),
        ),
        ([(LATE, 20)], Thresholds(), ()),
        ([], Thresholds(max_error_rate=0, max_p95_latency_ms=0), ()),
    ],
)
def test_thresholds(
    noted: list[tuple[Observation, int]],
    thresholds: Thresholds,
    codes: tuple[str, ...],
) -> None:
    """What is above its bound has a code; too few observations judge nobody."""
    observations = observed(Clock(), *noted)
    check = ThresholdCheck(Dynamic(), observations, never_exploring)

    assert check.breached(LABEL, thresholds) == codes


def test_a_target_that_is_left_out_is_tried_now_and_then() -> None:
    """In the exploring share of the calls it is let in, or it could not recover."""
    check = ThresholdCheck(
        Dynamic(explore=0.05), observed(Clock(), (FAILED, 20)), random.Random(1).random
    )

    let_in = sum(
        not check.lapsed(TARGETS, Thresholds(max_error_rate=0.5)) for _ in range(20_000)
    )

    assert 0.04 < let_in / 20_000 < 0.06


def test_a_target_that_recovers_finds_its_way_back() -> None:
    """With what it answers when it is let in, long before its failures are old."""
    clock, chance = Clock(), random.Random(2)
    observations = observed(clock, (FAILED, 20))
    check = ThresholdCheck(Dynamic(explore=0.05), observations, chance.random)
    thresholds = Thresholds(max_error_rate=0.5)

    for _ in range(2000):
        clock.now_s += 0.1
        if not check.lapsed(TARGETS, thresholds):
            observations.note(LABEL, GOOD)

    assert not any(check.lapsed(TARGETS, thresholds) for _ in range(100))


def test_what_was_long_ago_is_not_held_against_anybody() -> None:
    """Without any further call, the window forgets."""
    clock = Clock()
    check = ThresholdCheck(Dynamic(), observed(clock, (FAILED, 20)), never_exploring)
    thresholds = Thresholds(max_error_rate=0.5)

    before, clock.now_s = check.lapsed(TARGETS, thresholds), clock.now_s + 600

    assert before == {LABEL: ("threshold-error-rate",)}
    assert check.lapsed(TARGETS, thresholds) == {}
