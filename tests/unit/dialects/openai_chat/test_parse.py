"""What a request of Chat Completions says, in the canon."""

import json
from typing import Any

import msgspec
import pytest

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    ToolChoice,
)
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT

HELLO = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {}}


def raw(value: object) -> msgspec.Raw:
    """Return a value as it stands in a request."""
    return msgspec.Raw(json.dumps(value).encode())


def parsed(*messages: object, **members: object) -> Request:
    """Return a request in the canon."""
    document = {"model": "m", "messages": list(messages or (HELLO,)), **members}
    return OPENAI_CHAT.parse(OPENAI_CHAT.peek(json.dumps(document).encode()))


def parts(message: dict[str, Any]) -> tuple[object, ...]:
    """Return the parts of one message after another."""
    return parsed(HELLO, message).turns[1].parts


def test_the_smallest_request() -> None:
    """A model and one message."""
    request = parsed(HELLO)

    assert request == Request(
        dialect="openai-chat",
        model="m",
        turns=(Turn(role="user", parts=(Text(text="hi"),)),),
        wants_reasoning_state=False,
    )


def test_leading_instructions_stand_outside_of_the_turns() -> None:
    """`system` and `developer` at the beginning are instructions, later ones turns."""
    request = parsed(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        HELLO,
        {"role": "developer", "content": "c", "name": "n"},
    )

    assert request.system == (Text(text="a"), Text(text="b"))
    assert request.turns[1] == Turn(
        role="developer", parts=(Text(text="c"),), extras={"name": raw("n")}
    )


def test_parts_of_a_user() -> None:
    """Texts, images, sound, files, and what nobody else knows."""
    content = [
        "plain",
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"},
        },
        {"type": "image_url", "image_url": "https://a.example/c.png"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {
            "type": "file",
            "file": {
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,AAAA",
            },
        },
        {"type": "file", "file": {"file_id": "file-1", "odd": 1}},
        {"type": "video_url", "video_url": {"url": "https://a.example/v"}},
        {"type": "riddle", "x": None},
    ]

    said = parts({"role": "user", "content": content})

    assert said == (
        Text(text="plain"),
        Text(text="t", extras={"cache_control": raw({"type": "ephemeral"})}),
        Image(url="https://a.example/b.png"),
        Image(data="AAAA", media_type="image/png", detail="low"),
        Image(url="https://a.example/c.png"),
        Audio(data="AAAA", format="wav"),
        Document(data="AAAA", media_type="application/pdf", title="a.pdf"),
        Document(file_id="file-1", extras={"file.odd": raw(1)}),
        Opaque(
            kind="video",
            raw=msgspec.Raw(
                b'{"type":"video_url","video_url":{"url": "https://a.example/v"}}'
            ),
        ),
        Opaque(kind="other", raw=msgspec.Raw(b'{"type":"riddle","x":null}')),
    )


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_of_the_wild(field: str) -> None:
    """What the model thought comes before what it said."""
    said = parts({"role": "assistant", "content": "a", field: "hm"})

    assert said == (Reasoning(text="hm"), Text(text="a"))


def test_calls_and_their_results() -> None:
    """Results of one round are one turn, and know how their tool was called."""
    request = parsed(
        HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "index": 0,
                    "function": {"name": "f", "arguments": "{}"},
                },
                {"id": "b", "function": {"name": "g", "arguments": {"x": 1}}},
                {"id": "c", "type": "custom", "custom": {"name": "h", "input": "free"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "3"},
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [
                {"type": "text", "text": "2"},
                {"type": "image_url", "image_url": {"url": "https://a.example/b"}},
            ],
        },
    )

    assert request.turns[1].parts == (
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments='{"x":1}'),
        ToolCall(id="c", name="h", arguments="free", kind="custom"),
    )
    assert request.turns[2:] == (
        Turn(
            role="tool",
            parts=(
                ToolResult(call_id="c", content=(Text(text="3"),), kind="custom"),
                ToolResult(call_id="a", content=()),
                ToolResult(
                    call_id="b",
                    content=(Text(text="2"), Image(url="https://a.example/b")),
                ),
            ),
        ),
    )


def test_functions_of_before_there_were_tools() -> None:
    """A legacy call and its result are tied together, and one call is asked for."""
    request = parsed(
        HELLO,
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        functions=[{"name": "f", "parameters": SCHEMA}],
        function_call={"name": "f"},
        parallel_tool_calls=True,
    )

    assert request.legacy_functions
    assert request.parallel_tools is False
    assert request.tools == (FunctionTool(name="f", schema=raw(SCHEMA)),)
    assert request.tool_choice == ToolChoice(mode="named", name="f")
    assert request.turns[1].parts == (
        ToolCall(id="function_call_1", name="f", arguments="{}"),
    )
    assert request.turns[2].parts == (
        ToolResult(
            call_id="function_call_1",
            content=(Text(text="1"),),
            extras={"name": raw("f")},
        ),
    )


