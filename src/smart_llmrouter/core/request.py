"""A request for an answer, whatever the dialect in which it was made."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.content import NO_EXTRAS, Extras, Text, Turn

DialectName = Literal["openai-chat", "openai-responses", "anthropic-messages"]
ChoiceMode = Literal["auto", "none", "required", "named", "allowed"]
HostedKind = Literal[
    "web_search",
    "image_generation",
    "mcp",
    "file_search",
    "code_interpreter",
    "computer_use",
    "web_fetch",
    "other",
]
FormatKind = Literal["json_object", "json_schema"]
NO_METADATA: Final[Mapping[str, str]] = {}


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is called with JSON; `schema` is that of its arguments.

    `namespace` is the group of tools it is declared in, whose name a call repeats.
    """

    name: str
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    namespace: str | None = None
    extras: Extras = NO_EXTRAS


class CustomTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is called with free text; `format` is the grammar it must keep."""

    name: str
    description: str | None = None
    format: msgspec.Raw | None = None
    namespace: str | None = None
    extras: Extras = NO_EXTRAS


class SearchTool(msgspec.Struct, frozen=True, kw_only=True):
    """A search for more tools, which the caller runs: `tool_search` of Responses."""

    name: str = "tool_search"
    description: str | None = None
    schema: msgspec.Raw | None = None
    namespace: str | None = None
    extras: Extras = NO_EXTRAS


class HostedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the provider would run itself, as its dialect wrote it.

    `kind` says what it does, whatever its dialect calls it.
    """

    kind: HostedKind
    raw: msgspec.Raw


WEB_SEARCH: Final = "web_search"
IMAGE_GENERATION: Final = "image_generation"
DROPPABLE_HOSTED_KINDS: Final[frozenset[HostedKind]] = frozenset(
    {WEB_SEARCH, IMAGE_GENERATION}
)
"""Hosted tools that a group may drop: an answer without them is still an answer."""

Tool = FunctionTool | CustomTool | SearchTool | HostedTool


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a tool must be called: `named` is the one in `name` and `namespace`.

    `allowed` limits the choice to `names`, and `required` says whether one of them must
    be called.
    """

    mode: ChoiceMode
    name: str | None = None
    namespace: str | None = None
    names: tuple[str, ...] = ()
    required: bool = False


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Which form the text of the answer must have."""

    kind: FormatKind
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None


class ReasoningAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How much a model should think before it speaks.

    Each dialect says it in its own way: an `effort` (`none`, `minimal`, `low`,
    `medium`, `high`, `xhigh`, `max`), a budget of tokens, or that the model decides
    (`adaptive`). `off` is an explicit wish for none. `summary` is the wish for a
    readable account (`auto`, `concise`, `detailed`), `None` where nothing was said.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    off: bool = False
    summary: str | None = None
    extras: Extras = NO_EXTRAS


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `extras` here and in what it holds belong to `dialect`.

    `system` are the instructions that stand outside of the turns. `include_usage` says
    whether a caller that can choose asked for the usage of a stream, `legacy_functions`
    whether it knows no more than one call in an answer, as it was before tools, and
    `wants_reasoning_state` whether it keeps a provider's proof of its reasoning for the
    next turn. `needs` names what was asked for, would change the meaning of the answer
    and can be said in `dialect` only, in the spelling of requirements, such as `n` or
    `logprobs`.
    """

    dialect: DialectName
    model: str | None
    turns: tuple[Turn, ...]
    stream: bool = False
    include_usage: bool = True
    legacy_functions: bool = False
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output_cap: int | None = None
    output_format: OutputFormat | None = None
    reasoning: ReasoningAsk | None = None
    wants_reasoning_state: bool = True
    verbosity: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    user: str | None = None
    metadata: Mapping[str, str] = NO_METADATA
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    needs: tuple[str, ...] = ()
    extras: Extras = NO_EXTRAS
