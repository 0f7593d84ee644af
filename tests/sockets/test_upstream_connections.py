"""Providers that are reached in other ways than a URL alone says, end to end."""

import asyncio
from pathlib import Path

import httpx2

from smart_llmrouter.config.snapshot import Tls
from tests.support.gateway import configuration, provider, running_gateway, token
from tests.support.mock import Mock
from tests.support.plain_clients import without_tls
from tests.support.proxy import running_proxy
from tests.support.puppet import completion, running_puppet
from tests.support.router import Router, running_router
from tests.support.upstream_server import (
    AUTHORITY,
    CERTIFICATES,
    KEY_FILE,
    answering,
    running_upstream,
    serving,
)
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = answering(completion("reached"))
TIGHT = {"max_connections": 1, "connect_timeout_s": 1.5}


async def asked(router: Router) -> httpx2.Response:
    """Ask once, and read to the end."""
    async with router.http() as client:
        return await client.post(CHAT, json=BODY)


def text_of(answer: httpx2.Response) -> object:
    """Return what the model said."""
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


async def test_a_call_that_finds_no_connection_is_passed_on(
    tmp_path: Path, mock: Mock
) -> None:
    """Where all connections to a target are in use, the next target is asked."""
    async with running_puppet() as busy:
        settings = configuration(
            {"acme": provider(busy.base_url), "other": provider(mock.base_url)}
        )
        async with running_router(tmp_path, settings | {"upstream": TIGHT}) as router:
            first = asyncio.create_task(asked(router))
            held = await busy.call()
            second = await asked(router)
            held.write(completion("late"))

            assert second.headers["x-router-target"] == "other/mini"
            assert text_of(await first) == "late"
            assert len(mock.received) == 1
            records = await router.recorded(2)
            assert sorted(each.attempts for each in records) == [1, 2]


async def test_a_call_that_finds_no_connection_anywhere_is_told_why(
    tmp_path: Path,
) -> None:
    """It is a time-out, which may help to try again, and its class says which."""
    async with running_puppet() as busy:
        settings = configuration({"acme": provider(busy.base_url)})
        async with running_router(tmp_path, settings | {"upstream": TIGHT}) as router:
            first = asyncio.create_task(asked(router))
            held = await busy.call()
            second = await asked(router)
            held.write(completion("late"))
            await first

            error = second.json()["error"]
            assert (second.status_code, error["code"]) == (504, "upstream-timeout")
            assert error["details"]["error_class"] == "upstream_pool_exhausted"


async def test_a_provider_that_knows_its_callers(tmp_path: Path) -> None:
    """A private authority, a client certificate and a server name, from the file."""
    tls = serving("wrong-name", asks_who=True)
    async with running_upstream(ANSWER, tls=tls) as upstream:
        own = Tls(
            ca_file=str(AUTHORITY),
            client_cert_file=str(CERTIFICATES / "client.pem"),
            client_key_file=str(KEY_FILE),
            server_name="elsewhere.test",
        )
        there = provider(
            f"https://127.0.0.1:{upstream.port}/v1",
            tls={name: getattr(own, name) for name in own.__slots__},
        )
        async with running_router(tmp_path, configuration({"acme": there})) as router:
            assert text_of(await asked(router)) == "reached"


async def test_a_provider_behind_a_unix_socket(tmp_path: Path) -> None:
    """A relative path starts beside the configuration file."""
    async with running_upstream(ANSWER, unix_socket=tmp_path / "llm.sock") as upstream:
        there = provider("http://localhost/v1", unix_socket="llm.sock")
        async with running_router(tmp_path, configuration({"acme": there})) as router:
            assert text_of(await asked(router)) == "reached"
            assert upstream.requests[0].line == f"POST {CHAT} HTTP/1.1"


async def test_a_provider_behind_a_proxy(tmp_path: Path) -> None:
    """The process' own environment says which way leads there."""
    async with (
        running_upstream(ANSWER, certificate="good") as upstream,
        running_proxy(upstream.port) as proxy,
    ):
        there = provider(
            "https://provider.test/v1",
            tls={"ca_file": str(AUTHORITY), "server_name": "localhost"},
        )
        async with running_gateway(
            tmp_path,
            configuration({"acme": there}),
            environment={"HTTPS_PROXY": proxy.url},
        ) as gateway:
            async with without_tls(trust_env=False) as client:
                answer = await client.post(
                    gateway.url + CHAT,
                    json=BODY,
                    headers={"authorization": f"Bearer {token()}"},
                )

            assert text_of(answer) == "reached"
            assert proxy.asked == ["CONNECT provider.test:443 HTTP/1.1"]
            await eventually(lambda: len(upstream.requests) == 1)