def test_refusals() -> None:
    """A refusal may be a field or a part."""
    part = {"type": "refusal", "refusal": "b"}

    said = parts({"role": "assistant", "content": [part], "refusal": "a"})

    assert said == (Refusal(text="b"), Refusal(text="a"))


def test_tools() -> None:
    """Functions, custom tools, the search that stands apart, and unknown ones."""
    function = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    request = parsed(
        HELLO,
        tools=[
            {"type": "function", "function": function, "cache_control": None},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
            {"type": "riddle"},
        ],
        web_search_options={"search_context_size": "low"},
    )

    assert request.tools == (
        FunctionTool(name="f", description="d", schema=raw(SCHEMA), strict=True),
        CustomTool(name="c", format=raw({"type": "text"})),
        HostedTool(kind="other", raw=msgspec.Raw(b'{"type":"riddle"}')),
        HostedTool(kind="web_search", raw=raw({"search_context_size": "low"})),
    )


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        (
            {"type": "function", "function": {"name": "f"}},
            ToolChoice(mode="named", name="f"),
        ),
        (
            {"type": "custom", "custom": {"name": "f"}},
            ToolChoice(mode="named", name="f"),
        ),
        ({"type": "function", "name": "f"}, ToolChoice(mode="named", name="f")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "function", "name": "g"},
                    ],
                },
            },
            ToolChoice(mode="allowed", names=("f", "g"), required=True),
        ),
        (None, None),
    ],
)
def test_tool_choices(given: object, choice: ToolChoice | None) -> None:
    """Every way of choosing among tools."""
    assert parsed(HELLO, tool_choice=given).tool_choice == choice


def test_settings() -> None:
    """What two dialects can say has a place in the canon."""
    form = {"name": "n", "schema": SCHEMA, "strict": True}
    request = parsed(
        HELLO,
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=5,
        max_tokens=5,
        response_format={"type": "json_schema", "json_schema": form},
        reasoning_effort="high",
        verbosity="low",
        temperature=0,
        top_p=0.5,
        stop="END",
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        store=False,
        parallel_tool_calls=False,
        seed=1,
    )

    assert request == Request(
        dialect="openai-chat",
        model="m",
        turns=request.turns,
        stream=True,
        include_usage=True,
        output_cap=5,
        output_format=OutputFormat(
            kind="json_schema", name="n", schema=raw(SCHEMA), strict=True
        ),
        reasoning=ReasoningAsk(effort="high"),
        wants_reasoning_state=False,
        verbosity="low",
        temperature=0,
        top_p=0.5,
        stop=("END",),
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        store=False,
        parallel_tools=False,
        extras={"seed": raw(1)},
    )


def test_usage_of_a_stream_is_given_on_request() -> None:
    """`include_usage` is the caller's choice, and other options are kept."""
    options = {"include_obfuscation": False}

    unasked = parsed(HELLO, stream=True, stream_options=options)

    assert not unasked.include_usage
    assert unasked.extras == {
        "stream_options": msgspec.Raw(b'{"include_obfuscation":false}')
    }


@pytest.mark.parametrize(
    ("members", "ask"),
    [
        ({"reasoning": {"effort": "low"}}, ReasoningAsk(effort="low")),
        ({"reasoning": {"max_tokens": 9}}, ReasoningAsk(budget_tokens=9)),
        ({"reasoning": {"enabled": False}}, ReasoningAsk(off=True)),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            ReasoningAsk(budget_tokens=9),
        ),
        ({"thinking": {"type": "disabled"}}, ReasoningAsk(off=True)),
        ({"thinking": {"type": "adaptive"}}, ReasoningAsk(adaptive=True)),
        ({"thinking": True}, None),
    ],
)
def test_reasoning_of_the_wild(members: dict[str, object], ask: object) -> None:
    """How much is to be thought may be said in ways that OpenAI does not have."""
    assert parsed(HELLO, **members).reasoning == ask


