"""How a path must be written to reach a route, and `HEAD` wherever there is one."""

import pytest

from tests.support.gateway import token
from tests.support.raw_http import Heard, exchange
from tests.support.router import Router
from tests.support.wait import PATIENCE_S

BODY = b'{"model": "chat", "messages": [{"role": "user", "content": "hi"}]}'


async def asked(
    router: Router, method: str, target: str, body: bytes = b"", version: str = "1.1"
) -> Heard:
    """Send one request with a token, as its last."""
    head = (
        f"{method} {target} HTTP/{version}\r\nhost: router\r\nconnection: close\r\n"
        f"authorization: Bearer {token()}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return await exchange(router.port, head.encode() + body, silence_s=PATIENCE_S)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions",
        "/v1/chat/completions?",
        "/v1/chat/completions?api-version=1&x=%2e%2e/",
        "/v1/%63hat/completions",
        "/%76%31/chat%2fcompletions",
        "http://elsewhere.example/v1/chat/completions",
        "https://[::1]:8443/v1/chat/completions?x",
    ],
)
async def test_targets_that_reach_the_endpoint(router: Router, target: str) -> None:
    """Escapes are decoded, queries passed over, and a whole URL is its path."""
    heard = await asked(router, "POST", target, BODY)

    assert heard.status == 200
    assert b"choices" in heard.body
    assert (await router.record()).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/./v1/chat/completions",
        "/v1/models/../chat/completions",
        "/v1/%2e/chat/completions",
        "/v1/%2563hat/completions",
        "/V1/chat/completions",
        "/v1/chat/completions;x",
        "/v1/chat/completions%3fx",
        "/v1/chat/completions%00",
        "http://elsewhere.example?/v1/chat/completions",
    ],
)
async def test_targets_that_do_not(router: Router, target: str) -> None:
    """Nothing is resolved, doubled or guessed: such a path is simply unknown."""
    heard = await asked(router, "POST", target, BODY)

    assert heard.status in {404, 405}
    assert b'"error"' in heard.body
    assert router.records() == []


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/healthz",
        "/readyz",
        "/version",
        "/metrics",
        "/v1/models",
        "/v1/models/chat",
        "/v1/chat/completions",
        "/docs",
        "/docs/",
        "/docs/http/",
        "/nothing",
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_head_is_answered_without_a_body(
    router: Router, target: str, version: str
) -> None:
    """Whatever the status: the head of an answer, and nothing behind it."""
    heard = await asked(router, "HEAD", target, version=version)

    assert heard.body == b""
    assert heard.ending == "closed"
    assert 200 <= heard.status < 500
    assert heard.data.count(b"HTTP/1.1 ") == 1
