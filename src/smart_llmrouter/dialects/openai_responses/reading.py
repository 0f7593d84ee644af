"""Turning the items of an answer, and pieces of them, into events of the canon.

A provider may tell the same thing several times: in deltas, when a part is done, when
its item is done, and in the whole answer at the end. What was told already is counted,
so that each piece of text is passed on once, whichever of them is missing.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.content import CallKind, ReasoningState
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
    PartKind,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE
from smart_llmrouter.dialects.openai_responses.schema import (
    OutputItem,
    OutputPart,
    WireResponse,
    read_item,
    text_of,
    usage_from,
)
from smart_llmrouter.wire.rawvalues import ABSENT, is_there

DIALECT: Final = "openai-responses"
TEXT: Final[PartKind] = "text"
REFUSAL: Final[PartKind] = "refusal"
SUMMARY: Final[PartKind] = "summary"
REASONING: Final[PartKind] = "reasoning"

_CALL_KINDS: Final[Mapping[str, CallKind]] = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "tool_search_call": "tool_search",
}
_HOSTED: Final = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "compaction",
    }
)
_REASONS: Final[Mapping[str, FinishReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
_NO_ERROR: Final = msgspec.Raw(b'{"code":"server_error","message":"no reason given"}')

PartKey = tuple[int, PartKind, int]
"""The place of a part: its item, what it is, and which of that kind."""


class _Part:
    """A part that was opened: how much of it was told."""

    __slots__ = ("annotations", "chars", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.chars = 0
        self.annotations = 0


class Reading:
    """Collects the events of one answer."""

    __slots__ = (
        "_calls",
        "_current",
        "_current_key",
        "_done",
        "_events",
        "_known",
        "_next",
        "_parts",
        "_pending",
        "_started",
        "called",
    )

    def __init__(self) -> None:
        """Begin before the answer."""
        self._events: list[Event] = []
        self._started = False
        self._next = 0
        self._parts: dict[PartKey, _Part] = {}
        self._current: _Part | None = None
        self._current_key: PartKey | None = None
        self._calls: dict[int, _Part] = {}
        self._pending: dict[int, list[str]] = {}
        self._done: set[int] = set()
        self._known: set[str] = set()
        self.called = False

    def taken(self) -> list[Event]:
        """Return the events since the last time."""
        events, self._events = self._events, []
        return events

    @property
    def place(self) -> int:
        """The place of the item that is told, where the provider leaves it out."""
        return len(self._done)

    def start(self, answer: WireResponse) -> None:
        """Tell that the provider has begun, once."""
        if not self._started:
            self._started = True
            self._events.append(Started(answer.id, answer.model))

    def tell(self, key: PartKey, text: str) -> None:
        """Tell more of a text, a refusal or a reasoning."""
        part = self._current
        if part is None or key != self._current_key:
            part = self._opened(key)
        part.chars += len(text)
        self._events.append(Delta(part.index, text))

    def complete(self, key: PartKey, text: str | None) -> None:
        """Tell what of a whole text was not told yet."""
        known = self._parts.get(key)
        told = 0 if known is None else known.chars
        if text and len(text) > told:
            self.tell(key, text[told:])

    def annotate(self, key: PartKey, raw: msgspec.Raw) -> None:
        """Tell a note on a part."""
        part = self._current
        if part is None or key != self._current_key:
            part = self._opened(key)
        part.annotations += 1
        self._events.append(Annotated(part.index, DIALECT, raw))

    def open_item(self, place: int, raw: msgspec.Raw) -> None:
        """Tell the call that begins; other items begin with their first text."""
        item = read_item(bytes(raw))
        if item.type in _CALL_KINDS and item.name and place not in self._calls:
            self._open_call(place, item)

    def tell_arguments(self, place: int, text: str) -> None:
        """Tell more of a call's arguments, as soon as its name is known."""
        call = self._calls.get(place)
        if call is None:
            self._pending.setdefault(place, []).append(text)
        else:
            call.chars += len(text)
            self._events.append(Delta(call.index, text))

    def complete_arguments(self, place: int, text: str) -> None:
        """Tell what of a call's arguments was not told yet."""
        call = self._calls.get(place)
        if call is not None and len(text) > call.chars:
            self.tell_arguments(place, text[call.chars :])

    def close_item(self, place: int, raw: msgspec.Raw) -> None:
        """Tell what is left of a complete item, once.

        Some providers give all items the same place: then their ids tell them apart.
        """
        item = read_item(bytes(raw))
        identity = item.id or item.call_id
        if identity in self._known or (place in self._done and identity is None):
            return
        if place in self._done:
            self._forget(place)
        self._close(place, item, raw)

    def _forget(self, place: int) -> None:
        for key in [key for key in self._parts if key[0] == place]:
            if key != self._current_key:
                del self._parts[key]

    def _close(self, place: int, item: OutputItem, raw: msgspec.Raw) -> None:
        self._done.add(place)
        if identity := item.id or item.call_id:
            self._known.add(identity)
        kind = item.type
        if kind == "tool_search_call" and item.execution == "server":
            kind = ""
        close = _CLOSERS.get(kind)
        if close is not None:
            close(self, place, item)
        elif kind not in _CALL_KINDS:
            known = item.type if item.type in _HOSTED else "other"
            self._events.append(OpaqueFrame(DIALECT, known, msgspec.Raw(bytes(raw))))

    def finish(self, answer: WireResponse, status: str) -> None:
        """Tell what is left of the answer, what it used, and how it ended."""
        self.start(answer)
        for place, raw in enumerate(answer.output or ()):
            if place not in self._done:
                self.close_item(place, raw)
        self._close_all()
        usage = usage_from(answer.usage)
        if usage != UNKNOWN_USAGE:
            self._events.append(UsageSeen(usage))
        if status == "completed":
            self._events.append(Finished("tool_calls" if self.called else "stop"))
        elif status == "incomplete":
            details = answer.incomplete_details
            reason = details.reason if details is not None else None
            self._events.append(Finished(_REASONS.get(reason or "", "length")))
        else:
            self.fail(answer.error)

    def fail(self, error: msgspec.Raw) -> None:
        """Tell that the provider broke the answer off."""
        self.start(WireResponse())
        self._close_all()
        raw = msgspec.Raw(bytes(error)) if is_there(error) else _NO_ERROR
        self._events.append(Failed(raw))

    def _opened(self, key: PartKey) -> _Part:
        """Open a part; one that was closed too early goes on as a new one."""
        if not self._started:
            self.start(WireResponse())
        self._close_current()
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = _Part(self._next)
        part.index = self._next
        self._next += 1
        self._current, self._current_key = part, key
        self._events.append(Opened(part.index, key[1]))
        return part

    def _close_current(self) -> None:
        if self._current is not None:
            self._events.append(Closed(self._current.index))
            self._current = self._current_key = None

    def _close_item_part(self, place: int) -> None:
        if self._current_key is not None and self._current_key[0] == place:
            self._close_current()

    def _close_all(self) -> None:
        self._close_current()
        for call in self._calls.values():
            self._events.append(Closed(call.index))
        self._calls.clear()

    def _open_call(self, place: int, item: OutputItem) -> None:
        if not self._started:
            self.start(WireResponse())
        self._close_current()
        call = self._calls[place] = _Part(self._next)
        self._next += 1
        self.called = True
        self._events.append(
            Opened(
                call.index,
                "tool_call",
                item.call_id or item.id or f"call_{place}",
                item.name or _NAMELESS.get(item.type, ""),
                item.namespace,
                _CALL_KINDS[item.type],
            )
        )
        for text in self._pending.pop(place, ()):
            self.tell_arguments(place, text)

    def close_message(self, place: int, item: OutputItem) -> None:
        """Tell what is left of a message."""
        for at, part in enumerate(item.content or ()):
            self._complete_part(place, at, part)
        self._close_item_part(place)

    def _complete_part(self, place: int, at: int, part: OutputPart) -> None:
        if part.type == "refusal":
            self.complete((place, REFUSAL, at), part.refusal)
            return
        key: PartKey = (place, TEXT, at)
        self.complete(key, part.text)
        known = self._parts.get(key)
        told = 0 if known is None else known.annotations
        for raw in (part.annotations or ())[told:]:
            self.annotate(key, msgspec.Raw(bytes(raw)))

    def close_reasoning(self, place: int, item: OutputItem) -> None:
        """Tell what is left of a reasoning, and its proof on its last part."""
        for at, part in enumerate(item.summary or ()):
            self.complete((place, SUMMARY, at), part.text)
        for at, part in enumerate(item.content or ()):
            self.complete((place, REASONING, at), part.text)
        if item.encrypted_content:
            key = self._current_key
            proven = self._current if key is not None and key[0] == place else None
            if proven is None:
                proven = self._opened((place, REASONING, -1))
            state = ReasoningState(
                kind="encrypted", value=item.encrypted_content, item_id=item.id
            )
            self._events.append(Signed(proven.index, state))
        self._close_item_part(place)

    def close_call(self, place: int, item: OutputItem) -> None:
        """Tell what is left of a call."""
        if place not in self._calls:
            self._open_call(place, item)
        given = item.input if item.type == "custom_tool_call" else _arguments_of(item)
        self.complete_arguments(place, given or "")
        self._events.append(Closed(self._calls.pop(place).index))


_NAMELESS: Final = {"tool_search_call": "tool_search"}


def _arguments_of(item: OutputItem) -> str:
    """Return JSON arguments, which are an object in the call of a search."""
    if item.arguments is ABSENT or not is_there(item.arguments):
        return ""
    text = text_of(item.arguments)
    return bytes(item.arguments).decode() if text is None else text


_CLOSERS: Final[Mapping[str, Callable[[Reading, int, OutputItem], None]]] = {
    "message": Reading.close_message,
    "reasoning": Reading.close_reasoning,
    **dict.fromkeys(_CALL_KINDS, Reading.close_call),
}
