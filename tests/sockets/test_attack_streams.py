"""Streams of providers that take headers lightly."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.gateway import configuration, provider
from tests.support.puppet import (
    DONE,
    FINISH,
    Puppet,
    content_event,
    running_puppet,
)
from tests.support.router import running_router


async def stream_with(puppet: Puppet, content_type: bytes) -> None:
    """Answer one call with a stream under the given header line."""
    call = await puppet.call()
    body = content_event("hello") + FINISH + DONE
    length = b"content-length: %d\r\n\r\n" % len(body)
    call.write(b"HTTP/1.1 200 OK\r\n" + content_type + length + body)


@pytest.mark.parametrize(
    "content_type",
    [
        b"Content-Type: Text/Event-Stream; charset=UTF-8\r\n",
        b"content-type: text/event-stream;charset=utf-8\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_stream_is_one_however_its_type_is_spelled(
    tmp_path: Path, path: str, content_type: bytes
) -> None:
    """Types know no case, and one that is missing says nothing against it."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        body = {
            "model": "chat",
            "stream": True,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "hi"}],
        }
        async with running_router(tmp_path, settings) as router, router.http() as http:
            answer, _ = await asyncio.gather(
                http.post(path, json=body), stream_with(puppet, content_type)
            )

    assert answer.status_code == 200, answer.text
    assert "hello" in answer.text


async def fail_with(puppet: Puppet, secret: str) -> None:
    """Answer one call with a stream of Responses that fails, and repeats the key."""
    call = await puppet.call()
    events: tuple[dict[str, object], ...] = (
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_text.delta", "delta": "half an answer"},
        {
            "type": "response.failed",
            "response": {
                "id": "resp_1",
                "status": "failed",
                "error": {"code": "server_error", "message": f"not for {secret}"},
            },
        },
    )
    told = [(str(event["type"]), json.dumps(event)) for event in events]
    body = "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in told).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    call.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)


async def test_a_failure_in_a_stream_does_not_repeat_the_key(tmp_path: Path) -> None:
    """A provider's own last event goes on as it came, but for our credentials."""
    secret = "upstream-" + "0" * 24
    (tmp_path / "key").write_text(secret)
    async with running_puppet() as puppet:
        acme = provider(
            puppet.base_url,
            dialect="openai-responses",
            api_key=f"file:{tmp_path / 'key'}",
        )
        body = {"model": "chat", "stream": True, "input": "hi"}
        settings = configuration({"acme": acme})
        async with running_router(tmp_path, settings) as router, router.http() as http:
            answer, _ = await asyncio.gather(
                http.post("/v1/responses", json=body), fail_with(puppet, secret)
            )

    assert '"code": "server_error"' in answer.text
    assert "half an answer" in answer.text
    assert secret not in answer.text
