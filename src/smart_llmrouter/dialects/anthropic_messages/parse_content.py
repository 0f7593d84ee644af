"""Content blocks of a request as parts of the canon.

    text                                        Text
    image, document                             Image, Document
    thinking, redacted_thinking                 Reasoning
    tool_use, tool_result                       ToolCall, ToolResult
    tool_reference                              Text that names the tool
    all others                                  Opaque

A thinking block with a state that this router sealed gives that state back, and who
made it. A native signature is of whoever the caller got it from.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    Document,
    Extras,
    Image,
    Opaque,
    Part,
    Reasoning,
    ReasoningState,
    ResultPart,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.dialects.anthropic_messages.fields import Fields
from smart_llmrouter.dialects.sealed import unseal

P = TypeVar("P")

_HINTS: Final = frozenset(
    {
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "advisor_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "mcp_tool_listing",
        "tool_removal",
        "fallback",
    }
)
"""What a provider did by itself in earlier turns: its text says what came of it."""
_NEEDED: Final = frozenset(
    {"search_result", "container_upload", "compaction", "tool_addition"}
    | {"browser_state", "document", "image"}
)
"""What a provider must understand, or it does not know what the caller knows."""

SOURCE: Final = "source"
TOOL_REFERENCE: Final = "tool_reference"
EMPTY_INPUT: Final = msgspec.Raw(b"{}")


def parse_parts(content: str | Iterable[Fields] | None) -> tuple[Part, ...]:
    """Read the content of a message. Raises `InvalidRequest`."""
    return _parsed(content, _PARTS)


def parse_text(block: Fields) -> Text:
    """Read a text block, without its type. Raises `InvalidRequest`."""
    text = block.given_text("text")
    return Text(text=text, extras=block.rest())


def turns_of(role: Role, parts: tuple[Part, ...], extras: Extras) -> Iterable[Turn]:
    """Return what a message says as turns: results of tools are one of their own."""
    results = tuple([part for part in parts if type(part) is ToolResult])
    if not results:
        return (Turn(role=role, parts=parts, extras=extras),)
    said = tuple([part for part in parts if type(part) is not ToolResult])
    if not said:
        return (Turn(role="tool", parts=results, extras=extras),)
    return (
        Turn(role="tool", parts=results, extras=NO_EXTRAS),
        Turn(role=role, parts=said, extras=extras),
    )


def opaque(kind: str, raw: msgspec.Raw) -> Opaque:
    """Return what only this dialect knows; `kind` is one of a closed set."""
    if kind in _HINTS:
        return Opaque(kind=kind, raw=raw, hint=True)
    return Opaque(kind=kind if kind in _NEEDED else "other", raw=raw)


def kind_of_block(kind: str) -> str:
    """Return the type of a block, `other` if it is not known here."""
    return kind if kind in _HINTS or kind in _NEEDED else "other"


def _parsed(
    content: str | Iterable[Fields] | None,
    parsers: Mapping[str, Callable[[Fields], P | Opaque]],
) -> tuple[P | Text | Opaque, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    return tuple(_parsed_block(block, parsers) for block in content)


def _parsed_block(
    block: Fields, parsers: Mapping[str, Callable[[Fields], P | Opaque]]
) -> P | Opaque:
    kind = block.peeked_text("type")
    parse = parsers.get(kind)
    return opaque(kind, block.whole()) if parse is None else parse(block)


def _text(block: Fields) -> Text:
    block.raw("type")
    return parse_text(block)


def _image(block: Fields) -> Image | Opaque:
    untouched = block.copied()
    source = block.object(SOURCE)
    if source is None:
        block.miss(SOURCE, "an object")
    block.raw("type")
    match source.text("type"):
        case "base64":
            return Image(
                data=source.given_text("data"),
                media_type=source.text("media_type"),
                extras=block.rest(),
            )
        case "url":
            return _linked_image(source.given_text("url"), block.rest())
        case "file":
            return Image(file_id=source.given_text("file_id"), extras=block.rest())
        case _:
            return opaque("image", untouched.whole())


def _linked_image(url: str, extras: Extras) -> Image:
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64")
        return Image(data=data, media_type=media_type or None, extras=extras)
    return Image(url=url, extras=extras)


def _document(block: Fields) -> Document | Opaque:
    untouched = block.copied()
    source = block.object(SOURCE)
    if source is None:
        block.miss(SOURCE, "an object")
    block.raw("type")
    title = block.text("title")
    kind = source.text("type")
    if kind == "content":
        return _document_of_blocks(source, untouched, title, block.rest())
    extras = block.rest()
    match kind:
        case "base64":
            return Document(
                data=source.given_text("data"),
                media_type=source.text("media_type"),
                title=title,
                extras=extras,
            )
        case "text":
            text = source.given_text("data")
            return Document(
                text=text, media_type="text/plain", title=title, extras=extras
            )
        case "url":
            return Document(url=source.given_text("url"), title=title, extras=extras)
        case "file":
            file_id = source.given_text("file_id")
            return Document(file_id=file_id, title=title, extras=extras)
        case _:
            return opaque("document", untouched.whole())


def _document_of_blocks(
    source: Fields,
    untouched: Fields,
    title: str | None,
    extras: Extras,
) -> Document | Opaque:
    """Read a document in pieces, which citations name, as one text."""
    pieces = _parsed(source.content("content"), _RESULT_PARTS)
    texts = [piece.text for piece in pieces if isinstance(piece, Text)]
    if len(texts) < len(pieces):
        return opaque("document", untouched.whole())
    raw_source = untouched.raw(SOURCE) or EMPTY_INPUT
    return Document(
        text="\n\n".join(texts),
        media_type="text/plain",
        title=title,
        extras={**extras, SOURCE: raw_source},
    )


def _thinking(block: Fields) -> Reasoning:
    block.raw("type")
    text = block.text("thinking") or ""
    signature = block.text("signature") or ""
    extras = block.rest()
    return signed(signature, text=text, extras=extras)


def signed(signature: str, *, text: str, extras: Extras) -> Reasoning:
    """Return what was thought, with its proof: a signature, or what this router sealed.

    An empty signature is none.
    """
    if not signature:
        return Reasoning(text=text, extras=extras)
    state = ReasoningState(kind="signature", value=signature)
    return _with_state(state, text=text, extras=extras)


def _redacted_thinking(block: Fields) -> Reasoning:
    block.raw("type")
    state = ReasoningState(kind="redacted", value=block.given_text("data"))
    return _with_state(state, text="", extras=block.rest())


def _with_state(state: ReasoningState, *, text: str, extras: Extras) -> Reasoning:
    """Return a reasoning with its state as its maker knows it.

    What comes with a state of the Responses API was an account of the reasoning.
    """
    unsealed = unseal(state.value)
    if unsealed is None:
        return Reasoning(text=text, state=state, extras=extras)
    made, sealed_text = unsealed
    text = sealed_text or text
    if not made.value:
        return Reasoning(text=text, extras=extras)
    if made.kind == "encrypted":
        summary = (text,) if text else ()
        return Reasoning(summary=summary, state=made, extras=extras)
    return Reasoning(text=text, state=made, extras=extras)


def _tool_use(block: Fields) -> ToolCall:
    block.raw("type")
    given = block.raw("input")
    return ToolCall(
        id=block.given_text("id"),
        name=block.given_text("name"),
        arguments=bytes(given or EMPTY_INPUT).decode(),
        extras=block.rest(),
    )


def _tool_result(block: Fields) -> ToolResult:
    block.raw("type")
    return ToolResult(
        call_id=block.given_text("tool_use_id"),
        content=_parsed(block.content("content"), _RESULT_PARTS),
        is_error=block.flag("is_error"),
        extras=block.rest(),
    )


def _tool_reference(block: Fields) -> Text:
    """Read the find of a tool search: all tools are declared, found or not."""
    whole = block.whole()
    name = block.given_text("tool_name")
    return Text(text=f"Found the tool {name}.", extras={TOOL_REFERENCE: whole})


_RESULT_PARTS: Final[Mapping[str, Callable[[Fields], ResultPart]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_reference": _tool_reference,
}
_PARTS: Final[Mapping[str, Callable[[Fields], Part]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
