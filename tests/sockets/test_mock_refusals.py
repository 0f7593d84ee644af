"""What real providers refuse, the mock refuses: a wrong translation is a 400."""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Final

import aiohttp
import pytest

from tests.support.mock import Mock, running_mock

Fields = Mapping[str, object]

HEADERS: Final = {"anthropic-version": "2023-06-01"}
NEWEST: Final = {"anthropic-version": "2026-10-21"}
USER: Final[Fields] = {"role": "user", "content": "hi"}
SCHEMA: Final[Fields] = {"type": "object", "properties": {}}


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


async def refused(
    mock: Mock,
    path: str,
    body: Fields,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, object]]:
    """Post `body` and return the status and the document."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            mock.base_url + path, json={"model": "m", **body}, headers=headers
        ) as response,
    ):
        return response.status, await response.json()


def chat_call(call_id: str = "c1", name: str = "f") -> Fields:
    """Return an assistant message with one call."""
    function = {"name": name, "arguments": "{}"}
    call = {"id": call_id, "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}


def chat_tool(**function: object) -> Fields:
    """Return a function as Chat declares it."""
    return {"type": "function", "function": {"name": "f", **function}}


IMAGE: Final[Fields] = {"type": "image_url", "image_url": {"url": "data:,"}}

CHAT: Final[Mapping[str, tuple[Fields, str]]] = {
    "both caps": (
        {"max_tokens": 9, "max_completion_tokens": 9},
        "at the same time",
    ),
    "the old cap for a reasoning model": (
        {"model": "gpt-5.5", "max_tokens": 9},
        "Use 'max_completion_tokens' instead",
    ),
    "a field of Responses": ({"max_output_tokens": 9}, "max_output_tokens"),
    "a field of Messages": ({"system": "x"}, "system"),
    "stream options without a stream": (
        {"stream_options": {"include_usage": True}},
        "only allowed when 'stream' is enabled",
    ),
    "a tool of an unknown type": ({"tools": [{"type": "web_search"}]}, "web_search"),
    "a tool in the shape of Responses": (
        {"tools": [{"type": "function", "name": "f"}]},
        "tools[0].function",
    ),
    "a name with a dot": ({"tools": [chat_tool(name="a.b")]}, "does not match pattern"),
    "a name that is too long": (
        {"tools": [chat_tool(name="a" * 65)]},
        "does not match pattern",
    ),
    "parameters that are no object": (
        {"tools": [chat_tool(parameters={"type": "array"})]},
        "must be a JSON Schema",
    ),
    "a choice without tools": ({"tool_choice": "auto"}, "only allowed when 'tools'"),
    "a choice of no tool": (
        {
            "tools": [chat_tool()],
            "tool_choice": {"type": "function", "function": {"name": "g"}},
        },
        "no tool is called 'g'",
    ),
    "an unknown role": ({"messages": [{"role": "model", "content": "x"}]}, "'model'"),
    "a part of Responses": (
        {"messages": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "'input_text'",
    ),
    "nothing said": ({"messages": [{"role": "user"}]}, "expected a string, got null"),
    "no calls in a list of them": (
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": []}]},
        "empty array",
    ),
    "a call with a wrong name": (
        {"messages": [USER, chat_call(name="a b")]},
        "pattern",
    ),
    "a call with a long id": (
        {"messages": [USER, chat_call(call_id="c" * 41)]},
        "maximum length 40",
    ),
    "an image in a tool's result": (
        {
            "messages": [
                USER,
                chat_call(),
                {"role": "tool", "tool_call_id": "c1", "content": [IMAGE]},
            ]
        },
        "'image_url'",
    ),
    "a result without a call": (
        {"messages": [{"role": "tool", "tool_call_id": "c1", "content": "x"}]},
        "preceding message with 'tool_calls'",
    ),
    "a result of another call": (
        {
            "messages": [
                chat_call(),
                {"role": "tool", "tool_call_id": "c2", "content": "x"},
            ]
        },
        "preceding message with 'tool_calls'",
    ),
    "a call without a result": (
        {"messages": [chat_call(), USER]},
        "did not have response messages: c1",
    ),
    "a call without a result at the end": (
        {"messages": [USER, chat_call()]},
        "did not have response messages: c1",
    ),
}


@pytest.mark.parametrize("wrong", CHAT)
async def test_chat_refuses(mock: Mock, wrong: str) -> None:
    """Each mistake is a 400 in OpenAI's shape, which says what is wrong."""
    fields, message = CHAT[wrong]

    status, document = await refused(
        mock, "/chat/completions", {"messages": [USER], **fields}
    )

    error = document["error"]
    assert isinstance(error, dict)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert message in error["message"]


