"""Which program calls, as a label out of a closed set, from its user agent."""

from functools import lru_cache
from typing import Final

OTHER: Final = "other"
NONE: Final = "none"

_LABEL_OF_PREFIX: Final = {
    b"codex": "codex",
    b"claude-cli": "claude-code",
    b"openai/python": "openai-python",
    b"asyncopenai/python": "openai-python",
    b"openai/js": "openai-node",
    b"anthropic/python": "anthropic-python",
    b"asyncanthropic/python": "anthropic-python",
    b"anthropic/js": "anthropic-node",
    b"agents/python": "openai-agents",
    b"opencode": "opencode",
    b"ai-sdk": "vercel-ai-sdk",
    b"ai/": "vercel-ai-sdk",
    b"pydantic-ai": "pydantic-ai",
    b"langchain": "langchain",
    b"litellm": "litellm",
    b"curl": "curl",
    b"python-httpx": "httpx",
    b"python-requests": "requests",
    b"mozilla": "browser",
}
CLIENT_LABELS: Final = frozenset({*_LABEL_OF_PREFIX.values(), OTHER, NONE})


_TELLING_BYTES: Final = 64


def client_label(user_agent: bytes | None) -> str:
    """Name the program that sends this user agent; `other` when it is not known."""
    return _label(user_agent[:_TELLING_BYTES]) if user_agent else NONE


# What is remembered is the caller's choice, so it must be short.
@lru_cache(maxsize=512)
def _label(beginning: bytes) -> str:
    agent = beginning.lower()
    return next(
        (
            label
            for prefix, label in _LABEL_OF_PREFIX.items()
            if agent.startswith(prefix)
        ),
        OTHER,
    )
