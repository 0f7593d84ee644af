"""Writing an answer for a caller of this dialect, as a stream or in one piece.

A plain answer is the fold of its stream: it is what the last event would hold. A part
is opened with its first text, so that nothing empty is ever sent. Consecutive texts are
one message, consecutive pieces of reasoning one item, and each call is one.

What proves a reasoning to its maker is sealed into `encrypted_content`, if the caller
keeps such things; so is a reasoning that can be read, since Codex does not send those
back otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    UsageSeen,
)
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_responses.compaction import (
    asks_for_summary,
    sealed_summary,
)
from smart_llmrouter.dialects.openai_responses.items import (
    CallItem,
    Item,
    MessageItem,
    Part,
    ReasoningItem,
    annotation_for,
)
from smart_llmrouter.dialects.openai_responses.reading import DIALECT
from smart_llmrouter.dialects.openai_responses.schema import encode
from smart_llmrouter.dialects.openai_responses.writing import ResponseObject, frame_of

_DELTA: Final = b',"delta":'
_MESSAGE_PARTS: Final = frozenset({"text", "refusal"})


class StreamEncoder:
    """Writes one stream, as `dialects.base.Encoder` says."""

    def __init__(self, answering: Answering) -> None:
        """Begin before the first event."""
        self._answering = answering
        self._response = ResponseObject(answering)
        self._sequence = -1
        self._parts: dict[int, Part] = {}
        self._open: Item | None = None
        self._place = 0
        self._output: dict[int, bytes] = {}
        reasoning = answering.request.reasoning
        # Who asks for a summary shows it, and may not show what was thought.
        self._shows_summaries = reasoning is not None and bool(reasoning.summary)
        self._summary = asks_for_summary(answering.request)
        self._summary_texts: list[str] = []

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return whole events of the dialect for all but `Finished` and `Failed`."""
        out: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                part = self._parts[event.index]
                part.texts.append(event.text)
                if part.head is None:
                    self._begin(part, out)
                if part.head:
                    self._sequence += 1
                    text = encode(event.text)
                    out += (part.head, b"%d" % self._sequence, _DELTA, text, part.tail)
                continue
            if self._sequence < 0:
                self._start(out)
            write = _WRITERS.get(type(event))
            if write is not None:
                write(self, event, out)
        return b"".join(out)

    def finish(self, finished: Finished) -> bytes:
        """Return what ends the stream."""
        out: list[bytes] = []
        kind, body = self._finished(finished, out)
        out.append(self._frame(kind, b',"response":' + body))
        return b"".join(out)

    def folded(self, last: Finished | Failed | None) -> bytes:
        """Return the answer in one piece."""
        if isinstance(last, Finished):
            return self._finished(last, [])[1]
        return self._response.failed(self._items(), None if last is None else last.raw)

    def _finished(self, finished: Finished, out: list[bytes]) -> tuple[str, bytes]:
        if self._sequence < 0:
            self._start(out)
        _note_finish(finished, self._answering)
        self._close_open(out, complete=self._response.is_complete(finished))
        if self._summary and not self._write_summary(out):
            empty = msgspec.Raw(_NO_SUMMARY)
            return "response.failed", self._response.failed([], empty)
        return self._response.finished(self._items(), finished)

    def _items(self) -> list[bytes]:
        return [self._output[place] for place in sorted(self._output)]

    def _frame(self, kind: str, rest: bytes) -> bytes:
        self._sequence += 1
        return frame_of(kind, self._sequence, rest)

    def _start(self, out: list[bytes]) -> None:
        body = b',"response":' + self._response.opening()
        out.append(self._frame("response.created", body))
        out.append(self._frame("response.in_progress", body))

    def write_opened(self, event: Opened, out: list[bytes]) -> None:
        """Begin a part; it is told with its first text, but for a call."""
        if self._summary:
            texts = self._summary_texts if event.kind == "text" else []
            self._parts[event.index] = Part(event.kind, texts, head=b"")
            return
        if event.kind == "reasoning" and self._shows_summaries:
            event = msgspec.structs.replace(event, kind="summary")
        part = self._parts[event.index] = Part(event.kind, [])
        if event.kind == "tool_call":
            self._close_open(out)
            call = CallItem(event, part, id=self._answering.id, place=self._take())
            part.item = call
            self._add(call, out)
            part.head, part.tail = call.delta_frame()
        elif event.kind in _MESSAGE_PARTS:
            if not isinstance(self._open, MessageItem):
                self._close_open(out)
        elif not (
            isinstance(self._open, ReasoningItem) and self._open.takes(event.kind)
        ):
            self._close_open(out)

    def _take(self) -> int:
        place = self._place
        self._place += 1
        return place

    def _add(self, item: Item, out: list[bytes]) -> None:
        rest = b',"output_index":%d,"item":%b' % (item.place, item.added())
        out.append(self._frame("response.output_item.added", rest))

    def _item_for(self, part: Part, out: list[bytes]) -> MessageItem | ReasoningItem:
        """Return the open item that a part belongs to; open it, if there is none."""
        if isinstance(self._open, MessageItem | ReasoningItem):
            return self._open
        kind = MessageItem if part.kind in _MESSAGE_PARTS else ReasoningItem
        item = kind(id=self._answering.id, place=self._take())
        self._open = item
        self._add(item, out)
        return item

    def _begin(self, part: Part, out: list[bytes]) -> None:
        """Open a part with its first text."""
        item = self._item_for(part, out)
        part.item = item
        for kind, rest in item.begin(part):
            out.append(self._frame(kind, rest))
        part.head, part.tail = item.delta_frame(part)

    def write_signed(self, event: Signed, out: list[bytes]) -> None:
        """Keep the proof of a reasoning."""
        part = self._parts[event.index]
        if self._summary or part.kind not in ("reasoning", "summary"):
            return
        item = self._item_for(part, out)
        if isinstance(item, ReasoningItem):
            item.state = event.state

    def write_annotated(self, event: Annotated, out: list[bytes]) -> None:
        """Tell a note on a part."""
        part = self._parts[event.index]
        note = annotation_for(event)
        if note is None:
            self._answering.notes.dropped("citations", "annotations have another form")
        elif not self._summary and part.kind == "text":
            if part.head is None:
                self._begin(part, out)
            if isinstance(part.item, MessageItem):
                out.append(self._frame(*part.item.annotate(part, note)))

    def write_closed(self, event: Closed, out: list[bytes]) -> None:
        """Tell that a part is complete, and a call with it."""
        part = self._parts.pop(event.index)
        item = part.item
        if isinstance(item, CallItem):
            if not part.texts and item.kind == "function":
                # Arguments are JSON here, and nothing at all is none.
                self._parts[event.index] = part
                out.append(self.encode((Delta(event.index, "{}"),)))
                del self._parts[event.index]
            for kind, rest in item.end():
                out.append(self._frame(kind, rest))
            self._done(item, item.done(complete=True), out)
        elif isinstance(item, MessageItem | ReasoningItem):
            for kind, rest in item.end(part):
                out.append(self._frame(kind, rest))
        if isinstance(self._open, ReasoningItem) and self._open.is_signed:
            self._close_open(out)

    def _close_open(self, out: list[bytes], *, complete: bool = True) -> None:
        """Close the message or the reasoning that is open."""
        item, self._open = self._open, None
        if isinstance(item, ReasoningItem):
            item.seal(self._answering)
        if item is not None:
            self._done(item, item.done(complete=complete), out)

    def _done(self, item: Item, whole: bytes, out: list[bytes]) -> None:
        self._output[item.place] = whole
        rest = b',"output_index":%d,"item":%b' % (item.place, whole)
        out.append(self._frame("response.output_item.done", rest))

    def write_used(self, event: UsageSeen, _out: list[bytes]) -> None:
        """Keep the usage for the end."""
        self._response.usage = event.usage

    def write_passed(self, event: OpaqueFrame, out: list[bytes]) -> None:
        """Pass on an item that only this dialect understands."""
        if event.dialect != DIALECT or self._summary:
            self._answering.notes.dropped(
                event.kind, "this dialect has nothing like it"
            )
            return
        self._close_open(out)
        item = Item(id=self._answering.id, place=self._take())
        whole = bytes(event.raw)
        rest = b',"output_index":%d,"item":%b' % (item.place, whole)
        out.append(self._frame("response.output_item.added", rest))
        self._done(item, whole, out)

    def _write_summary(self, out: list[bytes]) -> bool:
        """Write a summary as the one item of a compaction; say whether there is one."""
        summary = "".join(self._summary_texts)
        if not summary:
            return False
        item = Item(id=self._answering.id, place=self._take())
        content = sealed_summary(summary, label=self._answering.label)
        whole = encode(
            {
                "type": "compaction",
                "id": f"cmp_{self._answering.id}",
                "encrypted_content": content,
            }
        )
        rest = b',"output_index":%d,"item":%b' % (item.place, whole)
        out.append(self._frame("response.output_item.added", rest))
        self._done(item, whole, out)
        return True