def call(kind: str = "function_call", **fields: object) -> Fields:
    """Return an item that calls a tool."""
    return {"type": kind, "call_id": "c1", "name": "f", "arguments": "{}", **fields}


def output(kind: str = "function_call_output", **fields: object) -> Fields:
    """Return an item with what a tool gave back."""
    return {"type": kind, "call_id": "c1", "output": "x", **fields}


RESPONSES: Final[Mapping[str, tuple[Fields, str]]] = {
    "no input": ({"input": None}, "Missing required parameter: 'input'"),
    "messages": ({"messages": [USER]}, "has moved to 'input'"),
    "a field of Chat": ({"max_tokens": 9}, "Use 'max_output_tokens' instead"),
    "a cap that is too small": ({"max_output_tokens": 15}, "Expected a value >= 16"),
    "a tool in the shape of Chat": ({"tools": [chat_tool()]}, "'tools[0].name'"),
    "a tool of an unknown type": ({"tools": [{"type": "magic"}]}, "'magic'"),
    "a wrong name in a namespace": (
        {
            "tools": [
                {
                    "type": "namespace",
                    "name": "n",
                    "tools": [{"type": "function", "name": "a.b"}],
                }
            ]
        },
        "tools[0].tools[0].name",
    ),
    "parameters that are no object": (
        {"tools": [{"type": "function", "name": "f", "parameters": {"a": 1}}]},
        "must be a JSON Schema",
    ),
    "a choice of no tool": (
        {"tool_choice": {"type": "function", "name": "f"}},
        "Tool choice 'f' not found",
    ),
    "a choice of an unknown type": ({"tool_choice": {"type": "any"}}, "'any'"),
    "an unknown item": ({"input": [{"type": "tool_result"}]}, "'tool_result'"),
    "an unknown role": ({"input": [{"role": "tool", "content": "x"}]}, "'tool'"),
    "a message without content": ({"input": [{"role": "user"}]}, "input[0].content"),
    "a part of the input in an answer": (
        {"input": [{"role": "assistant", "content": [{"type": "input_text"}]}]},
        "'output_text'",
    ),
    "a part of Chat": (
        {"input": [{"role": "user", "content": [{"type": "text"}]}]},
        "'text'",
    ),
    "an image of Chat in a result": (
        {"input": [call(), output(output=[{"type": "image_url"}])]},
        "'image_url'",
    ),
    "an id of another kind": (
        {"input": [{"id": "x", **USER}]},
        "begins with 'msg'",
    ),
    "a call without an id": ({"input": [call(call_id=None)]}, "input[0].call_id"),
    "a call with a long id": ({"input": [call(call_id="c" * 65)]}, "length 64"),
    "a call with a wrong name": ({"input": [call(name="n.f")]}, "input[0].name"),
    "a result without a call": ({"input": [output()]}, "No tool call found for"),
    "a result of another kind": (
        {"input": [call("custom_tool_call", input="x"), output()]},
        "No tool call found for function call output with call_id c1",
    ),
    "a call without a result": (
        {"input": [call(), USER]},
        "No tool output found for function call c1",
    ),
    "a tool that an item brings": (
        {"input": [{"type": "additional_tools", "tools": [{"type": "magic"}]}]},
        "'magic'",
    ),
    "foreign reasoning": (
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "Z28="}]},
        "could not be verified",
    ),
    "foreign compaction": (
        {"input": [{"type": "compaction", "encrypted_content": "not base64!"}, USER]},
        "could not be verified",
    ),
    "a trigger that is not the last item": (
        {"input": [{"type": "compaction_trigger"}, USER]},
        "must be the last item",
    ),
}


@pytest.mark.parametrize("wrong", RESPONSES)
async def test_responses_refuses(mock: Mock, wrong: str) -> None:
    """Each mistake is a 400 in OpenAI's shape, which says what is wrong."""
    fields, message = RESPONSES[wrong]

    status, document = await refused(mock, "/responses", {"input": "x", **fields})

    error = document["error"]
    assert isinstance(error, dict)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert message in error["message"]


