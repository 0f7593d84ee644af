"""Making a request sayable for providers that know functions only.

Custom tools (free text), namespaces and a caller's own tool search exist in the
Responses API. Chat Completions and Messages know functions with JSON arguments, so a
custom tool becomes a function with one string `input`, a name in a namespace becomes a
flat one, and a search becomes a function like others. `Raising` takes the calls that
come back the same way up again. What was called in earlier turns is renamed alike.

Here, too, is what any two dialects have in common: what only the caller's own dialect
knows is noted or refused, and hosted tools follow the rule of the group.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from smart_llmrouter.core.content import (
    Extras,
    Opaque,
    Part,
    Reasoning,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.errors import ProviderHostedToolsForbidden
from smart_llmrouter.core.events import Closed, Delta, Event, Opened
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    DROPPABLE_HOSTED_KINDS,
    CustomTool,
    FunctionTool,
    HostedTool,
    Request,
    SearchTool,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.base import HostedTools, NotBridged
from smart_llmrouter.dialects.tool_names import ToolName, ToolNames

INPUT: Final = "input"
"""The one argument of a function that stands for a custom tool."""

_INPUT_SCHEMA: Final = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},'
    b'"required":["input"],"additionalProperties":false}'
)
BILLING_HEADER: Final = "system.billing_header"
"""How notes name a line of instructions that is not for the model."""
_BILLING: Final = "x-anthropic-billing-header:"
_ANY_OBJECT: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
# A union that is built anew each time takes longer than the look at it.
_OF_TOOLS: Final = (ToolCall, ToolResult)
_MAY_BE_OPAQUE: Final = (Opaque, ToolResult)
_encode_text: Final = msgspec.json.Encoder().encode


class _CustomInput(msgspec.Struct):
    input: str


class _Found(msgspec.Struct):
    tools: list[str]


_decode_input: Final = msgspec.json.Decoder(_CustomInput).decode
_decode_found: Final = msgspec.json.Decoder(_Found).decode


def bridged(
    request: Request,
    *,
    known_extras: frozenset[str],
    hosted_tools: HostedTools,
    notes: Notes,
) -> Request:
    """Return a request without what only its own dialect could say.

    Hints are dropped with a note. Raises `NotBridged` for what would change the meaning
    of the answer, and `ProviderHostedToolsForbidden` as the group rules.
    """
    if request.needs:
        raise NotBridged(*request.needs)
    if _says_text_only(request):
        return request
    for field in _extra_names(request):
        notes.dropped(
            field if field in known_extras else "other",
            f"only {request.dialect} has it",
        )
    system = tuple(_without_billing(request.system, notes))
    turns = tuple(_without_opaque(request.turns, notes))
    tools = tuple(_callable_tools(request.tools, hosted_tools, notes))
    return replace(
        request,
        system=system,
        tools=tools,
        tool_choice=_sound_choice(request.tool_choice, tools, notes),
        turns=turns,
    )


def _says_text_only(request: Request) -> bool:
    """Say whether a request holds texts and nothing else, not even an extra.

    Most do, and whoever can say anything can say them all.
    """
    if request.tools or request.tool_choice or request.reasoning or request.extras:
        return False
    for text in request.system:
        if text.extras or text.text.startswith(_BILLING):
            return False
    for turn in request.turns:
        if turn.extras:
            return False
        for part in turn.parts:
            if type(part) is not Text or part.extras:
                return False
    return True


def lowered(request: Request, names: ToolNames, notes: Notes) -> Request:
    """Return a request that knows nothing but functions with flat names."""
    if any(isinstance(tool, CustomTool) and tool.format for tool in request.tools):
        notes.approximated("tools.format", "described, and nobody is held to it")
    choice = request.tool_choice
    turns = tuple(_lowered_turn(turn, names) for turn in request.turns)
    if not request.tools and choice is None and turns == request.turns:
        return request
    if choice is not None:
        choice = replace(
            choice,
            name=names.flat(choice.name, choice.namespace) if choice.name else None,
            names=tuple(names.flat(each, None) for each in choice.names),
            namespace=None,
        )
    return replace(
        request,
        tools=tuple(_as_function(tool, names) for tool in request.tools),
        tool_choice=choice,
        turns=turns,
    )


def renamed(request: Request, names: ToolNames) -> Request:
    """Return a request whose tools are what they were, under names that fit.

    It comes from a dialect without namespaces.
    """
    flat = lowered(replace(request, turns=()), names, Notes())
    return replace(
        request,
        tools=tuple(
            tool
            if isinstance(tool, HostedTool)
            else replace(tool, name=names.flat(tool.name, None))
            for tool in request.tools
        ),
        tool_choice=flat.tool_choice,
        turns=tuple(
            replace(
                turn, parts=tuple(_renamed_part(part, names) for part in turn.parts)
            )
            for turn in request.turns
        ),
    )


def own_state(reasoning: Reasoning, *, label: str, kinds: Iterable[str]) -> Reasoning:
    """Return a reasoning with its state only if the target `label` made that."""
    state = reasoning.state
    if state is None or (state.minted_by == label and state.kind in kinds):
        return reasoning
    return replace(reasoning, state=None)


class Raising:
    """Give the calls of a provider that knows flat functions their own names back.

    The input of a custom tool is held back until its JSON is complete: a piece of it
    may end in the middle of an escape.
    """

    def __init__(self, names: ToolNames) -> None:
        """Undo what `lowered` did with `names`."""
        self._changed = names.changed
        self._custom: dict[int, list[str]] = {}

    def raised(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events as the caller must see them."""
        if not self._changed:
            return events
        raised: list[Event] = []
        for event in events:
            raised += self._raised(event)
        return raised

    def _raised(self, event: Event) -> Iterable[Event]:
        if isinstance(event, Opened) and event.kind == "tool_call":
            return (self._opened(event),)
        if isinstance(event, Delta) and event.index in self._custom:
            self._custom[event.index].append(event.text)
            return ()
        if isinstance(event, Closed) and event.index in self._custom:
            text = "".join(self._custom.pop(event.index))
            return (Delta(event.index, _input_of(text)), event)
        return (event,)

    def _opened(self, event: Opened) -> Opened:
        tool = self._changed.get(event.name) or ToolName(event.name)
        if tool.kind == "custom" and event.call_kind != "custom":
            self._custom[event.index] = []
        return replace(
            event, name=tool.name, namespace=tool.namespace, call_kind=tool.kind
        )


