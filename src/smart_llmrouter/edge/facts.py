"""What may be promised of a group, whichever of its targets will serve."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from smart_llmrouter.config.snapshot import Group, Modality, ToolKind

T = TypeVar("T", bound=str)


class Facts(NamedTuple):
    """What all targets of a group can do; `None` where the configuration is silent.

    `native_responses` says that all of them speak the Responses API by themselves.
    """

    context_tokens: int | None
    max_output_tokens: int | None
    input: tuple[Modality, ...] | None
    tools: tuple[ToolKind, ...] | None
    reasoning_levels: tuple[str, ...]
    native_responses: bool


def facts_of(group: Group) -> Facts:
    """Return the least that the targets of `group` are said to do."""
    targets = group.targets
    return Facts(
        context_tokens=_least(target.context_tokens for target in targets),
        max_output_tokens=_least(target.max_output_tokens for target in targets),
        input=_common(target.input for target in targets),
        tools=_common(target.tools for target in targets),
        reasoning_levels=_common(target.reasoning_levels or None for target in targets)
        or (),
        native_responses=all(
            target.provider.dialect == "openai-responses" for target in targets
        ),
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _common(lists: Iterable[tuple[T, ...] | None]) -> tuple[T, ...] | None:
    """Return what is in all lists that there are, in the order of the first."""
    known = [each for each in lists if each is not None]
    if not known:
        return None
    return tuple(each for each in known[0] if all(each in other for other in known))
