"""Reading requests: each item, each tool and each option has its place in the canon."""

from typing import Any

import pytest
from msgspec import Raw

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Opaque,
    Reasoning,
    ReasoningState,
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
    HostedKind,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    SearchTool,
    ToolChoice,
)
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from smart_llmrouter.dialects.sealed import seal
from tests.support.openai_responses import parsed

USER = {"role": "user", "content": "hi"}


def turns(*items: object) -> tuple[Turn, ...]:
    """Return the turns that these items make."""
    return parsed(input=list(items)).turns


def parts(*content: object, role: str = "user") -> tuple[Any, ...]:
    """Return the parts of a message with this content."""
    return turns({"type": "message", "role": role, "content": list(content)})[0].parts


def test_a_text_is_a_message_of_the_user() -> None:
    """Simple callers send nothing else."""
    request = parsed(input="hello", instructions="Be brief.")

    assert request.turns == (Turn(role="user", parts=(Text(text="hello"),)),)
    assert request.system == (Text(text="Be brief."),)
    assert request.dialect == "openai-responses"


def test_a_message_may_lack_its_type() -> None:
    """All four roles keep their names, and their content may be plain text."""
    read = turns(
        {"role": "developer", "content": "a", "id": "msg_1"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": [{"type": "input_text", "text": "c"}]},
        {"role": "assistant", "content": "d"},
    )

    assert read == (
        Turn(
            role="developer",
            parts=(Text(text="a"),),
            extras={"id": Raw(b'"msg_1"')},
        ),
        Turn(role="system", parts=(Text(text="b"),)),
        Turn(role="user", parts=(Text(text="c"),)),
        Turn(role="assistant", parts=(Text(text="d"),)),
    )


def test_images_in_all_forms() -> None:
    """A data URL is taken apart; a detail that only newer models know is kept."""
    assert parts(
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,AAAA",
            "detail": "original",
        },
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_image", "file_id": "file_1", "image_url": None},
        {"type": "input_image", "image_url": "data:,plain"},
    ) == (
        Image(data="AAAA", media_type="image/png", detail="original"),
        Image(url="https://example.com/a.png"),
        Image(file_id="file_1"),
        Image(url="data:,plain"),
    )


def test_documents_and_sound_in_all_forms() -> None:
    """A file is given by its data, its address or its id."""
    assert parts(
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,AAAA",
        },
        {"type": "input_file", "file_data": "AAAA"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ) == (
        Document(data="AAAA", media_type="application/pdf", title="a.pdf"),
        Document(data="AAAA"),
        Document(url="https://example.com/a.pdf"),
        Document(file_id="file_1"),
        Audio(data="AAAA", format="wav"),
    )


def test_a_part_of_an_unknown_kind_is_kept() -> None:
    """Only its own dialect may be sent it."""
    assert parts({"type": "input_smell", "x": 1}) == (
        Opaque(kind="other", raw=Raw(b'{"type":"input_smell","x":1}')),
    )


def test_what_a_model_said_between_two_inputs_is_one_turn() -> None:
    """Reasoning, text and parallel calls in their order, and then their results."""
    read = turns(
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "content": [
                {"type": "output_text", "text": "On it.", "annotations": []},
                {"type": "refusal", "refusal": "Not that."},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"},
        {
            "type": "function_call",
            "call_id": "c2",
            "name": "add",
            "namespace": "mcp__toy",
            "arguments": '{"a": 1}',
            "id": "fc_2",
            "status": "completed",
        },
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": ""},
        USER,
    )

    state = ReasoningState(kind="encrypted", value="enc", item_id="rs_1")
    assert [turn.role for turn in read] == ["user", "assistant", "tool", "user"]
    assert read[1].parts == (
        Reasoning(state=state),
        Text(text="On it.", extras={"id": Raw(b'"msg_1"')}),
        Refusal(text="Not that."),
        ToolCall(id="c1", name="a", arguments="{}"),
        ToolCall(
            id="c2",
            name="add",
            namespace="mcp__toy",
            arguments='{"a": 1}',
            extras={"id": Raw(b'"fc_2"'), "status": Raw(b'"completed"')},
        ),
    )
    assert read[2].parts == (
        ToolResult(call_id="c1", content=(Text(text="one"),)),
        ToolResult(call_id="c2", content=()),
    )


def test_two_messages_without_ids_stay_two() -> None:
    """Nothing else tells where the second begins."""
    said = {"role": "assistant", "content": "a"}

    assert [turn.role for turn in turns(said, said)] == ["assistant", "assistant"]


def test_freeform_calls_keep_their_input() -> None:
    """The input of a custom tool is text, and its output may be a list."""
    call, result = turns(
        {
            "type": "custom_tool_call",
            "call_id": "c1",
            "name": "exec",
            "namespace": "functions",
            "input": "text('hi');\n",
        },
        {
            "type": "custom_tool_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "done"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "refusal", "refusal": "no"},
            ],
        },
    )

    assert call.parts == (
        ToolCall(
            id="c1",
            name="exec",
            namespace="functions",
            kind="custom",
            arguments="text('hi');\n",
        ),
    )
    assert result.parts == (
        ToolResult(
            call_id="c1",
            kind="custom",
            content=(
                Text(text="done"),
                Image(data="AAAA", media_type="image/png"),
                Opaque(kind="other", raw=Raw(b'{"type":"refusal","refusal":"no"}')),
            ),
        ),
    )


