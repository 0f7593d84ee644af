"""Where a provider is reached, and what is sent along."""

import pytest

from smart_llmrouter.config.snapshot import DialectName, Provider
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.upstream.endpoints import endpoint_of

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
