"""The paths that clients of three dialects expect, and what each is told there."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock
from tests.support.raw_http import exchange
from tests.support.router import Router, running_router
from tests.support.upstream_server import answering, plain, running_upstream

POSTED = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/anthropic/v1/messages",
]
CODEX = {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}


def upgrade(path: str, *more: str, wish: str = "websocket") -> bytes:
    """Return the request with which a client asks for a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        "host: router",
        "connection: keep-alive, Upgrade",
        f"upgrade: {wish}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="),
        (f"authorization: Bearer {token()}", *(f"{k}: {v}" for k, v in CODEX.items())),
    ],
    ids=["bare", "keys", "codex"],
)
async def test_codex_is_sent_on_to_http(router: Router, more: tuple[str, ...]) -> None:
    """Only 426 makes it fall back at once; the connection goes on with what follows."""
    healthy = b"GET /healthz HTTP/1.1\r\nhost: router\r\nconnection: close\r\n\r\n"

    heard = await exchange(router.port, upgrade("/v1/responses?x=1", *more) + healthy)

    assert heard.status == 426
    assert b"\r\nupgrade: HTTP/1.1\r\n" in heard.head
    assert b"HTTP POST" in heard.body
    assert b"websocket-not-served" in heard.body
    assert heard.body.endswith(b'{"status":"ok"}')


async def test_a_websocket_elsewhere(router: Router) -> None:
    """Where no dialect has one, the wish is passed over as any other."""
    whole = b"\r\n\r\n"
    heard = await exchange(router.port, upgrade("/healthz", "x: y"), enough=whole)
    wish = upgrade("/v1/responses", wish="h2c")
    h2c = await exchange(router.port, wish, enough=whole)

    assert heard.status == 200
    assert h2c.status == 405


@pytest.mark.parametrize("path", ["/", "/api/hello", "/v1/responses"])
async def test_who_only_asks_whether_anybody_is_there(
    router: Router, path: str
) -> None:
    """Clients warm up and diagnose without a token, and want no body."""
    async with router.http(None) as stranger:
        answer = await stranger.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", POSTED)
async def test_other_methods_are_refused_by_name(router: Router, path: str) -> None:
    """What the path takes stands in `Allow`."""
    async with router.http() as client:
        answer = await client.get(path)

    assert answer.status_code == 405
    assert answer.headers["allow"].endswith("POST")


@pytest.mark.parametrize("key", ["authorization", "x-api-key"])
@pytest.mark.parametrize(
    "path", ["/v1/models", "/anthropic/v1/models", "/v1/codex/models.json"]
)
async def test_a_token_in_either_header_opens_every_list(
    router: Router, path: str, key: str
) -> None:
    """Anthropic's newer SDKs send theirs as a bearer, too."""
    value = token() if key == "x-api-key" else f"Bearer {token()}"
    async with router.http(None) as client:
        answer = await client.get(path, headers={key: value})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/v1/messages?beta=true", "/v1 twice"),
        ("/v1/v1/responses", "/v1 twice"),
        ("/anthropic/v1/v1/messages", "keep `/anthropic`"),
        ("/responses", "lacks /v1"),
        ("/chat/completions", "lacks /v1"),
        ("/messages/count_tokens", "lacks /v1"),
        ("/v1/embeddings", "documentation under /docs/"),
    ],
)
async def test_a_wrong_base_url_is_explained(
    router: Router, path: str, words: str
) -> None:
    """Most unknown paths come of a base URL with `/v1` too often, or not at all."""
    async with router.http() as client:
        answer = await client.post(path, json={})

    assert answer.status_code == 404
    assert words in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    "path", ["/v1/messages?beta=true", "/anthropic/v1/messages", "/anthropic/v1/models"]
)
async def test_anthropics_clients_find_the_request_id(
    router: Router, path: str
) -> None:
    """Their SDKs look for it under a name of their own."""
    async with router.http(None) as stranger:
        answer = await stranger.post(path, json={})

    assert answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_openais_clients_have_one_name_for_it(router: Router, path: str) -> None:
    """`X-Request-Id` is enough for them."""
    async with router.http(None) as stranger:
        answer = await stranger.post(path, json={})

    assert "request-id" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anthropic-version", "x" * 65),
        ("anthropic-beta", "x" * 8193),
        ("anthropic-beta", "caf\u00e9"),
        ("anthropic-version", "a\tb"),
    ],
)
async def test_a_header_that_may_not_go_on(
    router: Router, mock: Mock, name: str, value: str
) -> None:
    """What is passed on to providers is printable and bounded."""
    async with router.http() as client:
        answer = await client.post(
            "/v1/messages", json={}, headers={name.encode(): value.encode("latin-1")}
        )

    assert answer.status_code == 400
    assert f"`{name}`" in answer.json()["error"]["message"]
    assert mock.received == []
    assert (await router.record()).inbound_dialect == "anthropic-messages"


async def test_what_a_caller_says_of_the_api_reaches_its_provider(
    tmp_path: Path,
) -> None:
    """The version as it is, and features also where they come in several fields."""
    counted = plain(b'{"input_tokens": 7}')
    async with running_upstream(answering(counted)) as upstream:
        settings = configuration(
            {
                "acme": provider(
                    f"http://127.0.0.1:{upstream.port}", dialect="anthropic-messages"
                )
            }
        )
        async with running_router(tmp_path, settings) as router, router.http() as http:
            await http.post(
                "/v1/messages/count_tokens",
                json={"model": "chat", "messages": []},
                headers=[
                    ("anthropic-version", "2026-10-21"),
                    ("anthropic-beta", "one,two"),
                    ("anthropic-beta", "three"),
                ],
            )

    (request,) = upstream.requests
    sent = dict(request.headers)
    assert sent["anthropic-version"] == "2026-10-21"
    assert sent["anthropic-beta"] == "one,two,three"
    assert "authorization" not in sent


def failed_event(answer: httpx2.Response) -> dict[str, object]:
    """Return the one event of a stream that only says how the call failed."""
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    (data,) = lines
    event = json.loads(data.removeprefix("data: "))
    assert isinstance(event, dict)
    return event


async def test_codex_is_stopped_where_asking_again_never_helps(router: Router) -> None:
    """It repeats a 415 six times; an answer with 200 that failed ends the turn."""
    async with router.http() as client:
        answer = await client.post(
            "/v1/responses",
            content=b"x",
            headers=CODEX | {"content-type": "text/plain"},
        )
        record = await router.record()

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert failed_event(answer)["type"] == "response.failed"
    assert (record.status, record.error_code) == (415, "unsupported-content-type")
    assert record.client == "codex"


async def test_codex_understands_a_wrong_token(router: Router) -> None:
    """A 401 is shown as what it is, and so is any refusal to other clients."""
    async with router.http(None) as stranger:
        unknown = await stranger.post("/v1/responses", json={}, headers=CODEX)
    async with router.http() as client:
        other = await client.post(
            "/v1/responses", content=b"x", headers={"content-type": "text/plain"}
        )

    assert (unknown.status_code, other.status_code) == (401, 415)
