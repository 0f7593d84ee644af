"""What the findings about a target mean for its configuration.

Only what was found for sure is compared: what is unclear, or was not asked, stays as it
is configured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.engine.probe_questions import (
    FORCED_CHOICE,
    IMAGE_DATA,
    IMAGE_URL,
    OUTPUT_CAP,
    PARALLEL,
    REASONING,
    STRUCTURED,
    TOOLS,
)
from smart_llmrouter.engine.probing import Finding

Value = bool | str | list[str] | dict[str, str | list[str]] | None
"""What stands under a key of a model; `None`: nothing does."""

_TOOL_OF: Final[Mapping[str, str]] = {
    "function": TOOLS,
    "forced_choice": FORCED_CHOICE,
    "parallel": PARALLEL,
}
_SOURCE_OF: Final[Mapping[str, str]] = {"url": IMAGE_URL, "data": IMAGE_DATA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A key of the model whose value is another than the target has shown."""

    key: str
    configured: Value
    found: Value


def configuration_of(target: Target, findings: Sequence[Finding]) -> dict[str, Value]:
    """Return what fits a target, by the keys of its model; `None`: leave it out."""
    found = {each.name: each for each in findings if each.outcome != "unclear"}
    return dict(_fitting(target, found))


def differences(target: Target, findings: Sequence[Finding]) -> list[Difference]:
    """Return where the configuration says something else than was found."""
    configured = _configured(target)
    return [
        Difference(key=key, configured=configured[key], found=value)
        for key, value in configuration_of(target, findings).items()
        if not _same(key, configured[key], value)
    ]


def _fitting(
    target: Target, found: Mapping[str, Finding]
) -> Iterator[tuple[str, Value]]:
    sources = _kept(target.image_sources, found, _SOURCE_OF)
    if {IMAGE_DATA, IMAGE_URL} & found.keys():
        reads: list[str] = [each for each in target.reads if each != "image"]
        seen = any(_is(found, each) for each in (IMAGE_DATA, IMAGE_URL))
        yield "input", [*reads, "image"] if seen else reads
        if seen and IMAGE_URL in found:
            yield "image_sources", sources
    if set(_TOOL_OF.values()) & found.keys():
        yield "tools", _kept(target.tools or (), found, _TOOL_OF)
    if STRUCTURED in found:
        yield "structured_outputs", _is(found, STRUCTURED)
    if REASONING in found:
        yield "reasoning", _reasoning(found[REASONING])
    if OUTPUT_CAP in found:
        yield "honors_output_cap", _is(found, OUTPUT_CAP)


def _configured(target: Target) -> dict[str, Value]:
    reasoning: Value = None
    if target.reasons:
        reasoning = {}
        if target.reasoning_control is not None:
            reasoning["control"] = target.reasoning_control
        if target.reasoning_levels:
            reasoning["levels"] = list(target.reasoning_levels)
    return {
        "input": list(target.reads),
        "image_sources": list(target.image_sources),
        "tools": list(target.tools or ()),
        "structured_outputs": bool(target.structured_outputs),
        "reasoning": reasoning,
        "honors_output_cap": target.honors_output_cap,
    }


def _same(key: str, configured: Value, found: Value) -> bool:
    if isinstance(configured, list) and isinstance(found, list):
        return set(configured) == set(found)
    if key == "reasoning" and isinstance(configured, dict) and isinstance(found, dict):
        # What the file leaves open is no difference.
        return all(
            _same("", value, found.get(name)) for name, value in configured.items()
        )
    if key == "honors_output_cap" and configured is None:
        # Where nothing is said, a target is taken to keep to a cap.
        return found is True
    return configured == found


def _kept(
    declared: Sequence[str], found: Mapping[str, Finding], question: Mapping[str, str]
) -> list[str]:
    """Return what was declared, with what was found put right."""
    wrong = {
        word
        for word, name in question.items()
        if name in found and not _is(found, name)
    }
    shown = [word for word, name in question.items() if _is(found, name)]
    others = [word for word in declared if word not in wrong]
    return [*shown, *(word for word in others if word not in shown)]


def _is(found: Mapping[str, Finding], name: str) -> bool:
    return name in found and found[name].outcome == "yes"


def _reasoning(found: Finding) -> Value:
    if found.outcome == "no" or found.control is None:
        return None
    reasoning: dict[str, str | list[str]] = {"control": found.control}
    if found.levels:
        reasoning["levels"] = list(found.levels)
    return reasoning
