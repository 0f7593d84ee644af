"""Where a target is reached, and with which headers; computed once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from smart_llmrouter.config.snapshot import Provider, Tls
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.secrets import Secret

PATH_OF_DIALECT: Final[Mapping[DialectName, str]] = {
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "anthropic-messages": "/messages",
}
COUNT_PATH_OF_DIALECT: Final[Mapping[DialectName, str]] = {
    "openai-responses": "/responses/input_tokens",
    "anthropic-messages": "/messages/count_tokens",
}
"""Where the tokens of a request are counted, in the dialects that have such a path."""

_ANTHROPIC: Final = "anthropic-messages"
_VERSION: Final = "anthropic-version"
_BETA: Final = "anthropic-beta"
DEFAULT_ANTHROPIC_VERSION: Final = "2023-06-01"
"""What is said for callers of other dialects: later versions refuse a temperature."""

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
    `version_is_set` says that the configuration chose the version of Anthropic's API.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    credentials: tuple[bytes, ...] = field(repr=False)
    tls: Tls
    unix_socket: str | None
    proxy: Secret | None
    version_is_set: bool = False


def endpoint_of(
    provider: Provider, *, user_agent: str, path: str | None = None
) -> Endpoint:
    """Return where a provider's dialect is spoken, with all that is sent along.

    `path` is another than that for answers, such as one of `COUNT_PATH_OF_DIALECT`.
    """
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
    version_is_set = _named(headers, _VERSION) is not None
    if provider.dialect == _ANTHROPIC and not version_is_set:
        headers[_VERSION] = DEFAULT_ANTHROPIC_VERSION
    return Endpoint(
        url=base_of(provider) + (path or PATH_OF_DIALECT[provider.dialect]),
        headers=headers,
        credentials=tuple(each.reveal().encode() for each in secrets),
        tls=provider.tls,
        unix_socket=provider.unix_socket,
        proxy=provider.proxy,
        version_is_set=version_is_set,
    )


def base_of(provider: Provider) -> str:
    """Return what the paths of a provider's dialect are appended to.

    Anthropic's base URLs are usually written without the `/v1`, those of OpenAI with
    it, so it may be there or not where Messages are spoken.
    """
    base = provider.base_url.rstrip("/")
    if provider.dialect == _ANTHROPIC and not base.endswith("/v1"):
        return base + "/v1"
    return base


# Whoever calls has a list of its own that changes rarely, so that few are needed.
@lru_cache(maxsize=256)
def spoken_as(endpoint: Endpoint, version: str | None, beta: str | None) -> Endpoint:
    """Return an endpoint of Anthropic's dialect with what a caller said in its headers.

    The configuration's version goes before the caller's; features are added up.
    """
    headers = dict(endpoint.headers)
    if version is not None and not endpoint.version_is_set:
        headers[_VERSION] = version
    if beta is not None:
        name = _named(headers, _BETA) or _BETA
        headers[name] = ",".join([headers[name], beta] if name in headers else [beta])
    return replace(endpoint, headers=headers)


def _named(headers: Mapping[str, str], name: str) -> str | None:
    """Return how a header is spelled in `headers`; `None` if it is not there."""
    return next((each for each in headers if each.lower() == name), None)
