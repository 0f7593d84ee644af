"""Callers that send a large body to the end, whatever they are told meanwhile."""

import asyncio
from typing import Final

from tests.support.edge import on_uvloop, serving_edge
from tests.support.wait import PATIENCE_S

MIB: Final = 1 << 20


def test_a_caller_that_sends_all_of_a_refused_body_learns_why() -> None:
    """Many read no answer before they have sent everything: it must not take long."""
    body = b"a" * (40 * MIB)
    head = b"POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)

    async def run() -> bytes:
        async with serving_edge() as edge, asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            # Now draining means to wait until the system has taken everything.
            writer.transport.set_write_buffer_limits(high=0)
            writer.write(head + body)
            await writer.drain()
            heard = await reader.read()
            writer.close()
            return heard

    heard = on_uvloop(run())

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert heard.endswith(b"}")
