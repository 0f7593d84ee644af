"""A caller's Messages request, read into the canon."""

import json
from typing import Any

import msgspec
import pytest

from smart_llmrouter.core.content import (
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
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.request import (
    FunctionTool,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.anthropic_messages.encoder import NO_STATE
from smart_llmrouter.dialects.anthropic_messages.parse import parse_request
from smart_llmrouter.dialects.anthropic_messages.requests import peek_request
from smart_llmrouter.dialects.sealed import seal


def raw(value: object) -> msgspec.Raw:
    """Return a value as the tests write it."""
    return msgspec.Raw(json.dumps(value).encode())


def parsed(**members: object) -> Request:
    """Read a request with these members beside what must be there."""
    body = {"model": "m", "max_tokens": 9, "messages": []} | members
    return parse_request(peek_request(json.dumps(body).encode()))


def parts(*blocks: dict[str, Any], role: str = "user") -> tuple[Part, ...]:
    """Read the blocks of one message."""
    (turn,) = parsed(messages=[{"role": role, "content": list(blocks)}]).turns
    return turn.parts


def tool(**members: object) -> Tool:
    """Read one tool."""
    (read,) = parsed(tools=[members]).tools
    return read


def test_a_short_request() -> None:
    """Content may be a string, and so may the system."""
    request = parsed(system="Be brief.", messages=[{"role": "user", "content": "Hi"}])

    assert request == Request(
        dialect="anthropic-messages",
        model="m",
        turns=(Turn(role="user", parts=(Text(text="Hi"),)),),
        system=(Text(text="Be brief."),),
        output_cap=9,
    )


def test_system_blocks_stay_apart_with_their_markers() -> None:
    """The line that attributes the call is the first block, and stays one."""
    cached = {"type": "ephemeral", "ttl": "1h"}

    request = parsed(
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
            {"type": "text", "text": "You help.", "cache_control": cached},
        ]
    )

    assert request.system == (
        Text(text="x-anthropic-billing-header: cc_version=1"),
        Text(text="You help.", extras={"cache_control": raw(cached)}),
    )


def test_results_become_a_turn_before_what_the_user_says() -> None:
    """They keep the order in which they came, whatever the order of the calls."""
    request = parsed(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "and now?"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "2"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "a",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "1"},
                            {"type": "image", "source": {"type": "url", "url": "u"}},
                            {"type": "tool_reference", "tool_name": "Grep"},
                        ],
                    },
                    {"type": "tool_result", "tool_use_id": "c"},
                ],
            }
        ]
    )

    found = {"type": "tool_reference", "tool_name": "Grep"}
    found_raw = msgspec.Raw(json.dumps(found, separators=(",", ":")).encode())
    assert request.turns == (
        Turn(
            role="tool",
            parts=(
                ToolResult(call_id="b", content=(Text(text="2"),)),
                ToolResult(
                    call_id="a",
                    is_error=True,
                    content=(
                        Text(text="1"),
                        Image(url="u"),
                        Text(
                            text="Found the tool Grep.",
                            extras={"tool_reference": found_raw},
                        ),
                    ),
                ),
                ToolResult(call_id="c", content=()),
            ),
        ),
        Turn(role="user", parts=(Text(text="and now?"),)),
    )


def test_a_system_message_stays_where_it_is() -> None:
    """Also with an effort of its own."""
    request = parsed(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "system", "content": "b", "output_config": {"effort": "low"}},
            {"role": "assistant", "content": ""},
        ]
    )

    assert request.turns == (
        Turn(role="user", parts=(Text(text="a"),)),
        Turn(
            role="system",
            parts=(Text(text="b"),),
            extras={"output_config": raw({"effort": "low"})},
        ),
        Turn(role="assistant", parts=()),
    )


@pytest.mark.parametrize(
    ("source", "image"),
    [
        (
            {"data": "iVBO", "type": "base64", "media_type": "image/png"},
            Image(data="iVBO", media_type="image/png"),
        ),
        ({"type": "url", "url": "https://x/y.png"}, Image(url="https://x/y.png")),
        (
            {"type": "url", "url": "data:image/gif;base64,R0lG"},
            Image(data="R0lG", media_type="image/gif"),
        ),
        ({"type": "file", "file_id": "file_1"}, Image(file_id="file_1")),
    ],
)
def test_images_from_each_source(source: dict[str, Any], image: Image) -> None:
    """Keys come in any order."""
    assert parts({"source": source, "type": "image"}) == (image,)


