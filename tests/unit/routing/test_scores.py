"""What each term of a score is worth."""

from dataclasses import replace

import pytest

from smart_llmrouter.config.policies import ScoreWeights
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.routing.observations import NOTHING, Seen
from smart_llmrouter.routing.scores import Known, dollars_per_million, score_all
from tests.support.targets import price, target

NONE = ScoreWeights(latency=0, first_token=0, throughput=0, reliability=0)
QUICK = Seen(20, 0, 0, 1.0, 0.2, 100.0, 50.0)
SLOW = Seen(20, 10, 5, 4.0, 0.8, 25.0, 50.0)


def values_of(
    name: str, *known: tuple[Target, Seen], input_share: float = 0.5
) -> list[tuple[float, float | None]]:
    """Return what a term is worth for each target, and what it comes from."""
    only = replace(NONE, **{name: 0.4})
    scores = score_all([Known(*each) for each in known], only, input_share=input_share)
    assert all([term.name for term in score.terms] == [name] for score in scores)
    return [(score.terms[0].value, score.terms[0].observed) for score in scores]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("latency", [(1.0, 1.0), (0.25, 4.0), (0.5, None)]),
        ("first_token", [(1.0, 0.2), (0.25, 0.8), (0.5, None)]),
        ("throughput", [(1.0, 100.0), (0.25, 25.0), (0.5, None)]),
        ("reliability", [(1.0, 0.0), (0.25, 0.5), (0.5, None)]),
    ],
)
def test_what_was_observed_is_held_against_the_best(
    name: str, values: list[tuple[float, float | None]]
) -> None:
    """Half as good is worth half; reliability is squared; unknown is in between."""
    targets = [(target("a"), QUICK), (target("b"), SLOW), (target("c"), NOTHING)]

    assert values_of(name, *targets) == values


def test_a_figure_of_nothing_is_the_best_time_and_the_worst_speed() -> None:
    """No division by zero, whatever was measured."""
    still = Seen(1, 0, 0, 0.0, 0.0, 0.0, 0.0)
    targets = [(target("a"), QUICK), (target("b"), still)]

    assert [value for value, _ in values_of("latency", *targets)] == [0.0, 1.0]
    assert [value for value, _ in values_of("throughput", *targets)] == [1.0, 0.0]
    assert [value for value, _ in values_of("throughput", targets[1])] == [1.0]


@pytest.mark.parametrize(
    ("input_share", "dollars"),
    [(1.0, [1.0, 2.0]), (0.0, [10.0, 4.0]), (0.5, [5.5, 3.0])],
)
def test_the_price_is_that_of_such_a_call(
    input_share: float, dollars: list[float]
) -> None:
    """Who is cheaper depends on how much of a call is input; no price is the worst."""
    targets = [
        (target("a", costs=price("1", "10")), NOTHING),
        (target("b", costs=price("2", "4")), NOTHING),
        (target("c"), NOTHING),
    ]

    found = values_of("price", *targets, input_share=input_share)

    assert [observed for _, observed in found] == [*dollars, None]
    assert [value for value, _ in found] == [
        *(min(dollars) / each for each in dollars),
        0.0,
    ]


def test_free_is_the_cheapest() -> None:
    """A price of nothing is one, and nobody else is near it."""
    targets = [
        (target("a", costs=price("0", "0")), NOTHING),
        (target("b", costs=price("1", "1")), NOTHING),
    ]

    assert values_of("price", *targets) == [(1.0, 0.0), (0.0, 1.0)]


def test_half_a_price_is_none() -> None:
    """What output costs must be known, too."""
    half = Price(input=Rate(1, 1), cached_input=None, output=None, fingerprint="0")

    assert dollars_per_million(target("a", costs=half), input_share=0.9) is None


def test_quality_is_what_the_configuration_says() -> None:
    """Nothing said is nothing promised."""
    targets = [(target("a", quality=0.8), NOTHING), (target("b"), NOTHING)]

    assert values_of("quality", *targets) == [(0.8, 0.8), (0.0, None)]


def test_what_was_observed_of_nobody_is_left_out() -> None:
    """It says nothing, and would only make the others count for less."""
    plain = Seen(20, 0, 0, 1.0)
    weights = ScoreWeights(
        latency=0.3, first_token=0.2, throughput=0.1, reliability=0.2
    )
    known = [Known(target("a"), plain), Known(target("b"), NOTHING)]

    scores = score_all(known, weights, input_share=0.5)

    assert {term.name: term.weight for term in scores[0].terms} == pytest.approx(
        {"latency": 0.6, "reliability": 0.4}
    )
    assert [score.value for score in scores] == [1.0, 0.5]


def test_a_score_is_the_weighted_mean_of_its_terms() -> None:
    """Contributions add up to it, weights to 1; terms of weight 0 are left out."""
    weights = ScoreWeights(
        latency=0.3, first_token=0.0, throughput=0.1, reliability=0.4
    )
    known = [Known(target("a"), QUICK), Known(target("b"), SLOW)]

    best, other = score_all(known, weights, input_share=0.5)

    assert [term.name for term in best.terms] == [
        "latency",
        "throughput",
        "reliability",
    ]
    assert sum(term.weight for term in best.terms) == pytest.approx(1)
    assert best.value == pytest.approx(1)
    assert other.value == pytest.approx(0.25)
    assert other.value == sum(term.contribution for term in other.terms)
    assert (best.observations, other.observations) == (20, 20)


def test_without_any_term_nobody_is_better() -> None:
    """Then all scores are in between."""
    known = [Known(target("a"), QUICK), Known(target("b"), SLOW)]

    scores = score_all(known, NONE, input_share=0.5)

    assert [(score.value, score.terms) for score in scores] == [(0.5, ()), (0.5, ())]
