"""What reasoning and images cost, and which of several prices is in force."""

from decimal import Decimal

import pytest

from smart_llmrouter.core.money import Price, Rate, reported_nusd
from smart_llmrouter.core.usage import Cost, Usage, cost_of


def priced(**more: Rate | None) -> Price:
    """Return a price of $2 and $8 for a million tokens, and what else is given."""
    usual = {"input": Rate(2000, 1), "cached_input": Rate(200, 1)}
    return Price(**{**usual, "output": Rate(8000, 1), **more}, fingerprint="f")  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("rate", "output_nusd", "reasoning_nusd"),
    [
        (None, 800_000, 480_000),
        (Rate(3000, 1), 40 * 8000 + 60 * 3000, 180_000),
        (Rate(0, 1), 320_000, 0),
    ],
)
def test_reasoning_is_a_part_of_the_output(
    rate: Rate | None, output_nusd: int, reasoning_nusd: int
) -> None:
    """It is paid once, as output where it has no price of its own."""
    usage = Usage(input_tokens=10, output_tokens=100, reasoning_tokens=60)

    cost = cost_of(usage, priced(reasoning=rate))

    assert (cost.output_nusd, cost.reasoning_nusd) == (output_nusd, reasoning_nusd)
    assert cost.total_nusd == 20_000 + output_nusd


def test_reasoning_is_never_more_than_the_output() -> None:
    """A provider that says so is paid for the output."""
    usage = Usage(input_tokens=0, output_tokens=5, reasoning_tokens=9)

    cost = cost_of(usage, priced(reasoning=Rate(3000, 1)))

    assert cost.output_nusd == cost.reasoning_nusd == cost.total_nusd == 15_000


@pytest.mark.parametrize(
    ("more", "images", "image_nusd", "total_nusd"),
    [
        ({}, 2, 80_000, 360_000),
        ({"image": Rate.each(Decimal("0.001"))}, 2, 2_080_000, 2_360_000),
        ({"image_input": Rate(5000, 1)}, 0, 200_000, 480_000),
        (
            {"image": Rate.each(Decimal("0.001")), "image_input": Rate(5000, 1)},
            1,
            1_200_000,
            1_480_000,
        ),
    ],
)
def test_images_are_paid_by_the_token_and_each(
    more: dict[str, Rate], images: int, image_nusd: int, total_nusd: int
) -> None:
    """Their tokens are taken out of the input, and an image may cost by itself."""
    usage = Usage(
        input_tokens=150, cached_input_tokens=10, output_tokens=10, image_tokens=40
    )

    cost = cost_of(usage, priced(**more), images)

    assert cost == Cost(
        input_nusd=200_000, cached_input_nusd=2_000, output_nusd=80_000,
        image_nusd=image_nusd, total_nusd=total_nusd + 2_000, has_rare_parts=True,
    )  # fmt: skip


def test_images_are_no_more_than_what_was_not_cached() -> None:
    """Each token of the input is paid once."""
    usage = Usage(
        input_tokens=50, cached_input_tokens=30, output_tokens=0, image_tokens=45
    )

    cost = cost_of(usage, priced(image_input=Rate(5000, 1)))

    assert (cost.input_nusd, cost.cached_input_nusd) == (0, 6_000)
    assert (cost.image_nusd, cost.total_nusd) == (100_000, 106_000)


def test_images_that_nobody_has_read_cost_nothing_that_is_known() -> None:
    """Where the usage is unknown, so is what images have cost."""
    price = priced(image=Rate.each(Decimal(1)))

    assert cost_of(Usage(), price, 3) == Cost()


def test_what_is_known_of_a_cost() -> None:
    """All parts that have a price, the reasoning once."""
    usage = Usage(input_tokens=10, output_tokens=10, reasoning_tokens=10)

    cost = cost_of(usage, priced(output=None, image=Rate(7, 1)), 2)

    assert (cost.total_nusd, cost.known_nusd) == (None, 20_014)
    assert cost_of(usage, priced()).known_nusd == 100_000


def test_which_price_is_in_force() -> None:
    """Each from its time on, to the millisecond."""
    third = priced()
    second = Price(
        input=None, cached_input=None, output=None, fingerprint="2", until_ms=20,
        after=third,
    )  # fmt: skip
    first = Price(
        input=None, cached_input=None, output=None, fingerprint="1", until_ms=10,
        after=second,
    )  # fmt: skip

    found = [first.at(ts_ms) for ts_ms in (0, 9, 10, 19, 20, 2**62)]

    assert found == [first, first, second, second, third, third]


def test_the_dearest_token_is_that_of_any_kind() -> None:
    """Reservations are made for the worst."""
    price = priced(image_input=Rate(9000, 1), reasoning=Rate(9500, 1))

    assert (price.dearest_input, price.dearest_output) == (Rate(9000, 1), Rate(9500, 1))
    assert price.dearest_nusd == (9000, 9500)


@pytest.mark.parametrize(
    ("usd", "ticks", "nusd"),
    [
        (None, None, None),
        (Decimal("0.5"), 7, 500_000_000),
        (Decimal(-1), 7, None),
        (None, 232_856_005, 23_285_600),
        (None, 232_856_015, 23_285_602),
        (None, 0, 0),
    ],
)
def test_what_a_provider_says(
    usd: Decimal | None, ticks: int | None, nusd: int | None
) -> None:
    """Dollars, or ticks of which ten are a nano-dollar: half to even."""
    assert reported_nusd(usd, ticks) == nusd


LONG = Price(
    input=Rate(2000, 1), cached_input=Rate(200, 1), output=Rate(8000, 1),
    fingerprint="f", above_tokens=100, image=Rate(7, 1),
    above=Price(
        input=Rate(4000, 1), cached_input=Rate(400, 1), output=Rate(12_000, 1),
        fingerprint="f", image=Rate(7, 1),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "images", "total_nusd"),
    [
        (Usage(input_tokens=100, output_tokens=10), 0, 280_000),
        (Usage(input_tokens=101, output_tokens=10), 0, 524_000),
        (Usage(input_tokens=101, cached_input_tokens=100, output_tokens=0), 0, 44_000),
        (Usage(input_tokens=101, output_tokens=1, reasoning_tokens=1), 0, 416_000),
        (Usage(input_tokens=101, output_tokens=0, image_tokens=60), 2, 404_014),
    ],
)
def test_all_of_a_long_call_has_its_own_price(
    usage: Usage, images: int, total_nusd: int
) -> None:
    """Not only what is above; what was cached counts for the length."""
    assert cost_of(usage, LONG, images).total_nusd == total_nusd
