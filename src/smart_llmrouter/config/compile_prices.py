"""Compiles what a model costs, from when to when."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from smart_llmrouter.config.fingerprint import price_fingerprint
from smart_llmrouter.config.schema import providers
from smart_llmrouter.core.money import FOREVER_MS, Price, Rate

_MS_PER_S: Final = 1000


def compile_price(prices: Sequence[providers.Price]) -> Price | None:
    """Return the first of the prices of a model, and after it the others.

    Before the first one comes into force, none is known.
    """
    after: Price | None = None
    until_ms = FOREVER_MS
    for price in reversed(prices):
        after = _price(price, until_ms=until_ms, after=after)
        if price.effective_from is None:
            return after
        until_ms = _ms(price.effective_from)
    if after is None:
        return None
    return Price(
        input=None,
        cached_input=None,
        output=None,
        fingerprint=None,
        until_ms=until_ms,
        after=after,
    )


def _price(price: providers.Price, *, until_ms: int, after: Price | None) -> Price:
    return Price(
        input=_rate(price.input_per_million),
        cached_input=_rate(price.cached_input_per_million),
        output=_rate(price.output_per_million),
        fingerprint=price_fingerprint(price),
        cache_write=_rate(price.cache_write_per_million),
        cache_write_1h=_rate(price.cache_write_1h_per_million),
        reasoning=_rate(price.reasoning_per_million),
        image_input=_rate(price.image_input_per_million),
        image=(
            None if price.image_per_image is None else Rate.each(price.image_per_image)
        ),
        effective_from_ms=(
            None if price.effective_from is None else _ms(price.effective_from)
        ),
        source=price.source,
        as_of=None if price.as_of is None else price.as_of.isoformat(),
        until_ms=until_ms,
        after=after,
    )


def _rate(usd: Decimal | None) -> Rate | None:
    return None if usd is None else Rate.per_million(usd)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * _MS_PER_S)
