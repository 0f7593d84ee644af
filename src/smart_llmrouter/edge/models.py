"""`GET /v1/models`: the groups that a caller may use, under all their names.

Three readers expect three shapes: OpenAI's list, Anthropic's list in pages, and Codex's
catalogue. OpenAI's clients pass over the field in which Codex looks, so that one body
serves both.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.errors import InvalidRequest, UnknownModel
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.codex_catalogue import codex_models
from smart_llmrouter.edge.facts import facts_of

OWNER: Final = "smart-llmrouter"
# Clients take these fields for granted; a group has no date of its own.
CREATED: Final = 0
CREATED_AT: Final = "1970-01-01T00:00:00Z"
_USUAL_PAGE: Final = 20
_LARGEST_PAGE: Final = 1000
Document = dict[str, object]
Query = Mapping[str, str]


def models_for(caller: Caller, groups: Mapping[str, Group], query: Query) -> Document:
    """Return what `caller` may name as `model`, for OpenAI's clients and for Codex.

    Codex tells its version in the query, and is sent its own part only.
    """
    allowed = _allowed(caller, groups)
    catalogue = catalogue_for(caller, groups)
    if "client_version" in query:
        return catalogue
    data = [_openai(name, group) for name, group in _named(allowed)]
    return {"object": "list", "data": data, **catalogue}


def catalogue_for(caller: Caller, groups: Mapping[str, Group]) -> Document:
    """Return what `caller` may name as `model` as Codex reads it, also from a file."""
    return {"models": codex_models(_allowed(caller, groups))}


def anthropic_models_for(
    caller: Caller, groups: Mapping[str, Group], query: Query
) -> Document:
    """Return one page of Anthropic's list. Raises `InvalidRequest`."""
    entries = [_anthropic(*each) for each in _named(_allowed(caller, groups))]
    names = [str(entry["id"]) for entry in entries]
    first, last, has_more = _page(names, query)
    page = entries[first:last]
    return {
        "data": page,
        "has_more": has_more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def model_for(
    caller: Caller, groups: Mapping[str, Group], *, name: str, anthropic: bool
) -> Document:
    """Return one model. Raises `UnknownModel` when the caller may not use it."""
    for known, group in _named(_allowed(caller, groups)):
        if known == name:
            return _anthropic(name, group) if anthropic else _openai(name, group)
    raise UnknownModel


def _allowed(caller: Caller, groups: Mapping[str, Group]) -> list[Group]:
    return [group for group in groups.values() if group.name in caller.allowed_groups]


def _named(groups: Sequence[Group]) -> list[tuple[str, Group]]:
    return [(name, group) for group in groups for name in (group.name, *group.aliases)]


def _openai(name: str, group: Group) -> Document:
    facts = facts_of(group)
    known = {
        "context_window": facts.context_tokens,
        "max_output_tokens": facts.max_output_tokens,
    }
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": OWNER,
        **{field: value for field, value in known.items() if value is not None},
    }


def _anthropic(name: str, group: Group) -> Document:
    facts = facts_of(group)
    known = {
        "max_input_tokens": facts.context_tokens,
        "max_tokens": facts.max_output_tokens,
    }
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": CREATED_AT,
        **{field: value for field, value in known.items() if value is not None},
    }


def _page(names: Sequence[str], query: Query) -> tuple[int, int, bool]:
    """Return where a page begins and ends, and whether there is more behind it.

    A page that is asked for from its end (`before_id`) has more before it.
    """
    limit = _limit(query.get("limit"))
    after, before = query.get("after_id"), query.get("before_id")
    if after and before:
        raise InvalidRequest("either `after_id` or `before_id` may be given, not both")
    if before:
        last = _position(names, before, field="before_id")
        first = max(0, last - limit)
        return first, last, first > 0
    first = _position(names, after, field="after_id") + 1 if after else 0
    return first, first + limit, first + limit < len(names)


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL_PAGE
    digits = text if text.isascii() and text.isdigit() and len(text) <= 4 else "0"
    if not 1 <= int(digits) <= _LARGEST_PAGE:
        raise InvalidRequest(
            f"`limit` must be a number from 1 to {_LARGEST_PAGE}",
            details={"field": "limit"},
        )
    return int(digits)


def _position(names: Sequence[str], name: str, *, field: str) -> int:
    if name not in names:
        raise InvalidRequest(
            f"`{field}` names no model of this list", details={"field": field}
        )
    return names.index(name)
