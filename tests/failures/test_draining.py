"""Callers that leave while a target is read on: the true usage, once, in bounds."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.gauges import settled
from tests.support.line import Line, chat, line_to
from tests.support.puppet import (
    DONE,
    FINISH,
    USAGE,
    Puppet,
    completion,
    content_event,
    running_puppet,
)
from tests.support.router import Router, running_router
from tests.support.wait import PATIENCE_S, eventually

SEEN_SO_FAR = USAGE.replace(b"[]", b'[{"index":0,"delta":{"content":"a"}}]')


def draining(
    *puppets: Puppet,
    ways: tuple[str, ...] = ("drain", "drain"),
    upstream: dict[str, float] | None = None,
    server: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Return a configuration whose targets are left in these `ways`, in their order."""
    providers = {f"p{at}": provider(each.base_url) for at, each in enumerate(puppets)}
    settings = configuration(
        providers,
        upstream=upstream or {},
        server=server or {},
        callers=[caller(metrics_admin=True)],
    )
    settings["groups"]["chat"]["targets"] = [
        {"use": f"{name}/mini", "on_disconnect": way}
        for name, way in zip(providers, ways, strict=False)
    ]
    return settings


@asynccontextmanager
async def routed(
    tmp_path: Path, upstream: dict[str, float] | None = None
) -> AsyncGenerator[tuple[Router, Puppet]]:
    """Run a router in front of a puppet that is read on."""
    async with (
        running_puppet() as puppet,
        running_router(tmp_path, draining(puppet, upstream=upstream)) as router,
    ):
        yield router, puppet


async def leave(line: Line) -> None:
    """End the connection, and wait until the router has done so, too."""
    line.writer.write_eof()
    await line.rest()


async def test_the_usage_behind_a_caller_that_left_is_the_true_one(
    tmp_path: Path,
) -> None:
    """The rest of the stream is read for nobody, and what it cost is on record."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(content_event("a"))
            await line.until(b"content")
            await leave(line)
        call.chunk(content_event("b"))
        still_there = not call.left.is_set() and not router.records()
        call.chunk(FINISH + USAGE + DONE)
        call.end_stream()
        (record,) = await router.recorded(1)
        await settled(router)

    assert still_there
    assert (record.status, record.error_code) == (499, "client-left")
    assert record.disconnect == "drained"
    assert (record.input_tokens, record.output_tokens) == (11, 7)
    assert record.total_cost_nusd == 11 * 250 + 7 * 2000
    assert record.attempts == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_before_the_first_byte(tmp_path: Path, *, stream: bool) -> None:
    """What has not begun to answer is read on as well, whole or streamed."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=stream))
            call = await puppet.call()
            await leave(line)
        if stream:
            call.begin_stream()
            call.chunk(content_event("b") + FINISH + USAGE + DONE)
            call.end_stream()
        else:
            call.write(completion("late"))
        (record,) = await router.recorded(1)
        await settled(router)

    assert (record.status, record.disconnect) == (499, "drained")
    assert (record.input_tokens, record.output_tokens) == (11, 7)


