"""Failing targets are left alone, and come back: seen from outside, over sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from msgspec import Raw

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.puppet import Puppet, completion, running_puppet
from tests.support.router import Router, running_router
from tests.support.wait import eventually

CHAT: Final = "/v1/chat/completions"
BODY: Final = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
BROKEN: Final = Step(status=500)
LIMITED: Final = b"HTTP/1.1 429 No\r\ncontent-length: 2\r\n\r\n{}"
SHORT: Final = {
    "on_429": {"min_s": 0.5, "max_s": 30},
    "on_quota": {"min_s": 30, "max_s": 60},
    "on_failure": {"failures": 5, "min_s": 0.5, "max_s": 1},
}
LONG: Final = {"on_failure": {"failures": 5, "min_s": 30, "max_s": 60}}


def settings_of(
    mock: Mock | Puppet, other: Mock | None, backoff: dict[str, Any]
) -> dict[str, Any]:
    """Return a configuration of one target, or of two, which rest like this."""
    providers = {"acme": provider(mock.base_url, backoff=backoff)}
    if other is not None:
        providers["other"] = provider(other.base_url, backoff=backoff)
    return configuration(providers)


@pytest.fixture
async def short(tmp_path: Path, mock: Mock, other: Mock) -> AsyncIterator[Router]:
    """Return a router over two targets whose rests are short."""
    async with running_router(tmp_path, settings_of(mock, other, SHORT)) as running:
        yield running


@pytest.fixture
async def long(tmp_path: Path, mock: Mock, other: Mock) -> AsyncIterator[Router]:
    """Return a router over two targets whose rests are longer than any test."""
    async with running_router(tmp_path, settings_of(mock, other, LONG)) as running:
        yield running


async def called(router: Router, times: int = 1) -> list[httpx2.Response]:
    """Make calls, one after another."""
    async with router.http() as client:
        return [await client.post(CHAT, json=BODY) for _ in range(times)]


async def circuit_of(router: Router, label: str) -> dict[str, Any]:
    """Return what `/readyz` says of a target."""
    async with router.http(None) as client:
        report = (await client.get("/readyz")).json()
    found: dict[str, Any] = report["groups"]["chat"][label]
    return found


async def test_twenty_five_failures_in_a_row(
    long: Router, mock: Mock, other: Mock
) -> None:
    """The first five reach the target, the others go to the next one at once."""
    mock.always(BROKEN)
    began_s = time.monotonic()

    answers = await called(long, 25)

    assert [each.status_code for each in answers] == [200] * 25
    assert (len(mock.received), len(other.received)) == (5, 25)
    assert {each.headers["x-router-target"] for each in answers} == {"other/mini"}
    found = await circuit_of(long, "acme/mini")
    assert (found["circuit"], found["condition"]) == ("open", "failing")
    assert 20 - (time.monotonic() - began_s) < found["next_call_in_s"] <= 30


async def test_a_target_that_recovers(short: Router, mock: Mock) -> None:
    """It is called again after a rest, and then each time."""
    mock.always(BROKEN)
    await called(short, 5)
    mock.always(Step())

    async def is_back() -> bool:
        (answer,) = await called(short)
        return "acme/mini" in answer.headers.get_list("x-router-target")

    await eventually(is_back, what="the target to be called again")
    answers = await called(short, 5)

    assert {each.headers["x-router-target"] for each in answers} == {"acme/mini"}
    assert (await circuit_of(short, "acme/mini"))["circuit"] == "closed"


async def test_twenty_calls_at_once_send_one_probe(tmp_path: Path, other: Mock) -> None:
    """The others do not wait for it: they go to the next target."""
    async with running_puppet() as puppet:
        settings = settings_of(puppet, other, SHORT)
        async with (
            running_router(tmp_path, settings) as router,
            router.http() as client,
        ):

            async def is_due() -> bool:
                found = await circuit_of(router, "acme/mini")
                return {"half-open"} == {found["circuit"]}

            first = asyncio.create_task(called(router))
            (await puppet.call()).write(LIMITED)
            await first
            await eventually(is_due, what="the rest to be over")
            asking = [
                asyncio.create_task(client.post(CHAT, json=BODY)) for _ in range(20)
            ]
            probe = await puppet.call()
            await eventually(lambda: sum(each.done() for each in asking) == 19)
            probe.write(completion())
            answers = await asyncio.gather(*asking)
        probes = 1 + puppet.unanswered

    targets = [each.headers["x-router-target"] for each in answers]
    assert [each.status_code for each in answers] == [200] * 20
    assert (targets.count("acme/mini"), targets.count("other/mini")) == (1, 19)
    assert probes == 1


async def test_retry_after_is_honored(short: Router, mock: Mock) -> None:
    """A target that has asked for twenty seconds is not called for as long."""
    mock.will(Step(status=429, retry_after=20))
    began_s = time.monotonic()

    await called(short, 5)

    found = await circuit_of(short, "acme/mini")
    assert len(mock.received) == 1
    assert 19 - (time.monotonic() - began_s) < found["next_call_in_s"] <= 20


async def test_all_targets_rest(tmp_path: Path, mock: Mock, other: Mock) -> None:
    """Callers are told when the soonest is back, and no target is called."""
    mock.will(Step(status=429, retry_after=25))
    other.will(Step(status=429, retry_after=12))
    async with running_router(tmp_path, settings_of(mock, other, SHORT)) as router:
        began_s = time.monotonic()
        (first,) = await called(router)
        (second,) = await called(router)
        least_s = 11 - (time.monotonic() - began_s)

    assert first.status_code == 503
    assert second.status_code == 503
    assert second.json()["error"]["code"] == "upstream-capacity-throttled"
    assert least_s <= int(second.headers["retry-after"]) <= 12
    assert (len(mock.received), len(other.received)) == (1, 1)


async def test_no_credit_is_a_reason_to_rest(short: Router, mock: Mock) -> None:
    """Also where it comes as a 400."""
    error = b'{"error":{"message":"Your credit balance is too low","type":"x"}}'
    mock.always(Step(status=400, body=Raw(error)))

    answers = await called(short, 3)

    assert [each.status_code for each in answers] == [200] * 3
    assert len(mock.received) == 1
    assert (await circuit_of(short, "acme/mini"))["circuit"] == "open"


async def test_requests_that_are_wrong_are_nobodys_fault(
    short: Router, mock: Mock
) -> None:
    """However many there are, the target is called."""
    mock.always(Step(status=400))

    answers = await called(short, 10)

    assert {each.status_code for each in answers} == {400}
    assert len(mock.received) == 10
    assert (await circuit_of(short, "acme/mini"))["circuit"] == "closed"


async def test_a_target_at_its_capacity_is_passed_over(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """What is too much for the one goes to the next."""
    settings = settings_of(mock, other, LONG)
    shaping = {"requests_per_second": 0.01, "burst": 2}
    settings["providers"]["acme"]["shaping"] = shaping
    async with running_router(tmp_path, settings) as router:
        answers = await called(router, 5)

    targets = [each.headers["x-router-target"] for each in answers]
    assert targets == ["acme/mini"] * 2 + ["other/mini"] * 3


async def test_the_only_target_is_at_its_capacity(tmp_path: Path, mock: Mock) -> None:
    """Callers are told so, with an honest wait."""
    settings = settings_of(mock, None, LONG)
    shaping = {"requests_per_second": 0.05, "burst": 1}
    settings["groups"]["chat"]["targets"][0]["shaping"] = shaping
    async with running_router(tmp_path, settings) as router:
        began_s = time.monotonic()
        first, second = await called(router, 2)
        least_s = 19 - (time.monotonic() - began_s)

    assert (first.status_code, second.status_code) == (200, 503)
    assert second.json()["error"]["code"] == "upstream-capacity-throttled"
    assert least_s <= int(second.headers["retry-after"]) <= 20


async def test_streams_that_always_break_off(long: Router, mock: Mock) -> None:
    """Each has begun well, and the target is left alone all the same."""
    mock.always(Step(words=50, hang_up_after_events=5))

    async with long.http() as client:
        for _ in range(7):
            await client.post(CHAT, json={**BODY, "stream": True})

    assert len(mock.received) == 5
    assert (await circuit_of(long, "acme/mini"))["circuit"] == "open"
