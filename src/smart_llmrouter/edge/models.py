"""`GET /v1/models`: the groups that a caller may use, under all their names."""

from collections.abc import Iterator, Mapping
from typing import Final

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.errors import UnknownModel
from smart_llmrouter.core.identity import Caller

OWNER: Final = "smart-llmrouter"
# OpenAI's clients take the field for granted; a group has no date of its own.
CREATED: Final = 0
Model = dict[str, str | int]


def models_for(
    caller: Caller, groups: Mapping[str, Group]
) -> dict[str, str | list[Model]]:
    """Return the OpenAI list of what `caller` may name as `model`."""
    return {
        "object": "list",
        "data": [_model(name) for name in _names_for(caller, groups)],
    }


def model_for(caller: Caller, groups: Mapping[str, Group], *, name: str) -> Model:
    """Return one model. Raises `UnknownModel` when the caller may not use it."""
    if name not in _names_for(caller, groups):
        raise UnknownModel
    return _model(name)


def _names_for(caller: Caller, groups: Mapping[str, Group]) -> Iterator[str]:
    for group in groups.values():
        if group.name in caller.allowed_groups:
            yield from (group.name, *group.aliases)


def _model(name: str) -> Model:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": OWNER}