async def test_a_translated_stream_is_read_on_too(tmp_path: Path) -> None:
    """The lane makes no difference to who pays."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(path="/v1/messages", max_tokens=9, stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(content_event("a"))
            await line.until(b"content_block_delta")
            await leave(line)
        call.chunk(content_event("b") + FINISH + USAGE + DONE)
        call.end_stream()
        (record,) = await router.recorded(1)

    assert (record.status, record.lane) == (499, "translate")
    assert record.disconnect == "drained"
    assert record.output_tokens == 7


async def test_reading_on_has_an_end(tmp_path: Path) -> None:
    """After `drain_s` the provider is let go; what was reported so far counts."""
    async with routed(tmp_path, upstream={"drain_s": 0.3}) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(SEEN_SO_FAR)
            await line.until(b'"usage"')
            began = time.monotonic()
            await leave(line)
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        took_s = time.monotonic() - began
        (record,) = await router.recorded(1)
        await settled(router)

    assert 0.2 < took_s < 25
    assert (record.status, record.disconnect) == (499, "cancelled")
    assert record.output_tokens == 7
    assert record.error_code == "client-left"


async def test_too_much_is_not_read_on(tmp_path: Path) -> None:
    """`max_response_bytes` holds for nobody's answer, too."""
    bounds: dict[str, float] = {"max_response_bytes": 65_536}
    async with routed(tmp_path, upstream=bounds) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(SEEN_SO_FAR)
            await line.until(b'"usage"')
            await leave(line)
        call.chunk(content_event("x" * 70_000))
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        (record,) = await router.recorded(1)

    assert (record.status, record.disconnect) == (499, "cancelled")
    assert record.error_class == "upstream_response_too_large"
    assert record.output_tokens == 7


async def test_a_target_that_fails_for_nobody_is_not_replaced(tmp_path: Path) -> None:
    """Whose caller has left is worth no second attempt."""
    async with (
        running_puppet() as first,
        running_puppet() as second,
        running_router(tmp_path, draining(first, second)) as router,
    ):
        async with line_to(router) as line:
            line.send(chat())
            call = await first.call()
            await leave(line)
        call.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        (record,) = await router.recorded(1)
        await settled(router)

    assert (record.status, record.attempts) == (499, 1)
    assert second.connections == 0


async def test_each_target_says_what_is_done_with_it(tmp_path: Path) -> None:
    """The one is read on, the other of the same group is cancelled at once."""
    async with (
        running_puppet() as first,
        running_puppet() as second,
        running_router(
            tmp_path, draining(first, second, ways=("drain", "cancel"))
        ) as router,
    ):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            failing = await first.call()
            failing.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
            call = await second.call()
            call.begin_stream()
            call.chunk(SEEN_SO_FAR)
            await line.until(b'"usage"')
            began = time.monotonic()
            await leave(line)
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        took_s = time.monotonic() - began
        (record,) = await router.recorded(1)

    assert took_s < 25
    assert (record.status, record.disconnect) == (499, "cancelled")
    assert (record.target_provider, record.output_tokens) == ("p1", 7)
    assert record.fallback_used


@asynccontextmanager
async def left_behind(
    tmp_path: Path, *, grace_s: float
) -> AsyncGenerator[tuple[Gateway, Puppet]]:
    """Run a router process that reads an answer on, for nobody."""
    async with running_puppet() as puppet:
        settings = draining(puppet, server={"shutdown_grace_s": grace_s})
        async with running_gateway(tmp_path, settings) as gateway:
            async with line_to(gateway) as line:
                line.send(chat(stream=True))
                call = await puppet.call()
                call.begin_stream()
                call.chunk(SEEN_SO_FAR)
                await line.until(b'"usage"')
                await leave(line)
            yield gateway, puppet
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)


async def test_stopping_while_an_answer_is_read_on(tmp_path: Path) -> None:
    """Its time is over with the grace of the others; there is exactly one row."""
    async with left_behind(tmp_path, grace_s=0.5) as (gateway, _):
        await eventually(lambda: gateway.rows() == [])
        status = await gateway.stop()
        rows = await gateway.recorded(1)

    assert status == 0
    assert [(row["status"], row["output_tokens"]) for row in rows] == [(499, 7)]
    assert "Traceback" not in gateway.log


async def test_killed_while_an_answer_is_read_on(tmp_path: Path) -> None:
    """What was under way is lost with the process, never doubled or half written."""
    async with left_behind(tmp_path, grace_s=5) as (gateway, puppet):
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        await gateway.start()
        async with line_to(gateway) as line:
            line.send(chat())
            (await puppet.call()).write(completion("next"))
            answer = await line.answer()
        rows = await gateway.recorded(1)

    assert answer.status == 200
    assert [row["status"] for row in rows] == [200]
