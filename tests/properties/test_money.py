"""Costs add up exactly: rounded half-even once a part, and never by way of a float."""

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.money import (
    NUSD_PER_USD,
    Price,
    Rate,
    divide_half_even,
    nusd_from_usd,
)
from smart_llmrouter.core.usage import (
    UNKNOWN_USAGE,
    CacheWrites,
    Usage,
    additive_usage,
    cost_of,
    input_parts,
    later,
)

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


COUNTS = st.none() | TOKENS
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cached_input_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    reported_cost_nusd=COUNTS,
    estimated=st.booleans(),
)
WRITES = st.builds(CacheWrites, total=COUNTS, for_5m=COUNTS, for_1h=COUNTS)
ADDITIVE = st.fixed_dictionaries(
    {
        "uncached_tokens": COUNTS,
        "read_tokens": COUNTS,
        "writes": WRITES,
        "output_tokens": COUNTS,
    }
)


@given(USAGES)
def test_the_parts_of_the_input_sum_to_it(usage: Usage) -> None:
    """Uncached, read and written tokens are the input, whatever a provider says."""
    parts = input_parts(usage)

    if parts is None:
        assert usage.input_tokens is None
    else:
        every = (parts.uncached, parts.read, parts.write_5m, parts.write_1h)
        assert sum(every) == usage.input_tokens
        assert min(every) >= 0


@given(USAGES, PRICES)
def test_a_cache_is_billed_as_on_the_invoice(usage: Usage, usd: Decimal) -> None:
    """A read is a tenth of the input's price, a write 1.25 times or twice of it."""
    rates = [
        Rate.per_million(usd * Decimal(times)) for times in ("1", "0.1", "1.25", "2")
    ]
    price = Price(
        input=rates[0],
        cached_input=rates[1],
        output=Rate.per_million(usd * 5),
        fingerprint="f",
        cache_write=rates[2],
        cache_write_1h=rates[3],
    )

    cost, parts = cost_of(usage, price), input_parts(usage)

    if parts is None:
        assert cost.input_nusd is cost.cache_write_nusd is None
        return
    every = (parts.uncached, parts.read, parts.write_5m, parts.write_1h)
    uncached, read, short, long = (
        rate.cost_nusd(tokens) for rate, tokens in zip(rates, every, strict=True)
    )
    written = cost.cache_write_nusd or 0
    assert (cost.input_nusd, cost.cached_input_nusd or 0) == (uncached, read)
    assert written == short + long
    if usage.output_tokens is not None:
        assert cost.total_nusd == uncached + read + written + (cost.output_nusd or 0)


@given(st.lists(ADDITIVE, min_size=1, max_size=5))
def test_additive_reports_only_grow_together(
    reports: list[dict[str, int | CacheWrites | None]],
) -> None:
    """After any sequence of reports the parts are what was said, and sum exactly."""
    usage = UNKNOWN_USAGE

    for report in reports:
        before = usage
        usage = additive_usage(**report, known=usage)  # type: ignore[arg-type]  # by name

        parts = input_parts(usage)
        assert parts is not None or usage.input_tokens is None
        if parts is not None:
            assert parts.read == (usage.cached_input_tokens or 0)
            assert parts.write_5m == (usage.cache_write_5m_tokens or 0)
            assert parts.write_1h == (usage.cache_write_1h_tokens or 0)
            assert parts.uncached == (
                report["uncached_tokens"]
                or getattr(input_parts(before), "uncached", None)
                or 0
            )


@given(USAGES, USAGES)
def test_a_later_report_never_wipes_a_count(known: Usage, reported: Usage) -> None:
    """What either said is there, and reported counts are the reported ones."""
    merged = later(known, reported)

    for name in ("input_tokens", "cached_input_tokens", "output_tokens"):
        one, other = getattr(known, name), getattr(reported, name)
        assert getattr(merged, name) in {one, other}
        assert (getattr(merged, name) is None) == (one is None and other is None)
        if not reported.estimated and other is not None:
            assert getattr(merged, name) == other


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


def rounded(exact: Fraction) -> int:
    """Round half to even, as the language does for fractions."""
    return round(exact)


def exactly(usd_per_million: Decimal, tokens: int) -> Fraction:
    """Return what tokens cost in nano-dollars, as a fraction."""
    return Fraction(usd_per_million) * 1000 * tokens


