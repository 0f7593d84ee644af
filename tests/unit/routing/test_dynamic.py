"""The strategy `dynamic`: who gets the calls, by what was seen of them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config import policies
from smart_llmrouter.config.policies import ScoreWeights
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.dynamic import Dynamic
from smart_llmrouter.routing.observations import Observation, Observations, scored
from tests.support.clock import Clock
from tests.support.targets import needs, price, target

PLANS = 20_000
SEEDS = [1, 2, 3]
TURNS = 200


class Traffic:
    """Calls to targets that answer as quickly as the test says, and their strategy."""

    def __init__(
        self,
        *targets: Target,
        seed: int = 1,
        settings: policies.Dynamic | None = None,
        calls_per_s: float = 2.0,
    ) -> None:
        """Begin with nothing known of the targets."""
        self.clock = Clock()
        self.targets = targets
        self.settings = settings or policies.Dynamic()
        self._chance = random.Random(seed)
        self._pause_s = 1 / calls_per_s
        self.observations = Observations(
            self.clock, {each.label: [scored(self.settings)] for each in targets}
        )
        self.strategy = Dynamic(
            self.settings, self.observations, self._chance.random, now=self.clock
        )

    def first(self) -> str:
        """Return who is tried first now."""
        return self.strategy.order(self.targets, needs()).targets[0].provider.name

    def call(
        self,
        times: int,
        *,
        slower: Mapping[str, float] | None = None,
        failing: Mapping[str, float] | None = None,
        stream: bool = True,
    ) -> list[str]:
        """Make calls one after another; return who was called.

        `slower` are times by which a target is slower, `failing` shares of failures.
        """
        called = []
        for _ in range(times):
            self.clock.now_s += self._pause_s
            name = self.first()
            called.append(name)
            fails = self._chance.random() < (failing or {}).get(name, 0.0)
            latency_s = 2 * self._chance.lognormvariate(0, 0.4)
            latency_s *= (slower or {}).get(name, 1.0)
            self.observations.note(
                f"{name}/mini",
                Observation("upstream_server_error", 0.01)
                if fails
                else Observation(
                    None,
                    latency_s,
                    0.3 * latency_s if stream else None,
                    self._chance.randrange(50, 400),
                ),
            )
        return called

    def see(self, name: str, times: int, *, latency_s: float = 1.0) -> None:
        """Note attempts that all ended alike."""
        for _ in range(times):
            self.observations.note(f"{name}/mini", Observation(None, latency_s))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("calls_per_s", [2, 200])
@pytest.mark.parametrize(
    ("times", "stream"), [(10, True), (10, False), (4, True), (4, False)]
)
def test_traffic_leaves_a_target_that_turns_slow_and_comes_back(
    *, times: float, stream: bool, calls_per_s: float, seed: int
) -> None:
    """80 % of it has left within 200 calls; it is back once the target is as before."""
    traffic = Traffic(target("a"), target("b"), seed=seed, calls_per_s=calls_per_s)
    usual = traffic.call(1000, stream=stream)[-400:].count("a") / 400

    slowing = traffic.call(TURNS, slower={"a": times}, stream=stream)
    still = traffic.call(TURNS, slower={"a": times}, stream=stream).count("a") / TURNS
    traffic.call(2000, stream=stream)
    back = traffic.call(400, stream=stream).count("a") / 400

    assert 0.35 < usual < 0.65
    assert slowing[TURNS // 2 :].count("a") / (TURNS // 2) <= 0.2 * usual
    assert 0 < still <= 0.2 * usual
    assert back > 0.7 * usual


@pytest.mark.parametrize("seed", SEEDS)
def test_traffic_leaves_a_target_that_fails(seed: int) -> None:
    """Although nobody refuses as quickly."""
    traffic = Traffic(target("a"), target("b"), target("c"), seed=seed)
    traffic.call(600)

    called = traffic.call(2 * TURNS, failing={"a": 0.5})

    assert called[TURNS:].count("a") / TURNS <= 0.2 / 3


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_that_are_as_good_share_the_calls_by_weight(seed: int) -> None:
    """Scores that hardly differ move little."""
    traffic = Traffic(target("a", 3), target("b", 1), seed=seed)

    called = traffic.call(3000)

    assert 0.65 < called[-2000:].count("a") / 2000 < 0.85


def test_until_targets_are_known_weights_decide() -> None:
    """With one observation less than is asked for, chi-square sees only weights."""
    traffic = Traffic(target("a", 7), target("b", 2), target("c", 1))
    traffic.see("a", 19, latency_s=60.0)
    traffic.see("b", 19)
    traffic.see("c", 19)

    firsts = [traffic.first() for _ in range(PLANS)]

    expected = {"a": 0.7 * PLANS, "b": 0.2 * PLANS, "c": 0.1 * PLANS}
    distance = sum((firsts.count(name) - n) ** 2 / n for name, n in expected.items())
    assert distance < 13.82


def test_a_target_that_is_new_gets_its_share_and_no_more() -> None:
    """The others go on by their scores."""
    traffic = Traffic(target("a"), target("b"), target("c", 2))
    traffic.see("a", 20, latency_s=60.0)
    traffic.see("b", 20)

    firsts = [traffic.first() for _ in range(PLANS)]

    assert firsts.count("c") / PLANS == pytest.approx(0.5, abs=0.02)
    assert firsts.count("b") > 3 * firsts.count("a")


def test_the_others_follow_by_their_shares() -> None:
    """Whoever is first, the rest is in order; those without a weight are last."""
    traffic = Traffic(target("w", 0), target("a"), target("b"), target("c"))
    for name, latency_s in (("w", 0.1), ("a", 4.0), ("b", 1.0), ("c", 2.0)):
        traffic.see(name, 20, latency_s=latency_s)

    orders = {
        tuple(
            each.provider.name
            for each in traffic.strategy.order(traffic.targets, needs()).targets
        )
        for _ in range(2000)
    }

    assert orders == {
        ("b", "c", "a", "w"),
        ("c", "b", "a", "w"),
        ("a", "b", "c", "w"),
    }


def test_without_any_weight_scores_alone_decide() -> None:
    """All are equal then, and nobody is last for it."""
    traffic = Traffic(target("a", 0), target("b", 0))
    traffic.see("a", 20, latency_s=60.0)
    traffic.see("b", 20)

    firsts = [traffic.first() for _ in range(1000)]

    assert firsts.count("b") > 900


def test_every_score_is_told_with_its_terms() -> None:
    """Also those of targets that are not known well enough yet."""
    traffic = Traffic(target("a"), target("b"))
    traffic.see("a", 30, latency_s=2.0)

    scores = traffic.strategy.order(traffic.targets, needs()).scores

    assert scores.keys() == {"a/mini", "b/mini"}
    assert scores["a/mini"].observations == 30
    assert [
        (term.name, round(term.value, 3), term.observed)
        for term in scores["a/mini"].terms
    ] == [
        ("latency", 1.0, 2.0),
        ("reliability", 1.0, 0.0),
    ]
    assert scores["b/mini"].value == 0.5


def test_what_was_worked_out_is_used_until_more_was_seen() -> None:
    """A few calls, a moment while any come in, or a second: then it is done anew."""
    traffic = Traffic(target("a"), target("b"))
    counts = []

    def look() -> None:
        scores = traffic.strategy.order(traffic.targets, needs()).scores
        counts.append(scores["a/mini"].observations)

    look()
    traffic.see("a", 31)
    look()
    traffic.see("a", 1)
    look()
    traffic.see("a", 1)
    traffic.clock.now_s += 0.04
    look()
    traffic.clock.now_s += 0.02
    look()
    traffic.clock.now_s += 600
    look()

    assert counts == [0, 0, 32, 32, 33, 0]


def test_only_so_many_sets_of_targets_are_remembered() -> None:
    """Targets come and go; what is held for them is bounded."""
    targets = [target(f"t{place}") for place in range(9)]
    traffic = Traffic(*targets)

    for subset in range(1, 2**9):
        some = [each for place, each in enumerate(targets) if subset >> place & 1]
        assert len(traffic.strategy.order(some, needs()).targets) == len(some)

    assert len(traffic.strategy._tables) <= 256


def cheapest(wanted: Requirements, output_tokens: int | None) -> str:
    """Return who gets such calls, where only prices count."""
    settings = policies.Dynamic(
        explore=0.0,
        min_observations=1,
        weights=ScoreWeights(
            latency=0, first_token=0, throughput=0, reliability=0, price=1
        ),
    )
    traffic = Traffic(
        target("reader", costs=price("1", "40")),
        target("writer", costs=price("4", "10")),
        settings=settings,
    )
    for each in traffic.targets:
        traffic.observations.note(
            each.label, Observation(None, 1.0, None, output_tokens)
        )
    traffic.strategy.order(traffic.targets, wanted)
    ordering = traffic.strategy.order(traffic.targets, wanted)
    assert ordering.scores[ordering.targets[0].label].value == 1
    return ordering.targets[0].provider.name


@pytest.mark.parametrize(
    ("words", "output_tokens", "name"),
    [
        (10, None, "writer"),
        (10, 4000, "writer"),
        (5000, 20, "reader"),
        (5000, None, "reader"),
        (5000, 100_000, "writer"),
    ],
)
def test_the_price_is_that_of_the_call(
    words: int, output_tokens: int | None, name: str
) -> None:
    """Long requests go where input is cheap; answers are as long as they used to be."""
    body = b'{"messages":[{"role":"user","content":"' + b"word " * words + b'"}]}'

    assert cheapest(needs(body), output_tokens) == name


def test_an_image_is_not_as_long_as_its_data() -> None:
    """A megabyte of base64 is some thousands of tokens, not a quarter of a million."""
    image = b'{"type":"image_url","image_url":{"url":"data:' + b"A" * 2**20 + b'"}}'
    body = b'{"messages":[{"role":"user","content":[' + image + b"]}]}"
    wanted = Requirements(body=body, dialect="openai-chat", image_data=1)

    assert cheapest(wanted, 20_000) == "writer"
    assert cheapest(needs(body), 20_000) == "reader"


def test_nobody_is_left_to_order() -> None:
    """No eligible target is no fault of a strategy."""
    traffic = Traffic(target("a"))

    assert list(traffic.strategy.order([], needs()).targets) == []


def named(rows: Sequence[tuple[int, float]]) -> list[Target]:
    """Return targets with these weights."""
    return [target(f"t{place}", weight) for place, (weight, _) in enumerate(rows)]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 100), st.floats(0.01, 100)), min_size=1, max_size=20
    ),
    noted=st.lists(st.tuples(st.integers(0, 19), st.booleans()), max_size=300),
    settings=st.builds(
        policies.Dynamic,
        explore=st.floats(0, 1),
        max_adjustment=st.floats(0, 1),
        min_observations=st.integers(1, 30),
    ),
    left=st.sets(st.integers(0, 19)),
    point=st.floats(0, 1, exclude_max=True),
)
def test_nobody_is_planned_who_is_not_eligible(
    rows: list[tuple[int, float]],
    noted: list[tuple[int, bool]],
    settings: policies.Dynamic,
    left: set[int],
    point: float,
) -> None:
    """Whatever was seen, every eligible target is tried once and no other one is."""
    targets = named(rows)
    clock = Clock()
    observations = Observations(
        clock, {each.label: [scored(settings)] for each in targets}
    )
    for place, failed in noted:
        if place < len(rows):
            error = "upstream_server_error" if failed else None
            observations.note(f"t{place}/mini", Observation(error, rows[place][1]))
    eligible = [each for place, each in enumerate(targets) if place not in left]
    strategy = Dynamic(settings, observations, lambda: point, now=clock)

    ordering = strategy.order(eligible, needs())

    planned = [each.label for each in ordering.targets]
    assert sorted(planned) == sorted(each.label for each in eligible)
    assert set(ordering.scores) == set(planned)
    weighed = [bool(each.weight) for each in ordering.targets]
    assert weighed == sorted(weighed, reverse=True)
    assert all(0 <= score.value <= 1 + 1e-9 for score in ordering.scores.values())


def test_the_price_that_is_in_force_is_compared() -> None:
    """From the moment on at which another one is, the other target is better."""
    cheap_for_now = replace(price("1", "1"), until_ms=5_000, after=price("9", "9"))
    targets = (target("a", costs=cheap_for_now), target("b", costs=price("3", "3")))
    settings = policies.Dynamic(weights=ScoreWeights(price=1), explore=0)
    clock, wall = Clock(), Clock(4.9)
    observations = Observations(
        clock, {each.label: [scored(settings)] for each in targets}
    )
    strategy = Dynamic(settings, observations, lambda: 0.0, now=clock, wall=wall)

    before = strategy.order(targets, needs()).scores
    wall.turn(0.1)
    clock.turn(2)
    after = strategy.order(targets, needs()).scores

    assert before["a/mini"].value > before["b/mini"].value
    assert after["a/mini"].value < after["b/mini"].value
