"""Writing requests of any dialect for a provider of the Responses API."""

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Opaque,
    Part,
    Reasoning,
    ReasoningState,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    SearchTool,
    ToolChoice,
)
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.openai_responses import (
    SERVING,
    parsed,
    rendered,
    rendered_with_notes,
)

HELLO = Turn(role="user", parts=(Text(text="hi"),))
ASKED = Request(dialect="openai-chat", model="fast", turns=(HELLO,))
HELLO_ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "hi"}],
}


def items(*turns: Turn) -> Any:  # noqa: ANN401 - any JSON
    """Return the items of a Messages request with these turns."""
    asked = replace(ASKED, dialect="anthropic-messages", turns=turns)
    return rendered(asked)["input"]


def test_the_least_request() -> None:
    """Answers are not stored, since nobody could find them again."""
    assert rendered(ASKED) == {
        "model": "gpt-5.5",
        "input": [HELLO_ITEM],
        "store": False,
    }


def test_system_texts_are_instructions() -> None:
    """Those outside of the turns; a system turn stays where it is."""
    asked = replace(
        ASKED,
        system=(Text(text="a"), Text(text=""), Text(text="b")),
        turns=(Turn(role="system", parts=(Text(text="c"),)), HELLO),
    )

    body = rendered(asked)

    assert body["instructions"] == "a\n\nb"
    assert [item["role"] for item in body["input"]] == ["system", "user"]


def test_calls_and_results_are_native() -> None:
    """Nothing is lowered, and outputs with images are lists."""
    image = Image(data="AAAA", media_type="image/png", detail="low")
    said = (
        Text(text="On it."),
        ToolCall(id="c1", name="add", namespace="toy", arguments='{"a":1}'),
        ToolCall(id="c2", name="patch", kind="custom", arguments="*** Begin"),
        ToolCall(id="c3", name="tool_search", kind="tool_search", arguments="{}"),
        ToolCall(id="c4", name="now", arguments=""),
    )
    results = (
        ToolResult(call_id="c4", content=(Text(text="noon"),)),
        ToolResult(call_id="c1", content=(Text(text="2"), image)),
        ToolResult(call_id="c2", content=(), kind="custom"),
        ToolResult(call_id="c3", content=(), kind="tool_search"),
    )

    assert items(
        Turn(role="assistant", parts=said), Turn(role="tool", parts=results)
    ) == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "On it.", "annotations": []}],
        },
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "add",
            "namespace": "toy",
            "arguments": '{"a":1}',
        },
        {
            "type": "custom_tool_call",
            "call_id": "c2",
            "name": "patch",
            "input": "*** Begin",
        },
        {
            "type": "tool_search_call",
            "call_id": "c3",
            "execution": "client",
            "arguments": {},
        },
        {"type": "function_call", "call_id": "c4", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c4", "output": "noon"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "2"},
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,AAAA",
                    "detail": "low",
                },
            ],
        },
        {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
        {
            "type": "tool_search_output",
            "call_id": "c3",
            "execution": "client",
            "tools": [],
        },
    ]


