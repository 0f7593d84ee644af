"""What the router takes from whom it does not know: little, and nobody else suffers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import Metric

from tests.sockets.test_metrics import metrics_of, value_of
from tests.support.gateway import caller, configuration, provider, token
from tests.support.mock import Mock
from tests.support.raw_http import chat_request, exchange
from tests.support.router import Router, running_router
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
IDLE_S = 4
FEW = {"auth_failures_per_minute": 3}


def settings(mock: Mock, **server: object) -> dict[str, Any]:
    """Return a configuration with a caller, an admin, and these bounds."""
    return configuration(
        {"acme": provider(mock.base_url)},
        server=server,
        callers=[caller("k1"), caller("admin", metrics_admin=True)],
    )


@pytest.fixture
async def strict(tmp_path: Path, mock: Mock) -> AsyncIterator[Router]:
    """Return a router that tells three failures of an address what is wrong."""
    async with running_router(tmp_path, settings(mock, **FEW)) as running:
        yield running


async def ask(router: Router, headers: dict[str, str], path: str = CHAT) -> int:
    """Post a good request with these headers only; return the status."""
    async with router.http(None) as client:
        return (await client.post(path, json=BODY, headers=headers)).status_code


async def metrics_when_alone(router: Router) -> dict[str, Metric]:
    """Return the metrics as soon as there is no connection but the one that asks."""

    async def found() -> dict[str, Metric] | None:
        metrics = await metrics_of(router)
        return metrics if value_of(metrics, "connections") == 1 else None

    metrics: dict[str, Metric] | None
    metrics = await eventually(found, what="no connection but one")
    assert metrics is not None
    return metrics


async def test_guessing_is_slowed_down_and_good_tokens_pass(strict: Router) -> None:
    """An address that fails too often is told so; who has a token there is not."""
    async with strict.http(None) as guesser:
        answers = [
            await guesser.post(CHAT, json=BODY, headers={"x-api-key": f"guess-{n}"})
            for n in range(6)
        ]
        good = [await ask(strict, {"x-api-key": token()}) for _ in range(3)]
        again = await guesser.post(CHAT, json=BODY, headers={"x-api-key": "guess"})

    assert [each.status_code for each in answers] == [401] * 3 + [429] * 3
    assert good == [200] * 3
    assert again.status_code == 429
    error = again.json()["error"]
    assert error["code"] == "too-many-auth-failures"
    assert error["request_id"] == again.headers["x-request-id"]
    assert 1 <= int(again.headers["retry-after"]) <= 20
    assert again.headers["x-should-retry"] == "false"
    assert "www-authenticate" not in again.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/messages"),
        ("POST", "/anthropic/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/route/explain"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/chat"),
        ("GET", "/v1/codex/models.json"),
        ("GET", "/anthropic/v1/models"),
        ("GET", "/metrics"),
    ],
)
async def test_every_door_is_the_same_door(
    strict: Router, method: str, path: str
) -> None:
    """Wherever an address fails, it counts; in each dialect the answer is a 429."""
    for _ in range(3):
        await ask(strict, {})
    async with strict.http(None) as client:
        answer = await client.request(method, path)

    assert answer.status_code == 429
    assert "too-many-auth-failures" in answer.text


async def test_what_is_open_stays_open(strict: Router) -> None:
    """Health needs no token, and so no failure counts there."""
    for _ in range(5):
        await ask(strict, {})
    async with strict.http(None) as client:
        statuses = [
            (await client.get(path)).status_code
            for path in ("/healthz", "/readyz", "/version")
        ]

    assert statuses == [200] * 3


async def test_failures_and_connections_are_counted(strict: Router) -> None:
    """The metrics say what was wrong, how often it was not told, and who is there."""
    for headers in ({}, {}, {"x-api-key": "wrong"}, {"x-api-key": "wrong"}):
        await ask(strict, headers)
    metrics = await metrics_when_alone(strict)

    assert value_of(metrics, "auth_failures_total", reason="missing") == 2
    assert value_of(metrics, "auth_failures_total", reason="unknown") == 2
    assert value_of(metrics, "auth_failures_throttled_total") == 1
    assert value_of(metrics, "refused_requests_total", code="unauthorized") == 3
    assert (
        value_of(metrics, "refused_requests_total", code="too-many-auth-failures") == 1
    )
    assert value_of(metrics, "connections") == 1


async def test_a_flood_with_a_key_that_was_disabled_is_recorded_now_and_then(
    tmp_path: Path, mock: Mock
) -> None:
    """Its first failures are on record as ever; those that are slowed down are not."""
    changed = settings(mock, **FEW) | {"callers": [caller(status="disabled")]}
    async with running_router(tmp_path, changed) as router:
        statuses = [await ask(router, {"x-api-key": token()}) for _ in range(6)]
        records = await router.recorded(3)

    assert statuses == [403] * 3 + [429] * 3
    assert {record.error_code for record in records} == {"key-disabled"}
    assert len(records) == 3


@pytest.mark.parametrize(
    ("forwarded", "statuses"),
    [
        (["203.0.113.1"] * 4, [401, 401, 401, 429]),
        ([f"203.0.113.{n}" for n in range(4)], [401] * 4),
        ([f"203.0.113.{n}, 198.51.100.1" for n in range(4)], [401, 401, 401, 429]),
        ([f"garbage-{n}" for n in range(4)], [401, 401, 401, 429]),
        ([f"[2001:db8::{n}]:443" for n in range(4)], [401, 401, 401, 429]),
        ([f"2001:db8:0:{n}::1" for n in range(4)], [401] * 4),
        ([f"203.0.113.{n}, 127.0.0.{n}" for n in range(4)], [401] * 4),
        (["," * 20_000] * 4, [401, 401, 401, 429]),
    ],
)
async def test_behind_a_proxy_clients_are_told_apart(
    tmp_path: Path, mock: Mock, forwarded: list[str], statuses: list[int]
) -> None:
    """What the trusted proxy has added last says who fails."""
    trusting = settings(mock, **FEW, trusted_proxies=["127.0.0.0/8"])
    async with running_router(tmp_path, trusting) as router:
        found = [await ask(router, {"x-forwarded-for": each}) for each in forwarded]

    assert found == statuses


async def test_nobody_becomes_another_by_a_header(strict: Router) -> None:
    """Without trusted proxies the header is what anybody may write into it."""
    headers = [{"x-forwarded-for": f"203.0.113.{n}"} for n in range(4)]
    found = [await ask(strict, each) for each in headers]

    assert found == [401, 401, 401, 429]


async def open_connections(
    stack: AsyncExitStack, port: int, count: int
) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open connections, but for those that are dropped; close them with the stack."""
    opened = []
    for _ in range(count):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionResetError:
            continue
        stack.callback(writer.close)
        opened.append((reader, writer))
    return opened


