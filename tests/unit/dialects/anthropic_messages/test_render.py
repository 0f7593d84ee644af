"""A request, whatever its dialect, written for a provider of Messages."""

import json
from typing import Any

import msgspec
import pytest

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    ReasoningState,
    Refusal,
    Role,
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
    ToolChoice,
)
from smart_llmrouter.dialects.anthropic_messages.render import render_request
from smart_llmrouter.dialects.base import NotBridged, Serving

SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{}}}')
TOOL = FunctionTool(name="f", description="d", schema=SCHEMA)
SERVING = Serving(label="acme/claude", model="claude-x")
HI = Turn(role="user", parts=(Text(text="hi"),))
REQUEST = Request(dialect="openai-chat", model="m", turns=(HI,), output_cap=100)


def turn(role: Role, *parts: Part) -> Turn:
    """Return one turn."""
    return Turn(role=role, parts=parts)


def said(role: Role, text: str) -> Turn:
    """Return one turn of text."""
    return turn(role, Text(text=text))


def rendered(
    serving: Serving = SERVING, **changes: object
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the body of a changed request, and what was noted."""
    notes = Notes()
    request = msgspec.structs.replace(REQUEST, **changes)
    body = json.loads(render_request(request, serving, notes))
    return body, [(note.action, note.field) for note in notes.all()]


def messages(*turns: Turn) -> tuple[Any, list[tuple[str, str]]]:
    """Return the messages of a request, and what was noted."""
    body, notes = rendered(turns=turns)
    return body["messages"], notes


def test_a_short_request() -> None:
    """Nothing is added but what must be there."""
    assert rendered() == (
        {
            "model": "claude-x",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "hi"}],
        },
        [],
    )


@pytest.mark.parametrize(
    ("asked", "most", "sent", "notes"),
    [
        (None, None, 32_000, [("approximated", "max_completion_tokens")]),
        (None, 64_000, 64_000, [("approximated", "max_completion_tokens")]),
        (100, 64_000, 100, []),
        (100_000, 64_000, 64_000, [("approximated", "max_completion_tokens")]),
    ],
)
def test_max_tokens_is_always_sent(
    asked: int | None, most: int | None, sent: int, notes: list[tuple[str, str]]
) -> None:
    """The caller's, up to the model's; without either, one for agents."""
    serving = msgspec.structs.replace(SERVING, output_cap=most)

    body, noted = rendered(serving, output_cap=asked)

    assert (body["max_tokens"], noted) == (sent, notes)


def test_leading_instructions_are_the_system_later_ones_the_users() -> None:
    """Each stays a block of its own."""
    body, notes = rendered(
        system=(Text(text="a"),),
        turns=(
            said("system", "b"),
            said("developer", "c"),
            HI,
            said("assistant", "hello"),
            said("developer", "d"),
        ),
    )

    assert body["system"] == [{"type": "text", "text": text} for text in "abc"]
    assert body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "d"},
    ]
    assert notes == [("approximated", "messages.role")]


def test_turns_of_one_side_become_one_message_results_first() -> None:
    """A result stands right behind its call, with its image."""
    picture = Image(data="iVBORw0", media_type=None)

    sent, notes = messages(
        HI,
        turn("assistant", Text(text="ok"), ToolCall(id="1", name="f", arguments="")),
        turn("assistant", ToolCall(id="2", name="f", arguments='{"a":1.0}')),
        turn("tool", ToolResult(call_id="2", content=(Text(text="r"),))),
        said("user", "wait"),
        turn(
            "tool",
            ToolResult(call_id="1", content=(Text(text="x"), picture), is_error=True),
        ),
    )

    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0"}
    assert sent == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "ok"},
                call,
                call | {"id": "2", "input": {"a": 1.0}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "2", "content": "r"},
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "content": [
                        {"type": "text", "text": "x"},
                        {"type": "image", "source": source},
                    ],
                    "is_error": True,
                },
                {"type": "text", "text": "wait"},
            ],
        },
    ]
    assert notes == [("approximated", "tools")]


def test_blank_text_and_empty_turns_are_left_out() -> None:
    """Anthropic refuses them; the very end of an answer has no white space."""
    sent, notes = messages(
        turn("user", Text(text=""), Text(text=" \n"), Text(text="a")),
        turn("assistant"),
        said("user", "b"),
        said("assistant", "so \n"),
    )

    assert sent == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": "so"},
    ]
    assert notes == [("dropped", "content.text"), ("approximated", "content.text")]


@pytest.mark.parametrize(
    ("turns", "system", "sent"),
    [
        ((), (), [{"role": "user", "content": "."}]),
        (
            (said("assistant", "hello"),),
            (),
            [
                {"role": "user", "content": "."},
                {"role": "assistant", "content": "hello"},
            ],
        ),
        ((), (Text(text="sys"),), [{"role": "user", "content": "sys"}]),
    ],
)
def test_a_conversation_begins_with_the_user(
    turns: tuple[Turn, ...], system: tuple[Text, ...], sent: list[object]
) -> None:
    """Instructions alone are said by the user."""
    body, notes = rendered(turns=turns, system=system)

    assert body["messages"] == sent
    assert "system" not in body
    assert notes == [("approximated", "messages")]


def test_ids_that_do_not_fit_are_renamed_alike_and_stay_apart() -> None:
    """A call and its result stay tied."""
    sent, _ = messages(
        HI,
        turn(
            "assistant",
            ToolCall(id="call:1|x", name="f", arguments="{}"),
            ToolCall(id="call_1_x", name="f", arguments="{}"),
            ToolCall(id="call|1|x", name="f", arguments="{}"),
        ),
        turn("tool", ToolResult(call_id="call:1|x", content=(Text(text="r"),))),
    )

    ids = [block["id"] for block in sent[1]["content"]]
    assert ids[1] == "call_1_x"
    assert len(set(ids)) == 3
    assert all(id_.replace("_", "").isalnum() for id_ in ids)
    assert sent[2]["content"][0]["tool_use_id"] == ids[0]


def test_arguments_that_are_no_object_are_sent_as_a_text_in_one() -> None:
    """A call that was cut off must not make the conversation invalid."""
    sent, notes = messages(
        HI, turn("assistant", ToolCall(id="1", name="f", arguments='{"a":'))
    )

    assert sent[1]["content"][0]["input"] == {"INVALID_JSON": '{"a":'}
    assert ("approximated", "arguments") in notes


def test_reasoning_goes_to_its_maker_only() -> None:
    """Exactly as it was made; all else is dropped with a note."""
    own = SERVING.label

    sent, notes = messages(
        HI,
        turn(
            "assistant",
            Reasoning(
                text="hm",
                state=ReasoningState(kind="signature", value="EqQ", minted_by=own),
            ),
            Reasoning(
                state=ReasoningState(kind="redacted", value="Emw", minted_by=own)
            ),
            Reasoning(
                text="x",
                state=ReasoningState(kind="signature", value="E", minted_by="else"),
            ),
            Reasoning(
                text="x",
                state=ReasoningState(kind="encrypted", value="g", minted_by=own),
            ),
            Reasoning(text="unsigned"),
            Text(text="so"),
        ),
    )

    assert sent[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "EqQ"},
        {"type": "redacted_thinking", "data": "Emw"},
        {"type": "text", "text": "so"},
    ]
    assert notes == [("dropped", "reasoning")]


@pytest.mark.parametrize(
    ("part", "block", "notes"),
    [
        (
            Image(data="/9j/4", detail="original"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg"}
                | {"data": "/9j/4"},
            },
            [("dropped", "content.detail")],
        ),
        (
            Image(url="https://x/y.png", detail="auto"),
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            [],
        ),
        (
            Document(data="JVBE", media_type="application/pdf", title="t.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf"}
                | {"data": "JVBE"},
                "title": "t.pdf",
            },
            [],
        ),
        (
            Document(data="aGk=", media_type="text/csv"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
            },
            [],
        ),
        (
            Refusal(text="no"),
            {"type": "text", "text": "no"},
            [("approximated", "content.refusal")],
        ),
    ],
)
def test_parts_of_each_kind(
    part: Part, block: dict[str, Any], notes: list[tuple[str, str]]
) -> None:
    """Beside a text, so that there is a list."""
    sent, noted = messages(turn("user", Text(text="see"), part))

    assert sent[0]["content"][1] == block
    assert noted == notes


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Audio(data="UklG", format="wav"), "audio"),
        (Image(file_id="file_1"), "file_id"),
        (Document(file_id="file_1"), "file_id"),
        (Document(data="UEsD", media_type="application/zip"), "document"),
    ],
)
def test_what_messages_cannot_carry_is_refused(part: Part, reason: str) -> None:
    """Another target may be able to."""
    with pytest.raises(NotBridged) as refused:
        messages(turn("user", part))

    assert refused.value.reasons == (reason,)


def test_tools_become_functions_with_a_schema_of_an_object() -> None:
    """Free text is one string; a schema without a type is one of an object."""
    body, _ = rendered(
        tools=(
            msgspec.structs.replace(TOOL, strict=True),
            FunctionTool(name="g", schema=msgspec.Raw(b"{}"), strict=False),
            CustomTool(name="patch"),
        )
    )

    text = {"input": {"type": "string"}}
    assert body["tools"] == [
        {
            "name": "f",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"a": {}}},
            "strict": True,
        },
        {"name": "g", "input_schema": {"type": "object"}},
        {
            "name": "patch",
            "input_schema": {
                "type": "object",
                "properties": text,
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (
            ToolChoice(mode="required"),
            False,
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (ToolChoice(mode="named", name="f"), True, {"type": "tool", "name": "f"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
    ],
)
def test_the_choice_of_a_tool(
    choice: ToolChoice | None, parallel: object, sent: object
) -> None:
    """Parallel calls are part of it."""
    body, notes = rendered(tools=(TOOL,), tool_choice=choice, parallel_tools=parallel)

    assert (body.get("tool_choice"), notes) == (sent, [])


def test_a_choice_among_some_leaves_the_others_out() -> None:
    """Messages has no such choice."""
    body, notes = rendered(
        tools=(TOOL, FunctionTool(name="g")),
        tool_choice=ToolChoice(mode="allowed", names=("g",), required=True),
    )

    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}
    assert notes == [("approximated", "tool_choice")]


def test_what_was_called_is_declared() -> None:
    """Anthropic refuses calls in a conversation without tools."""
    body, notes = rendered(
        turns=(
            HI,
            turn("assistant", ToolCall(id="1", name="f", arguments="{}")),
            turn("tool", ToolResult(call_id="1", content=())),
        )
    )

    assert body["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    ]
    assert body["tool_choice"] == {"type": "none"}
    assert notes == [("approximated", "tools")]


BUDGETS = msgspec.structs.replace(
    SERVING, reasoning_control="token_budget", output_cap=64_000
)
EFFORTS = msgspec.structs.replace(
    SERVING, reasoning_control="effort", reasoning_levels=("low", "medium", "high")
)


@pytest.mark.parametrize(
    ("serving", "ask", "cap", "sent"),
    [
        (SERVING, ReasoningAsk(effort="xhigh"), 9, (9, "adaptive", None, "xhigh")),
        (SERVING, ReasoningAsk(effort="minimal"), 9, (9, "adaptive", None, "low")),
        (SERVING, ReasoningAsk(effort="none"), 9, (9, "disabled", None, None)),
        (SERVING, ReasoningAsk(off=True), 9, (9, "disabled", None, None)),
        (SERVING, ReasoningAsk(adaptive=True), 9, (9, "adaptive", None, None)),
        (SERVING, ReasoningAsk(summary="auto"), 9, (9, None, None, None)),
        (
            SERVING,
            ReasoningAsk(budget_tokens=2_000),
            9_000,
            (9_000, "enabled", 2_000, None),
        ),
        (EFFORTS, ReasoningAsk(effort="max"), 9, (9, "adaptive", None, "high")),
        (
            EFFORTS,
            ReasoningAsk(budget_tokens=31_999),
            9,
            (9, "adaptive", None, "high"),
        ),
        (
            BUDGETS,
            ReasoningAsk(effort="medium"),
            None,
            (64_000, "enabled", 10_240, None),
        ),
        (
            BUDGETS,
            ReasoningAsk(effort="max"),
            None,
            (64_000, "enabled", 62_976, None),
        ),
        (
            BUDGETS,
            ReasoningAsk(effort="high"),
            4_000,
            (4_000, "enabled", 2_976, None),
        ),
        (BUDGETS, ReasoningAsk(effort="high"), 2_000, (2_000, "disabled", None, None)),
        (
            BUDGETS,
            ReasoningAsk(adaptive=True),
            32_000,
            (32_000, "enabled", 10_240, None),
        ),
        (
            msgspec.structs.replace(SERVING, reasoning_control="token_budget"),
            ReasoningAsk(budget_tokens=31_999),
            None,
            (40_191, "enabled", 31_999, None),
        ),
    ],
)
def test_how_much_to_think(
    serving: Serving,
    ask: ReasoningAsk,
    cap: int | None,
    sent: tuple[int, str | None, int | None, str | None],
) -> None:
    """An effort or a budget, as the target takes it, below what may be put out."""
    body, _ = rendered(serving, reasoning=ask, output_cap=cap)

    thinking = body.get("thinking", {})
    effort = body.get("output_config", {}).get("effort")
    assert sent == (
        body["max_tokens"],
        thinking.get("type"),
        thinking.get("budget_tokens"),
        effort,
    )


def test_a_forced_call_comes_without_thinking() -> None:
    """The call is what was asked for."""
    body, notes = rendered(
        tools=(TOOL,),
        tool_choice=ToolChoice(mode="named", name="f"),
        reasoning=ReasoningAsk(effort="high"),
    )

    assert body["thinking"] == {"type": "disabled"}
    assert body["tool_choice"] == {"type": "tool", "name": "f"}
    assert notes == [("approximated", "reasoning_effort")]


@pytest.mark.parametrize(
    ("temperature", "top_p", "thinks", "sent", "notes"),
    [
        (0.5, None, False, {"temperature": 0.5}, []),
        (1.5, None, False, {"temperature": 1.0}, [("approximated", "temperature")]),
        (0.5, 0.9, False, {"temperature": 0.5}, [("dropped", "top_p")]),
        (0.5, 1, False, {"temperature": 0.5}, []),
        (None, 0.9, False, {"top_p": 0.9}, []),
        (0.5, None, True, {}, [("dropped", "temperature")]),
        (1, None, True, {}, []),
        (None, 0.9, True, {}, [("dropped", "top_p")]),
        (None, 0.96, True, {"top_p": 0.96}, []),
    ],
)
def test_sampling(
    temperature: float | None,
    top_p: float | None,
    thinks: object,
    sent: dict[str, float],
    notes: list[tuple[str, str]],
) -> None:
    """As far as Anthropic takes it."""
    body, noted = rendered(
        temperature=temperature,
        top_p=top_p,
        reasoning=ReasoningAsk(effort="high") if thinks else None,
    )

    assert {k: body[k] for k in ("temperature", "top_p") if k in body} == sent
    assert noted == notes


def test_the_form_of_the_answer() -> None:
    """A schema is Anthropic's own, any JSON is an instruction."""
    schema = OutputFormat(kind="json_schema", name="n", schema=SCHEMA)

    by_schema, noted = rendered(output_format=schema)
    any_json, also_noted = rendered(output_format=OutputFormat(kind="json_object"))

    assert by_schema["output_config"] == {
        "format": {"type": "json_schema", "schema": json.loads(bytes(SCHEMA))}
    }
    assert noted == [("approximated", "response_format.name")]
    assert "JSON" in any_json["system"]
    assert also_noted == [("approximated", "response_format")]


def test_a_key_for_the_prompt_cache_becomes_markers() -> None:
    """At the ends of what the next turn repeats: else nothing would be kept."""
    mark = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "s"} | mark
    result = ToolResult(call_id="1", content=(Text(text="r"),))

    first, notes = rendered(system=(Text(text="s"),), prompt_cache_key="k")
    later, _ = rendered(
        turns=(
            HI,
            turn("assistant", ToolCall(id="1", name="f", arguments="{}")),
            turn("tool", result),
        ),
        tools=(TOOL,),
        prompt_cache_key="k",
    )

    assert first["system"] == [text]
    assert first["messages"][-1]["content"] == [text | {"text": "hi"}]
    assert notes == [("approximated", "prompt_cache_key")]
    assert later["messages"][-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "1", "content": "r"} | mark
    ]
    assert later["messages"][0]["content"] == "hi"


