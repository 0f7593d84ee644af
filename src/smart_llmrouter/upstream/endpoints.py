"""Where a target is reached, and with which headers; computed once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from smart_llmrouter.config.snapshot import DialectName, Provider, Tls
from smart_llmrouter.core.secrets import Secret

PATH_OF_DIALECT: Final[Mapping[DialectName, str]] = {
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "anthropic-messages": "/messages",
}
_KEY_HEADER_OF_DIALECT: Final[Mapping[DialectName, tuple[str, str]]] = {
    "openai-chat": ("Authorization", "Bearer "),
    "openai-responses": ("Authorization", "Bearer "),
    "anthropic-messages": ("x-api-key", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One URL of one provider. The headers hold credentials, so they do not print.

    `credentials` are the texts that must not leave the router in an error body. Two
    endpoints are never equal: a transport may keep what it computed for one.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    credentials: tuple[bytes, ...] = field(repr=False)
    tls: Tls
    unix_socket: str | None
    proxy: Secret | None


def endpoint_of(provider: Provider, *, user_agent: str) -> Endpoint:
    """Return where a provider's dialect is spoken, with all that is sent along."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        # Compressed answers would have to be unpacked to read their usage.
        "Accept-Encoding": "identity",
        "User-Agent": user_agent,
    }
    secrets = [value for _, value in provider.headers if isinstance(value, Secret)]
    if provider.api_key is not None:
        name, scheme = _KEY_HEADER_OF_DIALECT[provider.dialect]
        headers[name] = scheme + provider.api_key.reveal()
        secrets.append(provider.api_key)
    for name, value in provider.headers:
        headers[name] = value.reveal() if isinstance(value, Secret) else value
    return Endpoint(
        url=provider.base_url.rstrip("/") + PATH_OF_DIALECT[provider.dialect],
        headers=headers,
        credentials=tuple(each.reveal().encode() for each in secrets),
        tls=provider.tls,
        unix_socket=provider.unix_socket,
        proxy=provider.proxy,
    )
