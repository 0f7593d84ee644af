"""Writing turns as the items of `input`, for a provider of this dialect.

Approximated for requests of other dialects: a document that is given as text becomes
text, a reasoning that the provider cannot check is told as its summary, and that a tool
failed stands in its text. Dropped: a reasoning state of somebody else, and anything but
text in what the model said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Extras,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.arranging import arranged
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.openai_responses.parse_items import OWN_ITEMS
from smart_llmrouter.dialects.openai_responses.render_tools import (
    DIALECT,
    found_tools,
)
from smart_llmrouter.dialects.said_as import FIELD_OF_STATE

Item = dict[str, object]

_PART_FIELDS: Final = frozenset({"annotations", "logprobs"})
"""Extras of a part of what a model said; all others are those of its message."""
_FAILED: Final = "Error: "
_UNNAMED: Final = "document.pdf"
"""OpenAI takes no file without a name."""
_OUTPUT_TYPES: Final = {
    "function": "function_call_output",
    "custom": "custom_tool_call_output",
}


class Items:
    """Writes the turns of one request for the target `label`."""

    def __init__(self, request: Request, *, label: str, notes: Notes) -> None:
        """Note what cannot be said."""
        self._request = request
        self._own = request.dialect == DIALECT
        # Chat and Responses have the same files, and nobody else has these.
        self._keeps = request.dialect != "anthropic-messages"
        self._label = label
        self._notes = notes

    def rendered(self) -> list[object]:
        """Return all items in order."""
        items: list[object] = []
        for turn in self._turns():
            if turn.role == "assistant":
                items += self._said(turn)
            elif turn.role == "tool":
                items += self._results(turn)
            else:
                items += self._message(turn)
        return items

    def _turns(self) -> Sequence[Turn]:
        turns = self._request.turns
        if self._own:
            return turns
        last = turns[-1].parts if turns and turns[-1].role == "assistant" else ()
        if last and isinstance(last[-1], Text):
            self._notes.approximated(
                "messages", "the provider may not go on in the last one"
            )
        return arranged(turns, self._notes)

    def _message(self, turn: Turn) -> Iterator[object]:
        if len(turn.parts) == 1:
            part = turn.parts[0]
            if isinstance(part, Opaque) and part.kind in OWN_ITEMS:
                yield part.raw
                return
        rendered = [self._given(part) for part in turn.parts]
        content = [part for part in rendered if part is not None]
        extras = turn.extras if self._own else {}
        if content or self._own:
            yield {"type": "message", "role": turn.role, "content": content, **extras}

    def _given(self, part: Part) -> object:
        """Render a part of what a model is given; `None` for what cannot be."""
        if isinstance(part, Image | Document) and part.file_id and not self._keeps:
            raise NotBridged("file_id")
        render = _GIVEN.get(type(part))
        if render is None:
            self._notes.dropped("content", "a message to the model cannot hold it")
            return None
        rendered = render(part)
        if not isinstance(rendered, dict) or isinstance(part, Opaque):
            return rendered
        if self._own:
            rendered |= part.extras
        elif "file_data" in rendered and "file_id" not in rendered:
            rendered.setdefault("filename", _UNNAMED)
        return rendered

    def _said(self, turn: Turn) -> Iterator[object]:
        """Render what a model said: its texts as messages, each other part as itself.

        A part that has what only a message has begins a new one.
        """
        message: list[object] = []
        extras: Extras = {}
        for part in turn.parts:
            if isinstance(part, Text | Refusal):
                of_message = self._extras(part.extras, of_part=False)
                if message and of_message:
                    yield _message_of(message, extras)
                    message = []
                if not message:
                    extras = of_message
                message.append(self._told(part))
                continue
            if message:
                yield _message_of(message, extras)
                message = []
            yield from self._made(part)
        if message:
            yield _message_of(message, extras)

    def _told(self, part: Text | Refusal) -> Item:
        own = self._extras(part.extras, of_part=True)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text, **own}
        return {"type": "output_text", "text": part.text, "annotations": [], **own}

    def _extras(self, extras: Extras, *, of_part: bool) -> Extras:
        if not self._own or not extras:
            return {}
        return {
            name: raw
            for name, raw in extras.items()
            if (name in _PART_FIELDS) == of_part
        }

    def _made(self, part: Part) -> Iterator[object]:
        """Render what a model made beside text."""
        if isinstance(part, ToolCall):
            yield self._call(part)
        elif isinstance(part, Reasoning):
            yield from self._reasoning(part)
        elif isinstance(part, Opaque):
            yield part.raw
        else:
            self._notes.dropped("content", "the model's own words can hold text only")

    def _call(self, call: ToolCall) -> Item:
        item: Item = {"call_id": call.id}
        if call.kind == "tool_search":
            arguments = _object_of(call.arguments)
            item |= {"execution": "client", "arguments": arguments}
        else:
            item["name"] = call.name
            if call.namespace is not None:
                item["namespace"] = call.namespace
        if call.kind == "custom":
            item |= {"type": "custom_tool_call", "input": call.arguments}
        elif call.kind == "function":
            item |= {"type": "function_call", "arguments": call.arguments or "{}"}
        else:
            item["type"] = "tool_search_call"
        return {**item, **call.extras} if self._own else item

    def _results(self, turn: Turn) -> Iterator[object]:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield self._result(part)
            elif isinstance(part, Opaque):
                yield part.raw

    def _result(self, result: ToolResult) -> Item:
        content: tuple[Part, ...] = result.content
        if result.is_error:
            self._notes.approximated("tool_result.is_error", "said in its text")
            content = _failed(content)
        extras = result.extras if self._own else {}
        if result.kind == "tool_search":
            texts = [part.text for part in result.content if isinstance(part, Text)]
            return {
                "type": "tool_search_output",
                "call_id": result.call_id,
                "execution": "client",
                "tools": found_tools("".join(texts), self._request),
                **extras,
            }
        return {
            "type": _OUTPUT_TYPES[result.kind],
            "call_id": result.call_id,
            "output": self._output(content),
            **extras,
        }

    def _output(self, content: tuple[Part, ...]) -> object:
        if not content:
            return ""
        if len(content) == 1 and isinstance(content[0], Text):
            text = content[0]
            if not (self._own and text.extras):
                return text.text
        rendered = [self._given(part) for part in content]
        return [part for part in rendered if part is not None]

    def _reasoning(self, reasoning: Reasoning) -> Iterator[Item]:
        """Render a reasoning, with its state only for the target that made that."""
        state, text, summary = reasoning.state, reasoning.text, reasoning.summary
        item: Item = {"type": "reasoning"}
        if state is not None and not self._is_theirs(reasoning):
            field = FIELD_OF_STATE[state.kind]
            self._notes.dropped(field, "only the target that made it can read it")
            state = None
        if state is not None and state.item_id is not None:
            item["id"] = state.item_id
        if text and not self._own:
            self._notes.approximated("content.reasoning", "sent as its summary")
            text, summary = "", (*summary, text)
        item["summary"] = [{"type": "summary_text", "text": each} for each in summary]
        if text:
            item["content"] = [{"type": "reasoning_text", "text": text}]
        if state is not None:
            item["encrypted_content"] = state.value
        if self._own:
            item |= reasoning.extras
        if state is not None or text or summary or self._own:
            yield item

    def _is_theirs(self, reasoning: Reasoning) -> bool:
        state = reasoning.state
        if state is None or state.kind != "encrypted":
            return False
        return state.minted_by == self._label or (self._own and state.minted_by is None)


def _message_of(content: list[object], extras: Extras) -> Item:
    return {"type": "message", "role": "assistant", "content": content, **extras}


def _object_of(arguments: str) -> object:
    """Return JSON arguments as what they are; text that is none as text."""
    try:
        msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments or {}
    return msgspec.Raw(arguments.encode())


def _failed(content: Sequence[Part]) -> tuple[Part, ...]:
    """Say in words that a tool failed, unless the first of them do already."""
    first, *others = content or (Text(text=""),)
    if not isinstance(first, Text):
        return (Text(text=_FAILED.strip()), first, *others)
    if first.text.lower().startswith("error"):
        return (first, *others)
    return (msgspec.structs.replace(first, text=_FAILED + first.text), *others)


def _given_text(part: Text) -> Item:
    return {"type": "input_text", "text": part.text}


def _given_refusal(part: Refusal) -> Item:
    return {"type": "input_text", "text": part.text}


def _given_image(part: Image) -> Item:
    item: Item = {"type": "input_image"}
    if part.data is not None:
        item["image_url"] = f"data:{part.media_type or 'image/png'};base64,{part.data}"
    elif part.url is not None:
        item["image_url"] = part.url
    if part.file_id is not None:
        item["file_id"] = part.file_id
    if part.detail is not None:
        item["detail"] = part.detail
    return item


def _given_document(part: Document) -> Item:
    if part.text is not None:
        titled = f"{part.title}\n\n{part.text}" if part.title else part.text
        return {"type": "input_text", "text": titled}
    item: Item = {"type": "input_file"}
    if part.data is not None:
        known = part.media_type is not None
        begin = f"data:{part.media_type};base64," if known else ""
        item["file_data"] = begin + part.data
    named = {"file_url": part.url, "file_id": part.file_id, "filename": part.title}
    item |= {name: value for name, value in named.items() if value is not None}
    return item


def _given_audio(part: Audio) -> Item:
    sound = {"data": part.data, "format": part.format}
    return {"type": "input_audio", "input_audio": sound}


def _given_opaque(part: Opaque) -> object:
    return part.raw


_GIVEN: Final[Mapping[type, Callable[..., object]]] = {
    Text: _given_text,
    Refusal: _given_refusal,
    Image: _given_image,
    Document: _given_document,
    Audio: _given_audio,
    Opaque: _given_opaque,
}
