"""Where a provider is reached, and what is sent along."""

import pytest

from smart_llmrouter.config.snapshot import Provider
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.upstream.endpoints import (
    COUNT_PATH_OF_DIALECT,
    endpoint_of,
    spoken_as,
)

KEY = "pk-canary"


def provider(
    *,
    base_url: str = "https://api.acme.example/v1",
    dialect: DialectName = "openai-chat",
    headers: tuple[tuple[str, Secret | str], ...] = (),
    key: str | None = KEY,
) -> Provider:
    """Return a provider."""
    api_key = None if key is None else Secret(key, source="${ACME_API_KEY}")
    return Provider(
        name="acme",
        dialect=dialect,
        base_url=base_url,
        api_key=api_key,
        headers=headers,
    )


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("dialect", "path", "header", "value"),
    [
        ("openai-chat", "/chat/completions", "Authorization", f"Bearer {KEY}"),
        ("openai-responses", "/responses", "Authorization", f"Bearer {KEY}"),
        ("anthropic-messages", "/messages", "x-api-key", KEY),
    ],
)
def test_each_dialect_has_its_path_and_its_key_header(
    dialect: DialectName, path: str, header: str, value: str, end: str
) -> None:
    """The base URL ends with or without a slash."""
    base_url = "https://api.acme.example/v1" + end

    endpoint = endpoint_of(
        provider(base_url=base_url, dialect=dialect), user_agent="router/1"
    )

    assert endpoint.url == "https://api.acme.example/v1" + path
    assert endpoint.headers[header] == value
    assert endpoint.headers["User-Agent"] == "router/1"
    assert endpoint.headers["Accept-Encoding"] == "identity"


def test_a_provider_without_a_key() -> None:
    """A local server that wants no key gets none."""
    endpoint = endpoint_of(provider(key=None), user_agent="router/1")

    assert "Authorization" not in endpoint.headers
    assert endpoint.credentials == ()


def test_credentials_do_not_print() -> None:
    """Every secret is known to the scrubber, and shown by no `repr`."""
    headers: tuple[tuple[str, Secret | str], ...] = (
        ("X-Team", "search"),
        ("X-Second-Key", Secret("sk-canary", source="${SECOND}")),
    )

    endpoint = endpoint_of(provider(headers=headers), user_agent="router/1")

    assert endpoint.headers["X-Team"] == "search"
    assert endpoint.headers["X-Second-Key"] == "sk-canary"
    assert set(endpoint.credentials) == {b"pk-canary", b"sk-canary"}
    assert "canary" not in repr(endpoint)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.acme.example", "https://api.acme.example/v1/messages"),
        ("https://api.acme.example/v1", "https://api.acme.example/v1/messages"),
        (
            "https://acme.example/anthropic",
            "https://acme.example/anthropic/v1/messages",
        ),
        ("https://acme.example/v1beta", "https://acme.example/v1beta/v1/messages"),
    ],
)
def test_anthropics_base_url_may_end_with_its_version(base_url: str, url: str) -> None:
    """Its own documentation leaves `/v1` out, that of others has it."""
    endpoint = endpoint_of(
        provider(base_url=base_url, dialect="anthropic-messages"), user_agent="router/1"
    )

    assert endpoint.url == url


def test_counting_has_a_path_of_its_own() -> None:
    """The same provider, key and headers, at another path."""
    urls = [
        endpoint_of(provider(dialect=dialect), user_agent="router/1", path=path).url
        for dialect, path in COUNT_PATH_OF_DIALECT.items()
    ]

    assert urls == [
        "https://api.acme.example/v1/responses/input_tokens",
        "https://api.acme.example/v1/messages/count_tokens",
    ]


def anthropic_headers(
    version: str | None, beta: str | None, **configured: str
) -> dict[str, str]:
    """Return what is said of Anthropic's API, by the name of the header."""
    headers = tuple(configured.items())
    endpoint = endpoint_of(
        provider(dialect="anthropic-messages", headers=headers), user_agent="router/1"
    )
    said = spoken_as(endpoint, version, beta)
    return {
        name.lower(): value
        for name, value in said.headers.items()
        if name.lower().startswith("anthropic")
    }


def test_anthropic_is_told_a_version_by_default() -> None:
    """Who calls in another dialect says none, and the provider insists on one."""
    assert anthropic_headers(None, None) == {"anthropic-version": "2023-06-01"}


def test_the_callers_version_and_features_go_along() -> None:
    """They change what the rest of the request means."""
    assert anthropic_headers("2026-10-21", "effort-2025-11-24,x") == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "effort-2025-11-24,x",
    }


def test_the_configuration_goes_before_the_caller() -> None:
    """An operator who pins a version means it; features are added up."""
    configured = {"Anthropic-Version": "2024-01-01", "Anthropic-Beta": "pinned"}

    said = anthropic_headers("2026-10-21", "wanted", **configured)

    assert said == {
        "anthropic-version": "2024-01-01",
        "anthropic-beta": "pinned,wanted",
    }


def test_what_a_caller_says_is_computed_once() -> None:
    """A transport finds again what it knows of an endpoint."""
    endpoint = endpoint_of(
        provider(dialect="anthropic-messages"), user_agent="router/1"
    )

    first, again = (spoken_as(endpoint, "2026-10-21", "x") for _ in range(2))

    assert first is again
    assert first.credentials == endpoint.credentials
