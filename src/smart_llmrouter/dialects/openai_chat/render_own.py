"""Writing the turns of a request that came in this dialect, just as they were said."""

from collections.abc import Iterable

from smart_llmrouter.core.content import (
    Part,
    Reasoning,
    Refusal,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.openai_chat.proofs import detail_of
from smart_llmrouter.dialects.openai_chat.render_parts import content_of

Message = dict[str, object]


def own_messages(request: Request, notes: Notes) -> list[Message]:
    """Write the instructions and all turns of a request."""
    messages: list[Message] = [
        {"role": "system", "content": text.text, **text.extras}
        for text in request.system
    ]
    for turn in request.turns:
        if turn.role == "tool":
            messages += _results(turn.parts, notes)
        else:
            messages.append(_message(turn, notes))
    return messages


def _message(turn: Turn, notes: Notes) -> Message:
    said = [
        part
        for part in turn.parts
        if not isinstance(part, Reasoning | ToolCall | Refusal)
    ]
    content = content_of(said, own=True, notes=notes)
    message: Message = {"role": turn.role, "content": content, **turn.extras}
    thoughts = [part.text for part in turn.parts if isinstance(part, Reasoning)]
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    details = [
        detail_of(part, part.state)
        for part in turn.parts
        if isinstance(part, Reasoning) and part.state is not None
    ]
    if details:
        message["reasoning_details"] = details
    refusals = [part.text for part in turn.parts if isinstance(part, Refusal)]
    if refusals:
        message["refusal"] = "".join(refusals)
    calls = [_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall) -> Message:
    kind, given = "function", "arguments"
    if call.kind == "custom":
        kind, given = "custom", "input"
    called = {"name": call.name, given: call.arguments}
    return {"id": call.id, "type": kind, kind: called, **call.extras}


def _results(parts: Iterable[Part], notes: Notes) -> Iterable[Message]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield {
                "role": "tool",
                "tool_call_id": part.call_id,
                "content": content_of(part.content, own=True, notes=notes) or "",
                **part.extras,
            }
