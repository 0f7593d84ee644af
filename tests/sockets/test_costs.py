"""What calls cost beside their tokens: images, what changes with time, and failures."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.mockprovider.script import Raw, Step
from tests.support.gateway import CAPABLE, caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = "/v1/messages"
PRICE: Final = {"input_per_million": "1", "output_per_million": "10"}
PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42m"
    "Nk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SAID: Final = [{"role": "user", "content": "hi"}]
SEEN: Final = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL}},
            {"type": "image_url", "image_url": {"url": PIXEL}},
        ],
    }
]


def routed(
    mock: Mock, price: object, *, dialect: str = "openai-chat", **more: object
) -> dict[str, Any]:
    """Return a configuration with one target that costs this."""
    model = {"model": "mock-mini", "price": price, **CAPABLE}
    acme = provider(mock.base_url, dialect=dialect, models={"mini": model})
    return configuration({"acme": acme}, **more)


async def recorded(
    router: Router, path: str = CHAT, *, stream: bool = False, **body: object
) -> UsageRecord:
    """Make one call, however it ends, and return its record."""
    asked = {"model": "chat", "messages": SAID, "stream": stream, **body}
    async with router.http() as client:
        await client.post(path, json=asked)
    return await router.record()


@pytest.mark.parametrize("stream", [False, True])
async def test_images_are_paid_each(
    tmp_path: Path, mock: Mock, *, stream: bool
) -> None:
    """As many as were sent, beside what their tokens cost."""
    price = {**PRICE, "image_per_image": "0.0005"}
    mock.will(Step(prompt_tokens=100, completion_tokens=10))
    async with running_router(tmp_path, routed(mock, price)) as router:
        record = await recorded(router, stream=stream, messages=SEEN)

    assert record.image_cost_nusd == 1_000_000
    assert (record.input_cost_nusd, record.output_cost_nusd) == (100_000, 100_000)
    assert record.total_cost_nusd == 1_200_000


async def test_the_tokens_of_images_have_a_price(tmp_path: Path, mock: Mock) -> None:
    """Where the provider tells them, they are no longer among the others."""
    price = {**PRICE, "image_input_per_million": "3"}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "prompt_tokens_details": {"image_tokens": 60, "text_tokens": 40},
    }
    mock.will(answered(usage))
    async with running_router(tmp_path, routed(mock, price)) as router:
        record = await recorded(router, messages=SEEN)

    assert (record.input_cost_nusd, record.image_cost_nusd) == (40_000, 180_000)
    assert record.total_cost_nusd == 40_000 + 180_000 + 100_000


async def test_reasoning_that_a_provider_counts_apart_is_output(
    tmp_path: Path, mock: Mock
) -> None:
    """The total says so, and what it told of the cost agrees."""
    usage = {
        "prompt_tokens": 10_120,
        "completion_tokens": 1_499,
        "total_tokens": 14_428,
        "prompt_tokens_details": {"cached_tokens": 128},
        "completion_tokens_details": {"reasoning_tokens": 2_809},
        "cost_in_usd_ticks": 232_856_000,
    }
    price = {
        "input_per_million": "1.25",
        "cached_input_per_million": "0.20",
        "output_per_million": "2.50",
    }
    mock.will(answered(usage))
    async with running_router(tmp_path, routed(mock, price)) as router:
        record = await recorded(router)

    assert (record.output_tokens, record.reasoning_tokens) == (4_308, 2_809)
    assert record.reasoning_cost_nusd == 2_809 * 2_500
    assert record.total_cost_nusd == record.upstream_reported_cost_nusd == 23_285_600


def answered(usage: dict[str, Any]) -> Step:
    """Return a plain answer with this usage."""
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"object": "chat.completion", "choices": [choice], "usage": usage}
    return Step(raw=Raw(body=json.dumps(body), headers=JSON))


JSON: Final = {"content-type": "application/json"}


async def test_the_price_that_is_in_force_applies(tmp_path: Path, mock: Mock) -> None:
    """Neither the one before nor the one after, and the row names it."""
    prices = [
        {**PRICE, "input_per_million": "9"},
        {**PRICE, "effective_from": "2026-01-01"},
        {**PRICE, "input_per_million": "9", "effective_from": "2999-01-01"},
    ]
    mock.will(Step(times=2, prompt_tokens=100, completion_tokens=10))
    one = {"acme": provider(mock.base_url, models={"mini": {"price": prices[1]}})}
    async with running_router(tmp_path / "one", configuration(one)) as router:
        alone = await recorded(router)
    async with running_router(tmp_path / "all", routed(mock, prices)) as router:
        record = await recorded(router)

    assert record.input_cost_nusd == 100_000
    assert record.price_fingerprint == alone.price_fingerprint is not None


async def test_no_price_is_in_force_yet(tmp_path: Path, mock: Mock) -> None:
    """What calls cost until then is unknown."""
    price = {**PRICE, "effective_from": "2999-01-01"}
    async with running_router(tmp_path, routed(mock, price)) as router:
        record = await recorded(router)

    assert record.input_tokens is not None
    assert (record.total_cost_nusd, record.price_fingerprint) == (None, None)


BEGUN: Final = (
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1",'
    '"type":"message","role":"assistant","content":[],"model":"mock-mini",'
    '"usage":{"input_tokens":1000,"cache_read_input_tokens":0,"output_tokens":1}}}\n\n'
)
OVERLOADED: Final = (
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    '"message":"Overloaded"}}\n\n'
)
STREAM: Final = {"content-type": "text/event-stream"}
FAILED_NUSD: Final = 1000 * 1000 + 10_000


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("then", [OVERLOADED, ""])
@pytest.mark.parametrize("answers", [True, False])
async def test_what_failed_attempts_said_is_paid(
    tmp_path: Path, mock: Mock, *, path: str, then: str, answers: bool
) -> None:
    """A stream that says its usage and then fails has cost that."""
    settings = routed(mock, PRICE, dialect="anthropic-messages")
    settings["callers"] = [caller(budgets={"day": {"usd": 10, "tokens": 10**6}})]
    settings["providers"]["other"] = settings["providers"]["acme"]
    settings["groups"]["chat"]["targets"].append({"use": "other/mini"})
    broken = Step(raw=Raw(chunks=(BEGUN, then), headers=STREAM))
    usual = Step(prompt_tokens=20, completion_tokens=30)
    mock.will(broken, usual if answers else broken)
    async with running_router(tmp_path, settings) as router:
        record = await recorded(router, path, stream=True, max_tokens=100)

    own = (20 * 1000 + 30 * 10_000, 50) if answers else (0, 0)
    times = 1 if answers else 2
    assert record.attempts == 2
    assert record.failed_attempts_cost_nusd == times * FAILED_NUSD
    assert record.total_cost_nusd == (own[0] if answers else None)
    assert record.charged_cost_nusd == own[0] + times * FAILED_NUSD
    assert record.charged_tokens == own[1] + times * 1001


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_a_body_that_is_no_answer_may_have_cost_something(
    tmp_path: Path, mock: Mock, path: str
) -> None:
    """Its usage is read all the same; budgets that come later begin with it."""
    dialect = "anthropic-messages" if path == MESSAGES else "openai-chat"
    usage = {"input_tokens": 1000, "output_tokens": 1}
    if path == CHAT:
        usage = {"prompt_tokens": 1000, "completion_tokens": 1}
    body = json.dumps({"error": {"message": "no"}, "usage": usage})
    mock.will(Step(times=9, raw=Raw(body=body, headers=JSON)))
    async with running_router(tmp_path, routed(mock, PRICE, dialect=dialect)) as router:
        record = await recorded(router, path, max_tokens=100)

    assert record.status >= 500
    assert (record.input_tokens, record.total_cost_nusd) == (None, None)
    assert record.failed_attempts_cost_nusd == FAILED_NUSD
    assert (record.charged_tokens, record.charged_cost_nusd) == (1001, FAILED_NUSD)


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize(("status", "stream"), [(400, False), (400, True), (503, True)])
async def test_an_error_that_says_its_usage_has_cost_that(
    tmp_path: Path, mock: Mock, *, path: str, status: int, stream: bool
) -> None:
    """Whoever bills for what it refuses says so; that of each attempt is added up."""
    settings = routed(mock, PRICE, dialect="anthropic-messages")
    settings["providers"]["other"] = settings["providers"]["acme"]
    settings["groups"]["chat"]["targets"].append({"use": "other/mini"})
    usage = {"input_tokens": 1000, "output_tokens": 1}
    body = json.dumps({"error": {"message": "no"}, "usage": usage})
    mock.will(Step(times=9, raw=Raw(status=status, body=body, headers=JSON)))
    async with running_router(tmp_path, settings) as router:
        record = await recorded(router, path, stream=stream, max_tokens=100)

    times = record.attempts
    assert record.upstream_status == status
    assert (record.input_tokens, record.total_cost_nusd) == (None, None)
    assert record.failed_attempts_cost_nusd == times * FAILED_NUSD
    assert record.charged_cost_nusd == times * FAILED_NUSD
    assert record.charged_tokens == times * 1001


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"usage": null}',
        '{"usage": "much"}',
        '{"usage": {"limit": 5, "used": 6}}',
        '{"usage": {"prompt_tokens": -5, "completion_tokens": "5"}}',
        '{"usage": {"prompt_tokens": 5, "completion_tok',
        "<html>",
    ],
)
async def test_an_error_that_says_no_usage_has_no_known_cost(
    tmp_path: Path, mock: Mock, body: str
) -> None:
    """Whatever else it says."""
    mock.will(Step(times=9, raw=Raw(status=400, body=body, headers=JSON)))
    async with running_router(tmp_path, routed(mock, PRICE)) as router:
        record = await recorded(router)

    assert record.upstream_status == 400
    assert record.failed_attempts_cost_nusd is None
    assert (record.charged_tokens, record.charged_cost_nusd) == (None, None)


@pytest.mark.parametrize("price", [PRICE, None])
async def test_attempts_that_said_nothing_have_no_known_cost(
    tmp_path: Path, mock: Mock, price: object
) -> None:
    """Absent is not zero; and without a price what was said has no cost."""
    body = "{}" if price else '{"usage": {"prompt_tokens": 5, "completion_tokens": 5}}'
    mock.will(Step(times=9, raw=Raw(body=body, headers=JSON)))
    async with running_router(tmp_path, routed(mock, price)) as router:
        record = await recorded(router)

    assert record.status >= 500
    assert record.failed_attempts_cost_nusd is None


async def test_reservations_are_made_for_images_and_reasoning(
    tmp_path: Path, mock: Mock
) -> None:
    """A call that could cost more than is left is refused before it costs anything."""
    prices = (
        {**PRICE, "image_per_image": "2"},
        {**PRICE, "reasoning_per_million": "100000"},
        {**PRICE, "above": [{"input_tokens": 1, "output_per_million": "100000"}]},
    )
    statuses = []
    for at, price in enumerate(prices):
        settings = routed(mock, price, callers=[caller(budgets={"day": {"usd": 3}})])
        async with running_router(tmp_path / str(at), settings) as router:
            record = await recorded(router, messages=SEEN, max_tokens=50)
            statuses.append((record.status, record.refused_by))

    assert statuses == [(429, "caller:day.usd")] * 3


async def test_what_was_said_before_a_silence_is_paid(
    tmp_path: Path, mock: Mock
) -> None:
    """An attempt that was given up had begun, and said so."""
    settings = routed(mock, PRICE, dialect="anthropic-messages")
    settings["groups"]["chat"]["attempt_timeout_s"] = 1.5
    mock.will(Step(prompt_tokens=1000, completion_tokens=30, stall_after_events=1))
    async with running_router(tmp_path, settings) as router:
        record = await recorded(router, MESSAGES, stream=True, max_tokens=100)

    assert record.error_class == "upstream_first_event_timeout"
    assert (record.input_tokens, record.total_cost_nusd) == (None, None)
    assert record.failed_attempts_cost_nusd is not None
    assert record.failed_attempts_cost_nusd >= 1000 * 1000
