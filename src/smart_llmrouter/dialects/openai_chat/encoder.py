"""Writing answers for callers of Chat Completions, streamed and plain.

A model's thoughts and a provider's account of them are `reasoning_content`, which most
clients of the wild show. What Chat cannot say is noted: proofs of a reasoning (but see
`proofs`), which stop sequence ended the answer, and citations of another dialect. Texts
that touch are one, others are kept apart by a blank line. Usage is told only as far as
it is known.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_chat.losses import note_finish, note_frame
from smart_llmrouter.dialects.openai_chat.proofs import Proofs
from smart_llmrouter.dialects.openai_chat.streams import DONE
from smart_llmrouter.dialects.openai_chat.usage_fields import usage_fields

_FIELDS: Final = {
    "text": b"content",
    "refusal": b"refusal",
    "reasoning": b"reasoning_content",
    "summary": b"reasoning_content",
}
FINISH_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "pause": "stop",
}
_BLANK_LINE: Final = "\n\n"
_encode: Final = msgspec.json.Encoder().encode


class ChatEncoder:
    """Writes one stream."""

    def __init__(self, answering: Answering) -> None:
        """Prepare what all chunks of the answer have in common."""
        self._answering = answering
        self._asked = answering.request.include_usage
        self._legacy = answering.request.legacy_functions
        head = _encode(
            {
                "id": f"chatcmpl-{answering.id}",
                "object": "chat.completion.chunk",
                "created": answering.created_s,
                "model": answering.model,
            }
        )
        self._head = b"data: " + head[:-1]
        self._delta = self._head + b',"choices":[{"index":0,"delta":{'
        usage = b',"usage":null' if self._asked else b""
        self._tail = b'},"finish_reason":null}]' + usage + b"}\n\n"
        self._ending = b"}]" + usage + b"}\n\n"
        self._around: dict[int, tuple[bytes, bytes]] = {}
        self._fresh: dict[int, Opened] = {}
        self._last_of: dict[bytes, int] = {}
        self._proofs = Proofs(answering)
        self._thinking: set[int] = set()
        self._calls = 0
        self._begun = False
        self._usage: Usage = UNKNOWN_USAGE

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return the chunks for all events but the last."""
        pieces: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                if event.index in self._fresh:
                    pieces.append(self._first_delta(event.index))
                if event.index in self._thinking:
                    self._proofs.said(event.text)
                around = self._around.get(event.index)
                if around is not None:
                    pieces += (around[0], _encode(event.text), around[1])
            else:
                if not self._begun:
                    pieces.append(self._begin())
                pieces.append(self._write(event))
        return b"".join(pieces)

    def finish(self, finished: Finished) -> bytes:
        """Return the chunk with the reason, the usage if it was asked for, the end."""
        note_finish(finished, self._answering.notes)
        begin = b"" if self._begun else self._begin()
        reason = finish_reason(finished.reason, calls=self._calls, legacy=self._legacy)
        last = self._delta + b'},"finish_reason":' + _encode(reason) + self._ending
        return begin + last + self._usage_chunk() + DONE

    def _write(self, event: Event) -> bytes:
        match event:
            case Opened():
                return self._opened(event)
            case Closed():
                return self._closed(event)
            case Annotated():
                return self._annotated(event)
            case UsageSeen():
                self._usage = event.usage
            case Signed() if self._proofs.wanted:
                detail = _encode([self._proofs.detail(event)])
                return self._delta + b'"reasoning_details":' + detail + self._tail
            case Signed() | OpaqueFrame():
                note_frame(event, self._answering.notes)
            case Started() | Delta() | Finished() | Failed():
                pass
        return b""

    def _usage_chunk(self) -> bytes:
        told = usage_fields(self._usage)
        if not (self._asked and told):
            return b""
        return self._head + b',"choices":[],"usage":' + _encode(told) + b"}\n\n"

    def _begin(self) -> bytes:
        self._begun = True
        return self._delta + b'"role":"assistant","content":""' + self._tail

    def _opened(self, event: Opened) -> bytes:
        self._fresh[event.index] = event
        if self._proofs.opened(event):
            self._thinking.add(event.index)
        if event.kind == "tool_call":
            return self._open_call(event)
        field = _FIELDS[event.kind]
        self._around[event.index] = (
            self._delta + b'"' + field + b'":',
            self._tail,
        )
        return b""

    def _open_call(self, event: Opened) -> bytes:
        number, self._calls = self._calls, self._calls + 1
        custom = event.call_kind == "custom"
        kind, given = (b"custom", b"input") if custom else (b"function", b"arguments")
        name = b'{"name":' + _encode(event.name) + b',"' + given + b'":""}'
        if self._legacy:
            if number:
                self._answering.notes.dropped(
                    "tool_calls", "the caller knows one call in an answer"
                )
                return b""
            self._around[event.index] = (
                self._delta + b'"function_call":{"arguments":',
                b"}" + self._tail,
            )
            return self._delta + b'"function_call":' + name + self._tail
        place = b'"tool_calls":[{"index":%d,' % number
        self._around[event.index] = (
            self._delta + place + b'"' + kind + b'":{"' + given + b'":',
            b"}}]" + self._tail,
        )
        told = b'"id":%b,"type":"%b","%b":' % (_encode(event.call_id), kind, kind)
        return self._delta + place + told + name + b"}]" + self._tail

    def _first_delta(self, index: int) -> bytes:
        """Return what keeps a text apart from an earlier one that it does not touch."""
        opened = self._fresh.pop(index)
        field = _FIELDS.get(opened.kind)
        if field is None:
            return b""
        last = self._last_of.get(field)
        self._last_of[field] = index
        touches = last == index - 1 and opened.kind == "text"
        if last is None or touches:
            return b""
        before, after = self._around[index]
        return before + _encode(_BLANK_LINE) + after

    def _closed(self, event: Closed) -> bytes:
        """Give a function that is called without arguments an empty object."""
        opened = self._fresh.pop(event.index, None)
        around = self._around.pop(event.index, None)
        if opened is None or around is None or opened.kind != "tool_call":
            return b""
        if opened.call_kind == "custom":
            return b""
        return around[0] + b'"{}"' + around[1]

    def _annotated(self, event: Annotated) -> bytes:
        if event.dialect != "openai-chat":
            note_frame(event, self._answering.notes)
            return b""
        return self._delta + b'"annotations":[' + bytes(event.raw) + b"]" + self._tail


def finish_reason(reason: FinishReason, *, calls: int, legacy: bool) -> str:
    """Return the reason as Chat says it; calls are a reason of their own."""
    told = FINISH_REASONS[reason]
    if calls and told == "stop":
        told = "tool_calls"
    return "function_call" if legacy and told == "tool_calls" else told
