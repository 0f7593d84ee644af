"""What a model's name tells about the fields that its provider knows.

Chat Completions is spoken in two ways. OpenAI refuses what it does not know, and asks
its reasoning models' callers for `max_completion_tokens`. The many providers that are
compatible with it know `max_tokens`, a model's thoughts as `reasoning_content`, and
often refuse what only OpenAI has (`store`, `prompt_cache_key`, `verbosity`, ...). The
name of the model is the one thing that tells them apart.
"""

import re
from functools import lru_cache
from typing import Final

_OPENAI: Final = re.compile(
    r"(?:^|/)(?:chatgpt-|codex-|computer-use-|o\d|gpt-(?!oss|neo|j))", re.IGNORECASE
)
_OPENAI_REASONING: Final = re.compile(
    r"(?:^|/)(?:codex-|computer-use-|o\d|gpt-(?:[5-9]|\d\d))", re.IGNORECASE
)

_MOST_MODELS: Final = 1_024
"""How many models are looked at once only: more than a configuration has."""


@lru_cache(_MOST_MODELS)
def is_openai(model: str) -> bool:
    """Say whether a model is one that OpenAI itself serves, whoever sells it on."""
    return _OPENAI.search(model) is not None


@lru_cache(_MOST_MODELS)
def cap_field(model: str) -> str:
    """Return the field that limits a model's output.

    `max_completion_tokens` for OpenAI's reasoning models, which refuse the other;
    `max_tokens` for all others, since everybody knows it.
    """
    reasons = _OPENAI_REASONING.search(model) is not None
    return "max_completion_tokens" if reasons else "max_tokens"