def tool_use(call_id: str = "t1", **fields: object) -> Fields:
    """Return a message that calls a tool."""
    block = {"type": "tool_use", "id": call_id, "name": "f", "input": {}, **fields}
    return {"role": "assistant", "content": [block]}


def tool_result(*call_ids: str) -> Fields:
    """Return a message with results of tools."""
    return {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": each, "content": "x"}
            for each in call_ids
        ],
    }


def said(*blocks: Fields, role: str = "user") -> Fields:
    """Return a request with one message of these blocks."""
    return {"messages": [{"role": role, "content": list(blocks)}]}


TOOL: Final[Fields] = {"name": "f", "input_schema": SCHEMA}
CACHED: Final[Fields] = {
    "type": "text",
    "text": "x",
    "cache_control": {"type": "ephemeral"},
}

MESSAGES: Final[Mapping[str, tuple[Fields, str]]] = {
    "no cap": ({"max_tokens": None}, "max_tokens: Field required"),
    "a budget over the cap": (
        {"thinking": {"type": "enabled", "budget_tokens": 9999}},
        "must be greater than `thinking.budget_tokens`",
    ),
    "a small budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 1000}},
        "greater than or equal to 1024",
    ),
    "thinking without a budget": (
        {"thinking": {"type": "enabled"}},
        "budget_tokens: Field required",
    ),
    "an unknown thinking": ({"thinking": {"type": "auto"}}, "'auto'"),
    "an unknown effort": ({"output_config": {"effort": "minimal"}}, "effort"),
    "a temperature beside thinking": (
        {"thinking": {"type": "adaptive"}, "temperature": 0.5},
        "may only be set to 1",
    ),
    "top_k beside thinking": (
        {"thinking": {"type": "adaptive"}, "top_k": 5},
        "`top_k` must be unset",
    ),
    "a forced tool beside thinking": (
        {
            "thinking": {"type": "adaptive"},
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
        },
        "Thinking may not be enabled",
    ),
    "two tools of one name": ({"tools": [TOOL, TOOL]}, "must be unique"),
    "a tool in OpenAI's shape": ({"tools": [chat_tool()]}, "Input tag 'function'"),
    "a tool without a schema": ({"tools": [{"name": "f"}]}, "input_schema: Field"),
    "a schema that is no object": (
        {"tools": [{"name": "f", "input_schema": {}}]},
        "input_schema.type",
    ),
    "a name with a dot": (
        {"tools": [{"name": "a.b", "input_schema": SCHEMA}]},
        "should match pattern",
    ),
    "a choice in OpenAI's words": (
        {"tools": [TOOL], "tool_choice": {"type": "required"}},
        "'required'",
    ),
    "a choice without tools": ({"tool_choice": {"type": "auto"}}, "providing tools"),
    "a choice of no tool": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        "Tool 'g' not found",
    ),
    "an empty text": (said({"type": "text", "text": ""}), "must be non-empty"),
    "a blank text": (said({"type": "text", "text": " "}), "non-whitespace"),
    "an empty system text": (
        {"system": [{"type": "text", "text": ""}]},
        "system: text content blocks",
    ),
    "an empty message": (
        {"messages": [{"role": "user", "content": ""}]},
        "non-empty content",
    ),
    "a blank stop": ({"stop_sequences": ["\n"]}, "stop_sequences"),
    "five points of a cache": (said(*[CACHED] * 5), "A maximum of 4 blocks"),
    "a prefill that ends in a blank": (
        {"messages": [USER, {"role": "assistant", "content": "So "}]},
        "trailing whitespace",
    ),
    "a system message": (
        {"messages": [USER, {"role": "system", "content": "x"}]},
        "messages.1.role: Input should be 'user' or 'assistant'",
    ),
    "a developer message": (
        {"messages": [{"role": "developer", "content": "x"}]},
        "messages.0.role",
    ),
    "an answer at the beginning": (
        {"messages": [{"role": "assistant", "content": "x"}]},
        'must use the "user" role',
    ),
    "a part of OpenAI": (said({"type": "image_url"}), "Input tag 'image_url'"),
    "a call by the user": (
        said({"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
        "Input tag 'tool_use'",
    ),
    "an image without a source": (said({"type": "image"}), "source: Field required"),
    "a call without a result": (
        {"messages": [USER, tool_use(), USER]},
        "`tool_use` ids were found without `tool_result` blocks immediately after: t1",
    ),
    "a call at the end": ({"messages": [USER, tool_use()]}, "immediately after: t1"),
    "a text before the result": (
        {
            "messages": [
                USER,
                tool_use(),
                USER,
                tool_result("t1"),
            ]
        },
        "immediately after: t1",
    ),
    "a result without a call": (
        {"messages": [tool_result("t1")]},
        "unexpected `tool_use_id`",
    ),
    "two results of a call": (
        {"messages": [USER, tool_use(), tool_result("t1", "t1")]},
        "must have a single result",
    ),
    "two calls of one id": (
        {"messages": [USER, tool_use(), tool_use(), tool_result("t1")]},
        "ids must be unique",
    ),
    "an id with a dot": (
        {"messages": [USER, tool_use("t.1"), tool_result("t.1")]},
        "should match pattern",
    ),
    "a call without an id": (
        {"messages": [USER, tool_use(id=None)]},
        "tool_use.id: Field required",
    ),
    "an input that is text": (
        {"messages": [USER, tool_use(input="{}"), tool_result("t1")]},
        "tool_use.input",
    ),
    "thinking without a signature": (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "x"}],
                },
            ]
        },
        "signature: Field required",
    ),
    "foreign redacted thinking": (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [{"type": "redacted_thinking", "data": "eA=="}],
                },
            ]
        },
        "Invalid `data`",
    ),
    "a call without its thought": (
        {
            "max_tokens": 9999,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [USER, tool_use(), tool_result("t1")],
        },
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
}