def test_tools_that_were_found_are_callable_from_then_on() -> None:
    """A search result declares tools; each is declared once only."""
    tool = {"type": "function", "name": "add", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "toy", "tools": [tool]}
    request = parsed(
        tools=[{"type": "tool_search", "execution": "client", "description": "find"}],
        input=[
            {
                "type": "tool_search_call",
                "call_id": "s1",
                "execution": "client",
                "arguments": {"query": "sum"},
            },
            {
                "type": "tool_search_output",
                "call_id": "s1",
                "execution": "client",
                "status": "completed",
                "tools": [space, space, {"type": "web_search"}],
            },
        ],
    )

    call, result = request.turns
    found = FunctionTool(name="add", namespace="toy", schema=Raw(b'{"type": "object"}'))
    assert request.tools == (
        SearchTool(description="find"),
        found,
        HostedTool(kind="web_search", raw=Raw(b'{"type":"web_search"}')),
    )
    assert call.parts == (
        ToolCall(
            id="s1",
            name="tool_search",
            kind="tool_search",
            arguments='{"query": "sum"}',
        ),
    )
    assert result.parts == (
        ToolResult(
            call_id="s1",
            kind="tool_search",
            content=(Text(text='{"tools":["toy.add","toy.add"]}'),),
            extras={"status": Raw(b'"completed"')},
        ),
    )


def test_additional_tools_are_tools() -> None:
    """Codex declares the tools of its newest models in an item of the input."""
    custom = {"type": "custom", "name": "exec", "format": {"type": "text"}}
    space = {
        "type": "namespace",
        "name": "functions",
        "description": "Run code.",
        "tools": [custom, {"type": "mcp"}, {"type": "function", "name": "wait"}],
    }
    request = parsed(
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [space]},
            USER,
        ]
    )

    assert [turn.role for turn in request.turns] == ["user"]
    assert request.tools == (
        CustomTool(
            name="exec",
            namespace="functions",
            format=Raw(b'{"type": "text"}'),
            extras={"namespace.description": Raw(b'"Run code."')},
        ),
        HostedTool(kind="other", raw=Raw(b'{"type":"mcp"}')),
        FunctionTool(name="wait", namespace="functions"),
    )


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("web_search", "web_search"),
        ("web_search_preview", "web_search"),
        ("web_search_preview_2025_03_11", "web_search"),
        ("image_generation", "image_generation"),
        ("mcp", "mcp"),
        ("file_search", "file_search"),
        ("code_interpreter", "code_interpreter"),
        ("computer_use_preview", "computer_use"),
        ("computer", "computer_use"),
        ("local_shell", "other"),
        ("shell", "other"),
        ("tool_search", "other"),
        ("telepathy", "other"),
    ],
)
def test_tools_that_providers_run(kind: str, known: HostedKind) -> None:
    """Each is known by its kind, and kept as it was written."""
    (tool,) = parsed(tools=[{"type": kind, "x": 1}]).tools

    assert tool == HostedTool(
        kind=known, raw=Raw(b'{"type":"%b","x":1}' % kind.encode())
    )


