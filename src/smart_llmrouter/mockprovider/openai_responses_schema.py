"""The shapes of OpenAI's Responses API as far as the mock reads them."""

from typing import Annotated, Literal

import msgspec


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content, or of what a tool gave back."""

    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    file_id: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """One entry of `tools`: of any kind; a namespace has tools of its own."""

    type: str
    name: str = ""
    parameters: dict[str, object] | None = None
    execution: str | None = None
    defer_loading: bool | None = None
    tools: "tuple[Tool, ...] | None" = None


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item of `input`, of any type: it has the fields of its type."""

    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: str | tuple[Part, ...] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | dict[str, object] | None = None
    input: str | None = None
    output: str | tuple[Part, ...] | None = None
    encrypted_content: str | None = None
    tools: tuple[Tool, ...] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return the content as parts, also where it is one text."""
        return _parts(self.content)

    @property
    def given_back(self) -> tuple[Part, ...]:
        """Return what a tool gave back, as parts."""
        return _parts(self.output)


class ToolChoice(msgspec.Struct, frozen=True):
    """A tool that must be called, or the tools that may be."""

    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: tuple[Tool, ...] | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much is thought, and how much of it is shown."""

    effort: str | None = None
    summary: str | None = None


class TextFormat(msgspec.Struct, frozen=True):
    """The form of the text."""

    type: str
    schema: dict[str, object] | None = None


class TextConfig(msgspec.Struct, frozen=True):
    """What the text is like."""

    format: TextFormat | None = None


class ResponsesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that change what the mock answers; others are accepted unread."""

    model: str
    input: str | tuple[Item, ...] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = False
    store: bool | None = None
    include: tuple[str, ...] | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    max_output_tokens: int | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    metadata: dict[str, str] | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        """Return the input as items, also where it is one text."""
        if isinstance(self.input, str):
            return (Item(role="user", content=self.input),)
        return self.input or ()

    @property
    def stored(self) -> bool:
        """Tell whether the answer is kept for a later request."""
        return self.store is not False


def _parts(content: str | tuple[Part, ...] | None) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Part(type="text", text=content),)
    return content
