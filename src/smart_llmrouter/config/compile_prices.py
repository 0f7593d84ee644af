"""Compiles what a model costs, from when to when."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from smart_llmrouter.config.fingerprint import price_fingerprint
from smart_llmrouter.config.schema import providers
from smart_llmrouter.core.money import FOREVER_MS, Price, Rate

_MS_PER_S: Final = 1000
_Rates = Mapping[str, Rate | None]


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
    """Compile one price, and what it is of long calls: as of shorter ones, but for."""
    known = [_rates(price)]
    for tier in price.above:
        own = {part: rate for part, rate in _rates(tier).items() if rate is not None}
        known.append({**known[-1], **own})
    above, above_tokens = None, FOREVER_MS
    for tier, rates in zip(reversed(price.above), reversed(known[1:]), strict=True):
        above = _with_rates(price, rates, above=above, above_tokens=above_tokens)
        above_tokens = tier.input_tokens
    first = _with_rates(price, known[0], above=above, above_tokens=above_tokens)
    return replace(first, until_ms=until_ms, after=after)


def _rates(price: providers.Price | providers.LongPrice) -> _Rates:
    return {
        "input": _rate(price.input_per_million),
        "cached_input": _rate(price.cached_input_per_million),
        "output": _rate(price.output_per_million),
        "cache_write": _rate(price.cache_write_per_million),
        "cache_write_1h": _rate(price.cache_write_1h_per_million),
        "reasoning": _rate(price.reasoning_per_million),
        "image_input": _rate(price.image_input_per_million),
    }


def _with_rates(
    price: providers.Price, rates: _Rates, *, above: Price | None, above_tokens: int
) -> Price:
    return Price(
        input=rates["input"],
        cached_input=rates["cached_input"],
        output=rates["output"],
        fingerprint=price_fingerprint(price),
        cache_write=rates["cache_write"],
        cache_write_1h=rates["cache_write_1h"],
        reasoning=rates["reasoning"],
        image_input=rates["image_input"],
        image=(
            None if price.image_per_image is None else Rate.each(price.image_per_image)
        ),
        effective_from_ms=(
            None if price.effective_from is None else _ms(price.effective_from)
        ),
        source=price.source,
        as_of=None if price.as_of is None else price.as_of.isoformat(),
        above=above,
        above_tokens=above_tokens,
    )


def _rate(usd: Decimal | None) -> Rate | None:
    return None if usd is None else Rate.per_million(usd)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * _MS_PER_S)
