"""Callers that leave: the provider is let go, a row is written, nothing leaks."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.gateway import (
    caller,
    configuration,
    provider,
    running_gateway,
    token,
)
from tests.support.gauges import settled
from tests.support.line import Line, chat, line_to, request
from tests.support.process import open_files
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

PROMPTLY_S = 30.0
"""Far less than any time-out of the router that would end such a call as well.

It is no measure of speed: a loaded machine may stop a process for seconds.
"""


@asynccontextmanager
async def routed(
    tmp_path: Path, **changes: object
) -> AsyncGenerator[tuple[Router, Puppet]]:
    """Run a router in front of a puppet."""
    changes.setdefault("callers", [caller(metrics_admin=True)])
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)}, **changes)
        async with running_router(tmp_path, settings) as router:
            yield router, puppet


def leave(line: Line) -> None:
    """End the connection in the ordinary way."""
    line.leave()


def vanish(line: Line) -> None:
    """End the connection as a crashed machine does."""
    line.vanish()


@pytest.mark.parametrize("going", [leave, vanish])
@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_before_the_first_byte_cancels_the_provider_call(
    tmp_path: Path, *, stream: bool, going: Callable[[Line], None]
) -> None:
    """Nobody waits any more: the provider's connection is closed at once."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=stream))
            call = await puppet.call()
            began = time.monotonic()
            going(line)
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            took_s = time.monotonic() - began
        rows = await router.recorded(1)
        await settled(router)

    assert took_s < PROMPTLY_S
    assert [row.status for row in rows] == [499]
    assert rows[0].error_code == "client-left"
    assert rows[0].output_tokens is None
    assert rows[0].target_provider == "acme"


async def test_leaving_in_mid_stream_cancels_the_provider_call(tmp_path: Path) -> None:
    """The usage that was reported before the caller left is on record."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(USAGE.replace(b"[]", b'[{"index":0,"delta":{"content":"a"}}]'))
            await line.until(b'"usage"')
            began = time.monotonic()
            line.leave()
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            took_s = time.monotonic() - began
        rows = await router.recorded(1)
        await settled(router)

    assert took_s < PROMPTLY_S
    assert [row.status for row in rows] == [499]
    assert rows[0].error_code == "client-left"
    assert rows[0].input_tokens == 11
    assert rows[0].output_tokens == 7
    assert rows[0].total_cost_nusd == 11 * 250 + 7 * 2000
    assert rows[0].ttft_us is not None


async def test_leaving_while_the_body_is_sent_reaches_no_provider(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a request is on record as left, and neither asked on nor complained of."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            whole = chat("x" * 4000)
            line.send(whole[:-2000])
            await line.writer.drain()
            line.leave()
        rows = await router.recorded(1)
        await settled(router)

    assert [row.status for row in rows] == [499]
    assert rows[0].error_code == "client-left"
    assert rows[0].attempts == 0
    assert puppet.connections == 0
    assert "call failed" not in capsys.readouterr().out


async def test_leaving_after_the_head_of_a_request_is_noticed_too(
    tmp_path: Path,
) -> None:
    """A caller that promised a body and sent none of it is on record as left."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            head = chat().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            line.send(
                head.replace(b"authorization", b"expect: 100-continue\r\nauthorization")
            )
            await line.until(b"100 Continue\r\n\r\n")
            line.leave()
        rows = await router.recorded(1)

    assert [row.status for row in rows] == [499]
    assert puppet.connections == 0


async def test_leaving_between_two_attempts_asks_no_second_target(
    tmp_path: Path,
) -> None:
    """Failover stops where nobody waits for its result."""
    async with running_puppet() as first, running_puppet() as second:
        targets = {
            "acme": provider(first.base_url),
            "other": provider(second.base_url),
        }
        async with running_router(tmp_path, configuration(targets)) as router:
            async with line_to(router) as line:
                line.send(chat())
                call = await first.call()
                line.leave()
                await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            rows = await router.recorded(1)

    assert [row.attempts for row in rows] == [1]
    assert second.connections == 0


async def test_many_callers_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    """File descriptors and calls in flight come back to where they were."""

    async def come_and_go(turn: int) -> None:
        async with line_to(gateway) as line:
            line.send(chat(stream=bool(turn % 2)))
            call = await puppet.call()
            if turn % 2:
                call.begin_stream()
                call.chunk(content_event("a"))
                await line.until(b"content")
            line.leave()
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)

    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url)}, callers=[caller(metrics_admin=True)]
        )
        async with running_gateway(tmp_path, settings) as gateway:
            await come_and_go(1)
            await settled(gateway)
            before = open_files(gateway.pid)
            for turn in range(60):
                await come_and_go(turn)
            rows = await gateway.recorded(61)
            await settled(gateway)
            await eventually(lambda: open_files(gateway.pid) <= before)

    assert {row["status"] for row in rows} == {499}
    assert len({row["request_id"] for row in rows}) == 61


