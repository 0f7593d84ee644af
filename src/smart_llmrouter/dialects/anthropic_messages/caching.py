"""Cache markers for a request that came without any.

OpenAI's models keep prompts without being asked; Anthropic's keep what is marked. A
caller of another dialect that gives a key for its prompts (`prompt_cache_key`, as Codex
does in every turn) counts on that, and would pay for its whole conversation each time.
So the end of the system and the end of the last message are marked, for five minutes
each. Without a key nothing is: a write costs more than what is sent only once.
"""

from typing import Any, Final

_MARK: Final = {"cache_control": {"type": "ephemeral"}}
_MARKABLE: Final = frozenset({"text", "image", "document", "tool_result", "tool_use"})


def mark_for_cache(body: dict[str, Any]) -> None:
    """Mark the ends of what the next request of a conversation will repeat."""
    if "system" in body:
        body["system"] = _marked(body["system"])
    last = body["messages"][-1]
    body["messages"][-1] = last | {"content": _marked(last["content"])}


def _marked(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return content with a mark on its last block, if that can have one."""
    if isinstance(content, str):
        return [{"type": "text", "text": content} | _MARK]
    *before, last = content
    return [*before, last | _MARK] if last["type"] in _MARKABLE else content
