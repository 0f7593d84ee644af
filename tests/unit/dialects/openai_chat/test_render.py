"""What a provider of Chat Completions is sent for a request of another dialect."""

import json
from typing import Any, Literal

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
from smart_llmrouter.dialects.base import NotBridged, Serving
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT

WILD = Serving(label="t", model="llama-4")
OPENAI = Serving(label="t", model="gpt-5.1")
SCHEMA = msgspec.Raw(b'{"type":"object"}')


def user(*parts: Part | str) -> Turn:
    """Return what a user says."""
    return Turn(role="user", parts=_parts(parts))


def assistant(*parts: Part | str) -> Turn:
    """Return what the model said."""
    return Turn(role="assistant", parts=_parts(parts))


def results(*parts: ToolResult) -> Turn:
    """Return what tools gave back."""
    return Turn(role="tool", parts=parts)


def call(call_id: str, name: str = "f", arguments: str = "{}") -> ToolCall:
    """Return a call."""
    return ToolCall(id=call_id, name=name, arguments=arguments)


def result(call_id: str, *parts: Text | Image | Document | str) -> ToolResult:
    """Return what one call gave back."""
    content = tuple(Text(text=p) if isinstance(p, str) else p for p in parts)
    return ToolResult(call_id=call_id, content=content)


def _parts(parts: tuple[Part | str, ...]) -> tuple[Part, ...]:
    return tuple(Text(text=p) if isinstance(p, str) else p for p in parts)


def sent(
    *turns: Turn,
    serving: Serving = WILD,
    dialect: Literal["anthropic-messages", "openai-responses"] = "anthropic-messages",
    **members: Any,  # noqa: ANN401
) -> tuple[dict[str, Any], list[str]]:
    """Return what is sent, and the fields that are noted."""
    notes = Notes()
    request = Request(
        dialect=dialect, model="m", turns=turns or (user("hi"),), **members
    )
    body = json.loads(OPENAI_CHAT.render(request, serving, notes))
    return body, [note.field for note in notes.all()]


def messages(*turns: Turn, **members: Any) -> tuple[list[dict[str, Any]], list[str]]:  # noqa: ANN401
    """Return the messages that are sent, and the fields that are noted."""
    body, noted = sent(*turns, **members)
    return body["messages"], noted


def test_the_smallest_request() -> None:
    """A model and one message."""
    assert sent(user("hi")) == (
        {"model": "llama-4", "messages": [{"role": "user", "content": "hi"}]},
        [],
    )


def test_instructions_are_one_message() -> None:
    """All that stands before the turns is one message."""
    said, noted = messages(
        Turn(role="developer", parts=(Text(text="c"),)),
        Turn(role="system", parts=(Text(text="d"),)),
        user("hi"),
        system=(
            Text(text="a"),
            Text(text="b"),
        ),
    )

    assert said[0] == {"role": "system", "content": "a\n\nb\n\nc\n\nd"}
    assert len(said) == 2
    assert noted == []


def test_later_instructions_stay_where_they_are() -> None:
    """Instructions between turns are system messages at their place."""
    said, noted = messages(
        user("hi"), Turn(role="developer", parts=(Text(text="now"),)), user("go")
    )

    assert said[1] == {"role": "system", "content": "now"}
    assert noted == []


def test_results_follow_the_calls_at_once() -> None:
    """Whatever stands between calls and results comes after them, and nothing moves."""
    said, noted = messages(
        user("hi"),
        assistant("I call", call("a"), call("b")),
        Turn(role="system", parts=(Text(text="reminder"),)),
        results(result("b", "2"), result("a", "1")),
        user("and?"),
    )

    assert [(m["role"], m.get("tool_call_id"), m["content"]) for m in said] == [
        ("user", None, "hi"),
        ("assistant", None, "I call"),
        ("tool", "b", "2"),
        ("tool", "a", "1"),
        ("system", None, "reminder"),
        ("user", None, "and?"),
    ]
    assert [called["id"] for called in said[1]["tool_calls"]] == ["a", "b"]
    assert noted == []


def test_items_of_one_answer_are_one_message() -> None:
    """Turns of the assistant that follow each other are one message."""
    said, noted = messages(
        user("hi"),
        assistant(Reasoning(text="hm")),
        assistant("one"),
        assistant("two"),
        assistant(call("a", "f", "")),
        assistant(call("b", "g", '{"x":1}')),
        results(result("a", "1")),
        results(result("b", "2")),
    )

    assert said[1] == {
        "role": "assistant",
        "content": "one\n\ntwo",
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
            },
            {
                "id": "b",
                "type": "function",
                "function": {"name": "g", "arguments": '{"x":1}'},
            },
        ],
    }
    assert [m["role"] for m in said[2:]] == ["tool", "tool"]
    assert noted == []


