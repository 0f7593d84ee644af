"""Prices times tokens: the parts, and what is known of their total."""

from decimal import Decimal

import pytest

from smart_llmrouter.core.money import Price, Rate, divide_half_even, nusd_from_usd
from smart_llmrouter.core.usage import UNKNOWN_COST, UNKNOWN_USAGE, Cost, Usage, cost_of


def rate(usd: str) -> Rate:
    """Return the rate of a price in dollars per million tokens."""
    return Rate.per_million(Decimal(usd))


PRICE = Price(
    input=rate("0.25"), cached_input=rate("0.025"), output=rate("2"), fingerprint="f"
)


def test_all_parts() -> None:
    """Cached tokens are taken out of the input, and priced by themselves."""
    usage = Usage(input_tokens=1000, cached_input_tokens=400, output_tokens=10)

    assert cost_of(usage, PRICE) == Cost(
        input_nusd=150_000, cached_input_nusd=10_000, output_nusd=20_000,
        total_nusd=180_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (UNKNOWN_USAGE, UNKNOWN_COST),
        (Usage(input_tokens=4), Cost(input_nusd=1000)),
        (Usage(output_tokens=1), Cost(output_nusd=2000)),
        (Usage(cached_input_tokens=4), UNKNOWN_COST),
        (
            Usage(input_tokens=0, output_tokens=0),
            Cost(input_nusd=0, output_nusd=0, total_nusd=0),
        ),
    ],
)
def test_unknown_parts(usage: Usage, cost: Cost) -> None:
    """Absent is not zero: a total needs both parts."""
    assert cost_of(usage, PRICE) == cost


def test_without_a_price_nothing_is_known() -> None:
    """A target without a price has costs that nobody knows."""
    assert cost_of(Usage(input_tokens=1, output_tokens=1), None) == UNKNOWN_COST


def test_more_cached_tokens_than_input() -> None:
    """A provider that counts wrongly cannot make a part negative."""
    cost = cost_of(Usage(input_tokens=10, cached_input_tokens=99), PRICE)

    assert (cost.input_nusd, cost.cached_input_nusd) == (0, 250)


def test_cached_input_without_a_price_costs_what_input_costs() -> None:
    """A missing discount is no discount."""
    price = Price(input=rate("1"), cached_input=None, output=None, fingerprint="f")

    cost = cost_of(Usage(input_tokens=10, cached_input_tokens=4), price)

    assert (cost.input_nusd, cost.cached_input_nusd) == (6000, 4000)


@pytest.mark.parametrize(
    ("numerator", "denominator", "result"),
    [(0, 2, 0), (1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 3, 2), (8, 3, 3), (7, 2, 4)],
)
def test_half_even(numerator: int, denominator: int, result: int) -> None:
    """A half goes to the even neighbour."""
    assert divide_half_even(numerator, denominator) == result


@pytest.mark.parametrize(
    ("usd", "nusd"),
    [("1", 10**9), ("0.0000000005", 0), ("0.0000000015", 2), ("1e-99999", 0)],
)
def test_dollars(usd: str, nusd: int) -> None:
    """Dollars become nano-dollars in no time, however they are spelt."""
    assert nusd_from_usd(Decimal(usd)) == nusd


@pytest.mark.parametrize("usd", ["1e999999", "Infinity", "sNaN"])
def test_what_is_no_amount(usd: str) -> None:
    """An amount that is none is refused at once."""
    with pytest.raises(ArithmeticError):
        nusd_from_usd(Decimal(usd))
