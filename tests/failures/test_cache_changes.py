"""The cache across changes of the configuration, and beside limits."""

from pathlib import Path
from typing import Any

import httpx2

from smart_llmrouter.mockprovider.script import Step
from tests.support.caching import PATHS, caching, request
from tests.support.calendar import MIDDAY
from tests.support.gateway import PRICE, Gateway, caller, running_gateway
from tests.support.mock import Mock, running_mock


async def ask(
    gateway: Gateway,
    text: str = "hi",
    **fields: Any,  # noqa: ANN401 - of the request
) -> httpx2.Response:
    """Ask, and return the answer."""
    async with gateway.http() as client:
        return await client.post(
            PATHS["openai-chat"], json=request(text=text, **fields)
        )


def told(answer: httpx2.Response) -> str | None:
    """Return what the cache has done."""
    return answer.headers.get("x-router-cache")


async def test_answers_outlive_what_does_not_concern_them(tmp_path: Path) -> None:
    """Another price leaves them; another model, or the end of the right to ask, not."""
    async with (
        running_mock() as mock,
        running_gateway(tmp_path, caching(mock.base_url)) as gateway,
    ):
        first = await ask(gateway)
        model: dict[str, Any] = gateway.settings["providers"]["acme"]["models"]["mini"]
        model["price"] = {**PRICE, "output_per_million": "9"}
        await _changed(gateway)
        same = await ask(gateway)
        model["model"] = "mock-other"
        await _changed(gateway)
        other = await ask(gateway)
        again = await ask(gateway)
        gateway.settings["callers"][0]["allow"] = []
        await _changed(gateway)
        refused = await ask(gateway)

    assert [told(each) for each in (first, same, other, again)] == [
        "miss",
        "hit",
        "miss",
        "hit",
    ]
    assert same.content == first.content
    assert other.content != first.content
    assert refused.status_code == 403
    assert told(refused) is None


async def test_the_cache_can_be_switched_off_and_on(tmp_path: Path) -> None:
    """Nothing is served after that which was kept before."""
    async with (
        running_mock() as mock,
        running_gateway(tmp_path, caching(mock.base_url)) as gateway,
    ):
        await ask(gateway)
        gateway.settings["cache"]["enabled"] = False
        await _changed(gateway)
        off = await ask(gateway)
        gateway.settings["cache"]["enabled"] = True
        await _changed(gateway)
        on = await ask(gateway)
        rows = await gateway.recorded(3)

    assert (told(off), told(on)) == (None, "miss")
    assert [row["cache"] for row in rows] == ["miss", None, "miss"]
    assert [row["cache_reason"] for row in rows] == ["stored", None, "stored"]


async def test_a_hit_is_a_request_without_tokens(tmp_path: Path) -> None:
    """In the minute and in budgets, and the same after the end of the router."""
    async with running_mock() as mock:
        mock.always(Step(content="ok", prompt_tokens=40, completion_tokens=10))
        async with running_gateway(tmp_path, _limited(mock)) as gateway:
            answers = [await ask(gateway, max_tokens=50) for _ in range(4)]
            await gateway.recorded(4)
            await gateway.stop()
            await gateway.start()
            after = [await ask(gateway, max_tokens=50) for _ in range(3)]

    assert [told(each) for each in answers] == ["miss", "hit", "hit", "hit"]
    left = [each.headers["x-ratelimit-remaining-requests"] for each in answers]
    assert left == ["5", "4", "3", "2"]
    # A restart has emptied the memory: one more is paid for.
    assert [told(each) for each in after] == ["miss", "hit", None]
    assert [each.status_code for each in after] == [200, 200, 429]
    assert len(mock.received) == 2


def _limited(mock: Mock) -> dict[str, Any]:
    """Return settings with six requests a minute, and tokens for a few calls a day."""
    settings: dict[str, Any] = caching(mock.base_url)
    settings["callers"] = [
        caller(
            "k1",
            limits={"rpm": 6},
            budgets={"timezone": MIDDAY, "day": {"tokens": 240}},
        )
    ]
    return settings


async def _changed(gateway: Gateway) -> None:
    gateway.write()
    report = await gateway.reload()
    assert report["configuration"]["last_reload"]["outcome"] == "taken"


async def test_workers_share_answers_in_the_routers_own_store(tmp_path: Path) -> None:
    """Whichever worker is asked, the target is asked once."""
    async with running_mock() as mock:
        settings = caching(mock.base_url, store="shared")
        settings["server"]["workers"] = 2
        settings["state"]["counters"] = "embedded-valkey"
        async with running_gateway(tmp_path, settings) as gateway:
            # Each has a connection of its own, and so any worker.
            answers = [await ask(gateway) for _ in range(12)]
            rows = await gateway.recorded(12)

    assert [told(each) for each in answers] == ["miss", *["hit"] * 11]
    assert len(mock.received) == 1
    assert sum(row["total_cost_nusd"] for row in rows) == rows[0]["total_cost_nusd"]
    assert "answer store is reached" in gateway.log