def _input_of(arguments: str) -> str:
    """Return the free text in a function's arguments; all of it, if it is none."""
    try:
        return _decode_input(arguments).input
    except msgspec.MsgspecError:
        return arguments


def _as_function(tool: Tool, names: ToolNames) -> Tool:
    if isinstance(tool, HostedTool) or _is_function(tool, names):
        return tool
    schema, description = _ANY_OBJECT, tool.description
    if isinstance(tool, CustomTool):
        schema, description = _INPUT_SCHEMA, _described(tool)
    elif tool.schema is not None:
        schema = tool.schema
    return FunctionTool(
        name=names.flat(tool.name, tool.namespace),
        description=description,
        schema=schema,
        strict=tool.strict if isinstance(tool, FunctionTool) else None,
    )


def _is_function(tool: Tool, names: ToolNames) -> bool:
    """Say whether a tool is, as most are, all that a provider must be told already."""
    return (
        type(tool) is FunctionTool
        and tool.schema is not None
        and tool.namespace is None
        and not tool.extras
        and names.flat(tool.name, None) == tool.name
    )


def _described(tool: CustomTool) -> str | None:
    """Tell the model what a grammar would have held it to."""
    if tool.format is None:
        return tool.description
    told = f"`{INPUT}` must follow this format: {bytes(tool.format).decode()}"
    return f"{tool.description}\n\n{told}" if tool.description else told


def _renamed_part(part: Part, names: ToolNames) -> Part:
    if isinstance(part, ToolCall):
        return replace(part, name=names.flat(part.name, part.namespace))
    return part


def _lowered_turn(turn: Turn, names: ToolNames) -> Turn:
    if not any(isinstance(part, _OF_TOOLS) for part in turn.parts):
        return turn
    parts = tuple(_lowered_part(part, names) for part in turn.parts)
    return replace(turn, parts=parts)


def _lowered_part(part: Part, names: ToolNames) -> Part:
    if isinstance(part, ToolCall):
        arguments = part.arguments
        if part.kind == "custom":
            arguments = _encode_text({INPUT: arguments}).decode()
        return ToolCall(
            id=part.id, name=names.flat(part.name, part.namespace), arguments=arguments
        )
    if isinstance(part, ToolResult) and part.kind != "function":
        content = part.content
        if part.kind == "tool_search":
            content = tuple(_named_flat(each, names) for each in content)
        return replace(part, kind="function", content=content)
    return part


