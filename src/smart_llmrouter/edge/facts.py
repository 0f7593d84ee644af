"""What may be promised of a group, whichever of its targets will serve."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from smart_llmrouter.config.snapshot import Group, Modality, ToolKind

T = TypeVar("T", bound=str)


class Facts(NamedTuple):
    """What all targets of a group can do; a limit of `None` is not known.

    `native_responses` says that all of them speak the Responses API by themselves.
    """

    context_tokens: int | None
    max_output_tokens: int | None
    input: tuple[Modality, ...]
    tools: tuple[ToolKind, ...]
    reasoning_levels: tuple[str, ...]
    native_responses: bool


def facts_of(group: Group) -> Facts:
    """Return the least that the targets of `group` are said to do."""
    targets = group.targets
    return Facts(
        context_tokens=_least(target.context_tokens for target in targets),
        max_output_tokens=_least(target.max_output_tokens for target in targets),
        input=_common([target.reads for target in targets]),
        tools=_common([target.tools or () for target in targets]),
        reasoning_levels=_common(
            [each.reasoning_levels for each in targets if each.reasoning_levels]
        ),
        native_responses=all(
            target.provider.dialect == "openai-responses" for target in targets
        ),
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _common(lists: Sequence[tuple[T, ...]]) -> tuple[T, ...]:
    """Return what is in all lists, in the order of the first."""
    first = lists[0] if lists else ()
    return tuple(each for each in first if all(each in other for other in lists))
