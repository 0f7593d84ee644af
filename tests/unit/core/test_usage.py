"""Prices times tokens: the parts, and what is known of their total."""

from decimal import Decimal

import pytest

from smart_llmrouter.core.money import Price, Rate, divide_half_even, nusd_from_usd
from smart_llmrouter.core.usage import (
    UNKNOWN_COST,
    UNKNOWN_USAGE,
    CacheWrites,
    Cost,
    InputParts,
    Usage,
    additive_usage,
    cost_of,
    input_parts,
    later,
)


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


def test_an_invoice_with_cache_writes() -> None:
    """Each token is paid once: at the input's price, 0.1, 1.25 or 2 times of it."""
    price = Price(
        input=rate("3"),
        cached_input=rate("0.3"),
        output=rate("15"),
        fingerprint="f",
        cache_write=rate("3.75"),
        cache_write_1h=rate("6"),
    )
    usage = additive_usage(
        uncached_tokens=21,
        read_tokens=188_086,
        writes=CacheWrites(total=7_368, for_5m=5_000, for_1h=2_368),
        output_tokens=393,
    )

    cost = cost_of(usage, price)

    assert usage.input_tokens == 21 + 188_086 + 7_368
    assert cost == Cost(
        input_nusd=63_000,
        cached_input_nusd=56_425_800,
        cache_write_nusd=18_750_000 + 14_208_000,
        output_nusd=5_895_000,
        total_nusd=95_341_800,
    )


@pytest.mark.parametrize(
    ("short", "long", "nusd"),
    [(None, None, 2000), ("2", None, 4000), (None, "3", 4000), ("2", "3", 5000)],
)
def test_writes_without_a_price(short: str | None, long: str | None, nusd: int) -> None:
    """A write costs what input costs, one for an hour as much as for five minutes."""
    price = Price(
        input=rate("1"),
        cached_input=None,
        output=rate("1"),
        fingerprint="f",
        cache_write=None if short is None else rate(short),
        cache_write_1h=None if long is None else rate(long),
    )
    usage = Usage(
        input_tokens=2,
        cache_write_5m_tokens=1,
        cache_write_1h_tokens=1,
        output_tokens=0,
    )

    assert cost_of(usage, price).cache_write_nusd == nusd


@pytest.mark.parametrize(
    ("short", "long", "nusd"),
    [(None, None, None), (0, 0, 0), (0, None, 0), (None, 0, 0), (None, 1, 250)],
)
def test_no_writes_are_free_and_unknown_ones_unknown(
    short: int | None, long: int | None, nusd: int | None
) -> None:
    """What a provider says nothing of has no cost, not even none."""
    usage = Usage(
        input_tokens=4,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=0,
    )

    cost = cost_of(usage, PRICE)

    assert cost.cache_write_nusd == nusd
    assert cost.total_nusd == 1000


def test_parts_of_an_input_that_is_unknown() -> None:
    """They are unknown, whatever else was said."""
    assert input_parts(Usage(cached_input_tokens=4)) is None


def test_parts_that_are_more_than_their_sum() -> None:
    """A provider that counts wrongly makes no part negative."""
    usage = Usage(
        input_tokens=10,
        cached_input_tokens=6,
        cache_write_5m_tokens=7,
        cache_write_1h_tokens=3,
    )

    parts = input_parts(usage)

    assert parts == InputParts(uncached=0, read=6, write_5m=1, write_1h=3)


