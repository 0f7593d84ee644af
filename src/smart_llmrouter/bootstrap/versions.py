"""Writes down which configuration and which prices are in force from now on."""

from collections.abc import Iterator
from typing import Final

import structlog

from smart_llmrouter.config.snapshot import Snapshot, Target
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
    """Yield the price of each target that has one, once."""
    priced: dict[tuple[str, str], Target] = {}
    for group in snapshot.groups.values():
        for target in group.targets:
            priced[target.provider.name, target.key] = target
    for (provider, model), target in priced.items():
        if target.price is not None:
            yield _version(target.price, provider=provider, model=model, ts_ms=ts_ms)


def _version(price: Price, *, provider: str, model: str, ts_ms: int) -> PriceVersion:
    return PriceVersion(
        fingerprint=price.fingerprint,
        provider=provider,
        model=model,
        ts_ms=ts_ms,
        input_nusd_per_million=_per_million(price.input),
        cached_input_nusd_per_million=_per_million(price.cached_input),
        cache_write_nusd_per_million=_per_million(price.cache_write),
        cache_write_1h_nusd_per_million=_per_million(price.cache_write_1h),
        output_nusd_per_million=_per_million(price.output),
    )


def _per_million(rate: Rate | None) -> int | None:
    return None if rate is None else rate.cost_nusd(_MILLION)