def test_the_same_id_in_two_rounds() -> None:
    """Some providers number their calls from 0 in every answer."""
    said, _ = messages(
        user("hi"),
        assistant(call("call_0")),
        results(result("call_0", "first")),
        assistant(call("call_0")),
        results(result("call_0", "second")),
    )

    assert [m["content"] for m in said if m["role"] == "tool"] == ["first", "second"]
    assert [m["role"] for m in said] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]


def test_a_call_without_a_result_gets_one() -> None:
    """Providers refuse a call that nothing answers, so it is said that nothing did."""
    said, noted = messages(user("hi"), assistant(call("a"), call("b")), user("stop"))

    assert [(m["role"], m.get("tool_call_id")) for m in said[2:]] == [
        ("tool", "a"),
        ("tool", "b"),
        ("user", None),
    ]
    assert noted == ["tool_calls"]


def test_a_result_without_a_call_is_said_as_text() -> None:
    """Providers refuse a result of a call that they do not see."""
    said, noted = messages(user("hi"), results(result("gone", "42")), user("go"))

    assert said[1]["role"] == "user"
    assert "gone" in said[1]["content"][0]["text"]
    assert said[1]["content"][1] == {"type": "text", "text": "42"}
    assert noted == ["tool_results"]


def test_images_in_results_follow_all_results() -> None:
    """A user's message right after the results shows what they hold, call by call."""
    image = Image(data="AAAA", media_type="image/png")
    pdf = Document(data="BBBB", media_type="application/pdf", title="b.pdf")

    said, noted = messages(
        user("hi"),
        assistant(call("a", "look"), call("b", "read")),
        results(result("a", "seen:", image), result("b", pdf)),
        user("and?"),
    )

    assert [m["role"] for m in said[2:]] == ["tool", "tool", "user", "user"]
    assert said[2]["content"].startswith("seen:\n")
    shown = said[4]["content"]
    assert "a (look)" in shown[0]["text"]
    assert shown[1] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AAAA"},
    }
    assert "b (read)" in shown[2]["text"]
    assert shown[3] == {
        "type": "file",
        "file": {"filename": "b.pdf", "file_data": "data:application/pdf;base64,BBBB"},
    }
    assert noted == ["tool_result.content"]


@pytest.mark.parametrize(
    ("text", "said"), [("no", "Error: no"), ("Error 5", "Error 5"), ("", "Error: ")]
)
def test_a_failed_result_says_so(text: str, said: str) -> None:
    """Chat has no field for it, so the text must say that a tool failed."""
    failed = msgspec.structs.replace(result("a", text), is_error=True)

    written, noted = messages(user("hi"), assistant(call("a")), results(failed))

    assert written[2]["content"] == said
    assert noted == ["tool_result.is_error"]


def test_an_empty_result() -> None:
    """A result may say nothing."""
    said, noted = messages(user("hi"), assistant(call("a")), results(result("a")))

    assert said[2] == {"role": "tool", "tool_call_id": "a", "content": ""}
    assert noted == []


def test_an_empty_answer_is_left_out() -> None:
    """A turn that says nothing is no message."""
    said, _ = messages(user("hi"), Turn(role="assistant", parts=()), user("go"))

    assert [m["role"] for m in said] == ["user", "user"]


def test_calls_alone_have_null_content() -> None:
    """A message with calls and no text has no empty content."""
    said, _ = messages(user("hi"), assistant(call("a")), results(result("a", "1")))

    assert said[1]["content"] is None