@pytest.mark.parametrize("bound", ["max_connections", "max_connections_per_address"])
async def test_more_connections_than_there_is_room_for(
    tmp_path: Path, mock: Mock, bound: str
) -> None:
    """One too many is told so and closed; when another one leaves, there is room."""
    async with (
        running_router(tmp_path, settings(mock, **{bound: 3})) as router,
        AsyncExitStack() as stack,
    ):
        held = await open_connections(stack, router.port, 3)
        silent, asking = await asyncio.gather(
            exchange(router.port, b""),
            exchange(router.port, chat_request(headers={"x-api-key": token()})),
        )
        held[1][1].write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        served = await held[1][0].readline()
        held[0][1].close()

        async def there_is_room() -> bool:
            return await ask(router, {"x-api-key": token()}) == 200

        await eventually(there_is_room, what="room for one more")
        metrics = await metrics_of(router)

    assert served == b"HTTP/1.1 200 OK\r\n"
    for refused in (silent, asking):
        error = json.loads(refused.body)["error"]
        assert (refused.status, error["code"]) == (503, "too-many-connections")
        assert (b"retry-after: 1" in refused.head, refused.ending) == (True, "closed")
    full = "router" if bound == "max_connections" else "address"
    assert value_of(metrics, "connections_refused_total", full=full) >= 2


async def test_a_good_caller_gets_in_between_a_flood(
    tmp_path: Path, mock: Mock
) -> None:
    """Hundreds of connections at once leave the router as it was before them."""
    async with running_router(tmp_path, settings(mock, max_connections=20)) as router:
        began_s = time.monotonic()
        async with AsyncExitStack() as stack:
            await open_connections(stack, router.port, 400)
        took_s = time.monotonic() - began_s
        statuses: list[int] = []

        async def gets_in() -> bool:
            try:
                statuses.append(await ask(router, {"x-api-key": token()}))
            except httpx2.TransportError:
                return False
            return statuses[-1] == 200

        await eventually(gets_in, what="an answer after the flood")
        metrics = await metrics_when_alone(router)

    assert set(statuses) <= {200, 503}
    assert value_of(metrics, "connections") == 1
    refused = value_of(metrics, "connections_refused_total", full="router")
    # In a crowd the idle go every few seconds, and as many others come in.
    assert refused >= 400 - 20 * (1 + took_s // IDLE_S)


def with_fields(count: int, *, ending: bytes = b"\r\n") -> bytes:
    """Return a request with so many fields besides its host."""
    fields = b"".join(b"x-%d: a\r\n" % number for number in range(count))
    return b"GET /healthz HTTP/1.1\r\nhost: a\r\n%b%b" % (fields, ending)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (with_fields(255), 200),
        (with_fields(256), 400),
        (with_fields(258, ending=b""), 400),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + b"a:\r\n" * 15_000, 400),
        (
            b"POST /healthz HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\n" + b"a:\r\n" * 1_000,
            400,
        ),
    ],
)
async def test_a_request_has_a_bounded_number_of_fields(
    router: Router, request_bytes: bytes, status: int
) -> None:
    """Each of them takes a hundred bytes of memory where it took four on the wire."""
    heard = await exchange(router.port, request_bytes, enough=b"\r\n\r\n")

    assert heard.status == status
