"""Costs add up exactly: rounded half-even once a part, and never by way of a float."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.money import (
    NUSD_PER_USD,
    Price,
    Rate,
    divide_half_even,
    nusd_from_usd,
)
from smart_llmrouter.core.usage import Usage, cost_of

EXACT = Context(prec=200)
PRICES = st.decimals(0, 100_000, places=9, allow_nan=False, allow_infinity=False)
TOKENS = st.integers(0, 1_000_000_000)


def nearest(exact_nusd: Decimal) -> int:
    """Round half-even, as the standard library does."""
    return int(exact_nusd.quantize(Decimal(1), ROUND_HALF_EVEN, EXACT))


@given(TOKENS, PRICES)
def test_a_part_is_tokens_times_price(tokens: int, usd_per_million: Decimal) -> None:
    """The cost of a part is the exact product, rounded half-even once."""
    exact_nusd = EXACT.multiply(usd_per_million, Decimal(tokens * 1000))

    assert Rate.per_million(usd_per_million).cost_nusd(tokens) == nearest(exact_nusd)


@given(
    TOKENS,
    st.none() | TOKENS,
    TOKENS,
    PRICES,
    st.none() | PRICES,
    PRICES,
)
def test_the_total_is_the_sum_of_its_parts(
    input_tokens: int,
    cached_tokens: int | None,
    output_tokens: int,
    usd_input: Decimal,
    usd_cached: Decimal | None,
    usd_output: Decimal,
) -> None:
    """Cached tokens are part of the input, and each token is paid for once."""
    price = Price(
        input=Rate.per_million(usd_input),
        cached_input=None if usd_cached is None else Rate.per_million(usd_cached),
        output=Rate.per_million(usd_output),
        fingerprint="f",
    )
    usage = Usage(
        input_tokens=input_tokens,
        cached_input_tokens=cached_tokens,
        output_tokens=output_tokens,
    )

    cost = cost_of(usage, price)

    cached = min(cached_tokens or 0, input_tokens)
    cached_price = usd_input if usd_cached is None else usd_cached
    assert cost.input_nusd == nearest(usd_input * (input_tokens - cached) * 1000)
    assert cost.output_nusd == nearest(usd_output * output_tokens * 1000)
    assert cost.cached_input_nusd == (
        None if cached_tokens is None else nearest(cached_price * cached * 1000)
    )
    assert cost.total_nusd == (
        cost.input_nusd + (cost.cached_input_nusd or 0) + cost.output_nusd
    )


@given(
    st.builds(
        Usage,
        input_tokens=st.none() | TOKENS,
        cached_input_tokens=st.none() | TOKENS,
        output_tokens=st.none() | TOKENS,
    ),
    st.none() | PRICES.map(Rate.per_million),
    st.none() | PRICES.map(Rate.per_million),
)
def test_what_is_unknown_stays_unknown(
    usage: Usage, input_rate: Rate | None, output_rate: Rate | None
) -> None:
    """A total is known exactly where tokens and prices of both parts are."""
    price = Price(
        input=input_rate, cached_input=None, output=output_rate, fingerprint="f"
    )

    cost = cost_of(usage, price)

    input_known = usage.input_tokens is not None and input_rate is not None
    output_known = usage.output_tokens is not None and output_rate is not None
    assert (cost.input_nusd is not None) == input_known
    assert (cost.output_nusd is not None) == output_known
    assert (cost.total_nusd is not None) == (input_known and output_known)


@given(st.integers(0, 10**40), st.integers(1, 10**20))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    """The nearest integer, and of two equally near ones the even one."""
    result = divide_half_even(numerator, denominator)

    twice_off = 2 * (numerator - result * denominator)
    assert -denominator <= twice_off <= denominator
    assert abs(twice_off) != denominator or result % 2 == 0


@given(st.decimals(0, 1_000_000, places=15, allow_nan=False, allow_infinity=False))
def test_dollars_become_nano_dollars(usd: Decimal) -> None:
    """Half-even, once, and never by way of a float."""
    assert nusd_from_usd(usd) == nearest(EXACT.multiply(usd, Decimal(NUSD_PER_USD)))
