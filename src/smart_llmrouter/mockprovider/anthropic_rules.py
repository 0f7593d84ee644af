"""What Anthropic refuses in a request, so that a wrong translation is seen."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from smart_llmrouter.mockprovider import anthropic_schema as anthropic
from smart_llmrouter.mockprovider.anthropic_prompt import all_blocks
from smart_llmrouter.mockprovider.anthropic_turns import check_tools_answered
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.http import Request
from smart_llmrouter.mockprovider.seal import ForeignBlob, Seal

NEWEST: Final = "2026-10-21"
VERSIONS: Final = frozenset({"2023-01-01", "2023-06-01", NEWEST})
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_HOSTED: Final = re.compile(
    r"(bash|text_editor|computer|browser|memory|web_search|web_fetch|code_execution|"
    r"tool_search_tool_(regex|bm25)|mcp|advisor)(_toolset)?(_\d{8})?"
)
_SYSTEM_BETAS: Final = ("mid-conversation", "per-turn-control")
_LEAST_BUDGET: Final = 1024
_MOST_CACHE_POINTS: Final = 4
_THINKING: Final = frozenset({"enabled", "disabled", "adaptive", "between_tools"})
_EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
_CHOICES: Final = frozenset({"auto", "any", "tool", "none"})
_USER_BLOCKS: Final = frozenset(
    {
        "text", "image", "document", "tool_result", "search_result",
        "container_upload", "tool_reference",
    }
)  # fmt: skip
_ASSISTANT_BLOCKS: Final = frozenset(
    {
        "text", "tool_use", "thinking", "redacted_thinking", "document",
        "server_tool_use", "web_search_tool_result", "web_fetch_tool_result",
        "tool_search_tool_result", "code_execution_tool_result",
        "bash_code_execution_tool_result", "text_editor_code_execution_tool_result",
        "mcp_tool_use", "mcp_tool_result", "compaction",
    }
)  # fmt: skip
_BLOCKS: Final[Mapping[str, frozenset[str]]] = {
    "user": _USER_BLOCKS,
    "assistant": _ASSISTANT_BLOCKS,
    "system": frozenset({"text"}),
}
_SAMPLING: Final = ("temperature", "top_p", "top_k")


def check(request: anthropic.MessagesRequest, http: Request, seal: Seal) -> None:
    """Raise `Refused` for what is wrong with `request`, which came in `http`."""
    newest = check_version(http) == NEWEST
    _check_sampling(request, newest=newest)
    _check_thinking(request)
    _check_tools(request)
    _check_texts(request)
    _check_cache_points(request)
    _check_roles(request, http, newest=newest)
    for place, block, role in _placed(request.messages):
        _check_block(block, place, role)
        if newest:
            _check_newest(block, place, role)
        _check_sealed(block, place, seal)
    check_tools_answered(request)


def check_version(http: Request) -> str:
    """Return the version of the API that `http` names; refuse none, and others."""
    version = (http.header(b"anthropic-version") or b"").decode("latin-1")
    if not version:
        raise Refused("anthropic-version: header is required")
    if version not in VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')
    return version


def check_cap(request: anthropic.MessagesRequest) -> None:
    """Refuse a request without `max_tokens`, or with one that thinking uses up."""
    if request.max_tokens is None:
        raise Refused("max_tokens: Field required")
    budget = request.thinking and request.thinking.budget_tokens
    if budget and request.max_tokens <= budget:
        raise Refused(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please "
            "consult our documentation for details."
        )


def _placed(
    messages: Sequence[anthropic.Message],
) -> Iterator[tuple[str, anthropic.Block, str]]:
    for number, message in enumerate(messages):
        for index, block in enumerate(message.blocks):
            yield f"messages.{number}.content.{index}", block, message.role


def _check_sampling(request: anthropic.MessagesRequest, *, newest: bool) -> None:
    given = [name for name in _SAMPLING if getattr(request, name) is not None]
    if newest and given:
        raise Refused(f"{given[0]}: Extra inputs are not permitted")
    if not request.thinks:
        return
    if request.temperature not in {None, 1.0}:
        raise Refused("`temperature` may only be set to 1 when thinking is enabled.")
    if request.top_k is not None:
        raise Refused("`top_k` must be unset when thinking is enabled.")


def _check_thinking(request: anthropic.MessagesRequest) -> None:
    effort = request.output_config and request.output_config.effort
    if effort and effort not in _EFFORTS:
        raise Refused(f"output_config.effort: Input should be one of {list(_EFFORTS)}")
    thinking = request.thinking
    if thinking is None:
        return
    if thinking.type not in _THINKING:
        raise Refused(
            f"thinking: Input tag '{thinking.type}' found using 'type' does not match "
            "any of the expected tags"
        )
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        raise Refused("thinking.enabled.budget_tokens: Field required")
    if (thinking.budget_tokens or _LEAST_BUDGET) < _LEAST_BUDGET:
        raise Refused(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to "
            f"{_LEAST_BUDGET}"
        )
    forced = request.tool_choice is not None and request.tool_choice.type in {
        "any",
        "tool",
    }
    if request.thinks and forced:
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")


def _check_tools(request: anthropic.MessagesRequest) -> None:
    names = [tool.name for tool in request.tools or () if tool.name]
    if len(names) > len(set(names)):
        raise Refused("tools: Tool names must be unique.")
    for index, tool in enumerate(request.tools or ()):
        _check_tool(tool, f"tools.{index}")
    choice = request.tool_choice
    if choice is None:
        return
    if choice.type not in _CHOICES:
        raise Refused(
            f"tool_choice: Input tag '{choice.type}' found using 'type' does not match "
            "any of the expected tags: 'any', 'auto', 'none', 'tool'"
        )
    if not request.tools:
        raise Refused("tool_choice may only be specified while providing tools.")
    if choice.type == "tool" and choice.name not in names:
        raise Refused(f"Tool '{choice.name}' not found in provided tools")


def _check_tool(tool: anthropic.Tool, place: str) -> None:
    if tool.type not in {None, "custom"}:
        if not _HOSTED.fullmatch(tool.type or ""):
            raise Refused(
                f"{place}: Input tag '{tool.type}' found using 'type' does not match "
                "any of the expected tags"
            )
        return
    if not _NAME.fullmatch(tool.name):
        raise Refused(
            f"{place}.custom.name: String should match pattern "
            "'^[a-zA-Z0-9_-]{1,128}$'"
        )
    if tool.input_schema is None:
        raise Refused(f"{place}.custom.input_schema: Field required")
    if tool.input_schema.get("type") != "object":
        raise Refused(f"{place}.custom.input_schema.type: Input should be 'object'")


def _check_texts(request: anthropic.MessagesRequest) -> None:
    """Refuse texts and messages without anything in them."""
    if isinstance(request.system, tuple):
        _check_filled(request.system, "system")
    last = len(request.messages) - 1
    for number, message in enumerate(request.messages):
        if not message.content and not (number == last and message.role == "assistant"):
            raise Refused(
                f"messages.{number}: all messages must have non-empty content except "
                "for the optional final assistant message"
            )
        if isinstance(message.content, tuple):
            _check_filled(message.content, "messages")
    ending = request.messages[-1]
    if ending.role == "assistant" and ending.blocks:
        text = ending.blocks[-1].text or ""
        if text != text.rstrip():
            raise Refused(
                "messages: final assistant content cannot end with trailing whitespace"
            )
    if any(not stop.strip() for stop in request.stop_sequences or ()):
        raise Refused("stop_sequences: each stop sequence must contain non-whitespace")


def _check_filled(blocks: Sequence[anthropic.Block], where: str) -> None:
    for block in blocks:
        if block.type != "text":
            continue
        if not block.text:
            raise Refused(f"{where}: text content blocks must be non-empty")
        if not block.text.strip():
            raise Refused(
                f"{where}: text content blocks must contain non-whitespace text"
            )


def _check_cache_points(request: anthropic.MessagesRequest) -> None:
    wishes = [block.cache_control for block in all_blocks(request)]
    wishes += [tool.cache_control for tool in request.tools or ()]
    found = sum(wish is not None for wish in wishes)
    if found > _MOST_CACHE_POINTS:
        raise Refused(
            f"A maximum of {_MOST_CACHE_POINTS} blocks with cache_control may be "
            f"provided. Found {found}."
        )


def _check_roles(
    request: anthropic.MessagesRequest, http: Request, *, newest: bool
) -> None:
    betas = (http.header(b"anthropic-beta") or b"").decode("latin-1")
    system = newest or any(beta in betas for beta in _SYSTEM_BETAS)
    known = {"user", "assistant", "system"} if system else {"user", "assistant"}
    for number, message in enumerate(request.messages):
        if message.role not in known:
            raise Refused(
                f"messages.{number}.role: Input should be 'user' or 'assistant'"
            )
    if request.messages[0].role == "assistant":
        raise Refused('messages: first message must use the "user" role')


def _check_newest(block: anthropic.Block, place: str, role: str) -> None:
    """Refuse what was taken before the newest version."""
    if block.type == "document" and role == "assistant":
        raise Refused(f"{place}: document blocks are not permitted here")
    if block.type == "text" and role == "user" and block.citations:
        raise Refused(f"{place}.text.citations: Extra inputs are not permitted")


def _check_block(block: anthropic.Block, place: str, role: str) -> None:
    if block.type not in _BLOCKS[role]:
        raise Refused(
            f"{place}: Input tag '{block.type}' found using 'type' does not match any "
            f"of the expected tags for the role '{role}'"
        )
    match block.type:
        case "tool_use":
            _check_id(block.id, f"{place}.tool_use.id")
            if not bytes(block.input).startswith(b"{"):
                raise Refused(f"{place}.tool_use.input: Input should be an object")
        case "tool_result":
            _check_id(block.tool_use_id, f"{place}.tool_result.tool_use_id")
            if isinstance(block.content, tuple):
                _check_filled(block.content, place)
        case "image" if block.source is None:
            raise Refused(f"{place}.image.source: Field required")


def _check_id(given: str | None, place: str) -> None:
    if given is None:
        raise Refused(f"{place}: Field required")
    if not _ID.fullmatch(given):
        raise Refused(f"{place}: String should match pattern '^[a-zA-Z0-9_-]+$'")


def _check_sealed(block: anthropic.Block, place: str, seal: Seal) -> None:
    """Refuse thinking that this mock did not think, or that was changed."""
    if block.type == "redacted_thinking":
        try:
            seal.opened("redacted", block.data or "")
        except ForeignBlob as error:
            raise Refused(
                f"{place}: Invalid `data` in `redacted_thinking` block"
            ) from error
    if block.type != "thinking":
        return
    if block.signature is None:
        raise Refused(f"{place}.thinking.signature: Field required")
    if not seal.signed(block.thinking or "", block.signature):
        raise Refused(f"{place}: Invalid `signature` in `thinking` block")
