"""From what is asked to what there is to say: a plan, a tool to call, or a text."""

import json
from typing import Final

from smart_llmrouter.mockprovider import plan
from smart_llmrouter.mockprovider.asked import Asked, Tool
from smart_llmrouter.mockprovider.client_tools import Use
from smart_llmrouter.mockprovider.samples import sample
from smart_llmrouter.mockprovider.script import without_marker
from smart_llmrouter.mockprovider.speech import Prompt, ToolCall

_PARALLEL_WORDS: Final = ("parallel", "both", "each of")
_THOUGHT: Final = "I look at what was asked before I answer it."


def prompt_of(asked: Asked, digest: str) -> Prompt:
    """Return what `asked` calls for; ids of tool calls are made from `digest`."""
    planned = plan.next_turn(asked)
    uses = _default_uses(asked) if planned is None else planned.uses
    reasoning = None if planned is None else planned.reasoning
    return Prompt(
        model=asked.model,
        said=without_marker(asked.last_said),
        planned=None if planned is None else planned.text,
        reasoning=reasoning or (_THOUGHT if asked.thinks else None),
        redacted=planned is not None and planned.redacted,
        tool_results=tuple(result.text for result in asked.results),
        messages=len(asked.messages),
        size_chars=asked.size_chars,
        images=len(asked.images),
        tool_calls=tuple(_call(use, digest, n) for n, use in enumerate(uses)),
        structure=asked.structure,
        structured=asked.structured,
        effort=asked.effort,
        max_tokens=asked.max_tokens,
        stop=asked.stop,
        cache=asked.cache,
        answered_before=asked.answered_before,
    )


def _call(use: Use, digest: str, index: int) -> ToolCall:
    return ToolCall(
        id=f"{digest[32:54]}{index:02d}",
        name=use.tool.name,
        arguments=use.arguments,
        kind=use.tool.kind,
        namespace=use.tool.namespace,
    )


def _default_uses(asked: Asked) -> tuple[Use, ...]:
    """Use the first tool, or two at once where that is allowed and asked for."""
    tools = [tool for tool in asked.tools if not tool.deferred]
    if not tools or asked.results:
        return ()
    said = asked.last_said
    wanted = any(word in said.lower() for word in _PARALLEL_WORDS)
    parallel = asked.parallel and wanted
    chosen = tools[:2] if len(tools) > 1 else tools * 2
    return tuple(
        Use(tool=tool, arguments=_arguments(tool, said, index))
        for index, tool in enumerate(chosen[: 2 if parallel else 1])
    )


def _arguments(tool: Tool, said: str, variant: int) -> str:
    if tool.kind == "custom":
        return without_marker(said)
    schema = tool.schema or {"type": "object", "properties": {}}
    return json.dumps(sample(schema, variant=variant), ensure_ascii=False)
