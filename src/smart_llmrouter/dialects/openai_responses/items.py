"""The items of an answer while they are written: messages, reasoning and calls."""

from collections.abc import Iterator
from typing import Final

import msgspec

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import Annotated, Opened, PartKind
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_responses.reading import DIALECT
from smart_llmrouter.dialects.openai_responses.schema import encode
from smart_llmrouter.dialects.openai_responses.writing import head_of
from smart_llmrouter.dialects.sealed import seal

Pieces = Iterator[tuple[str, bytes]]
"""Kinds of events, and what each holds after its sequence number."""

_TAIL: Final = b"}\n\n"
_TEXT_TAIL: Final = b',"logprobs":[]}\n\n'
_NO_HEAD: Final = b""
"""Of a part whose pieces are not told, but only the whole of it."""


class Part:
    """A part while it is written: its texts, and what stands around each of them."""

    __slots__ = ("at", "head", "item", "kind", "tail", "texts")

    def __init__(
        self, kind: PartKind, texts: list[str], *, head: bytes | None = None
    ) -> None:
        """Collect into `texts`; a `head` of `None` says that it has not begun."""
        self.kind = kind
        self.texts = texts
        self.head = head
        self.tail = _TAIL
        self.at = 0
        self.item: Item | None = None


class Item:
    """An item at its place in the answer."""

    prefix = "item"

    def __init__(self, *, id: str, place: int) -> None:  # noqa: A002 - as in JSON
        """Name it after the answer and its place."""
        self.place = place
        self.id = f"{self.prefix}_{id}_{place}"
        self._where = b',"item_id":"%b","output_index":%d' % (self.id.encode(), place)

    def added(self) -> bytes:
        """Return what is said of it when it begins."""
        return b"{}"

    def done(self, *, complete: bool) -> bytes:
        """Return all of it."""
        return self.added() if complete else b"{}"


class MessageItem(Item):
    """A message: texts and refusals."""

    prefix = "msg"

    def __init__(self, *, id: str, place: int) -> None:  # noqa: A002 - as in JSON
        """Begin without content."""
        super().__init__(id=id, place=place)
        self._content: list[bytes] = []
        self._annotations: list[msgspec.Raw] = []

    def added(self) -> bytes:
        """Return what is said of it when it begins."""
        return self._written(b"in_progress", b"")

    def done(self, *, complete: bool) -> bytes:
        """Return all of it."""
        status = b"completed" if complete else b"incomplete"
        return self._written(status, b",".join(self._content))

    def _written(self, status: bytes, content: bytes) -> bytes:
        return (
            b'{"id":"%b","type":"message","status":"%b","role":"assistant",'
            b'"content":[%b]}' % (self.id.encode(), status, content)
        )

    def _at(self, part: Part) -> bytes:
        return b'%b,"content_index":%d' % (self._where, part.at)

    def begin(self, part: Part) -> Pieces:
        """Open a part of the content."""
        part.at = len(self._content)
        rest = b'%b,"part":%b' % (self._at(part), self._whole(part, b'""'))
        yield "response.content_part.added", rest

    def delta_frame(self, part: Part) -> tuple[bytes, bytes]:
        """Return what stands around a piece of a part."""
        if part.kind == "refusal":
            return head_of("response.refusal.delta", self._at(part)), _TAIL
        return head_of("response.output_text.delta", self._at(part)), _TEXT_TAIL

    def annotate(self, part: Part, note: msgspec.Raw) -> tuple[str, bytes]:
        """Add a note to a part."""
        at = len(self._annotations)
        self._annotations.append(note)
        rest = b'%b,"annotation_index":%d,"annotation":%b' % (
            self._at(part),
            at,
            bytes(note),
        )
        return "response.output_text.annotation.added", rest

    def end(self, part: Part) -> Pieces:
        """Close a part of the content."""
        text = encode("".join(part.texts))
        if part.kind == "refusal":
            rest = b'%b,"refusal":%b' % (self._at(part), text)
            yield "response.refusal.done", rest
        else:
            rest = b'%b,"text":%b,"logprobs":[]' % (self._at(part), text)
            yield "response.output_text.done", rest
        whole = self._whole(part, text)
        self._content.append(whole)
        self._annotations = []
        yield "response.content_part.done", b'%b,"part":%b' % (self._at(part), whole)

    def _whole(self, part: Part, text: bytes) -> bytes:
        if part.kind == "refusal":
            return b'{"type":"refusal","refusal":%b}' % text
        notes = b",".join(bytes(note) for note in self._annotations)
        return b'{"type":"output_text","text":%b,"annotations":[%b],"logprobs":[]}' % (
            text,
            notes,
        )


