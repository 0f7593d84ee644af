"""Silence: streams that are kept alive, targets that say nothing, limits that pass."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.gateway import caller, configuration, provider
from tests.support.gauges import settled
from tests.support.line import Line, chat, line_to
from tests.support.puppet import (
    DONE,
    FINISH,
    USAGE,
    Puppet,
    PuppetCall,
    completion,
    content_event,
    running_puppet,
)
from tests.support.router import Router, running_router
from tests.support.wait import PATIENCE_S, eventually

KEEP_ALIVE = b": keep-alive\n\n"
_ESTABLISHED = 1


@asynccontextmanager
async def routed(
    tmp_path: Path, **changes: object
) -> AsyncGenerator[tuple[Router, Puppet, Puppet]]:
    """Run a router that fails over from one puppet to another."""
    changes.setdefault("callers", [caller(metrics_admin=True)])
    async with running_puppet() as first, running_puppet() as second:
        settings = configuration(
            {"acme": provider(first.base_url), "other": provider(second.base_url)},
            **changes,
        )
        async with running_router(tmp_path, settings) as router:
            yield router, first, second


async def test_a_silent_stream_is_opened_and_kept_alive(tmp_path: Path) -> None:
    """Comments come in the silence before the first event, then the events."""
    async with (
        routed(tmp_path, server={"keepalive_after_s": 0.1}) as (router, first, _),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        head = await line.head()
        beats = [await line.chunk(), await line.chunk(), await line.chunk()]
        call.begin_stream()
        call.chunk(content_event("late") + FINISH + USAGE + DONE)
        call.end_stream()
        rest = b"".join([piece async for piece in _chunks(line)])
        record = await router.record()

    assert head.status == 200
    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert beats == [KEEP_ALIVE] * 3
    assert rest.replace(KEEP_ALIVE, b"") == content_event("late") + FINISH + DONE
    assert record.status == 200


async def _chunks(line: Line) -> AsyncGenerator[bytes]:
    while piece := await line.chunk():
        yield piece


async def test_failover_still_works_once_the_stream_is_open(tmp_path: Path) -> None:
    """A target that fails after keep-alives began passes the call on unseen."""
    async with (
        routed(tmp_path, server={"keepalive_after_s": 0.1}) as (router, first, second),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        await line.until(KEEP_ALIVE)
        call.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
        other = await second.call()
        await line.until(KEEP_ALIVE)
        other.begin_stream()
        other.chunk(content_event("second") + FINISH + DONE)
        other.end_stream()
        rest = await line.until(b"0\r\n\r\n")
        record = await router.record()

    assert content_event("second") in rest
    assert (record.status, record.attempts) == (200, 2)
    assert record.target_provider == "other"


async def test_a_final_failure_after_keep_alives_is_an_event(tmp_path: Path) -> None:
    """The status is out already, so the error comes inside the stream."""
    async with (
        routed(tmp_path, server={"keepalive_after_s": 0.1}) as (router, first, second),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        await line.until(KEEP_ALIVE)
        call.write(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")
        other = await second.call()
        other.write(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n")
        last = await line.until(b"0\r\n\r\n")
        record = await router.record()

    assert b'"code":"upstream-failed"' in last
    assert DONE not in last
    assert (record.status, record.error_code) == (502, "upstream-failed")


async def test_keep_alives_never_split_an_event(tmp_path: Path) -> None:
    """An event that arrives in halves leaves whole, between two comments."""
    async with (
        routed(tmp_path, server={"keepalive_after_s": 0.1}) as (router, first, _),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()
        call.chunk(content_event("one"))
        await line.head()
        pieces = [await line.chunk()]
        while pieces == [KEEP_ALIVE]:
            # It came before the first event, which may be late.
            pieces = [await line.chunk()]
        event = content_event("cut in the middle")
        call.chunk(event[:20])
        pieces += [await line.chunk(), await line.chunk()]
        call.chunk(event[20:])
        while pieces[-1] != event:
            pieces.append(await line.chunk())
        call.chunk(FINISH + DONE)
        call.end_stream()
        pieces += [piece async for piece in _chunks(line)]

    assert set(pieces[1 : pieces.index(event)]) == {KEEP_ALIVE}
    assert b"".join(each for each in pieces if each != KEEP_ALIVE) == (
        content_event("one") + event + FINISH + DONE
    )


async def test_a_silent_target_passes_the_call_on(tmp_path: Path) -> None:
    """No first event in time: the attempt is cancelled, and the next one is made."""
    async with (
        routed(tmp_path, upstream={"first_event_timeout_s": 2}) as (
            router,
            first,
            second,
        ),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()
        call.chunk(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n')
        other = await second.call()
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        other.begin_stream()
        other.chunk(content_event("second") + FINISH + DONE)
        other.end_stream()
        answer = await line.answer()
        record = await router.record()

    assert answer.headers["x-router-target"] == "other/mini"
    assert answer.body == content_event("second") + FINISH + DONE
    assert (record.status, record.attempts) == (200, 2)


async def test_targets_that_all_stay_silent_are_a_timeout(tmp_path: Path) -> None:
    """The caller is told 504, and the record names the class."""
    async with (
        routed(tmp_path, upstream={"first_event_timeout_s": 0.2}) as (router, _, _two),
        line_to(router) as line,
    ):
        line.send(chat())
        answer = await line.answer()
        record = await router.record()

    assert (answer.status, answer.error_code) == (504, "upstream-timeout")
    assert record.error_class == "upstream_first_event_timeout"
    assert record.attempts == 2


async def test_a_group_has_a_limit_of_its_own_for_each_attempt(tmp_path: Path) -> None:
    """`attempt_timeout_s` wins over `first_event_timeout_s`, and cuts no stream."""
    groups = {
        "chat": {
            "strategy": "failover",
            "attempt_timeout_s": 2,
            "targets": [{"use": "acme/mini"}, {"use": "other/mini"}],
        }
    }
    async with (
        routed(tmp_path, groups=groups) as (router, first, second),
        line_to(router) as line,
    ):
        began = time.monotonic()
        line.send(chat(stream=True))
        await first.call()
        other = await second.call()
        took_s = time.monotonic() - began
        other.begin_stream()
        other.chunk(content_event("one"))
        await line.until(b"one")
        quiet = await _says_nothing_for(line, 2.5)
        other.chunk(FINISH + DONE)
        other.end_stream()
        await line.until(b"0\r\n\r\n")
        record = await router.record()

    assert 1.9 < took_s < 30
    assert quiet
    assert record.status == 200


async def _says_nothing_for(line: Line, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await line.reader.readexactly(1000)
    except TimeoutError:
        return True
    return False


async def test_a_stream_that_falls_silent_ends_with_an_error(tmp_path: Path) -> None:
    """It never looks as if it had come to its end."""
    async with (
        routed(tmp_path, upstream={"idle_timeout_s": 0.3}) as (router, first, second),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()
        call.chunk(content_event("one"))
        answer = await line.answer()
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        record = await router.record()

    assert answer.body.startswith(content_event("one"))
    assert answer.error_code == "upstream-timeout"
    assert DONE not in answer.body
    assert (record.status, record.error_class) == (504, "upstream_idle_timeout")
    assert second.connections == 0


async def test_the_whole_call_has_a_deadline(tmp_path: Path) -> None:
    """`total_timeout_s` ends a stream however lively it is."""
    async with (
        routed(tmp_path, upstream={"total_timeout_s": 0.6}) as (router, first, _),
        line_to(router) as line,
    ):
        began = time.monotonic()
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()

        async def talk() -> None:
            while not call.left.is_set():
                call.chunk(content_event("more"))
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(talk())
        answer = await line.answer()
        took_s = time.monotonic() - began
        await talking
        record = await router.record()

    assert 0.5 < took_s < 30
    assert answer.error_code == "upstream-timeout"
    assert (record.status, record.error_class) == (504, "upstream_total_timeout")


async def test_a_deadline_that_passes_behind_the_end_is_no_failure(
    tmp_path: Path,
) -> None:
    """The call was answered: what the provider still keeps open is not its affair."""
    with capture_logs() as logs:
        async with (
            routed(tmp_path, upstream={"total_timeout_s": 2}) as (router, first, _),
            line_to(router) as line,
        ):
            line.send(chat(stream=True))
            call = await first.call()
            call.begin_stream()
            call.chunk(content_event("one") + FINISH + DONE)
            await line.until(b"[DONE]\n\n\r\n0\r\n\r\n")
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            record = await router.record()

    assert (record.status, record.error_class) == (200, None)
    assert [each for each in logs if each["event"] == "call failed"] == []


async def test_the_deadline_is_told_also_where_each_record_waits_for_the_disk(
    tmp_path: Path,
) -> None:
    """The limit that passed is not met a second time while the record is written."""
    changes = {
        "upstream": {"total_timeout_s": 0.3},
        "state": {"journal_sync": "always"},
    }
    async with (
        routed(tmp_path, **changes) as (router, first, _),
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()
        call.chunk(content_event("one"))
        answer = await line.answer()
        record = await router.record()

    assert answer.error_code == "upstream-timeout"
    assert record.error_class == "upstream_total_timeout"


async def test_the_deadline_holds_over_all_attempts(tmp_path: Path) -> None:
    """A second attempt gets only what the first has left of the time."""
    limits = {"total_timeout_s": 3.5, "first_event_timeout_s": 2}
    async with (
        routed(tmp_path, upstream=limits) as (router, _, _two),
        line_to(router) as line,
    ):
        began = time.monotonic()
        line.send(chat())
        answer = await line.answer()
        took_s = time.monotonic() - began
        record = await router.record()

    assert 3.4 < took_s < 30
    assert (answer.status, answer.error_code) == (504, "upstream-timeout")
    assert record.attempts == 2


async def test_the_deadline_frees_what_a_caller_that_does_not_read_holds(
    tmp_path: Path,
) -> None:
    """Such a caller cannot keep a provider, a call or a connection for ever."""
    # Long enough for the answer to begin: one that has not is a whole 504.
    limits = {"total_timeout_s": 4, "max_response_bytes": 10**9}
    async with (
        routed(tmp_path, upstream=limits) as (router, first, _),
        line_to(router, receive_buffer=4096) as line,
    ):
        line.send(chat(stream=True))
        call = await first.call()
        call.begin_stream()
        talking = asyncio.create_task(_talk_without_end(call))
        await asyncio.wait_for(call.left.wait(), PATIENCE_S)
        await talking
        record = await router.record()
        await settled(router)
        await eventually(lambda: is_cut(line), what="the end of the connection")

    assert (record.status, record.error_class) == (504, "upstream_total_timeout")


def is_cut(line: Line) -> bool:
    """Say whether the router has ended a connection that is still not read."""
    connected = line.writer.get_extra_info("socket")
    state: int = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != _ESTABLISHED


@pytest.mark.parametrize("model", ["chat", "unknown"])
async def test_nothing_is_begun_behind_an_answer_that_is_not_read(
    tmp_path: Path, model: str
) -> None:
    """Neither a call nor a refusal; and the caller is let go in the end."""
    async with (
        routed(tmp_path, server={"client_timeout_s": 1}) as (router, first, _),
        line_to(router, receive_buffer=4096) as line,
    ):
        line.send(chat())
        (await first.call()).write(completion("x" * 20_000_000))
        await router.record()
        line.send(chat(model=model))
        await eventually(lambda: is_cut(line), what="the end of the connection")
        await settled(router)
        records = router.records()

    assert [record.status for record in records] == [200]
    assert first.unanswered == 0


async def test_what_waits_behind_an_answer_is_served_when_it_is_read(
    tmp_path: Path,
) -> None:
    """A slow reader gets all its answers, in their order."""
    async with (
        routed(tmp_path) as (router, first, _),
        line_to(router, receive_buffer=4096) as line,
    ):
        line.send(chat())
        (await first.call()).write(completion("x" * 20_000_000))
        await router.record()
        line.send(chat() + chat(model="unknown"))
        long = await line.answer()
        (await first.call()).write(completion())
        answers = [await line.answer() for _ in range(2)]

    assert len(long.body) > 20_000_000
    assert [answer.status for answer in answers] == [200, 403]


async def _talk_without_end(call: PuppetCall) -> None:
    """Send one large event after the other, as fast as they are read."""
    with suppress(ConnectionError):
        while not call.left.is_set():
            call.chunk(content_event("x" * 60_000))
            await call.writer.drain()


@contextmanager
def unanswering() -> Generator[int]:
    """Listen, with a queue that is full: a further connection is never answered."""
    with ExitStack() as open_until_end:
        listening = open_until_end.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        for _ in range(8):
            waiting = open_until_end.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - the socket's own signature
            waiting.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_host_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    """`connect_timeout_s` passes the call on to the next target."""
    with unanswering() as port:
        async with running_puppet() as second:
            settings = configuration(
                {
                    "acme": provider(f"http://127.0.0.1:{port}/v1"),
                    "other": provider(second.base_url),
                },
                upstream={"connect_timeout_s": 1.5},
            )
            async with (
                running_router(tmp_path, settings) as router,
                line_to(router) as line,
            ):
                began = time.monotonic()
                line.send(chat())
                call = await second.call()
                took_s = time.monotonic() - began
                call.write(completion())
                answer = await line.answer()

    assert 1.4 < took_s < 30
    assert answer.headers["x-router-target"] == "other/mini"


async def test_no_host_that_answers_is_a_timeout_of_connecting(tmp_path: Path) -> None:
    """The class in the record says that no connection was made in time."""
    with unanswering() as port:
        settings = configuration(
            {"acme": provider(f"http://127.0.0.1:{port}/v1")},
            upstream={"connect_timeout_s": 0.3},
        )
        async with (
            running_router(tmp_path, settings) as router,
            line_to(router) as line,
        ):
            line.send(chat())
            answer = await line.answer()
            record = await router.record()

    assert (answer.status, answer.error_code) == (504, "upstream-timeout")
    assert record.error_class == "upstream_connect_timeout"
