"""A router that keeps answers, and requests whose answer is always the same."""

from collections.abc import Mapping
from typing import Any, Final

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.ledger.record import UsageRecord
from tests.support.gateway import caller, configuration, provider

PATHS: Final[Mapping[DialectName, str]] = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}


def caching(base_url: str, *, dialect: str = "openai-chat", **cache: object) -> Any:  # noqa: ANN401 - settings are JSON
    """Return settings with the one provider `acme`, two callers, and a cache."""
    return configuration(
        {"acme": provider(base_url, dialect=dialect)},
        callers=[caller("k1", metrics_admin=True), caller("k2")],
        cache={"enabled": True, **cache},
    )


def request(
    dialect: DialectName = "openai-chat", text: str = "hi", **fields: object
) -> dict[str, Any]:
    """Return a request with `temperature: 0`."""
    body: dict[str, Any] = {"model": "chat", "temperature": 0}
    if dialect == "openai-responses":
        body |= {"input": text, "store": False}
    else:
        body["messages"] = [{"role": "user", "content": text}]
    if dialect == "anthropic-messages":
        body["max_tokens"] = 100
    return {**body, **fields}


def verdicts(records: list[UsageRecord]) -> list[tuple[str | None, str | None]]:
    """Return what the cache did with each call, and why."""
    return [(each.cache, each.cache_reason) for each in records]
