"""Limits and budgets as callers meet them: what passes, what refuses, what is counted.

One router in this process counts in its memory. Prices are a dollar for a million
tokens of input, and ten for a million of output.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2
import msgspec
import openai
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
from tests.support.gateway import CAPABLE, caller, configuration, provider, token
from tests.support.mock import Mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.puppet import Puppet, completion, running_puppet
from tests.support.router import Router, running_router
from tests.support.wait import eventually

CHAT: Final = "/v1/chat/completions"
PRICE: Final = {"input_per_million": "1", "output_per_million": "10"}
SAID: Final = [{"role": "user", "content": "hi"}]
PATHS: Final[dict[str, dict[str, Any]]] = {
    CHAT: {"messages": SAID, "max_tokens": 50},
    "/v1/responses": {"input": "hi", "max_output_tokens": 50},
    "/v1/messages": {"messages": SAID, "max_tokens": 50},
}
USAGE: Final = Step(prompt_tokens=20, completion_tokens=30)


@asynccontextmanager
async def limited(
    tmp_path: Path,
    mock: Mock | Puppet,
    **allowance: Any,  # noqa: ANN401 - what a caller may be given
) -> AsyncGenerator[Router]:
    """Run a router whose one caller may use no more than this."""
    if "budgets" in allowance:
        allowance["budgets"] = {"timezone": MIDDAY, **allowance["budgets"]}
    model = {"model": "mock-mini", "price": PRICE, "max_output_tokens": 100}
    models = {"mini": {**model, **CAPABLE}}
    settings = configuration(
        {"acme": provider(mock.base_url, models=models)},
        callers=[caller(**allowance)],
    )
    async with running_router(tmp_path, settings) as router:
        yield router


async def ask(router: Router, path: str = CHAT, **more: object) -> httpx2.Response:
    """Ask once, and read to the end."""
    async with router.http() as client:
        return await client.post(path, json={"model": "chat", **PATHS[path], **more})


@pytest.mark.parametrize("path", PATHS)
async def test_no_more_pass_than_a_minute_may_have(
    tmp_path: Path, mock: Mock, path: str
) -> None:
    """The next call is told whose limit it is, which one, and when to come again."""
    async with limited(tmp_path, mock, limits={"rpm": 2}) as router:
        answers = [await ask(router, path) for _ in range(3)]
        records = await router.recorded(3)

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert len(mock.received) == 2
    assert answers[2].headers["x-ratelimit-limit-requests"] == "2"
    assert answers[2].headers["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert "rpm-exceeded" in answers[2].text
    assert "caller:alice-search-dev-k1" in answers[2].text
    assert [each.refused_by for each in records] == [None, None, "caller:rpm"]
    assert records[2].attempts == 0


async def test_answers_tell_what_is_left(tmp_path: Path, mock: Mock) -> None:
    """In OpenAI's spelling everywhere, and on Messages in Anthropic's, too."""
    limits = {"rpm": 10, "tpm": 100_000}
    async with limited(tmp_path, mock, limits=limits) as router:
        chat = await ask(router)
        streamed = await ask(router, "/v1/messages", stream=True)

    assert chat.headers["x-ratelimit-limit-requests"] == "10"
    assert chat.headers["x-ratelimit-remaining-requests"] == "9"
    assert chat.headers["x-ratelimit-reset-requests"].endswith("s")
    assert chat.headers["x-ratelimit-limit-tokens"] == "100000"
    assert "anthropic-ratelimit-requests-limit" not in chat.headers
    assert streamed.headers["x-ratelimit-remaining-requests"] == "8"
    assert streamed.headers["anthropic-ratelimit-requests-remaining"] == "8"
    assert streamed.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert streamed.headers["anthropic-ratelimit-tokens-limit"] == "100000"


async def test_the_sdks_raise_what_they_raise_for_a_limit(
    tmp_path: Path, mock: Mock
) -> None:
    """Programs that handle a provider's limit handle the router's, too."""
    async with limited(tmp_path, mock, limits={"rpm": 1}) as router:
        sdk = router.openai()
        await sdk.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hi"}]
        )
        with pytest.raises(openai.RateLimitError) as from_openai:
            await sdk.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "hi"}]
            )
        async with anthropic.AsyncAnthropic(
            api_key=token(),
            base_url=router.url,
            max_retries=0,
            http_client=anthropic_without_tls(),
        ) as other:
            with pytest.raises(anthropic.RateLimitError) as from_anthropic:
                await other.messages.create(
                    model="chat",
                    max_tokens=5,
                    messages=[{"role": "user", "content": "hi"}],
                )

    assert from_openai.value.code == "rpm-exceeded"
    assert "the limit of 1 requests a minute" in from_anthropic.value.message


async def answered(router: Router, puppet: Puppet) -> httpx2.Response:
    """Ask once, and have the provider answer at once."""
    asking = asyncio.create_task(ask(router))
    (await puppet.call()).write(completion())
    return await asking


async def test_tokens_are_reserved_before_they_are_used(tmp_path: Path) -> None:
    """Of five calls at once no more pass than their reservations have room for."""
    async with (
        running_puppet() as puppet,
        limited(tmp_path, puppet, limits={"tpm": 300}) as router,
    ):
        asking = [asyncio.create_task(ask(router)) for _ in range(5)]
        # None is answered before all are either refused or on their way.
        await eventually(
            lambda: puppet.unanswered + sum(each.done() for each in asking) == 5
        )
        for _ in range(puppet.unanswered):
            (await puppet.call()).write(completion())
        answers = await asyncio.gather(*asking)
        again = await answered(router, puppet)

    passed = [each.status_code for each in answers].count(200)
    assert 1 <= passed < 5
    assert {each.status_code for each in answers} == {200, 429}
    # What the first ones had not used was given back when they ended.
    assert again.status_code == 200
    assert int(again.headers["x-ratelimit-remaining-tokens"]) < 300 - passed * 18


async def test_a_call_that_is_larger_than_its_limit_never_passes(
    tmp_path: Path, mock: Mock
) -> None:
    """Clients are told not to try again."""
    async with limited(tmp_path, mock, limits={"tpm": 90}) as router:
        answer = await ask(router, max_tokens=90)

    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert mock.received == []


async def test_calls_at_the_same_time_are_counted(tmp_path: Path) -> None:
    """A slot is free as soon as the caller has its answer, not later."""
    async with (
        running_puppet() as puppet,
        limited(tmp_path, puppet, limits={"concurrent": 1}) as router,
    ):
        holding = asyncio.create_task(ask(router))
        held = await puppet.call()
        refused = await ask(router)
        held.write(completion())
        first = await holding
        others = [await answered(router, puppet) for _ in range(20)]

    assert (first.status_code, refused.status_code) == (200, 429)
    assert refused.json()["error"]["code"] == "concurrency-exceeded"
    assert refused.headers["retry-after"] == "1"
    assert {each.status_code for each in others} == {200}


async def test_a_slot_is_free_when_its_caller_has_left(
    tmp_path: Path, mock: Mock
) -> None:
    """Neither a cancelled stream nor a failed call keeps one."""
    async with limited(tmp_path, mock, limits={"concurrent": 1}) as router:
        mock.will(Step(words=500, stall_after_events=5))
        async with (
            router.http() as client,
            client.stream(
                "POST",
                CHAT,
                json={"model": "chat", "messages": SAID, "stream": True},
            ) as stream,
        ):
            blocks = stream.aiter_raw()
            await anext(blocks)
            refused = await ask(router)
        await router.recorded(2)
        mock.will(Step(status=500))
        failed = await ask(router)
        passed = await ask(router)

    assert refused.status_code == 429
    assert failed.status_code == 502
    assert passed.status_code == 200


@pytest.mark.parametrize(
    ("budget", "used", "code"),
    [
        ({"day": {"requests": 2}}, "day.requests", "quota-exhausted"),
        ({"month": {"tokens": 600}}, "month.tokens", "quota-exhausted"),
        ({"day": {"usd": "0.0015"}}, "day.usd", "quota-exhausted"),
        ({"lifetime": {"requests": 2}}, "lifetime.requests", "key-exhausted"),
    ],
)
async def test_a_budget_ends(
    tmp_path: Path, mock: Mock, budget: dict[str, Any], used: str, code: str
) -> None:
    """What is used up is refused until its period ends; a lifetime has no end."""
    mock.always(Step(prompt_tokens=200, completion_tokens=50))
    async with limited(tmp_path, mock, budgets=budget) as router:
        answers = [await ask(router) for _ in range(6)]
        records = await router.recorded(6)

    passed = [each for each in answers if each.status_code == 200]
    refused = answers[len(passed) :]
    assert len(passed) == 2
    assert {each.json()["error"]["code"] for each in refused} == {code}
    assert records[-1].refused_by == f"caller:{used}"
    assert len(mock.received) == 2
    if code == "key-exhausted":
        assert refused[0].status_code == 403
        assert refused[0].headers["x-should-retry"] == "false"
    else:
        assert "resets_at" in refused[0].json()["error"]["details"]


async def test_refused_calls_use_nothing(tmp_path: Path) -> None:
    """A call that one limit refuses takes nothing from the others."""
    limits = {"rpm": 3, "concurrent": 1}
    async with (
        running_puppet() as puppet,
        limited(tmp_path, puppet, limits=limits) as router,
    ):
        holding = asyncio.create_task(ask(router))
        held = await puppet.call()
        refused = [await ask(router) for _ in range(10)]
        held.write(completion())
        await holding
        passed = [await answered(router, puppet) for _ in range(2)]
        passed.append(await ask(router))

    assert {each.json()["error"]["code"] for each in refused} == {
        "concurrency-exceeded"
    }
    assert [each.status_code for each in passed] == [200, 200, 429]


async def test_a_failed_call_uses_a_request_and_no_tokens(
    tmp_path: Path, mock: Mock
) -> None:
    """What was reserved for its tokens is there again at once."""
    mock.always(Step(status=400, body=msgspec.Raw(b'{"error":{"message":"no"}}')))
    async with limited(tmp_path, mock, limits={"rpm": 100, "tpm": 300}) as router:
        answers = [await ask(router) for _ in range(10)]

    assert {each.status_code for each in answers} == {400}
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "90"


async def test_who_leaves_is_charged_what_was_seen(tmp_path: Path, mock: Mock) -> None:
    """A caller that always leaves before the usage comes pays all the same."""
    mock.always(Step(words=500, stall_after_events=25))
    budgets = {"day": {"tokens": 5_000}}
    async with limited(tmp_path, mock, budgets=budgets) as router:
        async with (
            router.http() as client,
            client.stream(
                "POST",
                CHAT,
                json={"model": "chat", "messages": SAID, "stream": True},
            ) as stream,
        ):
            seen = 0
            async for line in stream.aiter_lines():
                seen += line.startswith("data:")
                if seen == 20:
                    break
        record = await router.record()

    assert record.status == 499
    assert record.output_tokens is None
    assert record.charged_tokens is not None
    assert record.charged_tokens >= 20
    assert record.charged_cost_nusd is not None
    assert record.charged_cost_nusd >= 20 * 10_000


async def test_a_whole_stream_without_usage_is_charged_its_events(
    tmp_path: Path, mock: Mock
) -> None:
    """A provider that never says what a stream has used does not make it free."""
    mock.always(Step(words=200, no_usage=True))
    budgets = {"day": {"tokens": 5_000}}
    async with limited(tmp_path, mock, budgets=budgets) as router:
        answer = await ask(router, max_tokens=None, stream=True)
        record = await router.record()

    assert "[DONE]" in answer.text
    assert (record.status, record.output_tokens) == (200, None)
    assert (record.charged_tokens or 0) >= 200


@pytest.mark.parametrize("on_overrun", ["finish", "cut"])
async def test_a_stream_that_outgrows_its_budget(
    tmp_path: Path, mock: Mock, on_overrun: str
) -> None:
    """It may finish, or ends with the error of its dialect, as the budget says."""
    mock.always(Step(words=2_000, prompt_tokens=10, completion_tokens=2_000))
    budgets = {"day": {"tokens": 600}, "on_overrun": on_overrun}
    async with limited(tmp_path, mock, budgets=budgets) as router:
        answer = await ask(router, max_tokens=None, stream=True)
        record = await router.record()
        after = await ask(router)

    assert answer.status_code == 200
    if on_overrun == "finish":
        assert "[DONE]" in answer.text
        assert record.output_tokens == 2_000
    else:
        assert "quota-exhausted" in answer.text
        assert "try again in" not in answer.text
        assert (record.status, record.error_code) == (429, "quota-exhausted")
        assert 100 < (record.charged_tokens or 0) < 2_000
    assert after.status_code == 429


async def test_a_budget_warns_once(tmp_path: Path, mock: Mock) -> None:
    """The call that passes the mark says so, in its header and its record."""
    budgets = {"day": {"requests": 10}, "warn_at_percent": 50}
    async with limited(tmp_path, mock, budgets=budgets) as router:
        answers = [await ask(router) for _ in range(8)]
        records = await router.recorded(8)

    warned = [
        at
        for at, each in enumerate(answers)
        if "x-router-budget-warning" in each.headers
    ]
    assert len(warned) == 1
    header = answers[warned[0]].headers["x-router-budget-warning"]
    assert header.startswith("caller day.requests ")
    assert [at for at, each in enumerate(records) if each.budget_warning] == warned
    assert records[warned[0]].budget_warning == "caller:day.requests"


async def test_counting_tokens_is_a_request(tmp_path: Path, mock: Mock) -> None:
    """No route to a provider goes around the gate."""
    async with limited(tmp_path, mock, limits={"rpm": 1}) as router:
        async with router.http() as client:
            first, second = [
                await client.post(
                    "/v1/responses/input_tokens", json={"model": "chat", "input": "hi"}
                )
                for _ in range(2)
            ]
        answer = await ask(router)

    # Nobody was asked for the count: a chat target cannot count for Responses.
    assert [first.status_code, second.status_code] == [200, 200]
    assert answer.status_code == 200
