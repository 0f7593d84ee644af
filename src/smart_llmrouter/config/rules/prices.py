"""Several prices of a model follow one another, each from when it is in force."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.providers import Price

_FROM: Final = "effective_from"


def prices_follow_one_another(
    document: Document, settings: Settings
) -> Iterator[Finding]:
    """Yield an error for each price that has no time of its own, or none after it.

    And for each of long calls that is not of longer ones than the one before it.
    """
    for path, prices in _several(settings):
        yield from _disorder(document, path, prices)
    for path, price in _each(settings):
        yield from _tiers(document, path, price)


def prices_are_in_force(
    document: Document, settings: Settings, today: date
) -> Iterator[Finding]:
    """Yield a warning for each model of which no price is in force `today`."""
    for provider, fields in settings.providers.items():
        for key, model in fields.models.items():
            begins = model.prices[0].effective_from if model.prices else None
            if begins is None or begins.date() <= today:
                continue
            index = (0,) if isinstance(model.price, tuple) else ()
            yield document.warning(
                ("providers", provider, "models", key, "price", *index, _FROM),
                f"no price is in force until {_said(begins)}: what calls cost before is"
                " unknown",
                "put the price of today before it, without effective_from",
            )


def _several(settings: Settings) -> Iterator[tuple[KeyPath, Sequence[Price]]]:
    for provider, fields in settings.providers.items():
        for key, model in fields.models.items():
            if isinstance(model.price, tuple):
                yield ("providers", provider, "models", key, "price"), model.price


def _each(settings: Settings) -> Iterator[tuple[KeyPath, Price]]:
    for provider, fields in settings.providers.items():
        for key, model in fields.models.items():
            path = ("providers", provider, "models", key, "price")
            for index, price in enumerate(model.prices):
                place = (index,) if isinstance(model.price, tuple) else ()
                yield (*path, *place), price


def _tiers(document: Document, path: KeyPath, price: Price) -> Iterator[Finding]:
    for index, (shorter, longer) in enumerate(pairwise(price.above), start=1):
        if longer.input_tokens <= shorter.input_tokens:
            yield document.error(
                (*path, "above", index, "input_tokens"),
                f"the price before it is of calls above {shorter.input_tokens} tokens",
                "put them in the order of the length, each once",
            )


def _disorder(
    document: Document, path: KeyPath, prices: Sequence[Price]
) -> Iterator[Finding]:
    latest = prices[0].effective_from
    for index, price in enumerate(prices[1:], start=1):
        begins = price.effective_from
        if begins is None:
            yield document.error(
                (*path, index),
                "the price is in force at the same time as the one before it",
                "give it effective_from, or put it first",
            )
        elif latest is not None and begins <= latest:
            same = begins == latest
            yield document.error(
                (*path, index, _FROM),
                f"another price is in force from {_said(begins)}, too"
                if same
                else f"the price before it is in force from later on, {_said(latest)}",
                "remove one of them" if same else "put the earlier one first",
            )
        latest = begins or latest


def _said(moment: datetime) -> str:
    text = moment.isoformat().replace("+00:00", "Z")
    return text.removesuffix("T00:00:00Z")
