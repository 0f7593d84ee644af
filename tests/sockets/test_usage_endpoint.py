"""`GET /v1/usage` over the wire: own calls and limits, as a database has them."""

from pathlib import Path
from typing import Any

import httpx2

from tests.support.calendar import MIDDAY
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.mock import Mock
from tests.support.wait import eventually

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
UNAVAILABLE = httpx2.codes.SERVICE_UNAVAILABLE
LIMITS = {"limits": {"rpm": 50, "concurrent": 5}}
DAY = {"requests": 100, "usd": "2.50"}
BUDGETS = {"budgets": {"timezone": MIDDAY, "day": DAY}}


def settings(mock: Mock) -> dict[str, Any]:
    """Return a configuration with two callers in one project that has a budget."""
    return configuration(
        {"acme": provider(mock.base_url)},
        callers=[caller("k1", **LIMITS), caller("k2")],
        projects=[{"id": "search", "name": "Search", "status": "active", **BUDGETS}],
    )


async def usage(gateway: Gateway, key: str = "k1", query: str = "") -> dict[str, Any]:
    """Ask as a caller for what it has used, and again while that is added up."""

    async def added_up() -> httpx2.Response | None:
        async with gateway.http(key) as client:
            answer = await client.get(f"/v1/usage{query}")
        return None if answer.status_code == UNAVAILABLE else answer

    answer: httpx2.Response | None
    answer = await eventually(added_up, what="an answer")
    assert answer is not None
    assert answer.status_code == httpx2.codes.OK, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    told: dict[str, Any] = answer.json()
    return told


async def calls(gateway: Gateway, *keys: str) -> None:
    """Call once as each of these callers."""
    for key in keys:
        async with gateway.http(key) as client:
            answer = await client.post("/v1/chat/completions", json=BODY)
        assert answer.status_code == httpx2.codes.OK, answer.text


async def test_a_caller_sees_its_own(tmp_path: Path, mock: Mock) -> None:
    """Its own calls and limits, and of the shared budget one sum."""
    async with running_gateway(tmp_path, settings(mock)) as gateway:
        await calls(gateway, "k1", "k2", "k2", "k2")
        await gateway.recorded(4)

        async def is_complete() -> bool:
            return bool((await usage(gateway))["usage"]["complete"])

        await eventually(is_complete, what="all rows")
        first, second = await usage(gateway), await usage(gateway, "k2")
        empty = await usage(gateway, query="?from=2020-01-01&to=2020-02-01")

    assert first["usage"]["total"]["calls"] == 1
    assert second["usage"]["total"]["calls"] == 3
    assert [each["group"] for each in first["usage"]["by_group"]] == ["chat"]
    assert empty["usage"]["total"]["calls"] == 0
    assert empty["usage"]["by_day"] == []
    own, shared = first["limits"]
    assert (own["scope"], own["shared"]) == ("caller", False)
    assert {each["limit"]: each["used"] for each in own["limits"]} == {
        "rpm": 1,
        "concurrent": 0,
    }
    assert (shared["scope"], shared["name"], shared["shared"]) == (
        "project",
        "search",
        True,
    )
    assert {each["limit"]: each["used"] for each in shared["limits"]}[
        "day.requests"
    ] == 4
    assert [each["value"] for each in shared["limits"]] == [100, "2.50"]
    assert second["limits"] == [shared]
    assert "k2" not in str(first)


async def test_what_is_refused(tmp_path: Path, mock: Mock) -> None:
    """Strangers, days that are none, and another method: it can only be read."""
    async with running_gateway(tmp_path, settings(mock)) as gateway:
        refused = [
            await refusal(gateway, None),
            await refusal(gateway, "k9"),
            await refusal(gateway, "k1", "?from=now"),
            await refusal(gateway, "k1", "?from=2026-11-02&to=2026-11-02"),
        ]
        async with gateway.http() as client:
            posted = await client.post("/v1/usage", json={})

    assert refused == [
        (401, "unauthorized"),
        (401, "unauthorized"),
        (400, "invalid-request"),
        (400, "invalid-request"),
    ]
    assert posted.status_code == httpx2.codes.METHOD_NOT_ALLOWED


async def test_a_database_that_is_away(tmp_path: Path, mock: Mock) -> None:
    """Whoever asks is told that it cannot be known now."""
    async with running_gateway(tmp_path, settings(mock)) as gateway:
        for path in gateway.state.glob("usage.sqlite*"):
            path.unlink()

        refused = await refusal(gateway, "k1")

    assert refused == (503, "usage-unavailable")


async def refusal(
    gateway: Gateway, key: str | None, query: str = ""
) -> tuple[int, str]:
    """Return the status and the code that somebody is refused with."""
    async with gateway.http(key) as client:
        answer = await client.get(f"/v1/usage{query}")
    return answer.status_code, answer.json()["error"]["code"]
