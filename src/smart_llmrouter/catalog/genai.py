"""Published prices, as the package `genai-prices` knows them.

It is maintained by others, and it bundles its figures: nothing is asked over a network.
Which provider it is, is said by the host of the `base_url`; where that is nobody's, by
the name that the provider has in the configuration, or else by the model alone.

What serves does not import this module: the package is large, and need not be there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import Final

from genai_prices.data import providers
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from smart_llmrouter.catalog.published import (
    Found,
    Parts,
    Published,
    Sureness,
    Tiers,
)

PACKAGE: Final = "genai-prices"
_PARTS: Final[Mapping[str, str]] = {
    "input_mtok": "input_per_million",
    "cache_read_mtok": "cached_input_per_million",
    "cache_write_mtok": "cache_write_per_million",
    "cache_write_1h_mtok": "cache_write_1h_per_million",
    "output_mtok": "output_per_million",
    "output_reasoning_mtok": "reasoning_per_million",
    "input_image_mtok": "image_input_per_million",
}
"""What the package calls a part of a price, and how the configuration does."""
_DAY: Final = re.compile(r"\b20\d{2}-\d{2}-\d{2}\b")


class GenaiPrices:
    """Finds the published price of a model: a `published.Catalog`."""

    def __init__(self, now: datetime) -> None:
        """Read the package's figures, as of `now`."""
        self._providers: list[Provider] = providers
        self._now = now
        self.name = f"{PACKAGE} {version(PACKAGE)}"
        """Which figures these are."""

    @property
    def as_of(self) -> date | None:
        """The newest day before tomorrow that the figures speak of.

        They are at least as new; the package does not say when they were read.
        """
        today = self._now.date()
        return max((day for day in self._days() if day <= today), default=None)

    def find(self, *, provider: str, base_url: str, model: str) -> Found:
        """Find a model of the provider that has this name and this URL.

        `candidates` are empty where nobody of them has the model.
        """
        at_host = [
            each for each in self._providers if re.match(each.api_pattern, base_url)
        ]
        if at_host:
            return self._found("sure", at_host, model)
        named = [each for each in self._providers if each.id == provider]
        found = self._found("likely", named, model)
        if found.candidates:
            return found
        makers_first = sorted(
            self._providers,
            key=lambda each: (
                each.model_match is None or not each.model_match.is_match(model.lower())
            ),
        )
        return self._found("guess", makers_first, model)

    def _found(
        self, sureness: Sureness, asked: Sequence[Provider], model: str
    ) -> Found:
        found = []
        for provider in asked:
            known = provider.find_model(model.lower(), all_providers=self._providers)
            if known is not None:
                found.append(self._published(provider, known))
        return Found(sureness=sureness, candidates=tuple(found))

    def _published(self, provider: Provider, model: ModelInfo) -> Published:
        price = model.get_prices(self._now)
        return Published(
            provider=provider.id,
            model=model.id,
            url=provider.pricing_urls[0] if provider.pricing_urls else None,
            parts=_parts(price),
            above=_above(price),
            later=tuple(self._later(model)),
            caveats=tuple(_caveats(model)),
            uncounted=tuple(sorted(_given(price).keys() - _PARTS.keys())),
        )

    def _later(self, model: ModelInfo) -> Iterator[tuple[date, Parts, Tiers]]:
        for begins, price in sorted(_dated(model), key=lambda dated: dated[0]):
            if datetime.combine(begins, time(), UTC) > self._now:
                yield begins, _parts(price), _above(price)

    def _days(self) -> Iterator[date]:
        for provider in self._providers:
            yield from _days_in(provider.price_comments)
            for model in provider.models:
                yield from _days_in(model.price_comments)
                yield from (begins for begins, _ in _dated(model))


def _dated(model: ModelInfo) -> Iterator[tuple[date, ModelPrice]]:
    """Yield the prices that begin on a day."""
    prices = model.prices if isinstance(model.prices, list) else []
    for each in prices:
        if isinstance(each.constraint, StartDateConstraint):
            yield each.constraint.start_date, each.prices


def _days_in(text: str | None) -> Iterator[date]:
    for found in _DAY.findall(text or ""):
        try:
            yield date.fromisoformat(found)
        except ValueError:
            continue


def _parts(price: ModelPrice) -> Parts:
    """Return the parts that the configuration has a key for, without their tiers."""
    values = vars(price)
    return {
        key: value.base if isinstance(value, TieredPrices) else value
        for name, key in _PARTS.items()
        if isinstance(value := values.get(name), (Decimal, TieredPrices))
    }


def _above(price: ModelPrice) -> Tiers:
    """Return what differs in calls of more input tokens."""
    found: dict[int, dict[str, Decimal]] = {}
    for name, key in _PARTS.items():
        value = vars(price).get(name)
        for tier in value.tiers if isinstance(value, TieredPrices) else ():
            found.setdefault(tier.start, {})[key] = tier.price
    return tuple(sorted(found.items()))


def _given(price: ModelPrice) -> dict[str, object]:
    return {name: value for name, value in vars(price).items() if value is not None}


def _caveats(model: ModelInfo) -> Iterator[str]:
    """Say of which calls the parts do not hold."""
    prices = model.prices if isinstance(model.prices, list) else []
    if any(isinstance(each.constraint, TimeOfDateConstraint) for each in prices):
        yield "it changes with the hour of the day, and is counted as it is now"