class ReasoningItem(Item):
    """A reasoning: what was thought, readable accounts of it, and its proof."""

    prefix = "rs"

    def __init__(self, *, id: str, place: int) -> None:  # noqa: A002 - as in JSON
        """Begin without content."""
        super().__init__(id=id, place=place)
        self.state: ReasoningState | None = None
        self._texts: list[str] = []
        self._summary: list[str] = []
        self._sealed: str | None = None

    @property
    def is_signed(self) -> bool:
        """Whether its proof has come, which ends it."""
        return self.state is not None

    def takes(self, kind: PartKind) -> bool:
        """Say whether a further part is one of its own: accounts come first in it."""
        return not (self.is_signed or (kind == "summary" and self._texts))

    def added(self) -> bytes:
        """Return what is said of it when it begins."""
        return encode({"id": self.id, "type": "reasoning", "summary": []})

    def seal(self, answering: Answering) -> None:
        """Seal what the caller should send back for the target to go on from."""
        if not answering.request.wants_reasoning_state:
            return
        text, state = "".join(self._texts), self.state
        if state is not None and state.kind == "signature" and not text:
            text = "".join(self._summary)
        if state is None and not text:
            return
        self._sealed = seal(
            state or ReasoningState(kind="encrypted", value=""),
            label=answering.label,
            text=text,
        )

    def done(self, *, complete: bool) -> bytes:
        """Return all of it; a reasoning has no state of completion."""
        del complete
        item: dict[str, object] = {
            "id": self.id,
            "type": "reasoning",
            "summary": [_part_of(b"summary_text", text) for text in self._summary],
        }
        if self._texts:
            item["content"] = [
                _part_of(b"reasoning_text", each) for each in self._texts
            ]
        if self._sealed is not None:
            item["encrypted_content"] = self._sealed
        return encode(item)

    def _at(self, part: Part) -> bytes:
        name = b"summary_index" if part.kind == "summary" else b"content_index"
        return b'%b,"%b":%d' % (self._where, name, part.at)

    def begin(self, part: Part) -> Pieces:
        """Open a part."""
        if part.kind == "summary":
            part.at = len(self._summary)
            kind, whole = _SUMMARY + "part.added", _part_of(b"summary_text", "")
        else:
            part.at = len(self._texts)
            kind = "response.content_part.added"
            whole = _part_of(b"reasoning_text", "")
        yield kind, b'%b,"part":%b' % (self._at(part), bytes(whole))

    def delta_frame(self, part: Part) -> tuple[bytes, bytes]:
        """Return what stands around a piece of a part."""
        kind = _SUMMARY if part.kind == "summary" else "response.reasoning_"
        return head_of(f"{kind}text.delta", self._at(part)), _TAIL

    def end(self, part: Part) -> Pieces:
        """Close a part."""
        text = "".join(part.texts)
        rest = b'%b,"text":%b' % (self._at(part), encode(text))
        if part.kind == "summary":
            self._summary.append(text)
            whole = _part_of(b"summary_text", text)
            kinds = (f"{_SUMMARY}text.done", f"{_SUMMARY}part.done")
        else:
            self._texts.append(text)
            whole = _part_of(b"reasoning_text", text)
            kinds = ("response.reasoning_text.done", "response.content_part.done")
        yield kinds[0], rest
        yield kinds[1], b'%b,"part":%b' % (self._at(part), bytes(whole))


