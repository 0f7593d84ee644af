"""What the caller's dialect calls a field, for notes: they speak its language."""

from typing import Final

from smart_llmrouter.core.content import StateKind
from smart_llmrouter.core.request import DialectName

_NAMES: Final[dict[DialectName, dict[str, str]]] = {
    "openai-chat": {
        "output_cap": "max_completion_tokens",
        "reasoning": "reasoning_effort",
    },
    "openai-responses": {
        "output_cap": "max_output_tokens",
        "reasoning": "reasoning.effort",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
    },
    "anthropic-messages": {
        "output_cap": "max_tokens",
        "reasoning": "thinking",
        "response_format": "output_config.format",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    },
}
FIELD_OF_STATE: Final[dict[StateKind, str]] = {
    "signature": "thinking.signature",
    "redacted": "redacted_thinking",
    "encrypted": "reasoning.encrypted_content",
}
"""What the proof of a reasoning is called where it comes from."""


def said_as(dialect: DialectName, field: str) -> str:
    """Return the name of a canonical field in a dialect; `field.more` is in it."""
    name, dot, more = field.partition(".")
    return _NAMES[dialect].get(name, name) + dot + more
