"""What goes out: the request's bytes, the same from every transport."""

import pytest

from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import KEY, MIB, Kind, ask, endpoint_to
from tests.support.upstream_server import answering, plain, running_upstream


async def test_a_request_is_what_the_endpoint_says_and_no_more(
    transport: Transport,
) -> None:
    """Method, path, host and every header are the endpoint's; nothing is added."""
    async with running_upstream(answering(plain())) as upstream:
        endpoint = endpoint_to(upstream.port, headers={"X-Region": "west 1"})

        await ask(transport, endpoint, b'{"model": "m"}')

        [request] = upstream.requests
        assert request.line == "POST /v1/chat/completions HTTP/1.1"
        assert sorted(request.headers) == [
            ("accept", "application/json, text/event-stream"),
            ("accept-encoding", "identity"),
            ("authorization", f"Bearer {KEY}"),
            ("content-length", "14"),
            ("content-type", "application/json"),
            ("host", f"127.0.0.1:{upstream.port}"),
            ("user-agent", "conformance/1"),
            ("x-region", "west 1"),
        ]
        assert request.body == b'{"model": "m"}'


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/openai/deployments/gpt-4o", "/openai/deployments/gpt-4o/chat/completions"),
        ("/a%20b/%C3%A4", "/a%20b/%C3%A4/chat/completions"),
    ],
)
async def test_the_base_path_comes_first(
    transport: Transport, path: str, line: str
) -> None:
    """The base URL's path leads the dialect's, as it was written."""
    async with running_upstream(answering(plain())) as upstream:
        await ask(transport, endpoint_to(upstream.port, path=path))

        [request] = upstream.requests
        assert request.line == f"POST {line} HTTP/1.1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        bytes(range(256)),
        b"\r\n\r\n0\r\n\r\nPOST / HTTP/1.1\r\n\r\n",
        b'{"text": "gr\xc3\xbc\xc3\x9fe"}',
        b"x" * (300 * 1024),
        b"\x00\xff" * (MIB // 2),
    ],
    ids=["empty", "small", "binary", "http-like", "utf-8", "300 KiB", "1 MiB"],
)
async def test_a_body_arrives_verbatim(transport: Transport, body: bytes) -> None:
    """Whatever the bytes are, and however many, they arrive with their length."""
    async with running_upstream(answering(plain(b"ok"))) as upstream:
        answers = [await ask(transport, upstream, body) for _ in range(2)]

        assert answers == [(200, b"ok")] * 2
        assert [request.body for request in upstream.requests] == [body] * 2
        headers = dict(upstream.requests[1].headers)
        assert headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in headers
        assert "content-encoding" not in headers
        assert "expect" not in headers


async def test_endpoints_of_one_origin_keep_their_credentials_apart(
    transport: Transport,
) -> None:
    """Calls that share a connection do not share headers or paths."""
    async with running_upstream(answering(plain())) as upstream:
        one = endpoint_to(upstream.port, path="/one", headers={"X-Team": "red"})
        two = endpoint_to(upstream.port, path="/two", headers={"X-Project": "blue"})

        for endpoint in (one, two, one):
            await ask(transport, endpoint)

        assert [request.line.split()[1] for request in upstream.requests] == [
            "/one/chat/completions",
            "/two/chat/completions",
            "/one/chat/completions",
        ]
        extra = [
            {name: value for name, value in request.headers if name.startswith("x-")}
            for request in upstream.requests
        ]
        assert extra == [{"x-team": "red"}, {"x-project": "blue"}, {"x-team": "red"}]
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer(transport: Transport, status: int) -> None:
    """No redirect is followed: the key would go where the answer points."""
    async with running_upstream(answering(plain())) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/v1/chat/completions"
        redirect = plain(b"moved", location, status=f"{status} Moved")
        async with running_upstream(answering(redirect)) as upstream:
            answer = await ask(transport, upstream)

            assert answer == (status, b"moved")
            assert len(upstream.requests) == 1
        assert elsewhere.peers == []


async def test_cookies_are_not_kept(transport: Transport) -> None:
    """What a provider sets as a cookie is not sent to it, or to anyone, again."""
    cookie = plain(b"", "Set-Cookie: session=1; Path=/")
    async with running_upstream(answering(cookie)) as upstream:
        await ask(transport, upstream)
        await ask(transport, upstream)

        assert all("cookie" not in dict(each.headers) for each in upstream.requests)


async def test_proxy_settings_of_the_machine_are_ignored(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment does not see requests or their keys."""
    async with (
        running_upstream(answering(plain(b"proxy"))) as proxy,
        running_upstream(answering(plain(b"provider"))) as upstream,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        async with kind.open() as transport:
            answer = await ask(transport, upstream)

        assert answer == (200, b"provider")
        assert proxy.peers == []