_SUMMARY: Final = "response.reasoning_summary_"


def _part_of(kind: bytes, text: str) -> msgspec.Raw:
    return msgspec.Raw(b'{"type":"%b","text":%b}' % (kind, encode(text)))


class CallItem(Item):
    """A call of a function, of a custom tool, or of a search for tools."""

    def __init__(
        self,
        opened: Opened,
        part: Part,
        *,
        id: str,  # noqa: A002 - as in JSON
        place: int,
    ) -> None:
        """Collect its arguments in `part`."""
        self.kind = opened.call_kind
        self.prefix = _PREFIXES[self.kind]
        super().__init__(id=id, place=place)
        self._part = part
        self._opened = opened

    def added(self) -> bytes:
        """Return what is said of it when it begins."""
        return self._written("in_progress", "")

    def done(self, *, complete: bool) -> bytes:
        """Return all of it: arguments that are no JSON were cut off."""
        given = "".join(self._part.texts)
        whole = complete and (self.kind == "custom" or is_json(given or "{}"))
        return self._written("completed" if whole else "incomplete", given)

    def _written(self, status: str, given: str) -> bytes:
        opened = self._opened
        item: dict[str, object] = {
            "id": self.id,
            "type": _TYPES[self.kind],
            "status": status,
            "call_id": opened.call_id,
        }
        if self.kind == "tool_search":
            item |= {"execution": "client", "arguments": _object_of(given)}
            return encode(item)
        item["name"] = opened.name
        if opened.namespace is not None:
            item["namespace"] = opened.namespace
        item["input" if self.kind == "custom" else "arguments"] = given
        return encode(item)

    def delta_frame(self) -> tuple[bytes, bytes]:
        """Return what stands around a piece of its arguments."""
        event = _DELTAS.get(self.kind)
        return (head_of(f"{event}.delta", self._where) if event else _NO_HEAD), _TAIL

    def end(self) -> Pieces:
        """Tell that its arguments are complete."""
        given = encode("".join(self._part.texts))
        if self.kind == "custom":
            yield f"{_DELTAS['custom']}.done", b'%b,"input":%b' % (self._where, given)
        elif self.kind == "function":
            name = encode(self._opened.name)
            rest = b'%b,"name":%b,"arguments":%b' % (self._where, name, given)
            yield f"{_DELTAS['function']}.done", rest


_TYPES: Final = {
    "function": "function_call",
    "custom": "custom_tool_call",
    "tool_search": "tool_search_call",
}
_PREFIXES: Final = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}
_DELTAS: Final = {
    "function": "response.function_call_arguments",
    "custom": "response.custom_tool_call_input",
}


def _object_of(arguments: str) -> object:
    """Return JSON arguments as what they are; text that is none as text."""
    if is_json(arguments):
        return msgspec.Raw(arguments.encode())
    return arguments or {}


def is_json(text: str) -> bool:
    """Say whether a text is a whole JSON value."""
    try:
        _validate(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


_validate: Final = msgspec.json.Decoder(msgspec.Raw).decode


class _ChatCitation(msgspec.Struct):
    url_citation: msgspec.Raw


_decode_citation: Final = msgspec.json.Decoder(_ChatCitation).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def annotation_for(event: Annotated) -> msgspec.Raw | None:
    """Return a note as this dialect has it; `None` if it has nothing like it."""
    if event.dialect == DIALECT:
        return event.raw
    try:
        inner = _decode_members(_decode_citation(event.raw).url_citation)
    except msgspec.DecodeError:
        return None
    return msgspec.Raw(encode({"type": "url_citation", **inner}))
