"""What models cost, from when to when."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.config.check import check
from smart_llmrouter.config.load import Loaded
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.show import show
from smart_llmrouter.core.money import FOREVER_MS, Price, Rate
from tests.support.configuration import ENVIRONMENT, SMALL, changed, loaded

OLD: Final = "{input_per_million: 0.25, output_per_million: 2.00}"
LINE: Final = SMALL.splitlines().index(f"        price: {OLD}") + 1
SECOND: Final = (
    "{effective_from: 2027-01-01, input_per_million: 1, output_per_million: 4}"
)
THIRD: Final = (
    "{effective_from: '2027-02-01T08:00:00+08:00', input_per_million: 2,"
    " output_per_million: 8, reasoning_per_million: 9, image_input_per_million: 3,"
    " image_per_image: 0.001}"
)
JANUARY_MS: Final = 1_798_761_600_000
FEBRUARY_MS: Final = 1_801_440_000_000


def listed(*prices: str) -> str:
    """Return a configuration in which the model has these prices."""
    return changed(f" {OLD}", "".join(f"\n        - {price}" for price in prices))


def price_of(outcome: Loaded) -> Price:
    """Return the price of the one target."""
    assert outcome.snapshot is not None, outcome.findings
    price = outcome.snapshot.groups["chat"].targets[0].price
    assert price is not None
    return price


def errors(text: str) -> list[tuple[int, str]]:
    """Return the line and the place of each error."""
    return [
        (found.line, found.key_path)
        for found in loaded(text).findings
        if found.is_error
    ]


def test_a_list_of_prices() -> None:
    """Each is in force until the next one is."""
    first = price_of(loaded(listed(OLD, SECOND, THIRD)))

    assert (first.input, first.until_ms) == (Rate(250, 1), JANUARY_MS)
    second = first.at(JANUARY_MS)
    assert (second.input, second.until_ms) == (Rate(1000, 1), FEBRUARY_MS)
    third = first.at(FEBRUARY_MS)
    assert (third.input, third.output) == (Rate(2000, 1), Rate(8000, 1))
    assert (third.reasoning, third.image_input) == (Rate(9000, 1), Rate(3000, 1))
    assert third.image == Rate.each(Decimal("0.001")) == Rate(1_000_000, 1)
    assert (third.until_ms, third.after) == (FOREVER_MS, None)
    names = {each.fingerprint for each in (first, second, third)}
    assert len(names) == 3


def test_a_list_of_one_is_that_price() -> None:
    """How it is written makes no difference to the price."""
    assert price_of(loaded(listed(OLD))) == price_of(loaded(SMALL))


def test_before_the_first_price_none_is_known() -> None:
    """No calls are priced by what is not in force yet."""
    before = price_of(loaded(changed(OLD, SECOND)))

    assert (before.input, before.output, before.fingerprint) == (None, None, None)
    assert before.at(JANUARY_MS).input == Rate(1000, 1)


def test_the_fingerprint_of_a_price_outlives_new_keys() -> None:
    """What is not given of them is not part of it."""
    assert price_of(loaded(SMALL)).fingerprint == "price_90887773043021206bee0222"


@pytest.mark.parametrize(
    ("prices", "found"),
    [
        ((SECOND, OLD), [(LINE + 2, "price[1]")]),
        ((OLD, OLD), [(LINE + 2, "price[1]")]),
        ((OLD, SECOND, SECOND), [(LINE + 3, "price[2].effective_from")]),
        ((OLD, THIRD, SECOND), [(LINE + 3, "price[2].effective_from")]),
        ((OLD, "{effective_from: soon}"), [(LINE + 2, "price[1].effective_from")]),
        (
            (OLD, "{effective_from: 2027-01-01T08:00:00}"),
            [(LINE + 2, "price[1].effective_from")],
        ),
        ((OLD, "{output: 1}"), [(LINE + 2, "price[1].output")]),
        (("3",), [(LINE + 1, "price[0]")]),
    ],
)
def test_prices_that_do_not_follow_one_another(
    prices: tuple[str, ...], found: list[tuple[int, str]]
) -> None:
    """Each mistake is told with its line and its place."""
    place = "providers.acme.models.mini."

    assert errors(listed(*prices)) == [(line, place + path) for line, path in found]


@pytest.mark.parametrize("wrong", ["[]", "free", "{output: 1}", "{as_of: never}"])
def test_a_price_that_is_none(wrong: str) -> None:
    """What the one form has against it is told as before."""
    (found,) = errors(changed(OLD, wrong))

    assert found[0] == LINE
    assert found[1].startswith("providers.acme.models.mini.price")


def test_a_price_that_is_not_in_force_yet() -> None:
    """Where today is known, a gap before the first price is a warning."""
    reading = read_bytes(listed(SECOND).encode(), file="router.yaml")
    assert reading.document is not None

    told = {
        day: [
            (found.severity, found.line, found.message)
            for found in check(
                reading.document,
                environment=ENVIRONMENT,
                beside=Path("/nowhere"),
                today=day,
            ).findings
            if found.key_path.endswith("effective_from")
        ]
        for day in (date(2026, 12, 31), date(2027, 1, 1))
    }

    assert told[date(2027, 1, 1)] == []
    assert told[date(2026, 12, 31)] == [
        (
            "warning",
            LINE + 1,
            "no price is in force until 2027-01-01: what calls cost before is unknown",
        )
    ]


def test_a_list_is_shown_as_a_list() -> None:
    """The effective configuration says from when each is in force."""
    settings = loaded(listed(OLD, SECOND)).settings
    assert settings is not None

    text = show(settings, file="router.yaml")

    assert "- input_per_million: 0.25\n" in text
    assert "effective_from: 2027-01-01" in text


TIERS: Final = (
    "{input_per_million: 1, cached_input_per_million: 0.1, output_per_million: 4,"
    " above: [{input_tokens: 100, input_per_million: 2},"
    " {input_tokens: 200, output_per_million: 9}]}"
)


def test_long_calls_have_a_price_of_their_own() -> None:
    """What is not given of it is as of shorter ones."""
    price = price_of(loaded(changed(OLD, TIERS)))

    found = [price.for_input(tokens) for tokens in (100, 101, 201)]

    assert [(each.input, each.cached_input, each.output) for each in found] == [
        (Rate(1000, 1), Rate(100, 1), Rate(4000, 1)),
        (Rate(2000, 1), Rate(100, 1), Rate(4000, 1)),
        (Rate(2000, 1), Rate(100, 1), Rate(9000, 1)),
    ]
    assert {each.fingerprint for each in found} == {price.fingerprint}


def test_prices_of_long_calls_stand_in_their_order() -> None:
    """A length that is not above the one before it is an error, with its line."""
    wrong = TIERS.replace("200", "100")

    place = "providers.acme.models.mini.price.above[1].input_tokens"
    assert errors(changed(OLD, wrong)) == [(LINE, place)]
    assert errors(listed(OLD, SECOND[:-1] + wrong[wrong.index(", above") :])) == [
        (LINE + 2, place.replace("price", "price[1]"))
    ]
