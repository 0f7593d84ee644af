"""The whole router over TLS, as its operators run it: a process and a file."""

import asyncio
from pathlib import Path

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import running_mock
from tests.support.secure_gateway import SecureGateway
from tests.support.upstream_server import CERTIFICATES, KEY_FILE
from tests.support.wait import PATIENCE_S

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_router_speaks_tls(tmp_path: Path, workers: int) -> None:
    """Health, calls and streams over TLS, and a graceful stop in mid-stream."""
    tls = {"cert_file": str(CERTIFICATES / "good.pem"), "key_file": str(KEY_FILE)}
    async with running_mock() as mock:
        mock.will(Step(), Step(delay_between_ms=50))
        settings = configuration(
            {"acme": provider(mock.base_url)},
            server={"tls": tls, "workers": workers, "shutdown_grace_s": 60},
        )
        gateway = SecureGateway(tmp_path, settings)
        await gateway.start()
        try:
            async with gateway.secure() as client:
                plain = await client.post("/v1/chat/completions", json=CHAT)
                health = await client.get("/healthz")
                async with client.stream(
                    "POST", "/v1/chat/completions", json={**CHAT, "stream": True}
                ) as streamed:
                    lines = streamed.aiter_lines()
                    first = await anext(lines)
                    assert gateway.process is not None
                    gateway.process.terminate()
                    rest = [line async for line in lines]
            status = await asyncio.to_thread(gateway.process.wait, 2 * PATIENCE_S)
            rows = gateway.rows()
        finally:
            await gateway.stop()

    assert (plain.status_code, health.status_code) == (200, 200)
    assert first.startswith("data: ")
    assert "data: [DONE]" in rest
    assert [row["status"] for row in rows] == [200, 200]
    assert status == 0
    assert "Traceback" not in gateway.log


async def test_a_certificate_that_is_gone_keeps_the_router_from_starting(
    tmp_path: Path,
) -> None:
    """The reason is told in words, at the line of the file."""
    settings = configuration(
        {"acme": provider("http://127.0.0.1:9/v1")},
        server={"tls": {"cert_file": "gone.pem"}},
    )
    gateway = SecureGateway(tmp_path, settings)

    try:
        await gateway.start()
    except AssertionError:
        pass
    else:
        await gateway.stop()

    assert "server.tls.cert_file" in gateway.log
    assert "Traceback" not in gateway.log
