"""Groups that spread their calls: by weight, by what was seen, and by conversation."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock, running_mock
from tests.support.router import Router, running_router

Json = dict[str, Any]
FIRST, SECOND = "first/mini", "second/mini"
CALLS: Final = 200
USUAL_MS: Final = 20.0
PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}


@pytest.fixture
async def first() -> AsyncIterator[Mock]:
    """Return a provider."""
    async with running_mock(Settings(name="first")) as running:
        yield running


@pytest.fixture
async def second() -> AsyncIterator[Mock]:
    """Return another one."""
    async with running_mock(Settings(name="second")) as running:
        yield running


Spreading = Callable[..., Any]


@pytest.fixture
def spreading(tmp_path: Path, first: Mock, second: Mock) -> Spreading:
    """Serve a group of both providers, which has these settings."""

    @asynccontextmanager
    async def serving(
        weights: tuple[int, int] = (1, 1),
        dialect: str = "openai-chat",
        **settings: object,
    ) -> AsyncGenerator[Router]:
        group = {
            "strategy": "weighted",
            "targets": [
                {"use": label, "weight": weight}
                for label, weight in zip((FIRST, SECOND), weights, strict=True)
            ],
            "same_target_retries": 0,
            **settings,
        }
        file = configuration(
            {
                "first": provider(first.base_url, dialect=dialect),
                "second": provider(second.base_url, dialect=dialect),
            },
            groups={"chat": group},
            callers=[caller(), caller("k2")],
        )
        async with running_router(tmp_path, file) as router:
            yield router

    return serving


def body(dialect: str, *said: str, **fields: object) -> Json:
    """Return a request after these turns, the first of which is the user's."""
    turns = [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(said)
    ]
    rest: Json = {
        "openai-chat": {"messages": turns},
        "openai-responses": {"input": turns},
        "anthropic-messages": {"messages": turns, "max_tokens": 100},
    }
    return {"model": "chat", **rest[dialect], **fields}


async def asked(
    http: httpx2.AsyncClient, request: Json, *, dialect: str = "openai-chat"
) -> str:
    """Ask once; return the target that has answered."""
    answer = await http.post(PATHS[dialect], json=request)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-router-target"]


async def many(router: Router, times: int, *, at_once: int = 1) -> list[str]:
    """Ask the same again and again, in no conversation; return who answered."""
    answered: list[str] = []
    async with router.http() as http:
        for _ in range(times // at_once):
            requests = [asked(http, body("openai-chat", "hi")) for _ in range(at_once)]
            answered += await asyncio.gather(*requests)
    return answered


async def test_calls_are_spread_by_weight(spreading: Spreading) -> None:
    """Also those that say the same: who only begins has no conversation yet."""
    async with spreading((3, 1)) as router:
        answered = Counter(await many(router, CALLS))

    assert answered.total() == CALLS
    # Five standard deviations on either side.
    assert abs(answered[FIRST] - 0.75 * CALLS) < 5 * (CALLS * 0.75 * 0.25) ** 0.5


async def test_the_others_take_over_by_weight(
    spreading: Spreading, first: Mock
) -> None:
    """Whoever is drawn and fails has the other one behind it."""
    first.always(Step(status=503))
    async with spreading((1, 1)) as router:
        answered = set(await many(router, 20))

    assert answered == {SECOND}


@pytest.mark.parametrize("dialect", list(PATHS))
@pytest.mark.parametrize("named", [True, False], ids=["named", "by its opening"])
async def test_a_conversation_stays_on_its_target(
    spreading: Spreading, dialect: str, *, named: bool
) -> None:
    """Turn after turn, although each call would be drawn."""
    moved = []
    async with spreading(dialect=dialect) as router, router.http() as http:
        for number in range(12):
            fields = session_of(dialect, f"{number:036}") if named else {}
            turns = [f"conversation {number}"]
            targets = []
            for _ in range(4):
                request = body(dialect, *turns, **fields)
                targets.append(await asked(http, request, dialect=dialect))
                turns += ["Understood.", "Go on."]
            moved.append(len(set(targets)) > 1)

    assert moved == [False] * 12


def session_of(dialect: str, session: str) -> Json:
    """Return how a client of the dialect names its conversation."""
    names: dict[str, Json] = {
        "openai-chat": {"prompt_cache_key": session},
        "openai-responses": {"client_metadata": {"session_id": session}},
        "anthropic-messages": {
            "metadata": {"user_id": json.dumps({"session_id": session})}
        },
    }
    return names[dialect]


async def test_conversations_are_spread(spreading: Spreading) -> None:
    """Each is drawn by itself, and so is one that another caller calls the same."""
    async with (
        spreading() as router,
        router.http() as mine_http,
        router.http("k2") as their_http,
    ):
        answered = [
            await asked(http, body("openai-chat", "hi", prompt_cache_key=str(number)))
            for number in range(40)
            for http in (mine_http, their_http)
        ]

    own = list(zip(answered[::2], answered[1::2], strict=True))
    assert {FIRST, SECOND} == set(answered)
    assert any(mine != theirs for mine, theirs in own)


async def test_affinity_can_be_switched_off(spreading: Spreading) -> None:
    """Then every call is drawn."""
    request = body("openai-chat", "hi", prompt_cache_key="one")
    async with (
        spreading(affinity={"enabled": False}) as router,
        router.http() as http,
    ):
        answered = {await asked(http, request) for _ in range(60)}

    assert answered == {FIRST, SECOND}


@pytest.mark.parametrize("strategy", ["failover", "weighted", "dynamic"])
async def test_a_conversation_that_had_to_move_stays_where_it_is(
    spreading: Spreading, first: Mock, strategy: str
) -> None:
    """A target that is back gets new conversations, and not one that has left it."""
    one = body("openai-chat", "hi", prompt_cache_key="one")
    two = body("openai-chat", "hi", prompt_cache_key="two")
    async with (
        spreading((1, 0), strategy=strategy) as router,
        router.http() as http,
    ):
        began = await asked(http, one)
        first.will(Step(status=500))
        moved = await asked(http, one)
        stayed = await asked(http, one)
        others = await asked(http, two)

    assert (began, moved, stayed) == (FIRST, SECOND, SECOND)
    assert others == FIRST


async def test_calls_leave_a_target_that_turns_slow(
    spreading: Spreading, first: Mock, second: Mock
) -> None:
    """With real answers: four of five calls have left it within 200."""
    for each in (first, second):
        each.always(Step(delay_first_ms=USUAL_MS))
    async with spreading(strategy="dynamic", dynamic={"explore": 0.02}) as router:
        before = (await many(router, CALLS, at_once=10)).count(FIRST) / CALLS
        first.always(Step(delay_first_ms=15 * USUAL_MS))
        await many(router, CALLS, at_once=10)
        after = (await many(router, CALLS, at_once=10)).count(FIRST) / CALLS

    assert before > 0.3
    assert after <= 0.2 * before


async def test_a_target_above_a_threshold_is_left_out(
    spreading: Spreading, first: Mock
) -> None:
    """It is not asked any more, but for the calls that explore."""
    settings = {"min_observations": 5, "explore": 0.0}
    async with spreading(
        strategy="failover", thresholds={"max_error_rate": 0.5}, dynamic=settings
    ) as router:
        first.always(Step(status=500))
        await many(router, 4)
        first.always(Step())
        recovering = set(await many(router, 1))
        first.always(Step(status=500))
        await many(router, 4)
        asked_before = len(first.received)
        answered = set(await many(router, 10))

    assert recovering == {FIRST}
    assert answered == {SECOND}
    assert len(first.received) <= asked_before + 1