WHOLE_USAGES = st.builds(
    Usage,
    input_tokens=TOKENS,
    cached_input_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    output_tokens=TOKENS,
    reasoning_tokens=COUNTS,
    image_tokens=COUNTS,
)
MAYBE = st.none() | PRICES


@given(
    usage=WHOLE_USAGES,
    images=st.integers(0, 1000),
    usd=st.fixed_dictionaries(
        {
            "input": PRICES,
            "output": PRICES,
            "cached_input": MAYBE,
            "cache_write": MAYBE,
            "cache_write_1h": MAYBE,
            "reasoning": MAYBE,
            "image_input": MAYBE,
            "image": MAYBE,
        }
    ),
)
def test_all_kinds_of_tokens_and_images_add_up(
    usage: Usage, images: int, usd: dict[str, Decimal | None]
) -> None:
    """Each part is its exact cost, rounded once, and the total their sum."""
    each = usd["image"]
    rates = {
        kind: None if value is None else Rate.per_million(value)
        for kind, value in usd.items()
        if kind != "image"
    }
    price = Price(
        **rates,  # type: ignore[arg-type]  # by name
        image=None if each is None else Rate.each(each),
        fingerprint="f",
    )

    cost = cost_of(usage, price, images)

    parts = invoice(usage, images, usd)
    assert cost.input_nusd == parts["input"]
    assert (cost.cached_input_nusd or 0) == parts["cached"]
    assert (cost.cache_write_nusd or 0) == parts["written"]
    assert cost.output_nusd == parts["output"]
    assert (cost.reasoning_nusd or 0) == parts.pop("reasoning")
    assert (cost.image_nusd or 0) == parts["images"]
    assert cost.total_nusd == cost.known_nusd == sum(parts.values())


@given(WHOLE_USAGES, st.integers(0, 5), TOKENS, PRICES)
def test_a_long_call_has_another_price(
    usage: Usage, images: int, above_tokens: int, usd: Decimal
) -> None:
    """All of it, and no other call."""
    short = Price(
        input=Rate.per_million(usd),
        cached_input=None,
        output=Rate.per_million(usd * 2),
        fingerprint="f",
        reasoning=Rate.per_million(usd * 3),
    )
    long = replace(short, input=Rate.per_million(usd * 5), cache_write=Rate(7, 2))
    price = replace(short, above=long, above_tokens=above_tokens)

    cost = cost_of(usage, price, images)

    is_long = (usage.input_tokens or 0) > above_tokens
    assert cost == cost_of(usage, long if is_long else short, images)


def invoice(
    usage: Usage, images: int, usd: dict[str, Decimal | None]
) -> dict[str, int]:
    """Count by fractions what is on the invoice, token by token."""
    read_in, made = usd["input"] or Decimal(0), usd["output"] or Decimal(0)
    short = read_in if usd["cache_write"] is None else usd["cache_write"]
    long = short if usd["cache_write_1h"] is None else usd["cache_write_1h"]
    left, taken = usage.input_tokens or 0, []
    for tokens in (
        usage.cached_input_tokens,
        usage.cache_write_1h_tokens,
        usage.cache_write_5m_tokens,
        usage.image_tokens,
    ):
        taken.append(min(tokens or 0, left))
        left -= taken[-1]
    cached, for_1h, for_5m, seen = taken
    output = usage.output_tokens or 0
    reasoned = min(usage.reasoning_tokens or 0, output)
    think = made if usd["reasoning"] is None else usd["reasoning"]
    in_one = rounded(exactly(made, output))
    in_two = rounded(exactly(made, output - reasoned)) + rounded(
        exactly(think, reasoned)
    )
    cached_usd = read_in if usd["cached_input"] is None else usd["cached_input"]
    image_usd = read_in if usd["image_input"] is None else usd["image_input"]
    return {
        "input": rounded(exactly(read_in, left)),
        "cached": rounded(exactly(cached_usd, cached)),
        "written": rounded(exactly(short, for_5m)) + rounded(exactly(long, for_1h)),
        "output": in_one if usd["reasoning"] is None else in_two,
        "reasoning": rounded(exactly(think, reasoned)),
        "images": rounded(exactly(image_usd, seen))
        + rounded(Fraction(usd["image"] or 0) * 10**9 * images),
    }
