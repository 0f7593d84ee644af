"""Parts of the canon as content blocks for a provider.

Blank text is refused by Anthropic and left out. Reasoning is sent to the target that
made it only, with its signature or as redacted; all other reasoning is dropped with a
note. A refusal is text. Sound, and files that another provider keeps, cannot be sent.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, Final

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
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.anthropic_messages.inputs import (
    fitting_id,
    input_of,
    is_object,
)
from smart_llmrouter.dialects.anthropic_messages.parse_content import (
    SOURCE,
    TOOL_REFERENCE,
)
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.lowering import own_state

Block = dict[str, object] | msgspec.Raw

_STATES: Final = ("signature", "redacted")
_MEDIA_TYPES: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lG", "image/gif"),
    ("UklG", "image/webp"),
)
"""How base64 begins for images of each type that Anthropic reads."""
_SPELLED: Final = {"image/jpg": "image/jpeg"}


class Scope(msgspec.Struct, frozen=True):
    """What all parts of one request are rendered for.

    `own` says that the request came in this dialect, so that its extras are understood.
    """

    own: bool
    label: str
    notes: Notes

    def with_extras(self, block: dict[str, object], extras: Extras) -> Block:
        """Return a block with what only this dialect knows of it."""
        return {**block, **extras} if self.own and extras else block


def render_parts(parts: Iterable[Part], scope: Scope) -> list[Block]:
    """Return the blocks of one turn. Raises `NotBridged`."""
    blocks = (_RENDERERS[type(part)](part, scope) for part in parts)
    return [block for block in blocks if block is not None]


def render_text(part: Text, scope: Scope) -> Block | None:
    """Return a text block, nothing if the text is blank."""
    if scope.own and TOOL_REFERENCE in part.extras:
        return part.extras[TOOL_REFERENCE]
    if not part.text or part.text.isspace():
        if part.text:
            scope.notes.dropped("content.text", "blank text is refused")
        return None
    return scope.with_extras({"type": "text", "text": part.text}, part.extras)


def _refusal(part: Refusal, scope: Scope) -> Block | None:
    scope.notes.approximated("content.refusal", "sent as text")
    return render_text(Text(text=part.text), scope)


def _image(part: Image, scope: Scope) -> Block:
    if part.detail not in (None, "auto"):
        scope.notes.dropped("content.detail", "Messages has no such choice")
    source: dict[str, object]
    if part.data is not None:
        media_type = part.media_type
        if not scope.own or media_type is None:
            media_type = _media_type(part.data, declared=media_type)
        source = {"type": "base64", "media_type": media_type, "data": part.data}
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    else:
        source = _file(part.file_id, scope)
    return scope.with_extras({"type": "image", "source": source}, part.extras)


def _media_type(data: str, *, declared: str | None) -> str:
    """Return what an image is: Anthropic refuses what is declared as another kind."""
    for beginning, media_type in _MEDIA_TYPES:
        if data.startswith(beginning):
            return media_type
    declared = declared or "image/png"
    return _SPELLED.get(declared, declared)


def _document(part: Document, scope: Scope) -> Block:
    block: dict[str, object] = {"type": "document", SOURCE: _source(part, scope)}
    if part.title is not None:
        block["title"] = part.title
    return scope.with_extras(block, part.extras)


def _source(part: Document, scope: Scope) -> dict[str, object]:
    if part.text is not None:
        return _text_source(part.text)
    if part.url is not None:
        return {"type": "url", "url": part.url}
    if part.data is None:
        return _file(part.file_id, scope)
    media_type = part.media_type or "application/pdf"
    if media_type.startswith("text/"):
        return _text_source(_decoded(part.data))
    if media_type != "application/pdf":
        raise NotBridged("document")
    return {"type": "base64", "media_type": media_type, "data": part.data}


def _text_source(text: str) -> dict[str, object]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError):
        raise NotBridged("document") from None


def _file(file_id: str | None, scope: Scope) -> dict[str, object]:
    if file_id is None or not scope.own:
        raise NotBridged("file_id")
    return {"type": "file", "file_id": file_id}


def _audio(_part: Audio, _scope: Scope) -> Block:
    raise NotBridged("audio")


def _reasoning(part: Reasoning, scope: Scope) -> Block | None:
    state = part.state
    if not (scope.own and state is not None and state.minted_by is None):
        state = own_state(part, label=scope.label, kinds=_STATES).state
    if state is None:
        scope.notes.dropped("reasoning", "only the target that made it can take it")
        return None
    block: dict[str, object]
    if state.kind == "redacted":
        block = {"type": "redacted_thinking", "data": state.value}
    else:
        text = part.text or "\n\n".join(part.summary)
        block = {"type": "thinking", "thinking": text, "signature": state.value}
    return scope.with_extras(block, part.extras)


def _tool_call(part: ToolCall, scope: Scope) -> Block:
    if part.arguments and not is_object(part.arguments):
        scope.notes.approximated("arguments", "no JSON object: sent as a text in one")
    block: dict[str, object] = {
        "type": "tool_use",
        "id": fitting_id(part.id),
        "name": part.name,
        "input": input_of(part.arguments),
    }
    return scope.with_extras(block, part.extras)


def _tool_result(part: ToolResult, scope: Scope) -> Block:
    block: dict[str, object] = {
        "type": "tool_result",
        "tool_use_id": fitting_id(part.call_id),
    }
    content = _result_content(part.content, scope)
    if content:
        block["content"] = content
    if part.is_error is not None:
        block["is_error"] = part.is_error
    return scope.with_extras(block, part.extras)


def _result_content(
    parts: tuple[ResultPart, ...], scope: Scope
) -> str | list[Block] | None:
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].extras:
        return None if parts[0].text.isspace() else parts[0].text
    return render_parts(parts, scope)


def _opaque(part: Opaque, _scope: Scope) -> Block:
    return part.raw


# The parameter is the part that is the key, which no type here can say.
_RENDERERS: Final[dict[type, Callable[[Any, Scope], Block | None]]] = {
    Text: render_text,
    Refusal: _refusal,
    Image: _image,
    Document: _document,
    Audio: _audio,
    Reasoning: _reasoning,
    ToolCall: _tool_call,
    ToolResult: _tool_result,
    Opaque: _opaque,
}
