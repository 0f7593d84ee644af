"""The answer of a model as a sequence of events, whatever the dialect.

    answer   Started  part*  Usage*  (Finished | Failed)
    part     Opened  (Delta | Signed | Annotated)*  Closed

Parts have ascending indexes from 0 and do not overlap, but for tool calls, whose deltas
may alternate. A plain answer is the same sequence, with one `Delta` a part. Exactly one
`Finished` or `Failed` ends it; a stream that breaks off has neither.
"""

from typing import Literal

import msgspec

from smart_llmrouter.core.content import CallKind, ReasoningState
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage as TokenUsage

PartKind = Literal["text", "refusal", "reasoning", "summary", "tool_call"]
"""`reasoning` is what a model thought, `summary` a readable account of it."""

FinishReason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context",
    "tool_calls",
    "content_filter",
    "pause",
]
"""Why an answer ended. `context` is a full context window, `length` a met output cap;
`pause` asks the caller to send the answer back for its continuation."""


class Started(msgspec.Struct, frozen=True, gc=False):
    """The provider has begun: its id of the answer, and the model that it names."""

    id: str | None = None
    model: str | None = None


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A part begins. The fields after `kind` are those of a tool call."""

    index: int
    kind: PartKind
    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    call_kind: CallKind = "function"


class Delta(msgspec.Struct, frozen=True, gc=False):
    """More of a part: text, or a piece of a tool call's arguments."""

    index: int
    text: str


class Signed(msgspec.Struct, frozen=True):
    """The provider's proof of the reasoning in this part."""

    index: int
    state: ReasoningState


class Annotated(msgspec.Struct, frozen=True):
    """A note of the provider on the text of a part, such as a citation."""

    index: int
    dialect: DialectName
    raw: msgspec.Raw


class Closed(msgspec.Struct, frozen=True, gc=False):
    """A part is complete."""

    index: int


class UsageSeen(msgspec.Struct, frozen=True):
    """What the call consumed so far; a later one holds all that an earlier one did."""

    usage: TokenUsage


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The answer is complete; `stop_sequence` is the one that ended it."""

    reason: FinishReason
    stop_sequence: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """The provider broke the answer off, and said so: `raw` is its error object."""

    raw: msgspec.Raw


class OpaqueFrame(msgspec.Struct, frozen=True):
    """What only its own dialect understands; `kind` is the name that it has there."""

    dialect: DialectName
    kind: str
    raw: msgspec.Raw


Event = (
    Started
    | Opened
    | Delta
    | Signed
    | Annotated
    | Closed
    | UsageSeen
    | Finished
    | Failed
    | OpaqueFrame
)
