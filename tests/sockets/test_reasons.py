"""The log says why a provider could not be reached; the caller is not told."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.gateway import configuration, provider
from tests.support.puppet import content_event, running_puppet
from tests.support.router import running_router
from tests.support.upstream_server import (
    AUTHORITY,
    Certificate,
    answering,
    plain,
    refusing_port,
    running_upstream,
    serving,
)

CHAT = "/v1/chat/completions"


def body(*, stream: bool = False) -> dict[str, Any]:
    """Return a request."""
    messages = [{"role": "user", "content": "hi"}]
    return {"model": "chat", "messages": messages, "stream": stream}


async def failed(
    tmp_path: Path, acme: dict[str, Any], *, stream: bool = False
) -> tuple[str, dict[str, Any]]:
    """Ask once; return all that the caller was told, and the warning in the log."""
    settings = configuration({"acme": acme})
    with capture_logs() as logs:
        async with running_router(tmp_path, settings) as router, router.http() as http:
            answer = await http.post(CHAT, json=body(stream=stream))
            await router.record()
    (warning,) = [dict(each) for each in logs if each["event"] == "call failed"]
    return f"{answer.headers} {answer.text}", warning


async def test_a_refused_connection(tmp_path: Path) -> None:
    """The line has the class, which is stable, and the reason, which is for people."""
    with refusing_port() as port:
        told, warning = await failed(tmp_path, provider(f"http://127.0.0.1:{port}/v1"))

    assert warning["error_class"] == "upstream_connect_failed"
    assert warning["reason"] == "the connection was refused"
    assert "refused" not in told


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired", "its certificate has expired"),
        ("wrong-name", "its certificate is for another address"),
    ],
)
async def test_a_certificate(
    tmp_path: Path, certificate: Certificate, reason: str
) -> None:
    """What is wrong with it is the operator's to know."""
    tls = serving(certificate)
    async with running_upstream(answering(plain(b"ok")), tls=tls) as upstream:
        acme = provider(f"https://127.0.0.1:{upstream.port}/v1")
        acme["tls"] = {"ca_file": str(AUTHORITY)}
        told, warning = await failed(tmp_path, acme)

    assert warning["error_class"] == "upstream_tls_failed"
    assert warning["reason"] == reason
    assert "certificate" not in told


async def test_an_answer_that_is_none_of_the_transports_affairs(tmp_path: Path) -> None:
    """What the class says is all there is to say."""
    async with running_upstream(answering(plain(b"no", status="500 Oh"))) as upstream:
        _, warning = await failed(
            tmp_path, provider(f"http://127.0.0.1:{upstream.port}/v1")
        )

    assert warning["error_class"] == "upstream_server_error"
    assert warning["reason"] is None


async def test_a_stream_that_breaks_off(tmp_path: Path) -> None:
    """Also where the answer had begun."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        with capture_logs() as logs:
            async with running_router(tmp_path, settings) as router:
                async with router.http() as http:
                    # Before anything has come, not even the head is sent for long.
                    asking = asyncio.create_task(
                        http.post(CHAT, json=body(stream=True))
                    )
                    call = await puppet.call()
                    call.begin_stream()
                    call.chunk(content_event("one"))
                    call.writer.close()
                    await asking
                await router.record()

    (warning,) = [each for each in logs if each["event"] == "call failed"]
    assert warning["error_class"] == "upstream_connection_cut"
    assert warning["reason"] == "the connection was cut"
