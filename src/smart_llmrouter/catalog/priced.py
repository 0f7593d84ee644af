"""Whether the prices of a configuration are there, current, and what is published."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from smart_llmrouter.catalog.published import PRICE_KEYS, Catalog, Found
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.providers import Model, Price

Code = Literal[
    "missing",
    "partial",
    "stale",
    "undated",
    "future-dated",
    "not-in-force",
    "differs",
    "caveat",
    "ambiguous",
    "unpublished",
]
NOTES: Final[frozenset[Code]] = frozenset(
    {"undated", "caveat", "ambiguous", "unpublished"}
)
"""What is worth knowing, and no reason to fail."""
_FALLBACKS: Final[Mapping[str, str]] = {
    "cached_input_per_million": "input_per_million",
    "cache_write_per_million": "input_per_million",
    "cache_write_1h_per_million": "cache_write_per_million",
    "reasoning_per_million": "output_per_million",
    "image_input_per_million": "input_per_million",
}
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A model that groups use, by the name by which they do."""

    use: str
    provider: str
    base_url: str
    name: str
    model: Model

    @property
    def is_priced(self) -> bool:
        """Whether it has prices, and all of them for input and output."""
        prices = self.model.prices
        return bool(prices) and all(
            price.input_per_million is not None and price.output_per_million is not None
            for price in prices
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFinding:
    """What there is to say of a model's price; `is_note`: it is no fault."""

    use: str
    code: Code
    message: str

    @property
    def is_note(self) -> bool:
        """Whether it is worth knowing, and no reason to fail."""
        return self.code in NOTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is a fault: an age above `max_age_days`, a difference above a percentage."""

    now: datetime
    max_age_days: int
    tolerance_percent: Decimal


def used_models(settings: Settings) -> list[Used]:
    """Return each model that groups use, once, by its name."""
    uses = {
        target.use for group in settings.groups.values() for target in group.targets
    }
    found = []
    for use in sorted(uses):
        provider, _, key = use.partition("/")
        fields = settings.providers[provider]
        model = fields.models[key]
        found.append(
            Used(
                use=use,
                provider=provider,
                base_url=fields.base_url,
                name=model.model or key,
                model=model,
            )
        )
    return found


def price_now(model: Model, now: datetime) -> Price | None:
    """Return the price that is in force."""
    found = None
    for price in model.prices:
        if price.effective_from is None or price.effective_from <= now:
            found = price
    return found


def check_prices(
    settings: Settings, catalog: Catalog | None, bounds: Bounds
) -> list[PriceFinding]:
    """Return what there is to say of all models that groups use."""
    return [
        PriceFinding(use=used.use, code=code, message=message)
        for used in used_models(settings)
        for code, message in _of_model(used, catalog, bounds)
    ]


def _of_model(
    used: Used, catalog: Catalog | None, bounds: Bounds
) -> Iterator[tuple[Code, str]]:
    price = price_now(used.model, bounds.now)
    if price is None:
        if used.model.prices:
            yield "not-in-force", "no price is in force yet"
        else:
            yield "missing", "it has no price"
        return
    if price.input_per_million is None or price.output_per_million is None:
        yield "partial", "input_per_million or output_per_million is not given"
    if _is_free(price):
        return
    yield from _age(price, bounds)
    if catalog is not None:
        found = catalog.find(
            provider=used.provider, base_url=used.base_url, model=used.name
        )
        yield from _against(price, found, bounds)


def _is_free(price: Price) -> bool:
    return all(not getattr(price, key) for key in PRICE_KEYS)


def _age(price: Price, bounds: Bounds) -> Iterator[tuple[Code, str]]:
    today, read_on = bounds.now.astimezone(UTC).date(), price.as_of
    if read_on is None:
        yield "undated", "as_of does not say when it was read"
    elif read_on > today:
        yield "future-dated", f"it says that it was read on {read_on}, which is to come"
    elif today - read_on > timedelta(days=bounds.max_age_days):
        yield "stale", f"it was read {(today - read_on).days} days ago, on {read_on}"


def _against(price: Price, found: Found, bounds: Bounds) -> Iterator[tuple[Code, str]]:
    if not found.candidates:
        yield "unpublished", "nobody has published a price for it that is known here"
        return
    published = found.agreed
    if published is None:
        names = ", ".join(dict.fromkeys(each.provider for each in found.candidates))
        yield "ambiguous", f"several have published one: {names}"
        return
    yield from (("caveat", caveat) for caveat in published.caveats)
    who = f"{published.provider} ({found.sureness})"
    for above, parts in ((0, published.parts), *published.above):
        ours = _of_calls_above(price, above)
        for key, theirs in parts.items():
            told = _difference(ours, key, theirs, bounds)
            if told is not None:
                calls = f" of calls above {above:,} input tokens" if above else ""
                yield "differs", f"{key}{calls} is {told} at {who}"


def _difference(
    ours: Mapping[str, Decimal | None], key: str, theirs: Decimal, bounds: Bounds
) -> str | None:
    """Say how a part differs, if it does and is known."""
    value = effective(ours, key)
    if value is None or _is_near(value, theirs, bounds.tolerance_percent):
        return None
    given = "" if ours[key] is not None else ", for it is not given"
    return f"{value.normalize():f} here{given}, and {theirs.normalize():f}"


def _of_calls_above(price: Price, tokens: int) -> Mapping[str, Decimal | None]:
    """Return the parts of calls with more input tokens than this."""
    parts = {key: getattr(price, key) for key in PRICE_KEYS}
    for tier in price.above:
        if tier.input_tokens <= tokens:
            own = {key: getattr(tier, key) for key in PRICE_KEYS}
            parts |= {key: usd for key, usd in own.items() if usd is not None}
    return parts


def effective(parts: Mapping[str, Decimal | None], key: str) -> Decimal | None:
    """Return what a part costs, given or not."""
    value = parts[key]
    if value is None and key in _FALLBACKS:
        return effective(parts, _FALLBACKS[key])
    return value


def _is_near(ours: Decimal, theirs: Decimal, percent: Decimal) -> bool:
    return abs(ours - theirs) * _PERCENT <= percent * theirs
