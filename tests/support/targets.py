"""Targets as the routing sees them, and a clock that stands until it is turned."""

from decimal import Decimal

from smart_llmrouter.config.snapshot import Provider, Target
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.requirements import Requirements


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now_s: float = 1000.0) -> None:
        """Begin at some time."""
        self.now_s = now_s

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def price(input_usd: str, output_usd: str) -> Price:
    """Return a price in dollars per million tokens."""
    return Price(
        input=Rate.per_million(Decimal(input_usd)),
        cached_input=None,
        output=Rate.per_million(Decimal(output_usd)),
        fingerprint="0",
    )


def target(
    name: str,
    weight: int = 1,
    *,
    costs: Price | None = None,
    quality: float | None = None,
) -> Target:
    """Return a target called `name/mini`."""
    provider = Provider(
        name=name, dialect="openai-chat", base_url="http://x", api_key=None, headers=()
    )
    return Target(
        label=f"{name}/mini",
        provider=provider,
        key="mini",
        model="mini",
        price=costs,
        quality=quality,
        weight=weight,
    )


def needs(body: bytes = b"{}") -> Requirements:
    """Return the requirements of a request that asks for nothing special."""
    return Requirements(body=body, dialect="openai-chat")
