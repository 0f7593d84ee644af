"""Writing a plain answer: the fold of a complete stream."""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.events import (
    Annotated,
    Delta,
    Event,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    UsageSeen,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_chat.encoder import finish_reason
from smart_llmrouter.dialects.openai_chat.losses import note_finish, note_frame
from smart_llmrouter.dialects.openai_chat.proofs import Proofs
from smart_llmrouter.dialects.openai_chat.usage_fields import usage_fields

_BLANK_LINE: Final = "\n\n"
_encode: Final = msgspec.json.Encoder().encode


class _Folded:
    """What a stream said, part by part."""

    def __init__(self, answering: Answering) -> None:
        self._notes = answering.notes
        self._proofs = Proofs(answering)
        self._thinking: set[int] = set()
        self.details: list[dict[str, object]] = []
        self.parts: list[Opened] = []
        self.texts: dict[int, list[str]] = {}
        self.annotations: list[msgspec.Raw] = []
        self.usage: Usage = UNKNOWN_USAGE
        self.finished = Finished("stop")

    def take(self, event: Event) -> None:
        match event:
            case Opened():
                self.parts.append(event)
                self.texts[event.index] = []
                if self._proofs.opened(event):
                    self._thinking.add(event.index)
            case Delta():
                self.texts[event.index].append(event.text)
                if event.index in self._thinking:
                    self._proofs.said(event.text)
            case UsageSeen():
                self.usage = event.usage
            case Finished():
                self.finished = event
                note_finish(event, self._notes)
            case Signed() | Annotated() | OpaqueFrame():
                self._take_aside(event)
            case _:
                pass

    def _take_aside(self, event: Signed | Annotated | OpaqueFrame) -> None:
        if isinstance(event, Signed) and self._proofs.wanted:
            self.details.append(self._proofs.detail(event))
        elif isinstance(event, Annotated) and event.dialect == "openai-chat":
            self.annotations.append(event.raw)
        else:
            note_frame(event, self._notes)

    def text(self, *kinds: str) -> str:
        """Return all texts of these kinds; those that touch are one."""
        pieces: list[str] = []
        last: int | None = None
        for part in self.parts:
            text = "".join(self.texts[part.index])
            if part.kind in kinds and text:
                touches = last == part.index - 1 and part.kind == "text"
                if last is not None and not touches:
                    pieces.append(_BLANK_LINE)
                pieces.append(text)
                last = part.index
        return "".join(pieces)

    def calls(self) -> list[dict[str, object]]:
        return [
            _call(part, "".join(self.texts[part.index]))
            for part in self.parts
            if part.kind == "tool_call"
        ]


def write_answer(events: Iterable[Event], answering: Answering) -> bytes:
    """Write a complete answer for the caller."""
    folded = _Folded(answering)
    for event in events:
        folded.take(event)
    calls, legacy = folded.calls(), answering.request.legacy_functions
    reason = finish_reason(folded.finished.reason, calls=len(calls), legacy=legacy)
    choice = {
        "index": 0,
        "message": _message(folded, calls, answering),
        "logprobs": None,
        "finish_reason": reason,
    }
    answer: dict[str, object] = {
        "id": f"chatcmpl-{answering.id}",
        "object": "chat.completion",
        "created": answering.created_s,
        "model": answering.model,
        "choices": [choice],
    }
    usage = usage_fields(folded.usage)
    if usage:
        answer["usage"] = usage
    return _encode(answer)


def _message(
    folded: _Folded, calls: list[dict[str, object]], answering: Answering
) -> dict[str, object]:
    content, refusal = folded.text("text"), folded.text("refusal")
    message: dict[str, object] = {
        "role": "assistant",
        "content": content or (None if calls or refusal else ""),
        "refusal": refusal or None,
    }
    thoughts = folded.text("reasoning", "summary")
    if thoughts:
        message["reasoning_content"] = thoughts
    if folded.details:
        message["reasoning_details"] = folded.details
    if folded.annotations:
        message["annotations"] = folded.annotations
    if calls and answering.request.legacy_functions:
        message["function_call"] = calls[0]["function"]
        if len(calls) > 1:
            answering.notes.dropped(
                "tool_calls", "the caller knows one call in an answer"
            )
    elif calls:
        message["tool_calls"] = calls
    return message


def _call(part: Opened, given: str) -> dict[str, object]:
    if part.call_kind == "custom":
        called: dict[str, object] = {"name": part.name, "input": given}
        return {"id": part.call_id, "type": "custom", "custom": called}
    called = {"name": part.name, "arguments": given or "{}"}
    return {"id": part.call_id, "type": "function", "function": called}
