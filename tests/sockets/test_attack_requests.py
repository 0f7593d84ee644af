"""Odd requests that a provider of their own dialect takes, at others."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}
SCHEMA: Final = {"type": "object", "properties": {}}
LONG: Final = f"mcp__{'s' * 70}__{'t' * 30}"


@pytest.fixture
async def router(tmp_path: Path, mock: Mock) -> AsyncGenerator[Router]:
    """Serve each dialect as a group of its own."""
    settings = configuration(
        {dialect: provider(mock.base_url, dialect=dialect) for dialect in PATHS},
        callers=[caller(allow=list(PATHS))],
        groups={
            dialect: {"targets": [{"use": f"{dialect}/mini"}]} for dialect in PATHS
        },
    )
    async with running_router(tmp_path, settings) as serving:
        yield serving


async def asked(
    router: Router,
    dialect: str,
    body: dict[str, Any],
    *,
    of: str,
    client: str = "tests",
) -> tuple[int, dict[str, Any]]:
    """Ask in `dialect` for the group `of`; return status and answer."""
    async with router.http() as http:
        answer = await http.post(
            PATHS[dialect], json={"model": of, **body}, headers={"user-agent": client}
        )
    return answer.status_code, answer.json()


def sent(mock: Mock) -> dict[str, Any]:
    """Return the one request that the provider got."""
    (received,) = mock.received
    assert received.body is not None
    body: dict[str, Any] = json.loads(received.body)
    return body


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_instructions_alone_are_a_conversation(
    router: Router, mock: Mock, role: str
) -> None:
    """Chat needs no user; the Responses API needs an input."""
    body = {"messages": [{"role": role, "content": "Say hello."}]}

    status, _ = await asked(router, "openai-chat", body, of="openai-responses")

    assert status == 200
    (item,) = sent(mock)["input"]
    assert item["role"] == "developer"
    assert item["content"] == [{"type": "input_text", "text": "Say hello."}]
    assert "instructions" not in sent(mock)


@pytest.mark.parametrize("of", ["openai-chat", "anthropic-messages"])
async def test_a_probe_without_input_is_answered(router: Router, of: str) -> None:
    """Some tools try a connection with an empty input and a small cap."""
    body = {"input": [], "max_output_tokens": 16}

    status, answer = await asked(router, "openai-responses", body, of=of)

    assert status == 200
    assert answer["object"] == "response"


async def test_an_empty_message_of_the_user_is_one(router: Router) -> None:
    """Chat takes it, and the Responses API must, too."""
    body = {"messages": [{"role": "user", "content": ""}]}

    status, _ = await asked(router, "openai-chat", body, of="openai-responses")

    assert status == 200


@pytest.mark.parametrize("of", ["openai-chat", "openai-responses"])
async def test_a_tool_with_a_long_name_comes_back_under_it(
    router: Router, mock: Mock, of: str
) -> None:
    """Anthropic allows names of 128 characters, and OpenAI of 64."""
    used = {"type": "tool_use", "id": "toolu_1", "name": LONG, "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
    body = {
        "max_tokens": 100,
        "tools": [{"name": LONG, "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": LONG},
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [used]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "again"},
        ],
    }

    status, answer = await asked(router, "anthropic-messages", body, of=of)

    assert status == 200, answer
    assert [each["name"] for each in answer["content"] if "name" in each] == [LONG]
    assert LONG not in json.dumps(sent(mock))


@pytest.mark.parametrize("of", ["openai-chat", "anthropic-messages"])
async def test_namespaces_that_meet_in_one_name_stay_apart(
    router: Router, mock: Mock, of: str
) -> None:
    """Where the namespace ends is a part of the name."""

    def function(name: str) -> dict[str, Any]:
        return {"type": "function", "name": name, "parameters": SCHEMA}

    def namespace(name: str, tool: str) -> dict[str, Any]:
        tools = [function(tool)]
        return {"type": "namespace", "name": name, "description": "", "tools": tools}

    body = {
        "input": "hi",
        "tools": [namespace("a", "b__c"), namespace("a__b", "c"), function("a__b__c")],
    }

    status, answer = await asked(router, "openai-responses", body, of=of)

    assert status == 200, answer
    names = [tool.get("function", tool)["name"] for tool in sent(mock)["tools"]]
    assert len(set(names)) == 3
    (call,) = [each for each in answer["output"] if each["type"] == "function_call"]
    assert (call["namespace"], call["name"]) == ("a", "b__c")


@pytest.mark.parametrize("of", ["openai-chat", "openai-responses"])
async def test_safeguards_are_refused_in_words_that_claude_code_knows(
    router: Router, of: str
) -> None:
    """It runs its own check then; anything but a 400 that names them ends its turn."""
    body = {
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
        "safeguards": {"dangerous_tool_use": {}},
    }

    status, answer = await asked(
        router, "anthropic-messages", body, of=of, client="claude-cli/2.1.330"
    )

    assert status == 400
    assert answer["error"]["message"] == "capability_rejected: safeguards"


@pytest.mark.parametrize(
    ("declared", "data", "told"),
    [
        ("image/jpg", "/9j/4AAQ", "image/jpeg"),
        ("image/jpg", "AAAA", "image/jpeg"),
        ("image/png", "/9j/4AAQ", "image/jpeg"),
        ("image/webp", "iVBORw0KGgoA", "image/png"),
        ("image/webp", "AAAA", "image/webp"),
    ],
)
async def test_an_image_is_told_as_what_it_is(
    router: Router, mock: Mock, declared: str, data: str, told: str
) -> None:
    """OpenAI looks at the bytes, and Anthropic refuses what they contradict."""
    image = {"url": f"data:{declared};base64,{data}"}
    content = [{"type": "image_url", "image_url": image}]
    body = {"messages": [{"role": "user", "content": content}]}

    await asked(router, "openai-chat", body, of="anthropic-messages")

    (message,) = sent(mock)["messages"]
    (block,) = message["content"]
    assert block["source"] == {"type": "base64", "media_type": told, "data": data}


async def test_a_file_without_a_name_gets_one(router: Router, mock: Mock) -> None:
    """OpenAI takes no file without, and Messages needs none."""
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    content = [{"type": "document", "source": source}, {"type": "text", "text": "?"}]
    messages = [{"role": "user", "content": content}]
    body = {"max_tokens": 100, "messages": messages}

    await asked(router, "anthropic-messages", body, of="openai-responses")

    (item,) = sent(mock)["input"]
    assert item["content"][0] == {
        "type": "input_file",
        "file_data": "data:application/pdf;base64,JVBERi0=",
        "filename": "document.pdf",
    }


@pytest.mark.parametrize("of", ["openai-chat", "openai-responses"])
async def test_a_document_of_text_keeps_its_title(
    router: Router, mock: Mock, of: str
) -> None:
    """It stands before the text."""
    source = {"type": "text", "media_type": "text/plain", "data": "All of it."}
    content = [{"type": "document", "title": "A story", "source": source}]
    messages = [{"role": "user", "content": content}]
    body = {"max_tokens": 100, "messages": messages}

    await asked(router, "anthropic-messages", body, of=of)

    assert "A story\\n\\nAll of it." in json.dumps(sent(mock))