def test_a_document_that_cannot_be_read_is_refused() -> None:
    """Text in base64 must be text."""
    with pytest.raises(NotBridged):
        messages(turn("user", Document(data="/w==", media_type="text/plain")))


def test_a_schema_that_is_no_object_is_one_of_any_object() -> None:
    """Anthropic takes no other."""
    body, _ = rendered(tools=(FunctionTool(name="g", schema=msgspec.Raw(b"true")),))

    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_a_summary_alone_asks_for_no_thinking() -> None:
    """Whether the model thinks is left to it; a budget of none is none."""
    body, notes = rendered(BUDGETS, reasoning=ReasoningAsk(summary="auto"))
    none, _ = rendered(BUDGETS, reasoning=ReasoningAsk(budget_tokens=0))

    assert "thinking" not in body
    assert notes == [("dropped", "reasoning.summary")]
    assert none["thinking"] == {"type": "disabled"}


def test_hints() -> None:
    """What has a place is put there, what has none is noted."""
    body, notes = rendered(
        stop=("END", " "),
        user="u",
        service_tier="default",
        verbosity="low",
        metadata={"a": "b"},
        store=True,
        stream=True,
        reasoning=ReasoningAsk(effort="low", summary="detailed"),
    )

    assert body["stop_sequences"] == ["END"]
    assert body["metadata"] == {"user_id": "u"}
    assert body["service_tier"] == "standard_only"
    assert body["stream"] is True
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert notes == [
        ("approximated", "reasoning.summary"),
        ("dropped", "stop"),
        ("dropped", "verbosity"),
        ("dropped", "metadata"),
        ("dropped", "store"),
    ]


@pytest.mark.parametrize(
    ("value", "field"),
    [("u" * 257, "user"), ("flex", "service_tier")],
)
def test_hints_that_do_not_fit_are_dropped(value: str, field: str) -> None:
    """With a note each."""
    body, notes = rendered(SERVING, **{field: value})

    assert field not in body
    assert notes == [("dropped", field)]
