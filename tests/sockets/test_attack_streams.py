"""Streams of providers that take headers lightly."""

import asyncio
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
