"""How other gateways give up too early, and whom they charge for what nobody got."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.mockprovider.script import Step, StreamError, WrongUsage
from tests.support.gateway import configuration, provider
from tests.support.line import Line, chat, line_to
from tests.support.mock import running_mock
from tests.support.puppet import (
    DONE,
    FINISH,
    USAGE,
    PuppetCall,
    content_event,
    running_puppet,
)
from tests.support.router import Router, running_router
from tests.support.wait import PATIENCE_S

SEEN_SO_FAR = USAGE.replace(b"[]", b'[{"index":0,"delta":{"content":"a"}}]')
COST_NUSD = 11 * 250 + 7 * 2000


def left_as(way: str, base_url: str) -> dict[str, Any]:
    """Return a configuration whose one target is left in this way."""
    settings = configuration({"acme": provider(base_url)})
    settings["groups"]["chat"]["targets"] = [{"use": "acme/mini", "on_disconnect": way}]
    return settings


async def leave(line: Line) -> None:
    """End the connection, and wait until the router has done so, too."""
    line.writer.write_eof()
    await line.rest()


async def begun(line: Line, call: PuppetCall, event: bytes) -> None:
    """Begin a stream with one event, and wait until it has arrived."""
    call.begin_stream()
    call.chunk(event)
    await line.until(b"data: ")


async def asked(router: Router, *, stream: bool = True) -> int:
    """Ask once, and return the status."""
    async with line_to(router) as line:
        line.send(chat(stream=stream))
        return (await line.answer()).status


@pytest.mark.parametrize("targets", [1, 2])
async def test_errors_in_streams_fall_back_only_now_and_then(
    tmp_path: Path, *, targets: int
) -> None:
    """Before the first token it makes no difference where an error stands."""
    error = StreamError(after_events=1, type="overloaded_error")
    async with running_mock() as mock:
        mock.will(Step(error_in_stream=error))
        names = [f"p{at}" for at in range(targets)]
        settings = configuration({name: provider(mock.base_url) for name in names})
        settings["groups"]["chat"]["same_target_retries"] = 1
        async with running_router(tmp_path, settings) as router:
            status = await asked(router)
            record = await router.record()

    assert status == 200
    assert (record.status, record.attempts) == (200, 2)
    assert record.fallback_used == (targets == 2)


async def test_streams_that_callers_leave_cost_nothing(tmp_path: Path) -> None:
    """What the provider had reported by then is on the books."""
    async with running_puppet() as puppet:
        settings = left_as("cancel", puppet.base_url)
        async with running_router(tmp_path, settings) as router:
            async with line_to(router) as line:
                line.send(chat(stream=True))
                await begun(line, await puppet.call(), SEEN_SO_FAR)
                await leave(line)
            record = await router.record()

    assert (record.status, record.disconnect) == (499, "cancelled")
    assert record.total_cost_nusd == COST_NUSD


async def test_what_a_stream_has_cost_stays_unknown_when_its_caller_leaves(
    tmp_path: Path,
) -> None:
    """Where a target says so it is read on to its true usage, for a bounded time."""
    async with running_puppet() as puppet:
        settings = left_as("drain", puppet.base_url)
        async with running_router(tmp_path, settings) as router:
            async with line_to(router) as line:
                line.send(chat(stream=True))
                call = await puppet.call()
                await begun(line, call, content_event("a"))
                await leave(line)
            call.chunk(FINISH + USAGE + DONE)
            call.end_stream()
            record = await router.record()

    assert (record.status, record.disconnect) == (499, "drained")
    assert record.total_cost_nusd == COST_NUSD


async def test_a_provider_works_on_for_nobody(tmp_path: Path) -> None:
    """Where nothing else is said, it is let go as soon as the caller has left."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        async with running_router(tmp_path, settings) as router:
            async with line_to(router) as line:
                line.send(chat(stream=True))
                call = await puppet.call()
                await begun(line, call, content_event("a"))
                await leave(line)
                await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            record = await router.record()

    assert (record.status, record.disconnect) == (499, "cancelled")
    assert record.output_tokens is None


@pytest.mark.parametrize(
    ("usage", "output_tokens", "cost_nusd"), [("zero", 0, 0), ("absent", None, None)]
)
async def test_a_zero_of_the_provider_becomes_an_estimate(
    tmp_path: Path,
    *,
    usage: WrongUsage,
    output_tokens: int | None,
    cost_nusd: int | None,
) -> None:
    """Nothing reported is nothing known, and a zero that was reported is a zero."""
    async with running_mock() as mock:
        mock.will(Step(wrong_usage=usage))
        settings = configuration({"acme": provider(mock.base_url)})
        async with running_router(tmp_path, settings) as router:
            await asked(router, stream=False)
            record = await router.record()

    assert record.output_tokens == output_tokens
    assert record.total_cost_nusd == cost_nusd
    assert not record.usage_estimated


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("step", "status"),
    [
        (Step(status=500), 502),
        (Step(status=429), 503),
        (Step(status=400), 400),
        (Step(hang_up_at_byte=0), 502),
    ],
)
async def test_errors_and_answers_that_nobody_got_are_charged(
    tmp_path: Path, *, step: Step, status: int, stream: bool
) -> None:
    """A call that failed has no usage and costs nothing, however often it was tried."""
    async with running_mock() as mock:
        mock.always(step)
        names = ("one", "two")
        settings = configuration({name: provider(mock.base_url) for name in names})
        settings["groups"]["chat"]["same_target_retries"] = 1
        async with running_router(tmp_path, settings) as router:
            told = await asked(router, stream=stream)
            (record,) = await router.recorded(1)

    assert (told, record.status) == (status, status)
    assert (record.input_tokens, record.output_tokens) == (None, None)
    assert not record.total_cost_nusd


async def test_an_answer_after_a_failure_is_charged_for_both(tmp_path: Path) -> None:
    """The row has the usage and the price of who has answered, once."""
    async with running_mock() as mock, running_mock() as other:
        mock.will(Step(status=503))
        other.will(Step(prompt_tokens=10, completion_tokens=5))
        settings = configuration(
            {"one": provider(mock.base_url), "two": provider(other.base_url)}
        )
        async with running_router(tmp_path, settings) as router:
            status = await asked(router)
            record = await router.record()

    assert (status, record.attempts, record.target_provider) == (200, 2, "two")
    assert (record.input_tokens, record.output_tokens) == (10, 5)
    assert record.total_cost_nusd == 10 * 250 + 5 * 2000
