"""What is seen of a target over a window."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Group, StrategyName
from smart_llmrouter.routing.observations import (
    JUDGED,
    NOTHING,
    SCORED,
    Observation,
    Observations,
    Seen,
    Span,
    judged,
    scored,
)
from tests.support.clock import Clock
from tests.support.targets import target

LABEL = "acme/mini"
SPAN = Span(600.0, 64)


def book(clock: Clock, *, most: int = 64) -> Observations:
    """Return the observations of one target."""
    return Observations(clock, {LABEL: [Span(600.0, most)]})


def seen_of(*noted: Observation, clock: Clock | None = None) -> Seen:
    """Return the figures after these attempts."""
    observations = book(clock or Clock())
    for each in noted:
        observations.note(LABEL, each)
    return observations.seen(LABEL, SPAN)


def test_nothing_is_known_of_a_target_that_was_not_called() -> None:
    """Unknown is not zero, and neither are targets that nobody asks about."""
    observations = book(Clock())
    observations.note("other/mini", Observation(None, 1.0))

    assert observations.seen(LABEL, SPAN) == NOTHING
    assert observations.seen(LABEL, Span(60.0, 64)) == NOTHING
    assert observations.seen("other/mini", SPAN) == NOTHING
    assert observations.notes == 0
    assert list(observations.labels) == [LABEL]


def test_figures_come_from_the_attempts_that_can_tell() -> None:
    """Means are of those that have the figure; refusals say nothing of the speed."""
    seen = seen_of(
        Observation(None, 2.0, 0.5, 150),
        Observation(None, 4.0, 1.5, 50),
        Observation(None, 1.0, None, 100),
        Observation("upstream_server_error", 0.01),
        Observation("upstream_first_event_timeout", 60.0),
    )

    assert (seen.attempts, seen.failures, seen.timeouts) == (5, 2, 1)
    assert seen.first_event_s == 1.0
    assert seen.output_tokens == 100
    assert seen.tokens_per_s == 300 / (1.5 + 2.5 + 1.0)
    assert seen.p95_latency_s == 60.0


@pytest.mark.parametrize(
    "error_class",
    ["upstream_connect_timeout", "upstream_timeout", "upstream_idle_timeout"],
)
def test_every_time_out_is_one(error_class: str) -> None:
    """Whatever phase it was in, it took too long."""
    assert seen_of(Observation(error_class, 1.0)).timeouts == 1


def test_an_answer_that_came_at_once_has_no_speed() -> None:
    """All of its events came together, so nobody knows how quickly it was written."""
    seen = seen_of(Observation(None, 2.0, 1.9999, 400), Observation(None, 2.0, 1.0, 0))

    assert seen.tokens_per_s is None
    assert seen.output_tokens == 200


@pytest.mark.parametrize(("calls", "p95_s"), [(1, 1), (19, 19), (20, 19), (100, 95)])
def test_95_of_100_answers_are_as_quick(calls: int, p95_s: float) -> None:
    """The 95th percentile is that of the answers in the window."""
    latencies = [float(n) for n in range(1, calls + 1)]
    random.Random(1).shuffle(latencies)

    observations = book(Clock(), most=100)
    for latency_s in latencies:
        observations.note(LABEL, Observation(None, latency_s))

    seen = observations.seen(LABEL, Span(600.0, 100))
    assert seen.p95_latency_s == p95_s


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """Attempt by attempt, and without any other coming in."""
    clock = Clock()
    observations = book(clock)
    observations.note(LABEL, Observation("upstream_server_error", 1.0))
    clock.now_s += 300
    observations.note(LABEL, Observation(None, 2.0, 1.0, 7))

    counts = []
    for _ in range(3):
        seen = observations.seen(LABEL, SPAN)
        counts.append((seen.attempts, seen.failures))
        clock.now_s += 300

    assert counts == [(2, 1), (1, 0), (0, 0)]
    assert observations.seen(LABEL, SPAN) == NOTHING


def test_a_target_that_turns_slow_shows_after_a_few_calls() -> None:
    """However many quick answers there were before, of the same minutes."""
    clock = Clock()
    observations = book(clock)
    for _ in range(10_000):
        observations.note(LABEL, Observation(None, 0.1))

    for _ in range(4):
        observations.note(LABEL, Observation(None, 5.0))

    seen = observations.seen(LABEL, SPAN)
    assert seen.p95_latency_s == 5.0
    assert seen.attempts == 64


def test_as_many_attempts_are_held_as_a_group_wants_to_see() -> None:
    """A group that judges by more than the usual number can have them."""
    usual, many = policies.Dynamic(), policies.Dynamic(min_observations=5000)

    assert (scored(usual).most, judged(usual).most) == (SCORED, JUDGED)
    assert (scored(many).most, judged(many).most) == (5000, 5000)


def group(
    strategy: StrategyName,
    *names: str,
    dynamic: policies.Dynamic | None = None,
    thresholds: policies.Thresholds | None = None,
) -> Group:
    """Return a group of these targets."""
    return Group(
        name="chat",
        aliases=(),
        strategy=strategy,
        targets=tuple(target(name) for name in names),
        max_attempts=3,
        first_event_timeout_s=60,
        dynamic=dynamic or policies.Dynamic(),
        thresholds=thresholds,
    )


def test_only_what_somebody_looks_at_is_kept() -> None:
    """Groups with thresholds and those that score; each over its own window."""
    usual, short = policies.Dynamic(), policies.Dynamic(window_s=60)
    observations = Observations.for_groups(
        [
            group("failover", "x", "a"),
            group("dynamic", "a", "b"),
            group("dynamic", "b", dynamic=short),
            group("failover", "c", thresholds=policies.Thresholds(max_error_rate=1)),
        ],
        Clock(),
    )
    labels = [f"{name}/mini" for name in "xabc"]
    for label in labels:
        observations.note(label, Observation(None, 1.0))

    found = {
        (label, span)
        for label in labels
        for span in (scored(usual), scored(short), judged(usual), judged(short))
        if observations.seen(label, span) != NOTHING
    }

    assert found == {
        ("a/mini", scored(usual)),
        ("b/mini", scored(usual)),
        ("b/mini", scored(short)),
        ("c/mini", judged(usual)),
    }
    assert set(observations.labels) == {"a/mini", "b/mini", "c/mini"}


OBSERVATIONS = st.builds(
    Observation,
    st.sampled_from([None, None, "upstream_timeout", "upstream_server_error"]),
    st.floats(0, 1000),
    st.none() | st.floats(0, 1000),
    st.none() | st.integers(0, 100_000),
)


@given(st.lists(st.tuples(OBSERVATIONS, st.floats(0, 200)), max_size=90))
def test_sums_that_are_kept_up_are_those_of_what_is_left(
    noted: list[tuple[Observation, float]],
) -> None:
    """After any coming and going, the figures are as if counted anew."""
    clock = Clock()
    observations = Observations(clock, {LABEL: [SPAN]})
    left: list[tuple[float, Observation]] = []
    for observation, pause_s in noted:
        observations.note(LABEL, observation)
        left.append((clock.now_s, observation))
        clock.now_s += pause_s

    recent = [each for at_s, each in left if at_s > clock.now_s - SPAN.window_s]

    assert observations.seen(LABEL, SPAN) == seen_of(*recent[-SPAN.most :])
