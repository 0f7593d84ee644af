"""The scores of `dynamic`: how good each target is beside the others, from 0 to 1.

A score is the mean of its terms, weighted by the group's settings; a term whose weight
is 0 is not looked at. What each term is worth:

    latency       the lowest 95th percentile of whole answers / its own
    first_token   the shortest mean time to the first meaningful event / its own
    throughput    its output tokens a second / the highest
    reliability   (1 - share of attempts that failed or took too long) squared
    price         the lowest price for what is asked / its own
    quality       the `quality` that the configuration gives its model

What was not observed of a target counts as 0.5, so that it neither wins nor loses by
it; what was observed of none is left out. Where no term is left, each score is 0.5. A
price or a quality that the configuration does not tell counts as 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.config.policies import ScoreWeights
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.decisions import Term
from smart_llmrouter.routing.observations import Seen
from smart_llmrouter.routing.ordering import Score

NOT_SEEN: Final = 0.5

Figures = Sequence[float | None]


class Known(msgspec.Struct, frozen=True):
    """What is known of a target: its settings, and what was seen of it lately.

    `at_ms` is the time, in milliseconds since 1970 UTC, whose price it has.
    """

    target: Target
    seen: Seen
    at_ms: int = 0


def score_all(
    known: Sequence[Known], weights: ScoreWeights, *, input_share: float
) -> list[Score]:
    """Score targets beside each other.

    `input_share` is how much of all tokens of the call is input, from 0 to 1.
    """
    figures = {
        name: [_FIGURES[name](each, input_share) for each in known]
        for name in _VALUES
        if getattr(weights, name) > 0
    }
    told = {
        name: column
        for name, column in figures.items()
        if any(figure is not None for figure in column)
    }
    total = sum(getattr(weights, name) for name in told)
    columns = [
        _terms(name, column, weight=getattr(weights, name) / total)
        for name, column in told.items()
    ]
    return [
        _score(each.seen.attempts, tuple(column[row] for column in columns))
        for row, each in enumerate(known)
    ]


def dollars_per_million(
    target: Target, *, input_share: float, at_ms: int = 0
) -> float | None:
    """Return what a million tokens cost, `input_share` of them input; `None`: unknown.

    This is for comparing; what is charged is counted in `core.money`.
    """
    price = None if target.price is None else target.price.at(at_ms)
    if price is None or price.input is None or price.output is None:
        return None
    given = input_share * price.input.usd_per_million
    return given + (1 - input_share) * price.output.usd_per_million


def _terms(name: str, figures: Figures, *, weight: float) -> list[Term]:
    """Return one term of every target's score."""
    return [
        Term(name, value, weight, weight * value, figure)
        for value, figure in zip(_VALUES[name](figures), figures, strict=True)
    ]


def _score(observations: int, terms: tuple[Term, ...]) -> Score:
    value = sum(term.contribution for term in terms) if terms else NOT_SEEN
    return Score(value, observations, terms)


def _failed(each: Known, _: float) -> float | None:
    seen = each.seen
    return seen.failures / seen.attempts if seen.attempts else None


def _price(each: Known, input_share: float) -> float | None:
    return dollars_per_million(each.target, input_share=input_share, at_ms=each.at_ms)


_FIGURES: Final[Mapping[str, Callable[[Known, float], float | None]]] = {
    "latency": lambda each, _: each.seen.p95_latency_s,
    "first_token": lambda each, _: each.seen.first_event_s,
    "throughput": lambda each, _: each.seen.tokens_per_s,
    "reliability": _failed,
    "price": _price,
    "quality": lambda each, _: each.target.quality,
}


def _lower_is_better(figures: Figures, unknown: float = NOT_SEEN) -> list[float]:
    best = min((each for each in figures if each is not None), default=0.0)
    return [
        unknown if each is None else best / each if each > 0 else 1.0
        for each in figures
    ]


def _higher_is_better(figures: Figures) -> list[float]:
    best = max((each for each in figures if each is not None), default=0.0)
    return [
        NOT_SEEN if each is None else each / best if best > 0 else 1.0
        for each in figures
    ]


def _twice_without_failing(figures: Figures) -> list[float]:
    return [NOT_SEEN if each is None else (1 - each) ** 2 for each in figures]


def _cheaper_is_better(figures: Figures) -> list[float]:
    return _lower_is_better(figures, unknown=0.0)


def _as_told(figures: Figures) -> list[float]:
    return [each or 0.0 for each in figures]


_VALUES: Final[Mapping[str, Callable[[Figures], list[float]]]] = {
    "latency": _lower_is_better,
    "first_token": _lower_is_better,
    "throughput": _higher_is_better,
    "reliability": _twice_without_failing,
    "price": _cheaper_is_better,
    "quality": _as_told,
}