def test_documents_and_sound() -> None:
    """A document that is text is text; all else keeps its form."""
    shown = Turn(
        role="user",
        parts=(
            Document(data="AAAA", media_type="application/pdf", title="a.pdf"),
            Document(url="https://example.com/a.pdf"),
            Document(file_id="f", data="AAAA"),
            Document(text="plain"),
            Audio(data="AAAA", format="wav"),
            Image(url="https://example.com/a.png"),
            Image(file_id="f"),
            Image(data="AAAA"),
        ),
    )

    (item,) = rendered(replace(ASKED, turns=(shown,)))["input"]

    assert item["content"] == [
        {
            "type": "input_file",
            "file_data": "data:application/pdf;base64,AAAA",
            "filename": "a.pdf",
        },
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_data": "AAAA", "file_id": "f"},
        {"type": "input_text", "text": "plain"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_image", "file_id": "f"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ]


def test_files_of_another_provider_cannot_be_shown() -> None:
    """Chat and Responses share their files with nobody."""
    turn = Turn(role="user", parts=(Image(file_id="f"),))
    asked = replace(ASKED, dialect="anthropic-messages", turns=(turn,))

    with pytest.raises(NotBridged) as refused:
        OPENAI_RESPONSES.render(asked, SERVING, Notes())

    assert refused.value.reasons == ("file_id",)


def test_functions_of_other_dialects_are_not_strict() -> None:
    """Here they would be by default, and a loose schema would be refused."""
    tools = (
        FunctionTool(name="f", description="d", schema=Raw(b'{"type":"object"}')),
        FunctionTool(name="g", strict=True),
        CustomTool(name="p", format=Raw(b'{"type":"text"}')),
        FunctionTool(name="h", namespace="n"),
        CustomTool(name="q", namespace="n"),
        SearchTool(description="find"),
    )
    empty = {"type": "object", "properties": {}}

    assert rendered(replace(ASKED, tools=tools))["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": False,
        },
        {"type": "function", "name": "g", "parameters": empty, "strict": True},
        {"type": "custom", "name": "p", "format": {"type": "text"}},
        {
            "type": "namespace",
            "name": "n",
            "tools": [
                {"type": "function", "name": "h", "parameters": empty, "strict": False},
                {"type": "custom", "name": "q"},
            ],
        },
        {
            "type": "tool_search",
            "execution": "client",
            "description": "find",
            "parameters": empty,
        },
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="named", name="f"), {"type": "function", "name": "f"}),
        (
            ToolChoice(mode="named", name="p", namespace="n"),
            {"type": "custom", "name": "p", "namespace": "n"},
        ),
        (ToolChoice(mode="named", name="tool_search"), {"type": "tool_search"}),
        (
            ToolChoice(mode="allowed", names=("f", "g"), required=True),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [
                    {"type": "function", "name": "f"},
                    {"type": "function", "name": "g"},
                ],
            },
        ),
    ],
)
def test_choices_name_the_kind_of_their_tool(choice: ToolChoice, sent: object) -> None:
    """A provider looks a tool up by its kind and its name."""
    tools = (FunctionTool(name="f"), CustomTool(name="p", namespace="n"), SearchTool())

    body = rendered(replace(ASKED, tools=tools, tool_choice=choice))

    assert body["tool_choice"] == sent


def test_all_options_are_carried() -> None:
    """Each option of the canon has its name here."""
    asked = replace(
        ASKED,
        stream=True,
        parallel_tools=False,
        output_cap=100,
        output_format=OutputFormat(
            kind="json_schema", name="City", schema=Raw(b"{}"), strict=True
        ),
        reasoning=ReasoningAsk(effort="low", summary="auto"),
        verbosity="low",
        temperature=0.5,
        top_p=0.9,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        store=True,
    )

    body = rendered(asked)

    assert {name: body[name] for name in body if name not in ("model", "input")} == {
        "stream": True,
        "parallel_tool_calls": False,
        "max_output_tokens": 100,
        "text": {
            "format": {
                "type": "json_schema",
                "name": "City",
                "schema": {},
                "strict": True,
            },
            "verbosity": "low",
        },
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "store": True,
    }


def test_json_without_a_schema() -> None:
    """The older form of structured output."""
    asked = replace(ASKED, output_format=OutputFormat(kind="json_object"))

    assert rendered(asked)["text"] == {"format": {"type": "json_object"}}


@pytest.mark.parametrize(
    ("asked", "most", "sent", "noted"),
    [
        (1, None, 16, True),
        (16, None, 16, False),
        (9_000, 4_096, 4_096, True),
        (4_096, 9_000, 4_096, False),
    ],
)
def test_the_output_cap_is_one_that_the_target_takes(
    asked: int, most: int | None, sent: int, *, noted: bool
) -> None:
    """Another cap than was asked for is noted."""
    serving = replace(SERVING, output_cap=most)

    body, notes = rendered_with_notes(replace(ASKED, output_cap=asked), serving=serving)

    assert body["max_output_tokens"] == sent
    assert notes == ([("approximated", "max_completion_tokens")] if noted else [])


