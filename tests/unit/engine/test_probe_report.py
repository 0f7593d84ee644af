"""What findings about a target mean for its configuration."""

from dataclasses import replace

import pytest

from smart_llmrouter.config.snapshot import Provider, Target
from smart_llmrouter.engine.probe_questions import (
    FORCED_CHOICE,
    IMAGE_DATA,
    IMAGE_URL,
    OUTPUT_CAP,
    PARALLEL,
    REASONING,
    STRUCTURED,
    TOOLS,
    Outcome,
)
from smart_llmrouter.engine.probe_report import (
    Difference,
    configuration_of,
    differences,
)
from smart_llmrouter.engine.probing import Finding

BARE = Target(
    label="acme/mini",
    provider=Provider(
        name="acme",
        dialect="openai-chat",
        base_url="http://x",
        api_key=None,
        headers=(),
    ),
    key="mini",
    model="mini",
    price=None,
)
ABLE = replace(
    BARE,
    input=("text", "image"),
    tools=("function", "forced_choice", "parallel"),
    structured_outputs=True,
    reasons=True,
    reasoning_control="effort",
    reasoning_levels=("low", "high"),
    honors_output_cap=True,
)
ASKED = (
    TOOLS, FORCED_CHOICE, PARALLEL, STRUCTURED, IMAGE_DATA, OUTPUT_CAP
)  # fmt: skip


def findings(outcome: Outcome) -> list[Finding]:
    """Return the same outcome for everything."""
    reasoning = Finding(
        name=REASONING, outcome=outcome, levels=("high", "low"), control="effort"
    )
    return [*(Finding(name=name, outcome=outcome) for name in ASKED), reasoning]


@pytest.mark.parametrize("target", [BARE, ABLE])
def test_what_is_unclear_is_no_difference(target: Target) -> None:
    """Nor is it part of the configuration that fits."""
    found = findings("unclear")

    assert configuration_of(target, found) == {}
    assert differences(target, found) == []


def test_what_is_configured_as_it_was_found() -> None:
    """Nothing differs: neither where all is there, nor where nothing is."""
    limited = replace(BARE, honors_output_cap=False)

    assert differences(ABLE, findings("yes")) == []
    assert differences(limited, findings("no")) == []


def test_what_the_file_promises_and_the_target_lacks() -> None:
    """Each key is told, with both values."""
    assert differences(ABLE, findings("no")) == [
        Difference(key="input", configured=["text", "image"], found=["text"]),
        Difference(
            key="tools",
            configured=["function", "forced_choice", "parallel"],
            found=[],
        ),
        Difference(key="structured_outputs", configured=True, found=False),
        Difference(
            key="reasoning",
            configured={"control": "effort", "levels": ["low", "high"]},
            found=None,
        ),
        Difference(key="honors_output_cap", configured=True, found=False),
    ]


def test_what_was_not_asked_stays_as_it_is_declared() -> None:
    """Other kinds of tools and of input are kept."""
    target = replace(BARE, tools=("custom",), input=("text", "audio"))

    fitting = configuration_of(target, findings("yes"))

    assert fitting["tools"] == ["function", "forced_choice", "parallel", "custom"]
    assert fitting["input"] == ["text", "audio", "image"]


def test_what_the_file_leaves_open_about_reasoning_is_no_difference() -> None:
    """Levels and control are compared where they are given."""
    open_target = replace(ABLE, reasoning_control=None, reasoning_levels=())
    other = replace(ABLE, reasoning_levels=("low",))

    assert differences(open_target, findings("yes")) == []
    assert [each.key for each in differences(other, findings("yes"))] == ["reasoning"]


@pytest.mark.parametrize(
    ("by_url", "sources"), [("yes", ["url", "data"]), ("no", ["data"])]
)
def test_how_images_may_come_is_told_where_it_was_asked(
    by_url: Outcome, sources: list[str]
) -> None:
    """Without a URL nothing is said of URLs."""
    found = findings("yes")

    fitting = configuration_of(BARE, [*found, Finding(name=IMAGE_URL, outcome=by_url)])

    assert fitting["image_sources"] == sources
    assert "image_sources" not in configuration_of(BARE, found)


def test_a_cap_of_which_the_file_says_nothing() -> None:
    """It is taken to be kept, and a report does not claim that the file says so."""
    silent = replace(BARE, honors_output_cap=None)

    kept = differences(silent, [Finding(name=OUTPUT_CAP, outcome="yes")])
    broken = differences(silent, [Finding(name=OUTPUT_CAP, outcome="no")])

    assert kept == []
    assert broken == [Difference(key="honors_output_cap", configured=None, found=False)]