@pytest.mark.parametrize(
    ("source", "document"),
    [
        (
            {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            Document(data="JVBE", media_type="application/pdf", title="T"),
        ),
        (
            {"type": "text", "media_type": "text/plain", "data": "words"},
            Document(text="words", media_type="text/plain", title="T"),
        ),
        ({"type": "url", "url": "u"}, Document(url="u", title="T")),
        ({"type": "file", "file_id": "f"}, Document(file_id="f", title="T")),
    ],
)
def test_documents_from_each_source(source: dict[str, Any], document: Document) -> None:
    """The title is kept."""
    assert parts({"type": "document", "source": source, "title": "T"}) == (document,)


def test_a_document_in_pieces_is_one_text() -> None:
    """How it was in pieces is an extra, for those who cite them."""
    source = {
        "type": "content",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }

    (document,) = parts({"type": "document", "source": source})

    assert document == Document(
        text="a\n\nb", media_type="text/plain", extras={"source": raw(source)}
    )


def test_native_thinking_is_of_nobody_known() -> None:
    """Its signature and its data are kept."""
    assert parts(
        {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
        {"type": "thinking", "thinking": "", "signature": "EqQC"},
        {"type": "redacted_thinking", "data": "Emw"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        role="assistant",
    ) == (
        Reasoning(text="hm", state=ReasoningState(kind="signature", value="EqQB")),
        Reasoning(state=ReasoningState(kind="signature", value="EqQC")),
        Reasoning(state=ReasoningState(kind="redacted", value="Emw")),
        Reasoning(text="unsigned"),
    )


def test_sealed_thinking_gives_back_what_was_sealed() -> None:
    """The state of another dialect comes with who made it."""
    encrypted = ReasoningState(kind="encrypted", value="gA", item_id="rs_1")
    signed = ReasoningState(kind="signature", value="EqQB")
    label = "acme/mini"

    read = parts(
        *(
            {"type": "thinking", "thinking": "why", "signature": signature}
            for signature in (
                seal(encrypted, label=label),
                seal(signed, label=label, text="in full"),
                seal(NO_STATE, label=label),
            )
        ),
        role="assistant",
    )

    assert read == (
        Reasoning(
            summary=("why",),
            state=msgspec.structs.replace(encrypted, minted_by=label),
        ),
        Reasoning(
            text="in full", state=msgspec.structs.replace(signed, minted_by=label)
        ),
        Reasoning(text="why"),
    )


def test_a_call_keeps_its_input_as_it_was_written() -> None:
    """Number spellings and the order of keys are not ours."""
    body = (
        b'{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use"'
        b',"id":"toolu_1","name":"f","input":{"b":1.00,"a":[]},"caller":null}]}]}'
    )

    (turn,) = parse_request(peek_request(body)).turns

    assert turn.parts == (
        ToolCall(id="toolu_1", name="f", arguments='{"b":1.00,"a":[]}'),
    )


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("server_tool_use", ("server_tool_use", True)),
        ("web_search_tool_result", ("web_search_tool_result", True)),
        ("mcp_tool_use", ("mcp_tool_use", True)),
        ("search_result", ("search_result", False)),
        ("container_upload", ("container_upload", False)),
        ("compaction", ("compaction", False)),
        ("something_new", ("other", False)),
    ],
)
def test_what_only_messages_knows_is_opaque(kind: str, read: tuple[str, bool]) -> None:
    """What a provider did by itself is a hint, what the caller gave it is not."""
    (part,) = parts({"type": kind, "id": "x", "content": [1.0]})

    assert isinstance(part, Opaque)
    assert (part.kind, part.hint) == read
    assert json.loads(bytes(part.raw)) == {"type": kind, "id": "x", "content": [1.0]}


def test_unknown_fields_of_blocks_are_extras() -> None:
    """So are cache markers and citations."""
    (part,) = parts(
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}, "x": 1}
        | {"citations": None}
    )

    assert part == Text(
        text="t", extras={"cache_control": raw({"type": "ephemeral"}), "x": raw(1)}
    )


def test_tools_of_the_caller() -> None:
    """With a type or without; what defers them is an extra."""
    schema = {"$schema": "s", "type": "object"}

    assert tool(
        name="DeferredToolPlaceholder", input_schema=schema, defer_loading=True
    ) == FunctionTool(
        name="DeferredToolPlaceholder",
        schema=raw(schema),
        extras={"defer_loading": raw(True)},  # noqa: FBT003 - a JSON value
    )
    assert tool(
        type="custom", name="f", description="d", input_schema=schema, strict=True
    ) == FunctionTool(name="f", description="d", schema=raw(schema), strict=True)


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728"])
def test_tools_that_the_caller_runs_for_anthropic_are_functions(kind: str) -> None:
    """Others are told what Anthropic's models know."""
    read = tool(type=kind, name="bash")

    assert isinstance(read, FunctionTool)
    assert read.extras == {"type": raw(kind)}
    assert json.loads(bytes(read.schema or b""))["properties"]["command"]


@pytest.mark.parametrize(
    ("kind", "hosted"),
    [
        ("web_search_20250305", "web_search"),
        ("web_fetch_20250910", "web_fetch"),
        ("code_execution_20250825", "code_interpreter"),
        ("mcp_toolset", "mcp"),
        ("computer_20250124", "computer_use"),
        ("advisor_20260301", "other"),
        ("new_20300101", "other"),
    ],
)
def test_tools_that_the_provider_runs_are_hosted(kind: str, hosted: str) -> None:
    """Each is of one of the kinds that a group rules on."""
    read = tool(type=kind, name="n", max_uses=5)

    assert isinstance(read, HostedTool)
    assert read.kind == hosted
    assert json.loads(bytes(read.raw)) == {"type": kind, "name": "n", "max_uses": 5}


