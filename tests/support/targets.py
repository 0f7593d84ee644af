"""Targets and groups as the routing sees them, and what requests need of them."""

from decimal import Decimal
from typing import Any, Final

from smart_llmrouter.config.snapshot import Group, Provider, Target
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.requirements import Requirements

BODY: Final = b'{"model":"chat","messages":[{"role":"user","content":"hello"}]}'
EVERYTHING: Final[dict[str, Any]] = {
    "input": ("text", "image", "audio", "document"),
    "tools": ("function", "forced_choice", "parallel"),
    "structured_outputs": True,
    "reasons": True,
}
"""What a target is that can do all that can be asked of one."""


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
    dialect: DialectName = "openai-chat",
    costs: Price | None = None,
    **facts: object,
) -> Target:
    """Return a target called `name/mini`, of a provider of its own."""
    provider = Provider(
        name=name, dialect=dialect, base_url="http://x", api_key=None, headers=()
    )
    known: dict[str, Any] = dict(facts)
    return Target(
        label=f"{name}/mini",
        provider=provider,
        key="mini",
        model="mini",
        price=costs,
        weight=weight,
        **known,
    )


def group(*targets: Target, **settings: object) -> Group:
    """Return a group of these targets, which fails over unless it is told otherwise."""
    chosen: dict[str, Any] = {
        "strategy": "failover",
        "max_attempts": 3,
        "first_event_timeout_s": 60,
        **settings,
    }
    return Group(name="chat", aliases=(), targets=targets, **chosen)


def needs(body: bytes = BODY, **asked: object) -> Requirements:
    """Return what a request needs: nothing special, of Chat, unless told otherwise."""
    known: dict[str, Any] = {"dialect": "openai-chat", **asked}
    return Requirements(body=body, **known)