def _named_flat(part: ResultPart, names: ToolNames) -> ResultPart:
    """Tell what a search has found under the names by which it can be called."""
    if not isinstance(part, Text):
        return part
    try:
        found = _decode_found(part.text).tools
    except msgspec.MsgspecError:
        return part
    flat = {"tools": [names.flat_of_path(path) for path in found]}
    return replace(part, text=_encode_text(flat).decode())


def _without_billing(system: Iterable[Text], notes: Notes) -> Iterable[Text]:
    """Leave out the line for billing that Claude Code puts before its instructions.

    It is Anthropic's, says nothing to a model, and differs from conversation to
    conversation, so that a provider's prompt cache would never find the rest again.
    """
    for part in system:
        if part.text.startswith(_BILLING):
            notes.dropped(BILLING_HEADER, "it is for Anthropic only")
        else:
            yield part


def _callable_tools(
    tools: Iterable[Tool], hosted_tools: HostedTools, notes: Notes
) -> Iterable[Tool]:
    for tool in tools:
        if not isinstance(tool, HostedTool):
            yield tool
            continue
        if hosted_tools == "refuse" or tool.kind not in DROPPABLE_HOSTED_KINDS:
            raise ProviderHostedToolsForbidden(tool.kind)
        notes.dropped(f"tools.{tool.kind}", "the provider cannot run it")


def _sound_choice(
    choice: ToolChoice | None, tools: Sequence[Tool], notes: Notes
) -> ToolChoice | None:
    """Return the choice of a tool, unless no such tool is left."""
    if choice is None or (not tools and choice.mode in ("auto", "none")):
        return None
    names = {
        tool.name
        for tool in tools
        if isinstance(tool, FunctionTool | CustomTool | SearchTool)
    }
    if choice.mode == "named" and choice.name not in names:
        raise NotBridged("forced-tool-choice")
    if choice.mode == "required" and not tools:
        raise NotBridged("forced-tool-choice")
    if choice.mode == "allowed":
        left = tuple(name for name in choice.names if name in names)
        if len(left) < len(choice.names):
            notes.dropped("tool_choice.tools", "not all of them are there")
        return replace(choice, names=left)
    return choice


def _without_opaque(turns: Iterable[Turn], notes: Notes) -> Iterable[Turn]:
    """Take out what only the caller's dialect understands, as far as it is a hint."""
    for turn in turns:
        if not any(isinstance(part, _MAY_BE_OPAQUE) for part in turn.parts):
            yield turn
            continue
        parts = tuple(_understood(turn.parts, notes))
        if parts or not turn.parts:
            yield replace(turn, parts=parts)


def _understood(parts: Iterable[Part], notes: Notes) -> Iterable[Part]:
    for part in parts:
        if isinstance(part, Opaque):
            _refuse_or_note(part, notes)
        elif isinstance(part, ToolResult):
            content = []
            for inner in part.content:
                if isinstance(inner, Opaque):
                    _refuse_or_note(inner, notes)
                else:
                    content.append(inner)
            yield replace(part, content=tuple(content))
        else:
            yield part


def _refuse_or_note(part: Opaque, notes: Notes) -> None:
    if not part.hint:
        raise NotBridged(part.kind)
    notes.dropped(part.kind, "the provider's dialect has nothing like it")


def _extra_names(request: Request) -> Iterable[str]:
    """Return the names of all extras, with the place where each stands."""
    yield from request.extras
    held: list[tuple[str, Extras]] = [
        ("system", part.extras) for part in request.system
    ]
    held += [
        ("tools", tool.extras)
        for tool in request.tools
        if not isinstance(tool, HostedTool)
    ]
    if request.reasoning is not None:
        held.append(("reasoning", request.reasoning.extras))
    for turn in request.turns:
        if turn.extras:
            held.append(("messages", turn.extras))
        held += _held_in(turn.parts)
    for place, extras in held:
        for name in extras:
            yield f"{place}.{name}"


def _held_in(parts: Iterable[Part]) -> Iterable[tuple[str, Extras]]:
    """Return the extras of parts, and of what is in the results among them."""
    within: list[tuple[str, Extras]] = []
    for part in parts:
        if isinstance(part, Opaque):
            continue
        if part.extras:
            yield "content", part.extras
        if isinstance(part, ToolResult):
            within += _held_in(part.content)
    yield from within
