"""Answers in a store that routers share: what stands there, and when it is away."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.cache import shared as cache_shared
from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.stores import valkey_link
from tests.support.caching import PATHS, caching, request, verdicts
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.valkey import ValkeyServer, server_of_this_process
from tests.support.wait import PATIENCE_S, eventually

STORED = ("miss", "stored")
HIT = ("hit", None)


@pytest.fixture
def namespace() -> str:
    """Return a namespace of the test's own."""
    return f"test-{os.urandom(6).hex()}"


@pytest.fixture
def own_store(tmp_path: Path) -> Generator[ValkeyServer]:
    """Return a store that the test may stop."""
    (tmp_path / "valkey").mkdir()
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.kill()


def shared(mock: Mock, store: ValkeyServer, namespace: str, **cache: Any) -> Any:  # noqa: ANN401 - settings are JSON
    """Return settings with the cache in a store."""
    settings = caching(mock.base_url, store="shared", **cache)
    settings["state"] |= {"counters": store.url, "counters_namespace": namespace}
    return settings


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ValkeyServer:
    """Return a store that is waited for, however busy the machine is."""
    monkeypatch.setattr(cache_shared, "ANSWER_WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(valkey_link, "ANSWER_WITHIN_S", PATIENCE_S)
    monkeypatch.setattr(valkey_link, "_LOOKS", 300)
    return server_of_this_process()


@pytest.fixture
async def routers(
    tmp_path: Path, mock: Mock, store: ValkeyServer, namespace: str
) -> AsyncGenerator[tuple[Router, Router]]:
    """Return two routers that share answers."""
    async with AsyncExitStack() as opened:
        one, two = [
            await opened.enter_async_context(
                running_router(tmp_path / name, shared(mock, store, namespace))
            )
            for name in ("one", "two")
        ]
        yield one, two


async def ask(
    router: Router,
    text: str = "hi",
    *,
    key: str = "k1",
    **fields: Any,  # noqa: ANN401 - of the request
) -> httpx2.Response:
    """Ask, and return the answer."""
    async with router.http(key) as client:
        return await client.post(
            PATHS["openai-chat"], json=request(text=text, **fields)
        )


def keys(namespace: str) -> list[str]:
    """Return what is in the store of a namespace, without what comes before."""
    prefix = f"{{{namespace}}}:cache:"
    found = server_of_this_process().keys()
    return [each.removeprefix(prefix) for each in found if each.startswith(prefix)]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_has_kept_the_other_serves(
    routers: tuple[Router, Router], mock: Mock, *, stream: bool
) -> None:
    """To the same caller, byte for byte."""
    one, two = routers

    first = await ask(one, stream=stream)
    second = await ask(two, stream=stream)
    stranger = await ask(two, stream=stream, key="k2")

    assert first.content == second.content
    assert (first.status_code, stranger.headers["x-router-cache"]) == (200, "miss")
    assert len(mock.received) == 2
    assert verdicts(await one.recorded()) == [STORED]
    assert verdicts(await two.recorded(2)) == [HIT, STORED]


async def test_what_stands_in_the_store(
    routers: tuple[Router, Router], mock: Mock, namespace: str
) -> None:
    """The answer, for no longer than it may be served; of the question only a hash."""
    mock.always(Step(content="an answer"))

    await ask(routers[0], "a secret question")

    store = server_of_this_process()
    (entry,) = [each for each in keys(namespace) if each.startswith("a:")]
    full = f"{{{namespace}}}:cache:{entry}"
    kept_ms = int(store.ask("PTTL", full).strip()[1:])
    assert sorted(each for each in keys(namespace) if each != entry) == [
        "order",
        "salt",
        "sizes",
    ]
    assert len(bytes.fromhex(entry.removeprefix("a:"))) == 24
    assert 800_000 < kept_ms <= 900_000
    written = store.ask("GET", full)
    assert b"an answer" in written
    assert b"secret" not in written
    for name, how in (("order", ("ZRANGE", 0, -1)), ("sizes", ("HGETALL",))):
        command, *rest = how
        told = store.ask(command, f"{{{namespace}}}:cache:{name}", *rest)
        assert b"secret" not in told


async def test_no_more_is_kept_than_may_be(
    tmp_path: Path, mock: Mock, store: ValkeyServer, namespace: str
) -> None:
    """The oldest go first, and the sums are right again."""
    mock.always(Step(content="x" * 1000))
    settings = shared(mock, store, namespace, max_bytes=8192, max_entry_bytes=4096)

    async with running_router(tmp_path, settings) as router:
        for number in range(8):
            await ask(router, f"q{number}")
        entries = [each for each in keys(namespace) if each.startswith("a:")]
        last = await ask(router, "q7")
        first = await ask(router, "q0")

    sizes = store.ask("HGETALL", f"{{{namespace}}}:cache:sizes").split(b"\r\n")[2::2]
    by_name = dict(zip(sizes[::2], map(int, sizes[1::2]), strict=True))
    total = by_name.pop(b"")
    assert 2 <= len(entries) < 8
    assert 0 < total == sum(by_name.values()) <= 8192
    assert last.headers["x-router-cache"] == "hit"
    assert first.headers["x-router-cache"] == "miss"


async def test_without_the_store_calls_go_to_a_target(
    tmp_path: Path, mock: Mock, own_store: ValkeyServer, namespace: str
) -> None:
    """None fails; and as soon as it is back, answers are kept again."""
    settings = shared(mock, own_store, namespace)

    async with running_router(tmp_path, settings) as router:
        await ask(router)
        own_store.kill()
        away = [await ask(router) for _ in range(3)]
        own_store.start()

        async def is_kept() -> bool:
            return (await ask(router)).headers["x-router-cache"] == "hit"

        await eventually(is_kept, what="a hit")
        records = await router.recorded(5)

    assert [each.status_code for each in away] == [200] * 3
    assert verdicts(records)[1:4] == [("miss", "store-away")] * 3


async def test_a_store_that_hangs_holds_nobody_up_for_long(
    tmp_path: Path, mock: Mock, own_store: ValkeyServer, namespace: str
) -> None:
    """What it would have said is not waited for; many at once wait together."""
    settings = shared(mock, own_store, namespace)

    async with running_router(tmp_path, settings) as router:
        await ask(router)
        own_store.pause()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answers = await asyncio.gather(*(ask(router, f"q{n}") for n in range(5)))
        took_s = loop.time() - began_s
        own_store.go_on()

    assert [each.status_code for each in answers] == [200] * 5
    assert took_s < PATIENCE_S / 2
    assert len(mock.received) == 6


async def test_nonsense_in_the_store_is_nothing(
    routers: tuple[Router, Router], mock: Mock, namespace: str
) -> None:
    """What another program has put there is asked for anew, and put right."""
    one, two = routers
    await ask(one)
    (entry,) = [each for each in keys(namespace) if each.startswith("a:")]
    server_of_this_process().ask("SET", f"{{{namespace}}}:cache:{entry}", "nonsense")

    second = await ask(two)
    third = await ask(one)

    assert second.status_code == 200
    assert third.headers["x-router-cache"] == "hit"
    assert len(mock.received) == 2
