"""What any two dialects have in common: what is left out, refused or renamed."""

import msgspec
import pytest

from smart_llmrouter.core.content import (
    Opaque,
    Reasoning,
    ReasoningState,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.errors import ProviderHostedToolsForbidden
from smart_llmrouter.core.events import Closed, Delta, Event, Opened
from smart_llmrouter.core.notes import Note, Notes
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedKind,
    HostedTool,
    Request,
    SearchTool,
    ToolChoice,
)
from smart_llmrouter.dialects.base import HostedTools, NotBridged
from smart_llmrouter.dialects.lowering import Raising, bridged, lowered, own_state
from smart_llmrouter.dialects.tool_names import ToolNames

HI = Turn(role="user", parts=(Text(text="hi"),))
RAW = msgspec.Raw(b"1")


def crossed(
    request: Request, *, hosted_tools: HostedTools = "drop"
) -> tuple[Request, list[tuple[str, str]]]:
    """Return what another dialect may say, and the notes: what and which field."""
    notes = Notes()
    portable = bridged(
        request,
        known_extras=frozenset({"top_k", "content.cache_control"}),
        hosted_tools=hosted_tools,
        notes=notes,
    )
    return portable, [(note.action, note.field) for note in notes.all()]


def asked(*turns: Turn, **fields: object) -> Request:
    """Return a request of Messages."""
    request = Request(dialect="anthropic-messages", model="m", turns=turns or (HI,))
    return msgspec.structs.replace(request, **fields)


def test_extras_are_named_where_their_names_are_known() -> None:
    """A caller's own word may be anything, so it is not repeated."""
    cached = Text(text="hi", extras={"cache_control": RAW, "my secret": RAW})
    request = asked(
        Turn(role="user", parts=(cached,)), extras={"top_k": RAW, "odd": RAW}
    )

    _, noted = crossed(request)

    assert noted == [
        ("dropped", "top_k"),
        ("dropped", "other"),
        ("dropped", "content.cache_control"),
    ]


def test_what_changes_the_answer_is_refused() -> None:
    """A need of one dialect is not dropped for another."""
    with pytest.raises(NotBridged) as raised:
        crossed(asked(needs=("n", "logprobs")))

    assert raised.value.missing == ("not-bridged:n", "not-bridged:logprobs")


def test_the_line_for_billing_is_left_out() -> None:
    """It is for Anthropic, and would spoil every prompt cache."""
    billing = Text(text="x-anthropic-billing-header: cc_version=1; cch=00000;")

    portable, noted = crossed(asked(system=(billing, Text(text="Be kind."))))

    assert portable.system == (Text(text="Be kind."),)
    assert noted == [("dropped", "system.billing_header")]


@pytest.mark.parametrize(
    ("kind", "rule", "forbidden"),
    [
        ("web_search", "drop", False),
        ("image_generation", "drop", False),
        ("web_search", "refuse", True),
        ("mcp", "drop", True),
        ("file_search", "drop", True),
    ],
)
def test_hosted_tools_follow_the_rule_of_the_group(
    kind: HostedKind, rule: HostedTools, *, forbidden: bool
) -> None:
    """What an answer can do without is dropped with a note, and the rest refused."""
    request = asked(tools=(HostedTool(kind=kind, raw=RAW),))

    if forbidden:
        with pytest.raises(ProviderHostedToolsForbidden):
            crossed(request, hosted_tools=rule)
    else:
        portable, noted = crossed(request, hosted_tools=rule)
        assert (portable.tools, noted) == ((), [("dropped", f"tools.{kind}")])


def test_the_choice_of_a_tool_that_is_gone_is_refused() -> None:
    """A model cannot be made to call what it is not told of."""
    request = asked(
        tools=(HostedTool(kind="web_search", raw=RAW),),
        tool_choice=ToolChoice(mode="named", name="web_search"),
    )

    with pytest.raises(NotBridged) as raised:
        crossed(request)

    assert raised.value.reasons == ("forced-tool-choice",)


def test_what_nobody_else_understands() -> None:
    """A hint goes with a note; what an answer depends on is refused."""
    hint = Opaque(kind="server_tool_use", raw=RAW, hint=True)

    portable, noted = crossed(asked(Turn(role="assistant", parts=(hint,)), HI))

    assert portable.turns == (HI,)
    assert noted == [("dropped", "server_tool_use")]
    with pytest.raises(NotBridged):
        crossed(asked(Turn(role="user", parts=(Opaque(kind="x", raw=RAW),))))


def test_everything_is_a_function_with_a_flat_name() -> None:
    """Custom tools, searches and namespaces, in the tools and in what was called."""
    tools = (
        FunctionTool(name="add", namespace="mcp__toy", schema=RAW),
        CustomTool(name="apply_patch", format=msgspec.Raw(b'{"type":"text"}')),
        SearchTool(),
    )
    names = ToolNames(tools)
    called = Turn(
        role="assistant",
        parts=(
            ToolCall(id="1", name="add", namespace="mcp__toy", arguments="{}"),
            ToolCall(id="2", name="apply_patch", arguments='a"b', kind="custom"),
        ),
    )
    results = Turn(
        role="tool", parts=(ToolResult(call_id="2", content=(), kind="custom"),)
    )
    request = asked(
        called,
        results,
        tools=tools,
        tool_choice=ToolChoice(mode="named", name="add", namespace="mcp__toy"),
    )

    notes = Notes()
    flat = lowered(request, names, notes)

    assert [getattr(tool, "name", None) for tool in flat.tools] == [
        "mcp__toy__add",
        "apply_patch",
        "tool_search",
    ]
    assert all(isinstance(tool, FunctionTool) for tool in flat.tools)
    assert flat.tool_choice == ToolChoice(mode="named", name="mcp__toy__add")
    assert flat.turns[0].parts == (
        ToolCall(id="1", name="mcp__toy__add", arguments="{}"),
        ToolCall(id="2", name="apply_patch", arguments='{"input":"a\\"b"}'),
    )
    assert flat.turns[1].parts == (ToolResult(call_id="2", content=()),)
    assert [(note.action, note.field) for note in notes.all()] == [
        ("approximated", "tools.format")
    ]


def test_a_state_goes_back_to_its_maker_only() -> None:
    """Nobody else could read it, and would refuse the request."""
    state = ReasoningState(kind="signature", value="s", minted_by="a/b")
    thought = Reasoning(text="hm", state=state)

    kinds = ("signature", "redacted")

    assert own_state(thought, label="a/b", kinds=kinds) == thought
    assert own_state(thought, label="c/d", kinds=kinds) == Reasoning(text="hm")
    assert own_state(thought, label="a/b", kinds=("encrypted",)).state is None


def test_notes_are_kept_once() -> None:
    """What is lost in every turn is told once."""
    notes = Notes()

    notes.dropped("top_k", "why")
    notes.dropped("top_k", "why")
    notes.add([Note("dropped", "top_k", "why"), Note("approximated", "stop", "how")])

    assert [note.field for note in notes.all()] == ["top_k", "stop"]


def test_free_text_of_a_provider_that_knows_it_is_not_read_as_arguments() -> None:
    """Only a function that stood for a custom tool wraps its input."""
    raising = Raising(ToolNames([CustomTool(name="patch")]))
    opened = Opened(0, "tool_call", call_id="c1", name="patch", call_kind="custom")
    events: list[Event] = [opened, Delta(0, '{"input":"x"}'), Closed(0)]

    raised = raising.raised(events)

    assert list(raised) == events
