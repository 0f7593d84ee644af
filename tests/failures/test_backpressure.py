"""Real streaming: at once, chunk by chunk, and no faster than the caller reads."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.gauges import settled
from tests.support.line import Line, chat, line_to
from tests.support.process import resident_bytes
from tests.support.puppet import (
    DONE,
    FINISH,
    Puppet,
    PuppetCall,
    content_event,
    running_puppet,
)
from tests.support.router import running_router
from tests.support.wait import PATIENCE_S

MIB = 1024 * 1024
EVENT = content_event("x" * 60_000)


@asynccontextmanager
async def routed(tmp_path: Path) -> AsyncGenerator[tuple[Gateway, Puppet]]:
    """Run a router process that lets very long streams pass."""
    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url)},
            upstream={"max_response_bytes": 2**32},
            callers=[caller(metrics_admin=True)],
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, puppet


class Talker:
    """Sends one event after the other, as fast as the router takes them."""

    def __init__(self, call: PuppetCall) -> None:
        """Begin the stream of `call`."""
        self.call = call
        self.events = 0
        self.stop = False
        call.begin_stream()

    async def talk(self, *, at_most: int = 10**6) -> None:
        """Send until told to stop, or until nobody is there."""
        with suppress(ConnectionError):
            while self.events < at_most and not self.stop:
                self.call.chunk(EVENT)
                await self.call.writer.drain()
                self.events += 1


async def held_back(*talkers: Talker) -> None:
    """Wait until none of `talkers` could send anything for half a second."""
    async with asyncio.timeout(PATIENCE_S):
        before = -1
        while (events := sum(talker.events for talker in talkers)) != before:
            before = events
            await asyncio.sleep(0.5)


async def test_each_event_arrives_before_the_next_is_sent(tmp_path: Path) -> None:
    """Nothing is collected: the caller has an event while the provider still thinks."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        async with (
            running_router(tmp_path, settings) as router,
            line_to(router) as line,
        ):
            line.send(chat(stream=True))
            call = await puppet.call()
            call.begin_stream()
            call.chunk(content_event("0"))
            await line.head()
            heard = [await line.chunk()]
            for turn in range(1, 30):
                call.chunk(content_event(str(turn)))
                heard.append(await line.chunk())
            call.chunk(FINISH)
            finish = await line.chunk()
            call.chunk(DONE)
            call.end_stream()
            done = await line.chunk()

    assert heard == [content_event(str(turn)) for turn in range(30)]
    assert (finish, done) == (FINISH, DONE)


async def test_a_caller_that_does_not_read_holds_the_provider_back(
    tmp_path: Path,
) -> None:
    """The router reads no further, keeps little, and goes on when the caller does."""
    async with (
        routed(tmp_path) as (gateway, puppet),
        line_to(gateway, receive_buffer=65536) as line,
    ):
        line.send(chat(stream=True))
        talker = Talker(await puppet.call())
        before = resident_bytes(gateway.pid)
        talking = asyncio.create_task(talker.talk())
        await line.head()
        await held_back(talker)
        sent_bytes = talker.events * len(EVENT)
        grown = resident_bytes(gateway.pid) - before
        held_at = talker.events
        read_bytes = await _read(line, 40 * MIB)
        talker.stop = True
        async with asyncio.timeout(PATIENCE_S):
            while not talking.done():
                await _read(line, 1)

    assert sent_bytes < 48 * MIB
    assert grown < 12 * MIB
    assert read_bytes >= 40 * MIB
    assert talker.events > held_at


async def _read(line: Line, at_least: int) -> int:
    """Read until so much was read."""
    count = 0
    async with asyncio.timeout(PATIENCE_S):
        while count < at_least:
            count += len(await line.reader.read(MIB))
    return count


async def test_many_callers_that_do_not_read_cost_little(tmp_path: Path) -> None:
    """Memory stays bounded by the number of streams, not by what is sent."""
    streams = 20
    async with routed(tmp_path) as (gateway, puppet), AsyncExitStack() as stack:
        before = resident_bytes(gateway.pid)
        talkers, talking = [], []
        for _ in range(streams):
            line = await stack.enter_async_context(
                line_to(gateway, receive_buffer=4096)
            )
            line.send(chat(stream=True))
            talkers.append(Talker(await puppet.call()))
            talking.append(asyncio.create_task(talkers[-1].talk()))
        await held_back(*talkers)
        grown = resident_bytes(gateway.pid) - before
        for talker in talkers:
            talker.stop = True
        await stack.aclose()
        await asyncio.gather(*talking)
        await settled(gateway)

    assert grown < streams * 4 * MIB


async def test_a_large_stream_passes_in_bounded_memory(tmp_path: Path) -> None:
    """Two hundred megabytes go through a router that never holds more than a few."""
    count = 3400
    async with routed(tmp_path) as (gateway, puppet), line_to(gateway) as line:
        line.send(chat(stream=True))
        talker = Talker(await puppet.call())
        before = resident_bytes(gateway.pid)
        talking = asyncio.create_task(talker.talk(at_most=count))
        await line.head()
        received, peak = 0, 0
        while received < count * len(EVENT):
            received += len(await line.reader.read(4 * MIB))
            peak = max(peak, resident_bytes(gateway.pid) - before)
        await talking
        talker.call.chunk(FINISH + DONE)
        talker.call.end_stream()
        await line.until(b"[DONE]\n\n\r\n0\r\n\r\n")

    assert peak < 24 * MIB
