"""What a policy is told of a request."""

import json
from dataclasses import replace
from functools import reduce
from typing import Any

import msgspec
import pytest

from smart_llmrouter.core.features import FEATURES, TARGET_FEATURES
from smart_llmrouter.routing.features import (
    FEATURE_READERS,
    codes_of,
    features_of,
    question_document,
)
from tests.support.policies import question
from tests.support.targets import price, target

FULL: dict[str, Any] = {
    "stream": True,
    "tools": frozenset({"function", "custom"}),
    "tool_count": 3,
    "tool_schema_bytes": 700,
    "forced_choice": True,
    "parallel_tools": True,
    "output_format": "json_schema",
    "image_urls": 1,
    "image_data": 2,
    "audio": True,
    "documents": 1,
    "reasoning": "effort",
    "reasoning_level": "high",
    "reasoning_budget": 1024,
    "output_cap": 4000,
    "goes_on": True,
}


def test_each_feature_has_one_name_and_one_reader() -> None:
    """The table of names and the table of readers agree."""
    names = [feature.name for feature in FEATURES]

    assert len(set(names)) == len(names)
    assert set(names) == set(FEATURE_READERS)
    assert len({feature.path for feature in FEATURES}) == len(names)


@pytest.mark.parametrize("needs", [{}, FULL], ids=["bare", "full"])
def test_the_document_holds_each_feature_at_its_path(needs: dict[str, Any]) -> None:
    """A script and a policy service read what a rule reads."""
    asked = question(**needs)

    document: Any = question_document(asked)

    for feature in FEATURES:
        value = reduce(lambda part, step: part[step], feature.path, document)
        if feature.name == "targets":
            value = [each["label"] for each in value]
        assert value == FEATURE_READERS[feature.name](asked), feature.name
        assert feature.nullable or value is not None, feature.name


def test_a_request_without_anything_special() -> None:
    """What is not there is `null`, and not 0."""
    document = question_document(question(body={"model": "chat"}))

    assert document == {
        "group": "chat",
        "context": {
            "model": "chat",
            "dialect": "openai-chat",
            "client": "other",
            "stream": False,
            "estimatedTokens": document["context"]["estimatedTokens"],
            "requestBytes": 17,
            "maxTokens": None,
            "hasTools": False,
            "toolCount": 0,
            "toolSchemaBytes": 0,
            "toolKinds": [],
            "forcedToolChoice": False,
            "parallelTools": False,
            "hasStructuredOutput": False,
            "outputFormat": None,
            "reasoning": {"kind": None, "effort": None, "budgetTokens": None},
            "imageCount": 0,
            "imageUrls": 0,
            "imageData": 0,
            "hasAudio": False,
            "documentCount": 0,
            "goesOn": False,
        },
        "inputModalities": ["text"],
        "requirements": [],
        "caller": {
            "id": "alice-search-dev",
            "user": "alice",
            "project": "search",
            "environment": "dev",
            "tokenId": "rtr_alice_search_dev_k1",
        },
        "targets": document["targets"],
    }
    assert document["context"]["estimatedTokens"] > 0


def test_a_target_is_told_by_its_public_facts() -> None:
    """Names, prices and declared abilities; no key and no address."""
    known = target(
        "acme",
        costs=price("2", "8"),
        context_tokens=128_000,
        input=("text", "image"),
        tools=("function",),
        weight=3,
        quality=0.7,
    )
    unknown = target("other", dialect="anthropic-messages")

    first, second = question_document(question(known, unknown))["targets"]

    assert list(first) == list(TARGET_FEATURES)
    assert first == {
        "index": 0,
        "label": "acme/mini",
        "provider": "acme",
        "model": "mini",
        "dialect": "openai-chat",
        "native": True,
        "weight": 3,
        "contextTokens": 128_000,
        "maxOutputTokens": None,
        "inputPricePerMillionUsd": 2.0,
        "outputPricePerMillionUsd": 8.0,
        "inputModalities": ["text", "image"],
        "tools": ["function"],
        "structuredOutputs": False,
        "reasoning": False,
        "honorsOutputCap": None,
        "quality": 0.7,
    }
    assert (second["index"], second["native"]) == (1, False)
    assert (second["inputPricePerMillionUsd"], second["inputModalities"]) == (
        None,
        ["text"],
    )


def test_an_unknown_part_of_a_price_stays_unknown() -> None:
    """Absent is not zero."""
    partly = target("acme", costs=replace(price("1", "1"), input=None))

    (told,) = question_document(question(partly))["targets"]

    assert told["inputPricePerMillionUsd"] is None
    assert told["outputPricePerMillionUsd"] == 1.0


def test_requirements_are_stable_codes() -> None:
    """All that a request asks for is named, in one order."""
    assert codes_of(question(**FULL).needs) == [
        "tools",
        "forced-tool-choice",
        "parallel-tools",
        "structured-output",
        "image",
        "audio",
        "document",
        "reasoning",
        "output-cap",
        "pinned",
    ]


@pytest.mark.parametrize(
    ("level", "told"),
    [(None, None), ("xhigh", "xhigh"), ("the secret recipe", "other"), ("", "other")],
)
def test_a_level_of_effort_is_a_short_word(level: str | None, told: str | None) -> None:
    """It is the caller's own text, and could hold anything."""
    asked = question(reasoning="effort", reasoning_level=level)

    assert features_of(asked, ["reasoning_level"]) == {"reasoning_level": told}


def test_nothing_of_a_prompt_is_told() -> None:
    """No text of the conversation is in a question."""
    said = "the secret recipe"
    asked = question(
        body={"model": "chat", "messages": [{"role": "user", "content": said}]}
    )

    document = question_document(asked)

    assert said not in json.dumps(document)


def test_only_what_is_asked_for_is_found_out() -> None:
    """Counting tokens costs more than most decisions, so nobody does it for nothing."""
    asked = question()

    found = features_of(asked, ["stream", "tool_count"])

    assert found == {"stream": False, "tool_count": 0}
    assert asked.needs._estimate is None


def test_policies_are_told_the_price_that_is_in_force() -> None:
    """It is that of the time at which the call began."""
    dated = replace(price("1", "2"), until_ms=5_000, after=price("3", "4"))
    asked = question(target("a", costs=dated))

    told = [
        question_document(msgspec.structs.replace(asked, began_ms=began_ms))["targets"]
        for began_ms in (4_999, 5_000)
    ]

    assert [each[0]["inputPricePerMillionUsd"] for each in told] == [1.0, 3.0]