def test_reasoning_comes_back_in_three_forms() -> None:
    """Encrypted by its provider, sealed by the router, or readable."""
    signed = ReasoningState(kind="signature", value="proof")
    plain = ReasoningState(kind="encrypted", value="")
    (turn,) = turns(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "short"}],
            "content": None,
            "encrypted_content": "gAAAA",
        },
        {
            "type": "reasoning",
            "id": "rs_2",
            "summary": [],
            "encrypted_content": seal(signed, label="a/claude", text="thought"),
        },
        {
            "type": "reasoning",
            "summary": [],
            "encrypted_content": seal(plain, label="b/open", text="thought too"),
        },
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "said aloud"}],
        },
    )

    assert turn.parts == (
        Reasoning(
            summary=("short",),
            state=ReasoningState(kind="encrypted", value="gAAAA", item_id="rs_1"),
        ),
        Reasoning(
            text="thought",
            state=ReasoningState(kind="signature", value="proof", minted_by="a/claude"),
        ),
        Reasoning(text="thought too"),
        Reasoning(text="said aloud"),
    )


@pytest.mark.parametrize(
    ("kind", "role", "hint"),
    [
        ("web_search_call", "assistant", True),
        ("image_generation_call", "assistant", True),
        ("mcp_list_tools", "user", True),
        ("computer_call", "assistant", False),
        ("computer_call_output", "user", False),
        ("local_shell_call", "assistant", False),
        ("mcp_approval_response", "user", False),
        ("compaction", "user", False),
    ],
)
def test_items_that_only_this_dialect_has(kind: str, role: str, *, hint: bool) -> None:
    """Those that a provider did by itself are hints; others cannot be left out."""
    (turn,) = turns({"type": kind, "id": "x_1"})

    raw = Raw(b'{"type":"%b","id":"x_1"}' % kind.encode())
    assert turn == Turn(role=role, parts=(Opaque(kind=kind, raw=raw, hint=hint),))  # type: ignore[arg-type]  # one of a table


def test_an_item_that_nobody_knows_yet() -> None:
    """A new item of a new client is a hint, under a name that tells nothing."""
    (turn,) = turns({"type": "ghost_snapshot", "x": 1})

    raw = Raw(b'{"type":"ghost_snapshot","x":1}')
    assert turn.parts == (Opaque(kind="item", raw=raw, hint=True),)


def test_searches_that_the_provider_ran() -> None:
    """What they found is callable, and they themselves are hints."""
    request = parsed(
        input=[
            {"type": "tool_search_call", "execution": "server", "arguments": {}},
            {
                "type": "tool_search_output",
                "execution": "server",
                "tools": [{"type": "function", "name": "f"}],
            },
        ]
    )

    assert request.tools == (FunctionTool(name="f"),)
    assert [turn.role for turn in request.turns] == ["assistant"]


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"previous_response_id": "resp_1"}, ("previous_response_id",)),
        ({"conversation": "conv_1"}, ("conversation",)),
        ({"prompt": {"id": "p"}}, ("prompt",)),
        ({"background": True}, ("background",)),
        ({"background": False}, ()),
        ({"top_logprobs": 3}, ("logprobs",)),
        ({"top_logprobs": 0}, ()),
        ({"include": ["message.output_text.logprobs"]}, ("logprobs",)),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, ("item_reference",)),
        ({"input": [{"id": "msg_1"}]}, ("item_reference",)),
        ({"tool_choice": {"type": "web_search"}}, ("forced-tool-choice",)),
    ],
)
def test_what_no_other_dialect_can_carry(
    fields: dict[str, Any], needs: tuple[str, ...]
) -> None:
    """What would change the answer is a requirement."""
    assert parsed(**fields).needs == needs


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "f"}, ToolChoice(mode="named", name="f")),
        (
            {"type": "custom", "name": "p", "namespace": "n"},
            ToolChoice(mode="named", name="p", namespace="n"),
        ),
        ({"type": "tool_search"}, ToolChoice(mode="named", name="tool_search")),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
            ToolChoice(mode="allowed", names=("f",), required=True),
        ),
        (None, None),
    ],
)
def test_choices_of_a_tool(given: object, read: ToolChoice | None) -> None:
    """Each form has one meaning."""
    assert parsed(tool_choice=given).tool_choice == read


def test_a_choice_among_tools_of_which_some_are_hosted() -> None:
    """What cannot be named elsewhere is an extra, so that a note tells of it."""
    tools = [{"type": "function", "name": "f"}, {"type": "web_search"}]
    request = parsed(
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": tools}
    )

    assert request.tool_choice == ToolChoice(mode="allowed", names=("f",))
    assert list(request.extras) == ["tool_choice.tools"]


