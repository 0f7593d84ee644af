"""A tool loop whose first provider fails goes on at one of another dialect or maker."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock, running_mock
from tests.support.router import running_router

Json = dict[str, Any]
DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
SCHEMA: Final = {"type": "object", "properties": {}}
TASK: Final = "Go.\nMOCK: think First.\nMOCK: call look {}\nMOCK: say Done."


@pytest.fixture
async def first() -> AsyncIterator[Mock]:
    """Return a provider that signs its own thoughts."""
    async with running_mock(Settings(name="first")) as running:
        yield running


@pytest.fixture
async def second() -> AsyncIterator[Mock]:
    """Return one that takes nobody else's."""
    async with running_mock(Settings(name="second")) as running:
        yield running


def asked(**more: object) -> Json:
    """Return a Messages request with a budget for thinking, and one tool."""
    return {
        "model": "chat",
        "max_tokens": 8000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "look", "input_schema": SCHEMA}],
        "messages": [{"role": "user", "content": TASK}],
        **more,
    }


def going_on(request: Json, answer: Json) -> Json:
    """Return the request that brings the results of the tools."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in answer["content"]
        if block["type"] == "tool_use"
    ]
    return request | {
        "messages": [
            *request["messages"],
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": results},
        ]
    }


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_tool_loop_with_a_budget_for_thinking_goes_on_at_anthropic(
    tmp_path: Path, first: Mock, second: Mock, dialect: str
) -> None:
    """It demands the thought before the call, which another made: thinking is off."""
    settings = configuration(
        {
            "first": provider(first.base_url, dialect=dialect),
            "second": provider(second.base_url, dialect="anthropic-messages"),
        }
    )
    settings["groups"]["chat"]["prefer_native"] = False
    clearing = [{"type": "clear_thinking_20251015", "keep": "all"}]
    request = asked(context_management={"edits": clearing})
    async with running_router(tmp_path, settings) as router, router.http() as http:
        answer = (await http.post("/v1/messages", json=request)).json()
        first.always(Step(status=503))

        taken_over = await http.post("/v1/messages", json=going_on(request, answer))

    assert [block["type"] for block in answer["content"]] == ["thinking", "tool_use"]
    assert taken_over.status_code == 200, taken_over.text
    assert taken_over.headers["x-router-target"] == "second/mini"
    (received,) = second.received
    assert received.body is not None
    sent = json.loads(received.body)
    assert sent["thinking"] == {"type": "disabled"}
    assert "context_management" not in sent


async def test_the_same_provider_goes_on_thinking(tmp_path: Path, first: Mock) -> None:
    """It finds its own thought, and the request is as the caller wrote it."""
    settings = configuration(
        {"first": provider(first.base_url, dialect="anthropic-messages")}
    )
    async with running_router(tmp_path, settings) as router, router.http() as http:
        answer = (await http.post("/v1/messages", json=asked())).json()

        request = going_on(asked(), answer)
        again = await http.post("/v1/messages", json=request)

    assert again.status_code == 200, again.text
    body = first.received[-1].body
    assert body is not None
    assert json.loads(body) == request | {"model": "mock-mini"}
