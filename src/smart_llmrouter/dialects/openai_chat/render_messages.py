"""From turns to `messages`.

What is not said as it came, each time with a note:

* images and files in results go into a message of the user after the results;
* a failed result says so in its text;
* the documents that are text are said as text;
* thoughts go to others than OpenAI as `reasoning_content`, their proofs to nobody, but
  for the target that had put them on a call, on that call;
* a refusal is a text for others than OpenAI;

The texts of one turn of the assistant are one text, and so are its instructions, with a
blank line between; OpenAI's own reading of several is the same.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Final

import msgspec

from smart_llmrouter.core.content import (
    Document,
    Image,
    Part,
    Reasoning,
    ReasoningState,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.arranging import arranged
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.openai_chat.families import is_openai
from smart_llmrouter.dialects.openai_chat.render_parts import (
    content_of,
    document_text,
)
from smart_llmrouter.dialects.said_as import FIELD_OF_STATE
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members

Message = dict[str, object]

_BLANK_LINE: Final = "\n\n"
_INSTRUCTING: Final = ("system", "developer")
_TALKING: Final = frozenset({"user", "assistant"})
_FAILED: Final = "Error: "


def plain_messages(request: Request) -> list[Message] | None:
    """Write a request that is a plain conversation, as nearly all are.

    Anything but one text a turn, and the last word to the user, is left to
    `render_messages`, which writes the same of this.
    """
    if request.tools or not request.turns:
        return None
    messages = _instructions(request, ())
    before = None
    for turn in request.turns:
        role, parts = turn.role, turn.parts
        repeats = role == "assistant" == before
        if role not in _TALKING or repeats or len(parts) != 1:
            return None
        (part,) = parts
        if type(part) is not Text or not part.text:
            return None
        messages.append({"role": role, "content": part.text})
        before = role
    return messages if before == "user" else None


def render_messages(request: Request, serving: Serving, notes: Notes) -> list[Message]:
    """Write the instructions and all turns of a request. Raises `NotBridged`."""
    leading = tuple(takewhile(_instructs, request.turns))
    turns = request.turns[len(leading) :]
    messages = _instructions(request, leading)
    names = _call_names(turns)
    for turn in arranged(turns, notes, joins_texts=True):
        match turn.role:
            case "assistant":
                messages += _assistant(turn, serving, notes)
            case "tool":
                messages += _results(turn, names, notes)
            case "system" | "developer" | "user":
                messages.append(_told(turn, notes))
    if not messages:
        messages.append({"role": "user", "content": ""})
    if turns and turns[-1].role == "assistant" and not _calls(turns[-1].parts):
        notes.approximated("messages", "the provider may not go on in the last one")
    return messages


def _instructs(turn: Turn) -> bool:
    return turn.role in _INSTRUCTING and all(
        isinstance(part, Text) for part in turn.parts
    )


def _instructions(request: Request, leading: Iterable[Turn]) -> list[Message]:
    texts = [part.text for part in request.system if part.text]
    for turn in leading:
        texts += [text for text in _texts(turn.parts) if text]
    if not texts:
        return []
    return [{"role": "system", "content": _BLANK_LINE.join(texts)}]


def _told(turn: Turn, notes: Notes) -> Message:
    """Write what was said to the model; only a user may show it an image."""
    if _instructs(turn):
        return {"role": "system", "content": _BLANK_LINE.join(_texts(turn.parts))}
    if turn.role != "user":
        notes.approximated("messages.role", "instructions with images are said as user")
    content = content_of(turn.parts, own=False, notes=notes)
    return {"role": "user", "content": content or ""}


def _assistant(turn: Turn, serving: Serving, notes: Notes) -> Iterable[Message]:
    openai = is_openai(serving.model)
    refusals = [part.text for part in turn.parts if isinstance(part, Refusal)]
    said = _joined(turn.parts)
    message: Message = {"role": "assistant", "content": said or None}
    if refusals and openai:
        message["refusal"] = _BLANK_LINE.join(refusals)
    elif refusals:
        notes.approximated("content.refusal", "said as text")
        message["content"] = _BLANK_LINE.join([*([said] if said else []), *refusals])
    calls = [_call(call) for call in _calls(turn.parts)]
    proof = _proof_in(turn.parts, label=serving.label) if calls else None
    thoughts = _thoughts(turn.parts, proof, openai=openai, notes=notes)
    if thoughts:
        message["reasoning_content"] = thoughts
    if proof is not None:
        calls[0]["extra_content"] = msgspec.Raw(proof.value.encode())
    if calls:
        message["tool_calls"] = calls
    elif thoughts and message["content"] is None:
        message["content"] = ""
    if len(message) > 2 or message["content"] is not None:
        yield message


def _joined(parts: Sequence[Part]) -> str:
    """Join texts: those that touch are one, others are kept apart."""
    pieces: list[str] = []
    last = None
    for place, part in enumerate(parts):
        if isinstance(part, Text) and part.text:
            if last is not None and last != place - 1:
                pieces.append(_BLANK_LINE)
            pieces.append(part.text)
            last = place
    return "".join(pieces)


def _proof_in(parts: Iterable[Part], *, label: str) -> ReasoningState | None:
    """Return what the target `label` itself had put on the first call of a turn."""
    for part in parts:
        state = part.state if isinstance(part, Reasoning) else None
        if state is None or state.minted_by != label or state.kind != "encrypted":
            continue
        with suppress(NotAnObject):
            parse_members(state.value.encode())
            return state
    return None


def _thoughts(
    parts: Iterable[Part], proof: ReasoningState | None, *, openai: bool, notes: Notes
) -> str:
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, Reasoning):
            continue
        if part.state is not None and part.state is not proof:
            notes.dropped(
                FIELD_OF_STATE[part.state.kind], "nothing in Chat can hold a proof"
            )
        texts += [part.text] if part.text else part.summary
    if texts and openai:
        notes.dropped("reasoning", "OpenAI's models take no thoughts of earlier turns")
        return ""
    return _BLANK_LINE.join(texts)


def _calls(parts: Iterable[Part]) -> list[ToolCall]:
    return [part for part in parts if isinstance(part, ToolCall)]


def _call(call: ToolCall) -> Message:
    called = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": called}


def _call_names(turns: Iterable[Turn]) -> dict[str, str]:
    return {call.id: call.name for turn in turns for call in _calls(turn.parts)}


def _results(turn: Turn, names: dict[str, str], notes: Notes) -> Iterable[Message]:
    """Write the results of one turn, and after all of them what they showed."""
    shown: list[Part] = []
    for result in turn.parts:
        if isinstance(result, ToolResult):
            name = names.get(result.call_id, "a tool")
            yield _result(result, shown, name, notes)
    if shown:
        notes.approximated("tool_result.content", "its images are said as user")
        content = content_of(shown, own=False, notes=notes)
        yield {"role": "user", "content": content}


def _result(result: ToolResult, shown: list[Part], name: str, notes: Notes) -> Message:
    texts, looks = [], [part for part in result.content if _is_shown(part)]
    for part in result.content:
        if isinstance(part, Text):
            texts.append(part.text)
        elif isinstance(part, Document) and not _is_shown(part):
            notes.approximated("content.document", "sent as text")
            texts.append(document_text(part) or "")
    if looks:
        what = "file" if len(looks) == 1 else f"{len(looks)} files"
        told = f"of the call {result.call_id} ({name})"
        shown.append(Text(text=f"The {what} in the result {told}:"))
        shown += looks
        texts.append(f"(The {what} of this result: see the next user message.)")
    text = "\n".join(texts)
    if result.is_error:
        notes.approximated("tool_result.is_error", "said in the result's text")
        if not text.lower().startswith("error"):
            text = _FAILED + text
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _is_shown(part: ResultPart) -> bool:
    """Say whether a part of a result is none that a text can say."""
    return isinstance(part, Image) or (
        isinstance(part, Document) and document_text(part) is None
    )


def _texts(parts: Iterable[Part]) -> list[str]:
    return [part.text for part in parts if isinstance(part, Text)]