def test_a_budget_becomes_an_effort() -> None:
    """The note tells which."""
    asked = replace(ASKED, reasoning=ReasoningAsk(budget_tokens=31_999))

    body, notes = rendered_with_notes(asked)

    assert body["reasoning"] == {"effort": "high"}
    assert notes == [("approximated", "reasoning_effort")]


def test_a_provider_without_stop_sequences() -> None:
    """To leave them out would change the answer."""
    with pytest.raises(NotBridged) as refused:
        OPENAI_RESPONSES.render(replace(ASKED, stop=("END",)), SERVING, Notes())

    assert refused.value.reasons == ("stop",)


def _state(kind: Any, label: str | None) -> ReasoningState:  # noqa: ANN401 - of a table
    return ReasoningState(kind=kind, value="v", minted_by=label, item_id="rs_1")


@pytest.mark.parametrize(
    ("reasoning", "item", "notes"),
    [
        (
            Reasoning(summary=("s",), state=_state("encrypted", SERVING.label)),
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "v",
            },
            [],
        ),
        (
            Reasoning(summary=("s",), state=_state("encrypted", "somebody")),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
            [("dropped", "reasoning.encrypted_content")],
        ),
        (
            Reasoning(text="t", state=_state("signature", SERVING.label)),
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
            [
                ("dropped", "thinking.signature"),
                ("approximated", "content.reasoning"),
            ],
        ),
        (
            Reasoning(state=_state("redacted", None)),
            None,
            [("dropped", "redacted_thinking")],
        ),
    ],
)
def test_a_reasoning_state_goes_back_to_its_maker_only(
    reasoning: Reasoning, item: object, notes: list[tuple[str, str]]
) -> None:
    """What can be read goes everywhere."""
    turn = Turn(role="assistant", parts=(reasoning, Text(text="so")))

    body, noted = rendered_with_notes(replace(ASKED, turns=(turn, HELLO)))

    assert body["input"][:-2] == ([] if item is None else [item])
    assert noted == notes


def test_what_cannot_be_said_is_noted() -> None:
    """An image of the model's own, calls in a user's turn, and that a tool failed."""
    call = ToolCall(id="c", name="f", arguments="{}")
    sound = Audio(data="AAAA", format="wav")
    strange: tuple[Turn, ...] = (
        Turn(role="user", parts=(Reasoning(text="t"),)),
        Turn(role="assistant", parts=(sound, call)),
        Turn(
            role="tool",
            parts=(ToolResult(call_id="c", content=(), is_error=True),),
        ),
    )

    body, notes = rendered_with_notes(replace(ASKED, turns=strange))

    assert [item["type"] for item in body["input"]] == [
        "function_call",
        "function_call_output",
    ]
    assert notes == [
        ("dropped", "content"),
        ("dropped", "content"),
        ("approximated", "tool_result.is_error"),
    ]


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ((), "Error: "),
        ((Text(text="exit 1"),), "Error: exit 1"),
        ((Text(text="Error: no"),), "Error: no"),
        (
            (Image(url="https://x/a.png"),),
            [
                {"type": "input_text", "text": "Error:"},
                {"type": "input_image", "image_url": "https://x/a.png"},
            ],
        ),
    ],
)
def test_that_a_tool_failed_stands_in_its_text(
    content: tuple[Text | Image, ...], output: object
) -> None:
    """An output has no other place for it, and an agent must not take it for good."""
    call = ToolCall(id="c", name="f", arguments="{}")
    result = ToolResult(call_id="c", content=content, is_error=True)
    turns = (
        Turn(role="assistant", parts=(call,)),
        Turn(role="tool", parts=(result,)),
    )

    body, notes = rendered_with_notes(replace(ASKED, turns=turns))

    assert body["input"][-1]["output"] == output
    assert notes == [("approximated", "tool_result.is_error")]


