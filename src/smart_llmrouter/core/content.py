"""What turns of a conversation are made of, whatever the dialect.

A value is canonical when two dialects can say it. What only one can say travels in
`extras`, as that dialect wrote it: all extras of a request belong to the dialect of the
request, and each other dialect names in a note what it could not take along.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Extras = Mapping[str, msgspec.Raw]
"""Fields of one dialect by their names, their values as they were written."""

NO_EXTRAS: Final[Extras] = {}

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""Who speaks. A `tool` turn holds tool results, and nothing else does."""

CallKind = Literal["function", "custom", "tool_search"]
"""How a tool is called: with JSON arguments, with free text, or to find more tools."""

StateKind = Literal["signature", "redacted", "encrypted"]
"""What proves a reasoning to its provider.

`signature` and `redacted` are Anthropic's (a signature of a text that can be read, and
data instead of a text), `encrypted` is that of the Responses API.
"""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Text."""

    text: str
    extras: Extras = NO_EXTRAS


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said instead of an answer."""

    text: str
    extras: Extras = NO_EXTRAS


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image: `data` in base64 with its `media_type`, or a `url`, or a `file_id`.

    A `data:` URL is always taken apart into `data` and `media_type`.
    """

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    detail: str | None = None
    extras: Extras = NO_EXTRAS


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document: `data` in base64 with its `media_type`, a `url`, `text` or a file."""

    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    text: str | None = None
    file_id: str | None = None
    title: str | None = None
    extras: Extras = NO_EXTRAS


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """Sound: `data` in base64, in the given `format`, such as `wav`."""

    data: str
    format: str
    extras: Extras = NO_EXTRAS


class ReasoningState(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's own proof of a reasoning, which only it can read.

    `minted_by` is the label of the target that made it, where that is known: no other
    target may be sent it. `item_id` is the id that it has with its maker.
    """

    kind: StateKind
    value: str
    minted_by: str | None = None
    item_id: str | None = None


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """What a model thought before it spoke; `summary` is what a provider made of it."""

    text: str = ""
    summary: tuple[str, ...] = ()
    state: ReasoningState | None = None
    extras: Extras = NO_EXTRAS


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A model's call of a tool.

    `id` ties the result to it and is kept byte for byte. `arguments` is JSON text for a
    `function`, and the raw input of a `custom` tool.
    """

    id: str
    name: str
    arguments: str
    kind: CallKind = "function"
    namespace: str | None = None
    extras: Extras = NO_EXTRAS


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave back; `is_error` where the caller said whether it failed."""

    call_id: str
    content: tuple["ResultPart", ...]
    is_error: bool | None = None
    kind: CallKind = "function"
    extras: Extras = NO_EXTRAS


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """What only its own dialect understands; `kind` is the name that it has there.

    It is handed back to that dialect only. To others it is dropped with a note, or is
    the reason why they cannot serve the request, as `hint` says.
    """

    kind: str
    raw: msgspec.Raw
    hint: bool = False


ResultPart = Text | Image | Document | Opaque
Part = (
    Text
    | Refusal
    | Image
    | Document
    | Audio
    | Reasoning
    | ToolCall
    | ToolResult
    | Opaque
)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One contribution to a conversation, in the order in which it was made."""

    role: Role
    parts: tuple[Part, ...]
    extras: Extras = NO_EXTRAS