def _note_finish(finished: Finished, answering: Answering) -> None:
    """Note what the reason of an answer's end loses."""
    if finished.stop_sequence is not None:
        answering.notes.dropped(
            "stop_sequence", "Responses does not say which one was met"
        )
    told = _TOLD_AS.get(finished.reason)
    if told is not None:
        answering.notes.approximated("stop_reason", told)


_TOLD_AS: Final = {
    "pause": "pause_turn is told as completed",
    "context": "a full context is told as max_output_tokens",
}
_NO_SUMMARY: Final = encode(
    {"code": "server_error", "message": "the model wrote no summary"}
)
_Writer = Callable[[StreamEncoder, Any, list[bytes]], None]
_WRITERS: Final[Mapping[type, _Writer]] = {
    Opened: StreamEncoder.write_opened,
    Signed: StreamEncoder.write_signed,
    Annotated: StreamEncoder.write_annotated,
    Closed: StreamEncoder.write_closed,
    UsageSeen: StreamEncoder.write_used,
    OpaqueFrame: StreamEncoder.write_passed,
}


def write_answer(events: Iterable[Event], answering: Answering) -> bytes:
    """Write a plain answer: the fold of a complete stream."""
    encoder = StreamEncoder(answering)
    last: Finished | Failed | None = None
    told = []
    for event in events:
        if isinstance(event, Finished | Failed):
            last = event
        else:
            told.append(event)
    encoder.encode(told)
    return encoder.folded(last)
