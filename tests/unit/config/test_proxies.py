"""Which providers the environment sends through a proxy."""

import pytest

from smart_llmrouter.config.proxies import UnusableProxy, proxy_for
from tests.support.configuration import ENVIRONMENT, SMALL, brief, changed, loaded

PROXY = "http://proxy.example:3128"
HTTPS = "https://api.acme.example/v1"


def led(url: str, **environment: str) -> str | None:
    """Return the proxy's URL, if a proxy leads to `url`."""
    found = proxy_for(url, environment)
    return None if found is None else found.reveal()


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY}, PROXY),
        (HTTPS, {"https_proxy": PROXY}, PROXY),
        (HTTPS, {"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, PROXY),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": PROXY}, PROXY),
        (HTTPS, {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        (HTTPS, {"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        (
            HTTPS,
            {"HTTPS_PROXY": "https://u:p@proxy.example"},
            "https://u:p@proxy.example",
        ),
        ("http://llm.internal/v1", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://llm.internal/v1", {"HTTPS_PROXY": PROXY}, None),
        ("http://localhost:8000/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://127.0.0.1:8000/v1", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:8000/v1", {"HTTP_PROXY": PROXY}, None),
    ],
)
def test_the_scheme_chooses_the_variable(
    url: str, environment: dict[str, str], expected: str | None
) -> None:
    """Lower case comes first, what is empty is not there, loopback is direct."""
    assert led(url, **environment) == expected


@pytest.mark.parametrize(
    ("exceptions", "url"),
    [
        ("*", HTTPS),
        ("api.acme.example", HTTPS),
        ("API.ACME.Example", HTTPS),
        ("acme.example", HTTPS),
        ("example", HTTPS),
        (".acme.example", HTTPS),
        ("other.example, acme.example ,third.example", HTTPS),
        ("acme.example:443", HTTPS),
        ("acme.example:8443", "https://acme.example:8443/v1"),
        ("10.0.0.0/8", "https://10.1.2.3/v1"),
        ("10.1.2.3", "https://10.1.2.3/v1"),
        ("10.1.2.3:443", "https://10.1.2.3/v1"),
        ("fd00::/8", "https://[fd00::1]/v1"),
        ("fd00::1", "https://[fd00::1]:8443/v1"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/v1"),
    ],
)
def test_what_no_proxy_lists_is_direct(exceptions: str, url: str) -> None:
    """Names with all that is below them, addresses, networks, and one port of each."""
    assert led(url, HTTPS_PROXY=PROXY, NO_PROXY=exceptions) is None
    assert led(url, HTTPS_PROXY=PROXY, no_proxy=exceptions) is None


@pytest.mark.parametrize(
    "exceptions",
    [
        "",
        ",",
        "me.example",
        "xapi.acme.example",
        "acme.example:80",
        "10.0.0.0/8",
    ],
)
def test_what_no_proxy_does_not_list_is_led(exceptions: str) -> None:
    """A part of a name, or another port, is another destination."""
    assert led(HTTPS, HTTPS_PROXY=PROXY, NO_PROXY=exceptions) == PROXY


@pytest.mark.parametrize(
    "value",
    ["socks5://proxy:1080", "http://", "http://proxy:99999", "http://a b", "http://ä"],
)
def test_what_is_no_http_proxy_is_refused_unseen(value: str) -> None:
    """The message names the variable, and not what it holds."""
    with pytest.raises(UnusableProxy) as refused:
        led(HTTPS, HTTPS_PROXY=value)

    assert str(refused.value) == "HTTPS_PROXY holds no URL of an HTTP proxy"


def test_a_proxy_that_cannot_be_used_is_found_with_its_provider() -> None:
    """`config check` tells it where the provider's URL stands."""
    environment = {**ENVIRONMENT, "https_proxy": "socks5://secret@proxy:1080"}

    [finding] = loaded(SMALL, environment=environment).findings

    assert brief(finding) == (
        4,
        "providers.acme.base_url",
        (
            "https_proxy holds no URL of an HTTP proxy,"
            " but the way to this provider goes through it"
        ),
    )
    assert finding.awaits == "https_proxy"
    assert "secret" not in str(finding)


def test_the_snapshot_holds_the_way() -> None:
    """Which providers go through a proxy is decided when the file is read."""
    environment = {**ENVIRONMENT, "HTTPS_PROXY": "http://u:secret@proxy:3128"}

    snapshot = loaded(SMALL, environment=environment).snapshot
    local = loaded(
        changed("https://api.acme.example/v1", "http://127.0.0.1:8000/v1"),
        environment=environment,
    ).snapshot

    assert snapshot is not None
    assert local is not None
    (target,) = snapshot.groups["chat"].targets
    assert target.provider.proxy is not None
    assert target.provider.proxy.source == "${HTTPS_PROXY}"
    assert (snapshot.upstream.proxied, local.upstream.proxied) == (True, False)
    assert "secret" not in repr(snapshot)


def test_a_unix_socket_is_reached_without_a_proxy() -> None:
    """Whatever the environment says, and however unusable."""
    text = changed(
        "    api_key: ${ACME_API_KEY}\n",
        "    api_key: ${ACME_API_KEY}\n    unix_socket: /run/acme.sock\n",
    )
    environment = {**ENVIRONMENT, "HTTPS_PROXY": "socks5://proxy:1080"}

    snapshot = loaded(text, environment=environment).snapshot

    assert snapshot is not None
    assert not snapshot.upstream.proxied
