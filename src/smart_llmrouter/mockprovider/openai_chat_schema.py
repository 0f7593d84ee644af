"""The shapes of OpenAI Chat as far as the mock reads and writes them."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType


class Url(msgspec.Struct, frozen=True):
    """The place of an image."""

    url: str


class Part(msgspec.Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str = ""
    image_url: Url | None = None


class NamedTool(msgspec.Struct, frozen=True):
    """The name of a tool, as a call or a choice has it."""

    name: str


class MadeCall(msgspec.Struct, frozen=True):
    """A call that the assistant made before."""

    id: str
    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None

    @property
    def name(self) -> str:
        """Return what was called."""
        called = self.function or self.custom
        return called.name if called else ""


class Message(msgspec.Struct, frozen=True):
    """One message; content is text, or a list of parts."""

    role: str
    content: str | tuple[Part, ...] | None = None
    tool_calls: tuple[MadeCall, ...] | None = None
    tool_call_id: str | None = None
    function_call: NamedTool | None = None
    refusal: str | None = None
    audio: dict[str, object] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return the content as parts, also where it is one text."""
        if self.content is None:
            return ()
        if isinstance(self.content, str):
            return (Part(type="text", text=self.content),)
        return self.content


class Function(msgspec.Struct, frozen=True):
    """A function that may be called."""

    name: str
    parameters: dict[str, object] | None = None


class CustomTool(msgspec.Struct, frozen=True):
    """A tool that takes free text."""

    name: str


class Tool(msgspec.Struct, frozen=True):
    """One entry of `tools`."""

    type: str
    function: Function | None = None
    custom: CustomTool | None = None

    @property
    def name(self) -> str:
        """Return the name under which it is called."""
        called = self.function or self.custom
        return called.name if called else ""


class ToolChoice(msgspec.Struct, frozen=True):
    """A tool that must be called."""

    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None


class JsonSchema(msgspec.Struct, frozen=True):
    """A schema that the answer keeps."""

    name: str = "answer"
    schema: dict[str, object] | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """The form of the answer."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream contains beside content."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that change what the mock answers; others are accepted unread."""

    model: str
    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = 1
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reasoning_effort: str | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None


class CalledFunction(msgspec.Struct, frozen=True):
    """A function's name and JSON arguments; in a stream, the next piece of them."""

    arguments: str
    name: str | UnsetType = UNSET


class CalledCustom(msgspec.Struct, frozen=True):
    """A custom tool's name and input; in a stream, the next piece of it."""

    input: str
    name: str | UnsetType = UNSET


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool, or a piece of one."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: CalledFunction | UnsetType = UNSET
    custom: CalledCustom | UnsetType = UNSET


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message (all fields that a message has) or a delta (what is new)."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    refusal: UnsetType | None = UNSET
    tool_calls: tuple[Called, ...] | UnsetType = UNSET
    annotations: tuple[str, ...] | UnsetType = UNSET


class TopLogprob(msgspec.Struct, frozen=True):
    """A token that might have come."""

    token: str
    logprob: float
    bytes: tuple[int, ...]


class Logprob(msgspec.Struct, frozen=True):
    """A token that came, and what might have come instead."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top_logprobs: tuple[TopLogprob, ...]


class Logprobs(msgspec.Struct, frozen=True):
    """The log probabilities of a choice."""

    content: tuple[Logprob, ...]
    refusal: None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One choice: whole, with `message`, or a part of a stream, with `delta`."""

    index: int
    message: Said | UnsetType = UNSET
    delta: Said | UnsetType = UNSET
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion, or one chunk of it."""

    id: str
    object: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: msgspec.Raw | UnsetType | None = UNSET
    service_tier: str = "default"
    system_fingerprint: str = "fp_mock"