@pytest.mark.parametrize(
    ("writes", "known", "split"),
    [
        (CacheWrites(), (None, None), (None, None)),
        (CacheWrites(total=0), (None, None), (0, 0)),
        (CacheWrites(total=30), (None, None), (30, 0)),
        (CacheWrites(total=30, for_5m=0, for_1h=0), (None, None), (30, 0)),
        (CacheWrites(total=30, for_5m=10, for_1h=20), (None, None), (10, 20)),
        (CacheWrites(total=30, for_1h=20), (None, None), (10, 20)),
        (CacheWrites(for_1h=20), (None, None), (0, 20)),
        (CacheWrites(total=5, for_5m=10, for_1h=20), (None, None), (10, 20)),
        (CacheWrites(), (10, 20), (10, 20)),
        (CacheWrites(total=30), (10, 20), (10, 20)),
        (CacheWrites(total=40), (10, 20), (20, 20)),
        (CacheWrites(total=0, for_5m=0, for_1h=0), (10, 20), (10, 20)),
    ],
)
def test_writes_are_split_by_lifetime(
    writes: CacheWrites,
    known: tuple[int | None, int | None],
    split: tuple[int | None, int | None],
) -> None:
    """An old field takes nothing from a new one, nor a new one from an old."""
    earlier = Usage(cache_write_5m_tokens=known[0], cache_write_1h_tokens=known[1])

    assert writes.split(earlier) == split


def test_a_last_report_without_cache_counters_takes_none_away() -> None:
    """Reads and writes told at the start of a stream are in the sum at its end."""
    started = additive_usage(
        uncached_tokens=5,
        read_tokens=100,
        writes=CacheWrites(total=30, for_5m=10, for_1h=20),
        output_tokens=1,
    )

    ended = additive_usage(uncached_tokens=7, output_tokens=40, known=started)
    only_output = additive_usage(uncached_tokens=None, output_tokens=50, known=ended)

    assert ended == Usage(
        input_tokens=137,
        cached_input_tokens=100,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=20,
        output_tokens=40,
    )
    assert (only_output.input_tokens, only_output.output_tokens) == (137, 50)


def test_zeros_at_the_start_or_the_end_wipe_nothing() -> None:
    """Counts of one call only grow: what fell to 0 was not counted that time."""
    zeros = additive_usage(
        uncached_tokens=0, read_tokens=0, writes=CacheWrites(total=0), output_tokens=0
    )
    counted = additive_usage(
        uncached_tokens=5,
        read_tokens=6,
        writes=CacheWrites(total=7),
        output_tokens=8,
        known=zeros,
    )

    again = additive_usage(
        uncached_tokens=0,
        read_tokens=0,
        writes=CacheWrites(total=0),
        output_tokens=0,
        known=counted,
    )

    assert zeros.input_tokens == 0
    assert (counted.input_tokens, counted.cache_write_1h_tokens) == (18, 0)
    assert again == counted


def test_input_that_nobody_said_stays_unknown() -> None:
    """The reads alone are no sum."""
    usage = additive_usage(uncached_tokens=None, read_tokens=4, output_tokens=1)

    assert usage == Usage(cached_input_tokens=4, output_tokens=1)


def test_a_later_report_wins_and_wipes_nothing() -> None:
    """Each field is the last that was said of it."""
    known = Usage(
        input_tokens=10, cached_input_tokens=4, cache_write_5m_tokens=2, output_tokens=1
    )

    merged = later(known, Usage(input_tokens=11, output_tokens=5, reasoning_tokens=3))

    assert merged == Usage(
        input_tokens=11,
        cached_input_tokens=4,
        cache_write_5m_tokens=2,
        output_tokens=5,
        reasoning_tokens=3,
    )
    assert later(UNKNOWN_USAGE, known) is known


def test_an_estimate_gives_way_to_a_report() -> None:
    """And it stays an estimate as long as a part of it is one."""
    guess = Usage(input_tokens=100, output_tokens=9, estimated=True)

    half = later(guess, Usage(output_tokens=5))
    whole = later(guess, Usage(input_tokens=90, output_tokens=5))

    assert half == Usage(input_tokens=100, output_tokens=5, estimated=True)
    assert whole == Usage(input_tokens=90, output_tokens=5)


def test_an_estimate_fills_only_gaps() -> None:
    """What the provider said before its stream broke off stays as it was said."""
    known = Usage(input_tokens=90, cached_input_tokens=80)

    filled = later(known, Usage(input_tokens=100, output_tokens=9, estimated=True))
    full = later(filled, Usage(output_tokens=7, estimated=True))

    assert filled == Usage(
        input_tokens=90, cached_input_tokens=80, output_tokens=9, estimated=True
    )
    assert full.output_tokens == 7


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