@pytest.mark.parametrize(
    ("members", "needs"),
    [
        ({"n": 2}, ("n",)),
        ({"logprobs": True, "top_logprobs": 3}, ("logprobs",)),
        ({"logit_bias": {"1": -100}}, ("logit_bias",)),
        ({"modalities": ["text", "audio"], "audio": {}}, ("audio_output",)),
        ({"guided_json": {}}, ("guided_decoding",)),
        ({"response_format": {"type": "grammar"}}, ("response_format",)),
        (
            {
                "n": 1,
                "logprobs": False,
                "top_logprobs": 0,
                "logit_bias": {},
                "modalities": ["text"],
                "frequency_penalty": 0,
                "audio": None,
            },
            (),
        ),
    ],
)
def test_what_changes_the_meaning_is_needed(
    members: dict[str, object], needs: tuple[str, ...]
) -> None:
    """Several answers, logprobs and the like are needs; saying nothing is none."""
    request = parsed(HELLO, **members)

    assert request.needs == needs
    assert bool(request.extras) is bool(needs)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "narrator"}]}, "messages.0.role"),
        ({"messages": [HELLO, {"role": "user", "content": 5}]}, "messages.1.content"),
        (
            {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
            "messages.0.content.0.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
        ),
        (
            {"messages": [{"role": "tool", "content": "a"}]},
            "messages.0.tool_call_id",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
            "messages.0.tool_calls.0.function",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages.0.tool_calls.0.id",
        ),
        ({"messages": [], "tools": [{"function": {}}]}, "tools.0.function.name"),
        ({"messages": [], "tool_choice": "maybe"}, "tool_choice"),
        ({"messages": [], "tool_choice": {"type": "riddle"}}, "tool_choice.type"),
        ({"messages": [], "max_tokens": "5"}, "max_tokens"),
        ({"messages": [], "max_tokens": 0}, "max_tokens"),
        ({"messages": [], "max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"messages": [], "temperature": "warm"}, "temperature"),
        ({"messages": [], "stop": [1]}, "stop"),
        ({"messages": [], "metadata": {"a": 1}}, "metadata"),
        ({"messages": [], "response_format": {}}, "response_format.type"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, object], field: str) -> None:
    """A field that must be read and cannot be is refused by its path."""
    peek = OPENAI_CHAT.peek(json.dumps(document).encode())

    with pytest.raises(InvalidRequest) as refused:
        OPENAI_CHAT.parse(peek)

    assert refused.value.details == {"field": field}
    assert f"`{field}`" in refused.value.message


def test_half_a_surrogate_pair_is_read_as_a_replacement() -> None:
    """JavaScript may cut an emoji in half: that is no reason to refuse."""
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'

    request = OPENAI_CHAT.parse(OPENAI_CHAT.peek(body))

    assert request.turns[0].parts == (Text(text="a\ufffd"),)


def test_odd_results() -> None:
    """Sound in a result is for this dialect only; a refusal in one is a text."""
    content = [
        {"type": "refusal", "refusal": "no"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    result = parts({"role": "tool", "tool_call_id": "a", "content": content})[0]

    assert isinstance(result, ToolResult)
    assert result.content[0] == Text(text="no")
    assert isinstance(result.content[1], Opaque)
    assert result.content[1].kind == "audio"


def test_a_call_of_an_unknown_kind_is_for_this_dialect_only() -> None:
    """What nobody knows how to call is not passed on as something else."""
    said = parts({"role": "assistant", "tool_calls": [{"id": "a", "type": "riddle"}]})

    assert said == (
        Opaque(kind="other", raw=msgspec.Raw(b'{"id":"a","type":"riddle"}')),
    )


def test_plain_forms_are_no_wish() -> None:
    """A `response_format` of text says nothing; one of JSON does."""
    assert parsed(HELLO, response_format={"type": "text"}).output_format is None
    assert parsed(
        HELLO, response_format={"type": "json_object"}
    ).output_format == OutputFormat(kind="json_object")


def test_who_keeps_proofs() -> None:
    """A `reasoning` object, or details of an earlier turn, tell of such a caller."""
    details = [{"type": "reasoning.text", "text": "hm"}, {"text": 5}]
    said = {"role": "assistant", "content": "a", "reasoning_details": details}

    back = parsed(HELLO, said)

    assert not parsed(HELLO).wants_reasoning_state
    assert not parsed(HELLO, reasoning_effort="low").wants_reasoning_state
    assert parsed(HELLO, reasoning={"effort": "low"}).wants_reasoning_state
    assert back.wants_reasoning_state
    assert back.turns[1].parts == (Reasoning(text="hm"), Text(text="a"))
    assert back.turns[1].extras == {"reasoning_details": raw(details)}


def test_proofs_of_others_stay_with_this_dialect() -> None:
    """What another gateway sealed is nothing to us, and is not lost in silence."""
    details = [{"type": "reasoning.encrypted", "data": "gAAA"}]
    said = {"role": "assistant", "reasoning_details": details, "reasoning": "hm"}

    turn = parsed(HELLO, said).turns[1]

    assert turn.parts == (Reasoning(text="hm"),)
    assert turn.extras == {"reasoning_details": raw(details)}