def test_options_with_a_place_in_the_canon() -> None:
    """What all dialects can say is no extra."""
    request = parsed(
        max_output_tokens=99,
        temperature=0.5,
        top_p=1,
        parallel_tool_calls=False,
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        store=True,
        truncation="disabled",
        include=["reasoning.encrypted_content"],
        reasoning={"effort": "low", "summary": "auto", "context": "all_turns"},
        text={
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "City",
                "strict": True,
                "schema": {},
            },
        },
    )

    assert request.output_cap == 99
    assert (request.temperature, request.top_p) == (0.5, 1.0)
    assert request.parallel_tools is False
    assert (request.user, request.metadata) == ("u", {"a": "b"})
    assert (request.service_tier, request.prompt_cache_key) == ("flex", "k")
    assert request.store is True
    assert request.wants_reasoning_state
    assert request.verbosity == "low"
    assert request.reasoning == ReasoningAsk(
        effort="low", summary="auto", extras={"context": Raw(b'"all_turns"')}
    )
    assert request.output_format == OutputFormat(
        kind="json_schema", name="City", strict=True, schema=Raw(b"{}")
    )
    assert request.extras == {}


def test_options_that_only_this_dialect_has() -> None:
    """They are extras under their own names."""
    request = parsed(
        truncation="auto",
        safety_identifier="s",
        client_metadata={"a": "b"},
        include=["web_search_call.action.sources"],
        text={"format": {"type": "text"}, "x": 1},
        reasoning={"generate_summary": "concise"},
    )

    assert set(request.extras) == {
        "truncation",
        "safety_identifier",
        "client_metadata",
        "include",
        "text.x",
    }
    assert not request.wants_reasoning_state
    assert request.reasoning == ReasoningAsk(summary="concise")


def test_the_older_form_of_structured_output() -> None:
    """JSON without a schema."""
    request = parsed(text={"format": {"type": "json_object"}})

    assert request.output_format == OutputFormat(kind="json_object")


def test_explicit_nulls_are_as_absent() -> None:
    """Some frameworks write out each field that they know."""
    silent = parsed(
        include=None,
        metadata=None,
        max_output_tokens=None,
        previous_response_id=None,
        user=None,
        tools=None,
        tool_choice=None,
        reasoning=None,
        text=None,
        instructions=None,
        x=None,
    )

    assert silent == parsed()


def test_half_a_surrogate_pair_is_replaced() -> None:
    """Clients cut strings inside of an emoji; that is no reason to fail."""
    first, second = rb'"a\ud83d"', rb'"\ud83d\ude00"'
    body = b'{"input":[{"role":"user","content":%b},{"role":"user","content":%b}]}' % (
        first,
        second,
    )

    request = OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(body))

    assert [turn.parts for turn in request.turns] == [
        (Text(text="a\ufffd"),),
        (Text(text="😀"),),
    ]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": 1}, "input"),
        ({"input": [1]}, "input.0"),
        ({"input": [{"type": 1}]}, "input.0.type"),
        ({"input": [{"role": "wizard", "content": ""}]}, "input.0.role"),
        ({"input": [{"role": "user", "content": 1}]}, "input.0.content"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input.0.content.0.type"),
        (
            {"input": [USER, {"role": "user", "content": [{"type": "input_text"}]}]},
            "input.1.content.0.text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input.0.content.0.image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "input.0.content.0.input_audio",
        ),
        ({"input": [{"type": "function_call"}]}, "input.0.call_id"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{}]}]},
            "tools.0.tools.0.type",
        ),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"user": 1}, "user"),
        ({"store": 1}, "store"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"include": [1]}, "include"),
        ({"reasoning": "much"}, "reasoning"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"instructions": []}, "instructions"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], path: str) -> None:
    """The caller learns where to look."""
    with pytest.raises(InvalidRequest) as refused:
        parsed(**fields)

    assert refused.value.details == {"field": path}


def test_arguments_that_are_an_object() -> None:
    """Some callers send what they are, and some none at all."""
    (turn,) = turns(
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}},
        {"type": "function_call", "call_id": "d", "name": "f"},
    )

    assert [part.arguments for part in turn.parts if isinstance(part, ToolCall)] == [
        '{"a": 1}',
        "",
    ]


def test_a_message_that_begins_with_an_unknown_part() -> None:
    """Its own fields cannot be kept apart, and nothing else is lost."""
    (turn,) = turns({"role": "assistant", "id": "m", "content": [{"type": "x"}]})

    assert turn.parts == (Opaque(kind="other", raw=Raw(b'{"type":"x"}')),)
