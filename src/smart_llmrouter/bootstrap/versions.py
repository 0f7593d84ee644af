"""Writes down which configuration and which prices are in force from now on."""

from collections.abc import Iterator
from typing import Final

import structlog

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.ledger.journal_events import (
    Cause,
    ConfigVersion,
    PriceVersion,
    encode_event,
)
from smart_llmrouter.stores.journal import JournalUnwritable, JournalWriter

_MS_PER_S: Final = 1000
_MILLION: Final = 1_000_000

log = structlog.get_logger()


def write_versions(
    journal: JournalWriter, snapshot: Snapshot, *, cause: Cause, wall: WallClock
) -> None:
    """Write the versions of a configuration that has just taken effect.

    Where they cannot be written, calls are still told apart by their fingerprints: that
    is logged, and nothing else becomes of it.
    """
    ts_ms = int(wall() * _MS_PER_S)
    version = ConfigVersion(
        fingerprint=snapshot.fingerprint,
        ts_ms=ts_ms,
        router_version=read_build_info().version,
        cause=cause,
    )
    prices = price_versions(snapshot, ts_ms=ts_ms)
    try:
        journal.append(encode_event(version), *map(encode_event, prices))
    except JournalUnwritable as unwritable:
        log.warning("versions not written", reason=unwritable.reason)


def price_versions(snapshot: Snapshot, *, ts_ms: int) -> Iterator[PriceVersion]:
    """Yield each price of each target once, those that are yet to come included."""
    prices: dict[tuple[str, str], Price | None] = {}
    for group in snapshot.groups.values():
        for target in group.targets:
            prices[target.provider.name, target.key] = target.price
    for (provider, model), first in prices.items():
        price = first
        while price is not None:
            for above_tokens, tier in _tiers(price):
                if tier.fingerprint is not None:
                    yield PriceVersion(
                        fingerprint=tier.fingerprint,
                        provider=provider,
                        model=model,
                        above_tokens=above_tokens,
                        ts_ms=ts_ms,
                        effective_from_ms=tier.effective_from_ms,
                        source=tier.source,
                        as_of=tier.as_of,
                        **_amounts(tier),
                    )
            price = price.after


def _tiers(price: Price) -> Iterator[tuple[int, Price]]:
    """Yield a price, and what it is of longer and longer calls."""
    above_tokens, tier = 0, price
    yield above_tokens, tier
    while tier.above is not None:
        above_tokens, tier = tier.above_tokens, tier.above
        yield above_tokens, tier


def _amounts(price: Price) -> dict[str, int | None]:
    parts = {
        "input": price.input,
        "cached_input": price.cached_input,
        "cache_write": price.cache_write,
        "cache_write_1h": price.cache_write_1h,
        "output": price.output,
        "reasoning": price.reasoning,
        "image_tokens": price.image_input,
    }
    return {
        **{f"{name}_nusd_per_million": _of(_MILLION, at) for name, at in parts.items()},
        "image_nusd": _of(1, price.image),
    }


def _of(count: int, rate: Rate | None) -> int | None:
    return None if rate is None else rate.cost_nusd(count)