async def test_a_connection_serves_one_call_after_the_other(tmp_path: Path) -> None:
    """Plain, streamed and refused answers all leave the connection usable."""
    async with routed(tmp_path) as (router, puppet), line_to(router) as line:
        line.send(chat())
        (await puppet.call()).write(completion("one"))
        plain = await line.answer()
        line.send(chat(stream=True))
        call = await puppet.call()
        call.begin_stream()
        call.chunk(content_event("two") + FINISH + USAGE + DONE)
        call.end_stream()
        streamed = await line.answer()
        line.send(chat(model="unknown"))
        refused = await line.answer()
        line.send(request("POST", "/v1/chat/completions", body=b"{"))
        malformed = await line.answer()
        line.send(chat(key=None))
        nobody = await line.answer()
        line.send(request("GET", "/nowhere"))
        nowhere = await line.answer()
        line.send(chat())
        (await puppet.call()).write(completion("last"))
        last = await line.answer()

    answers = [plain, streamed, refused, malformed, nobody, nowhere, last]
    assert [each.status for each in answers] == [200, 200, 403, 400, 401, 404, 200]
    assert b"one" in plain.body
    assert streamed.body.endswith(DONE)
    assert b"last" in last.body
    assert len({each.request_id for each in answers}) == len(answers)


async def test_two_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """The second waits for the first, and neither answer is mixed into the other."""
    async with routed(tmp_path) as (router, puppet), line_to(router) as line:
        line.send(chat("first", stream=True) + chat("second"))
        call = await puppet.call()
        call.begin_stream()
        call.chunk(content_event("one"))
        await line.until(b"one")
        waiting = puppet.unanswered
        call.chunk(FINISH + DONE)
        call.end_stream()
        rest_of_first = await line.until(b"0\r\n\r\n")
        second = await puppet.call()
        second.write(completion("two"))
        answer = await line.answer()
        rows = await router.recorded(2)

    assert waiting == 0
    assert b"[DONE]" in rest_of_first
    assert b"two" in answer.body
    assert [row.status for row in rows] == [200, 200]


async def test_leaving_during_the_second_call_of_a_connection_is_noticed(
    tmp_path: Path,
) -> None:
    """Also while the first provider keeps its answer open after the last event."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat("first", stream=True))
            first = await puppet.call()
            first.begin_stream()
            # The end of the transfer coding never comes.
            first.chunk(content_event("one") + FINISH + DONE)
            await line.until(b"[DONE]")
            await line.until(b"0\r\n\r\n")
            line.send(chat("second"))
            second = await puppet.call()
            await asyncio.wait_for(first.left.wait(), PATIENCE_S)
            began = time.monotonic()
            line.leave()
            await asyncio.wait_for(second.left.wait(), PATIENCE_S)
            took_s = time.monotonic() - began
        rows = await router.recorded(2)

    assert took_s < PROMPTLY_S
    assert sorted(row.status for row in rows) == [200, 499]


async def test_leaving_during_the_second_of_two_pipelined_calls_is_noticed(
    tmp_path: Path,
) -> None:
    """A pipelined call is cancelled like any other."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat("first") + chat("second", stream=True))
            (await puppet.call()).write(completion("one"))
            first = await line.answer()
            second = await puppet.call()
            began = time.monotonic()
            line.leave()
            await asyncio.wait_for(second.left.wait(), PATIENCE_S)
            took_s = time.monotonic() - began
        rows = await router.recorded(2)

    assert first.status == 200
    assert took_s < PROMPTLY_S
    assert sorted(row.status for row in rows) == [200, 499]


async def test_an_answered_call_stays_answered_when_the_caller_leaves_at_once(
    tmp_path: Path,
) -> None:
    """Closing right after the last byte does not turn a success into a disconnect."""
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as line:
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(content_event("one") + FINISH + USAGE + DONE)
            await line.until(b"0\r\n\r\n")
            line.leave()
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        rows = await router.recorded(1)
        await settled(router)

    assert [row.status for row in rows] == [200]
    assert rows[0].output_tokens == 7


async def test_a_slow_request_holds_nobody_up(tmp_path: Path) -> None:
    """Callers that trickle their headers or body cost the others nothing."""
    async with (
        routed(tmp_path) as (router, puppet),
        line_to(router) as trickling,
        line_to(router) as stuck,
    ):
        trickling.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ro")
        stuck.send(chat("x" * 4000)[:-1])
        async with line_to(router) as quick:
            began = time.monotonic()
            quick.send(chat())
            (await puppet.call()).write(completion("quick"))
            answer = await quick.answer()
            took_s = time.monotonic() - began
        stuck.send(b"}")
        (await puppet.call()).write(completion("late"))
        late = await stuck.answer()
        head = f"uter\r\nauthorization: Bearer {token()}\r\n"
        trickling.send(head.encode() + b"content-length: 0\r\n\r\n")
        trickled = await trickling.answer()

    assert answer.status == 200
    assert took_s < PROMPTLY_S
    assert late.status == 200
    assert trickled.error_code == "invalid-json"
