"""By what a Chat Completions conversation is known."""

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openings import name_in, named_key, opening_key


def conversation_of(peek: Peek) -> bytes | None:
    """Return the key of the conversation, if the request tells which one it is."""
    name = name_in(peek.members, "prompt_cache_key")
    if name is not None:
        return named_key("cache", name)
    messages = peek.members.get("messages")
    return None if messages is None else opening_key(None, messages)