@pytest.mark.parametrize(
    ("choice", "read", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any"}, ToolChoice(mode="required"), None),
        ({"type": "none"}, ToolChoice(mode="none"), None),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            ToolChoice(mode="named", name="f"),
            False,
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": False},
            ToolChoice(mode="auto"),
            None,
        ),
    ],
)
def test_the_choice_of_a_tool(
    choice: dict[str, Any], read: ToolChoice, parallel: object
) -> None:
    """Parallel calls are part of it."""
    request = parsed(tool_choice=choice)

    assert (request.tool_choice, request.parallel_tools) == (read, parallel)


@pytest.mark.parametrize(
    ("members", "ask"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 31999}},
            ReasoningAsk(budget_tokens=31999),
        ),
        (
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "high"},
            },
            ReasoningAsk(adaptive=True, effort="high", summary="auto"),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            ReasoningAsk(adaptive=True, extras={"display": raw("omitted")}),
        ),
        ({"thinking": {"type": "disabled"}}, ReasoningAsk(off=True)),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            ReasoningAsk(off=True, extras={"effort": raw("high")}),
        ),
        ({"output_config": {"effort": "max"}}, ReasoningAsk(effort="max")),
        (
            {"thinking": {"type": "between_tools"}},
            ReasoningAsk(adaptive=True, extras={"type": raw("between_tools")}),
        ),
        ({"thinking": None}, None),
    ],
)
def test_how_much_to_think(members: dict[str, Any], ask: ReasoningAsk | None) -> None:
    """A budget, an effort, the model's own choice, or none."""
    assert parsed(**members).reasoning == ask


@pytest.mark.parametrize(
    "members",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}},
        {"output_format": {"type": "json_schema", "schema": {"a": 1}}},
    ],
)
def test_the_form_of_the_answer(members: dict[str, Any]) -> None:
    """In its own place, and in that of the beta."""
    request = parsed(**members)

    assert request.output_format == OutputFormat(
        kind="json_schema", schema=raw({"a": 1})
    )
    assert request.extras == {}


def test_all_else_that_two_dialects_can_say() -> None:
    """Sampling, stops, who asks, and how fast."""
    request = parsed(
        temperature=0,
        top_p=0.5,
        stop_sequences=["END"],
        metadata={"user_id": "u"},
        service_tier="standard_only",
        stream=True,
    )

    assert (request.temperature, request.top_p, request.stop) == (0, 0.5, ("END",))
    assert (request.user, request.service_tier) == ("u", "default")
    assert (request.stream, request.extras, request.needs) == (True, {}, ())


def test_what_only_messages_can_say_is_an_extra_or_a_need() -> None:
    """A need is what an answer would not be the same without."""
    request = parsed(
        top_k=5,
        context_management={"edits": []},
        mcp_servers=[{"url": "u"}],
        container=None,
        safeguards={},
        inference_geo="eu",
        output_config={"task_budget": {"total": 5}},
        metadata={"user_id": "u", "more": 1},
        vendor=1,
    )

    assert set(request.extras) == (
        {"top_k", "context_management", "mcp_servers", "safeguards", "inference_geo"}
        | {"output_config", "metadata", "vendor"}
    )
    assert request.needs == ("mcp", "inference-geo")
    assert json.loads(bytes(request.extras["metadata"])) == {"more": 1}


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": ["x"]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages.0.content.0.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "messages.0.content.0.source",
        ),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"tools": [{"description": "d"}]}, "tools.0.name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"temperature": "warm"}, "temperature"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"output_config": {"format": {"type": "yaml"}}}, "output_config.format.type"),
        ({"thinking": {"budget_tokens": 1.5}}, "thinking.budget_tokens"),
    ],
)
def test_a_field_of_a_wrong_type_is_named(members: dict[str, Any], field: str) -> None:
    """The caller learns where it is."""
    with pytest.raises(InvalidRequest) as refused:
        parsed(**members)

    assert refused.value.details == {"field": field}


def test_half_an_emoji_is_read_as_a_replacement() -> None:
    """Neither refused nor a crash."""
    body = b'{"max_tokens":1,"messages":[{"role":"user","content":"a\\ud83d"}]}'

    (turn,) = parse_request(peek_request(body)).turns

    assert turn.parts == (Text(text="a\ufffd"),)


def test_counting_tokens_needs_no_cap() -> None:
    """`max_tokens` is not part of such a request."""
    peek = peek_request(b'{"messages":[{"role":"user","content":"hi"}]}')

    assert parse_request(peek, needs_cap=False).output_cap is None
