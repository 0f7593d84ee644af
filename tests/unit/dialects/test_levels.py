"""An effort that a model does not know is asked for as its nearest one."""

import json
from typing import Final

import pytest

from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS

ONE: Final = '{"messages": [], "input": "hi", "kept":1.00, '
EFFORT: Final[dict[DialectName, str]] = {
    "openai-chat": '"reasoning_effort": %s}',
    "openai-responses": '"reasoning": {"summary": "auto", "effort" : %s}}',
    "anthropic-messages": '"output_config": {"effort": %s, "format": {"x": 1.0}}}',
}
FIELDS: Final[dict[DialectName, str]] = {
    "openai-chat": "reasoning_effort",
    "openai-responses": "reasoning",
    "anthropic-messages": "output_config",
}
LEVELS: Final = ("low", "medium", "high")
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def asked(dialect: DialectName, effort: str) -> bytes:
    """Return a request for an effort, which is JSON."""
    return (ONE + EFFORT[dialect] % effort).encode()


@dialects
@pytest.mark.parametrize(
    ("effort", "nearest"),
    [("minimal", "low"), ("none", "low"), ("xhigh", "high"), ("odd", "medium")],
)
def test_an_unknown_effort_becomes_the_nearest_one(
    dialect: DialectName, effort: str, nearest: str
) -> None:
    """All else of the request keeps its bytes, and a note tells of the change."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(asked(dialect, json.dumps(effort)))

    changed, note = spoken.at_level(peek, LEVELS)

    reason = f"asked of the provider as effort {nearest}"
    assert note == Note("approximated", FIELDS[dialect], reason)
    sent = spoken.address(changed, model=b'"m"')
    exact = spoken.peek(asked(dialect, f'"{nearest}"'))
    assert json.loads(sent) == json.loads(spoken.address(exact, model=b'"m"'))
    assert b'"kept":1.00' in sent


@dialects
@pytest.mark.parametrize(
    ("effort", "levels"),
    [
        ('"high"', LEVELS),
        (r'"h\u0069gh"', LEVELS),
        ('"xhigh"', ()),
        ("null", LEVELS),
        ("3", LEVELS),
    ],
)
def test_a_request_that_need_not_change_does_not(
    dialect: DialectName, effort: str, levels: tuple[str, ...]
) -> None:
    """A known effort, none at all, and one that nobody can read stay as they are."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(asked(dialect, effort))

    assert spoken.at_level(peek, levels) == (peek, None)
    assert spoken.at_level(peek, levels)[0] is peek


@dialects
def test_a_request_without_an_effort_does_not_change(dialect: DialectName) -> None:
    """Nor does one that says nothing of reasoning."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(b'{"messages": [], "input": "hi"}')

    assert spoken.at_level(peek, LEVELS)[0] is peek


def test_the_effort_of_the_wild_changes_too() -> None:
    """Chat as some speak it has an object, as Responses has."""
    chat = DIALECTS["openai-chat"]
    peek = chat.peek(b'{"messages": [], "reasoning": {"effort": "max", "a": 1.0}}')

    changed, note = chat.at_level(peek, LEVELS)

    assert note is not None
    assert bytes(changed.members["reasoning"]) == b'{"effort":"high","a":1.0}'