def test_own_fields_go_back_where_they_were() -> None:
    """A request of this dialect is written with all that it had."""
    fields: dict[str, Any] = {
        "input": [
            {"type": "message", "role": "user", "content": [], "id": "msg_0"},
            {"type": "computer_call_output", "call_id": "x", "output": {}},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [{"x": 1}]},
                    {"type": "refusal", "refusal": "b"},
                ],
            },
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_2",
                "content": [{"type": "output_text", "text": "c", "annotations": []}],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "t"}],
            },
            {"type": "web_search_call", "id": "ws_1"},
            {
                "type": "function_call_output",
                "call_id": "c",
                "status": "completed",
                "output": [{"type": "input_text", "text": "a", "x": 1}],
            },
        ],
        "tools": [
            {
                "type": "namespace",
                "name": "n",
                "description": "d",
                "tools": [{"type": "function", "name": "f", "defer_loading": True}],
            },
            {"type": "function", "name": "g"},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "mcp", "server_label": "s"}],
        },
        "text": {"x": 1},
        "reasoning": {"effort": "low", "context": "all_turns"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "previous_response_id": "resp_0",
        "truncation": "auto",
    }

    body = rendered(parsed(**fields))

    assert {name: body[name] for name in fields} == fields


def test_what_was_found_is_found_again() -> None:
    """A search result names its tools, as far as they are declared."""
    found = {"type": "function", "name": "f", "parameters": {}}
    item = {
        "type": "tool_search_output",
        "call_id": "s",
        "execution": "client",
        "tools": [found],
    }
    request = parsed(input=[item])
    result = ToolResult(call_id="s", content=(Text(text="?"),), kind="tool_search")
    unclear = Turn(role="tool", parts=(result,))

    assert rendered(request)["input"] == [item]
    assert rendered(replace(request, turns=(unclear,)))["input"][0]["tools"] == []


@pytest.mark.parametrize(
    ("fields", "include"),
    [
        ({"top_logprobs": 2, "include": None}, None),
        (
            {"include": ["message.output_text.logprobs"]},
            ["message.output_text.logprobs"],
        ),
    ],
)
def test_log_probabilities_are_asked_for_as_before(
    fields: dict[str, Any], include: object
) -> None:
    """There are two ways to ask, and each stays what it was."""
    assert rendered(parsed(**fields)).get("include") == include


def test_an_include_that_cannot_be_read() -> None:
    """It is left out."""
    request = replace(parsed(), extras={"include": Raw(b"1")})

    assert "include" not in rendered(request)


def test_an_unknown_form_of_a_choice_stays() -> None:
    """A provider of this dialect may know the tool."""
    choice = {"type": "web_search"}

    assert rendered(parsed(tool_choice=choice))["tool_choice"] == choice


def test_a_list_of_tools_in_which_some_are_hosted() -> None:
    """What the provider runs is written as it was declared."""
    tools = [{"type": "web_search", "x": 1}, {"type": "function", "name": "f"}]

    assert rendered(parsed(tools=tools))["tools"] == tools


def test_arguments_of_a_search_that_are_no_json() -> None:
    """They are text, rather than nothing."""
    call = ToolCall(id="s", name="tool_search", kind="tool_search", arguments="sum")

    found = ToolResult(call_id="s", content=(), kind="tool_search")

    item, _ = items(
        Turn(role="assistant", parts=(call,)), Turn(role="tool", parts=(found,))
    )

    assert item["arguments"] == "sum"


def test_own_parts_in_odd_places() -> None:
    """What only this dialect knows is written where it was."""
    raw = Raw(b'{"type":"x"}')
    own: Part = Opaque(kind="other", raw=raw)
    request = replace(
        parsed(),
        turns=(
            Turn(role="user", parts=(own, Text(text="a"))),
            Turn(role="tool", parts=(own,)),
            Turn(role="assistant", parts=(own,)),
        ),
    )

    first, *others = rendered(request)["input"]

    assert first["content"][0] == {"type": "x"}
    assert others == [{"type": "x"}, {"type": "x"}]