def test_thoughts_of_earlier_turns() -> None:
    """The wild takes thoughts back, OpenAI does not; nobody takes proofs."""
    state = ReasoningState(kind="signature", value="s", minted_by="t")
    turns = (
        user("hi"),
        assistant(Reasoning(text="hm", state=state), "a"),
        user("go"),
    )

    wild, wild_noted = messages(*turns)
    openai, openai_noted = messages(*turns, serving=OPENAI)

    assert wild[1] == {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    assert wild_noted == ["thinking.signature"]
    assert openai[1] == {"role": "assistant", "content": "a"}
    assert openai_noted == ["thinking.signature", "reasoning"]


def test_a_summary_stands_for_the_thought() -> None:
    """Where only an account of the thoughts is known, that is passed on."""
    thought = Reasoning(summary=("one", "two"))

    said, noted = messages(user("hi"), assistant(thought, "a"), user("go"))

    assert said[1]["reasoning_content"] == "one\n\ntwo"
    assert noted == []


def test_refusals_of_earlier_turns() -> None:
    """OpenAI has a field for them; others are told as text."""
    turns = (user("hi"), assistant(Refusal(text="no")), user("go"))

    wild, wild_noted = messages(*turns)
    openai, openai_noted = messages(*turns, serving=OPENAI)

    assert (wild[1]["content"], wild_noted) == ("no", ["content.refusal"])
    assert (openai[1]["refusal"], openai_noted) == ("no", [])


def test_what_a_user_shows() -> None:
    """Images, files and sound are parts of the content."""
    said, noted = messages(
        user(
            "look",
            Image(url="https://a.example/b.png", detail="original"),
            Document(data="BBBB", media_type="application/pdf"),
            Document(text="once", title="T"),
            Document(data="aGk=", media_type="text/plain"),
            Audio(data="CCCC", format="wav"),
        )
    )

    assert said[0]["content"] == [
        {"type": "text", "text": "look"},
        {
            "type": "image_url",
            "image_url": {"url": "https://a.example/b.png", "detail": "high"},
        },
        {
            "type": "file",
            "file": {
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,BBBB",
            },
        },
        {"type": "text", "text": "T\n\nonce"},
        {"type": "text", "text": "hi"},
        {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "wav"}},
    ]
    assert noted == ["content.detail", "content.document"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Image(file_id="file-1"), "file_id"),
        (Document(file_id="file-1"), "file_id"),
        (Document(url="https://a.example/b.pdf"), "document_url"),
    ],
)
def test_what_cannot_be_shown_is_refused(part: Part, reason: str) -> None:
    """Leaving out what a user shows would change the answer."""
    with pytest.raises(NotBridged) as refused:
        messages(user(part))

    assert refused.value.reasons == (reason,)


def test_instructions_with_an_image_are_said_as_user() -> None:
    """Only a user may show images."""
    turn = Turn(role="developer", parts=(Image(url="https://a.example/b"),))

    said, noted = messages(user("hi"), turn)

    assert said[1]["role"] == "user"
    assert noted == ["messages.role"]


def test_an_answer_to_be_continued_is_noted() -> None:
    """Hardly any provider of Chat goes on in the assistant's last message."""
    said, noted = messages(user("hi"), assistant("I"))

    assert said[-1] == {"role": "assistant", "content": "I"}
    assert noted == ["messages"]


def test_tools_are_functions() -> None:
    """Custom tools and namespaces go as functions with flat names."""
    tools = (
        FunctionTool(name="f", description="d", schema=SCHEMA, strict=True),
        FunctionTool(name="g", namespace="ns"),
        CustomTool(name="patch"),
    )

    body, noted = sent(
        user("hi"),
        dialect="openai-responses",
        tools=tools,
        tool_choice=ToolChoice(mode="named", name="g", namespace="ns"),
        parallel_tools=True,
    )

    assert [tool["function"]["name"] for tool in body["tools"]] == [
        "f",
        "ns__g",
        "patch",
    ]
    assert body["tools"][0] == {
        "type": "function",
        "function": {
            "name": "f",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": True,
        },
    }
    assert body["tool_choice"] == {"type": "function", "function": {"name": "ns__g"}}
    assert body["parallel_tool_calls"] is True
    assert noted == []


def test_a_choice_without_tools_is_not_sent() -> None:
    """OpenAI refuses a choice among no tools."""
    body, _ = sent(tool_choice=ToolChoice(mode="auto"), parallel_tools=True)

    assert set(body) == {"model", "messages"}


def test_a_choice_among_some_tools_leaves_the_others_out() -> None:
    """The wild does not know lists of allowed tools."""
    tools = (FunctionTool(name="f"), FunctionTool(name="g"))
    choice = ToolChoice(mode="allowed", names=("g",), required=True)

    body, noted = sent(tools=tools, tool_choice=choice)

    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert (body["tool_choice"], noted) == ("required", ["tool_choice"])


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("gpt-4o", "max_tokens"),
        ("gpt-5.1", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("openai/gpt-oss-120b", "max_tokens"),
        ("llama-4", "max_tokens"),
        ("deepseek-o1-like", "max_tokens"),
    ],
)
def test_the_cap_of_the_output(model: str, field: str) -> None:
    """OpenAI's reasoning models demand one field, everybody else knows the other."""
    body, noted = sent(output_cap=9, serving=Serving(label="t", model=model))

    assert ({"max_tokens", "max_completion_tokens"} & set(body), body[field]) == (
        {field},
        9,
    )
    assert noted == []


def test_a_cap_above_the_model_s_own_is_lowered() -> None:
    """A provider refuses to be asked for more than its model can put out."""
    serving = Serving(label="t", model="llama-4", output_cap=5)

    body, noted = sent(output_cap=9, serving=serving)

    assert (body["max_tokens"], noted) == (5, ["max_tokens"])


