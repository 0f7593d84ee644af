"""The safe features of a request, as policies see them; the names are `core.features`.

A feature is found out when it is asked for: some of them cost more than a decision.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core import requirements as needed
from smart_llmrouter.core.features import FEATURES
from smart_llmrouter.core.money import Rate
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.policy import Question

FeatureValue: TypeAlias = "str | int | bool | list[str] | dict[str, str] | None"

_TARGETS: Final = "targets"
_LEVEL: Final = re.compile("[a-z_-]{1,16}")
_NO_LEVEL: Final = "other"


def codes_of(needs: Requirements) -> list[str]:
    """Return what a target must be able to do, as stable codes, in a fixed order."""
    asked = {
        needed.TOOLS: bool(needs.tools),
        needed.FORCED_TOOL_CHOICE: needs.forced_choice,
        needed.PARALLEL_TOOLS: needs.parallel_tools,
        needed.STRUCTURED_OUTPUT: needs.output_format is not None,
        needed.IMAGE: needs.images > 0,
        needed.AUDIO: needs.audio,
        needed.DOCUMENT: needs.documents > 0,
        needed.REASONING: needs.reasoning is not None,
        needed.OUTPUT_CAP: needs.output_cap is not None,
        needed.PINNED: needs.goes_on,
    }
    return [code for code, is_asked in asked.items() if is_asked]


def input_modalities_of(needs: Requirements) -> list[str]:
    """Return what kinds of input there are; text always is."""
    there = {
        "text": True,
        "image": needs.images > 0,
        "audio": needs.audio,
        "document": needs.documents > 0,
    }
    return [modality for modality, is_there in there.items() if is_there]


def _caller(question: Question) -> dict[str, str]:
    caller = question.caller
    return {
        "id": caller.id,
        "user": caller.owner_user,
        "project": caller.project,
        "environment": caller.environment,
        "tokenId": caller.token_id,
    }


def shown_level(needs: Requirements) -> str | None:
    """Return the level of effort, if it can be one: it is the caller's own word."""
    level = needs.reasoning_level
    return level if level is None or _LEVEL.fullmatch(level) else _NO_LEVEL


FEATURE_READERS: Final[Mapping[str, Callable[[Question], FeatureValue]]] = {
    "group": lambda asked: asked.group.name,
    "requested_model": lambda asked: asked.requested_model,
    "dialect": lambda asked: asked.needs.dialect,
    "client": lambda asked: asked.client,
    "stream": lambda asked: asked.needs.stream,
    "estimated_input_tokens": lambda asked: asked.needs.estimated_input_tokens,
    "request_bytes": lambda asked: asked.needs.request_bytes,
    "output_cap": lambda asked: asked.needs.output_cap,
    "has_tools": lambda asked: asked.needs.tool_count > 0,
    "tool_count": lambda asked: asked.needs.tool_count,
    "tool_schema_bytes": lambda asked: asked.needs.tool_schema_bytes,
    "tools": lambda asked: sorted(asked.needs.tools),
    "forced_choice": lambda asked: asked.needs.forced_choice,
    "parallel_tools": lambda asked: asked.needs.parallel_tools,
    "has_structured_output": lambda asked: asked.needs.output_format is not None,
    "output_format": lambda asked: asked.needs.output_format,
    "reasoning": lambda asked: asked.needs.reasoning,
    "reasoning_level": lambda asked: shown_level(asked.needs),
    "reasoning_budget": lambda asked: asked.needs.reasoning_budget,
    "images": lambda asked: asked.needs.images,
    "image_urls": lambda asked: asked.needs.image_urls,
    "image_data": lambda asked: asked.needs.image_data,
    "audio": lambda asked: asked.needs.audio,
    "documents": lambda asked: asked.needs.documents,
    "goes_on": lambda asked: asked.needs.goes_on,
    "input_modalities": lambda asked: input_modalities_of(asked.needs),
    "requirements": lambda asked: codes_of(asked.needs),
    "caller": _caller,
    _TARGETS: lambda asked: [target.label for target in asked.eligible],
}
"""How each feature is found out."""

_PLACES: Final = tuple(
    (feature.path[:-1], feature.path[-1], FEATURE_READERS[feature.name])
    for feature in FEATURES
    if feature.name != _TARGETS
)


def features_of(question: Question, names: Iterable[str]) -> dict[str, FeatureValue]:
    """Return the features called `names`, and find out no others."""
    return {name: FEATURE_READERS[name](question) for name in names}


def question_document(question: Question) -> dict[str, Any]:
    """Return all features as the JSON object that `script` and `external` read.

    What stands where is in `core.features`.
    """
    document: dict[str, Any] = {}
    for outer, last, read in _PLACES:
        around = document
        for step in outer:
            around = around.setdefault(step, {})
        around[last] = read(question)
    document[_TARGETS] = [
        target_document(
            target, index, dialect=question.needs.dialect, at_ms=question.began_ms
        )
        for index, target in enumerate(question.eligible)
    ]
    return document


def target_document(
    target: Target, index: int, *, dialect: str, at_ms: int
) -> dict[str, Any]:
    """Return what `script` and `external` are told of one target, and of its price."""
    price = None if target.price is None else target.price.at(at_ms)
    return {
        "index": index,
        "label": target.label,
        "provider": target.provider.name,
        "model": target.key,
        "dialect": target.provider.dialect,
        "native": target.provider.dialect == dialect,
        "weight": target.weight,
        "contextTokens": target.context_tokens,
        "maxOutputTokens": target.max_output_tokens,
        "inputPricePerMillionUsd": None if price is None else _usd(price.input),
        "outputPricePerMillionUsd": None if price is None else _usd(price.output),
        "inputModalities": list(target.reads),
        "tools": list(target.tools or ()),
        "structuredOutputs": bool(target.structured_outputs),
        "reasoning": target.reasons,
        "honorsOutputCap": target.honors_output_cap,
        "quality": target.quality,
    }


def _usd(rate: Rate | None) -> float | None:
    """Return a price as a policy compares it: it pays nothing with it."""
    return None if rate is None else rate.usd_per_million
