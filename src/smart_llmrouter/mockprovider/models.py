"""The models of the mock, as OpenAI and as Anthropic list them."""

from collections.abc import Mapping, Sequence
from typing import Final

CREATED: Final = 1_767_225_600
"""When everything was made (2026-01-01 UTC): the same request, the same bytes."""

USUAL: Final = ("mock-small", "mock-large")
_CREATED_AT: Final = "2026-01-01T00:00:00Z"

Fields = Mapping[str, object]


def openai_model(name: str) -> Fields:
    """Return a model as OpenAI shows it."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"}


def openai_list(names: Sequence[str]) -> Fields:
    """Return a list of models as OpenAI shows it."""
    return {"object": "list", "data": [openai_model(name) for name in names]}


def anthropic_model(name: str) -> Fields:
    """Return a model as Anthropic shows it."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _CREATED_AT,
        "lifecycle": "active",
    }


def anthropic_list(names: Sequence[str]) -> Fields:
    """Return a list of models as Anthropic shows it, in one page."""
    return {
        "data": [anthropic_model(name) for name in names],
        "has_more": False,
        "first_id": names[0],
        "last_id": names[-1],
    }
