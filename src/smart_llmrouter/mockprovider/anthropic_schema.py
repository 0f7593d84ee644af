"""The shapes of Anthropic's Messages as far as the mock reads them."""

from typing import Annotated

import msgspec

from smart_llmrouter.mockprovider.script import NOTHING


class CacheControl(msgspec.Struct, frozen=True):
    """A wish to cache the prompt up to here."""

    type: str
    ttl: str = "5m"


class Source(msgspec.Struct, frozen=True):
    """Where an image or a document comes from."""

    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""


class Citations(msgspec.Struct, frozen=True):
    """Whether a document may be cited."""

    enabled: bool = False


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One block of content, of any type: it has the fields of its type."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = NOTHING
    tool_use_id: str | None = None
    tool_name: str | None = None
    content: "str | tuple[Block, ...] | Block | None" = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    citations: Citations | tuple[dict[str, object], ...] | None = None
    cache_control: CacheControl | None = None


class Message(msgspec.Struct, frozen=True):
    """One message; content is text, or a list of blocks."""

    role: str
    content: str | tuple[Block, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Return the content as blocks, also where it is one text."""
        return blocks_of(self.content)


class Tool(msgspec.Struct, frozen=True):
    """One entry of `tools`: the client's own, or with a `type` Anthropic's."""

    name: str = ""
    type: str | None = None
    input_schema: dict[str, object] | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether a tool must be called, and which."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    """How much is thought, and whether it is shown."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(msgspec.Struct, frozen=True):
    """The form of the text."""

    type: str
    schema: dict[str, object] | None = None


class OutputConfig(msgspec.Struct, frozen=True):
    """What the output is like."""

    effort: str | None = None
    format: OutputFormat | None = None


class MessagesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that change what the mock answers; others are accepted unread."""

    model: str
    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=1)]
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    system: str | tuple[Block, ...] | None = None
    stream: bool | None = False
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    stop_sequences: tuple[str, ...] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    cache_control: CacheControl | None = None

    @property
    def thinks(self) -> bool:
        """Tell whether thinking is on."""
        return self.thinking is not None and self.thinking.type != "disabled"


def blocks_of(
    content: str | tuple[Block, ...] | Block | None,
) -> tuple[Block, ...]:
    """Return content as blocks, also where it is one text or none."""
    if isinstance(content, str):
        return (Block(type="text", text=content),)
    return content if isinstance(content, tuple) else ()