@pytest.mark.parametrize("wrong", MESSAGES)
async def test_messages_refuses(mock: Mock, wrong: str) -> None:
    """Each mistake is a 400 in Anthropic's shape, which says what is wrong."""
    fields, message = MESSAGES[wrong]
    body = {"max_tokens": 2048, "messages": [USER], **fields}

    status, document = await refused(mock, "/messages", body, HEADERS)

    error = document["error"]
    assert isinstance(error, dict)
    assert (status, document["type"]) == (400, "error")
    assert error["type"] == "invalid_request_error"
    assert message in error["message"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "anthropic-version: header is required"),
        ({"anthropic-version": "2027-01-01"}, "not a valid version"),
    ],
)
async def test_messages_needs_a_version(
    mock: Mock, headers: Mapping[str, str], message: str
) -> None:
    """None, and one that does not exist, are refused."""
    body = {"max_tokens": 9, "messages": [USER]}

    status, document = await refused(mock, "/messages", body, headers)

    assert status == 400
    assert message in json.dumps(document).replace("\\", "")


CITED: Final[Fields] = {
    "type": "text",
    "text": "x",
    "citations": [{"type": "char_location"}],
}
DOCUMENT: Final[Fields] = {"type": "document", "source": {"type": "text", "data": "x"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1.0},
        {"top_p": 0.5},
        {"top_k": 3},
        said(CITED),
        {"messages": [USER, {"role": "assistant", "content": [DOCUMENT]}]},
    ],
)
async def test_the_newest_version_refuses_more(mock: Mock, fields: Fields) -> None:
    """What the old version took, the newest one does not."""
    body = {"max_tokens": 9, "messages": [USER], **fields}

    before, _ = await refused(mock, "/messages", body, HEADERS)
    now, _ = await refused(mock, "/messages", body, NEWEST)

    assert (before, now) == (200, 400)


async def test_system_messages_are_regular_now(mock: Mock) -> None:
    """In the newest version, and in the old one with the beta for them."""
    messages = [USER, {"role": "system", "content": "Be brief."}]
    body = {"max_tokens": 99, "messages": messages}
    beta = {**HEADERS, "anthropic-beta": "a,mid-conversation-tool-changes-2026-07-01"}

    newest, _ = await refused(mock, "/messages", body, NEWEST)
    with_beta, _ = await refused(mock, "/messages", body, beta)

    assert (newest, with_beta) == (200, 200)


async def test_unknown_fields_are_tolerated(mock: Mock) -> None:
    """Each dialect takes fields that nobody knows."""
    odd = {"x_unknown": {"a": [1]}}

    statuses = [
        (await refused(mock, path, {**body, **odd}, HEADERS))[0]
        for path, body in (
            ("/chat/completions", {"messages": [USER]}),
            ("/responses", {"input": "x"}),
            ("/messages", {"max_tokens": 9, "messages": [USER]}),
        )
    ]

    assert statuses == [200, 200, 200]