def test_the_form_of_the_answer() -> None:
    """A schema has a name, which Chat demands."""
    form = OutputFormat(kind="json_schema", schema=SCHEMA, strict=True)

    body, _ = sent(output_format=form)
    plain, _ = sent(output_format=OutputFormat(kind="json_object"))

    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "response",
            "schema": {"type": "object"},
            "strict": True,
        },
    }
    assert plain["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("ask", "serving", "field", "value", "noted"),
    [
        (ReasoningAsk(effort="high"), WILD, "reasoning_effort", "high", []),
        (ReasoningAsk(budget_tokens=31_999), WILD, "reasoning_effort", "high",
         ["thinking"]),
        (ReasoningAsk(adaptive=True), WILD, "reasoning_effort", None, ["thinking"]),
        (ReasoningAsk(effort="high", summary="auto"), WILD, "reasoning_effort", "high",
         ["reasoning.summary"]),
        (ReasoningAsk(effort="low"),
         Serving(label="t", model="q", reasoning_control="token_budget"), "thinking",
         {"type": "enabled", "budget_tokens": 4_096}, ["thinking"]),
        (ReasoningAsk(off=True),
         Serving(label="t", model="q", reasoning_control="token_budget"), "thinking",
         {"type": "disabled"}, []),
    ],
)  # fmt: skip
def test_how_much_to_think(
    ask: ReasoningAsk, serving: Serving, field: str, value: object, noted: list[str]
) -> None:
    """An effort, or a budget where the model is known to take that."""
    body, told = sent(reasoning=ask, serving=serving)

    assert (body.get(field), told) == (value, noted)


def test_what_only_openai_takes() -> None:
    """Fields that others refuse go to OpenAI's models only, and are noted else.

    Who has no store keeps nothing, as was asked for.
    """
    members: dict[str, Any] = {
        "verbosity": "low",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "store": False,
    }

    openai, openai_noted = sent(serving=OPENAI, **members)
    wild, wild_noted = sent(dialect="openai-responses", **members)

    assert {name: openai[name] for name in members} == members
    assert openai_noted == []
    assert set(wild) == {"model", "messages"}
    assert wild_noted == ["text.verbosity", "service_tier", "prompt_cache_key"]


def test_what_chat_means_otherwise() -> None:
    """Tiers, stores and labels of another dialect are not those of Chat."""
    body, noted = sent(
        serving=OPENAI, service_tier="standard_only", store=True, metadata={"a": "b"}
    )

    assert set(body) == {"model", "messages"}
    assert noted == ["metadata", "service_tier", "store"]


def test_sampling() -> None:
    """What is said alike everywhere; OpenAI takes four stop sequences."""
    members: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ("a", "b", "c", "d", "e"),
        "user": "u" * 65,
    }

    wild, wild_noted = sent(**members)
    openai, openai_noted = sent(serving=OPENAI, **members)

    assert (wild["temperature"], wild["top_p"]) == (0.5, 0.9)
    assert wild["stop"] == ["a", "b", "c", "d", "e"]
    assert openai["stop"] == ["a", "b", "c", "d"]
    assert len(wild["user"]) == 64
    assert wild_noted == ["metadata.user_id"]
    assert openai_noted == ["stop_sequences", "metadata.user_id"]


def test_a_stream_ends_with_its_usage() -> None:
    """Usage is asked for, whether the caller wants to see it or not."""
    body, _ = sent(stream=True, include_usage=False)

    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_texts_in_results_of_several_parts() -> None:
    """Documents that are text are said in the result itself."""
    page = Document(text="once", title="T")

    said, noted = messages(
        user("hi"), assistant(call("a")), results(result("a", "found:", page))
    )

    assert said[2]["content"] == "found:\nT\n\nonce"
    assert noted == ["content.document"]


def test_text_and_refusal_of_one_turn() -> None:
    """Both are said, one after the other, also around calls."""
    said, _ = messages(
        user("hi"),
        assistant("a", Refusal(text="no"), "b", call("x"), "c"),
        results(result("x", "1")),
    )

    assert said[1]["content"] == "a\n\nb\n\nc\n\nno"


def test_a_document_that_is_not_what_it_says() -> None:
    """What claims to be text and is none is sent as a file."""
    said, _ = messages(user(Document(data="/w==", media_type="text/plain")))

    assert said[0]["content"][0]["type"] == "file"


def test_thoughts_alone() -> None:
    """A turn that was only thought about says nothing, but is there."""
    said, _ = messages(user("hi"), assistant(Reasoning(text="hm")), user("go"))

    assert said[1] == {"role": "assistant", "content": "", "reasoning_content": "hm"}
