"""Thinking that was asked for by budget, where a thought had to go."""

import json
from typing import Any

import msgspec
import pytest

from smart_llmrouter.dialects.anthropic_messages.thinking_off import with_messages
from smart_llmrouter.wire.jsonobject import parse_members, render_members

USER = {"role": "user", "content": "hi"}
NOTE = {"role": "system", "content": "a note"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
RESULTS = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
BUDGET = {"type": "enabled", "budget_tokens": 1024}


def told(*blocks: object) -> dict[str, Any]:
    """Return a message of the assistant's."""
    return {"role": "assistant", "content": list(blocks)}


def changed(messages: object, **members: object) -> dict[str, Any]:
    """Return the request that goes out with `messages`."""
    came = parse_members(json.dumps({"messages": [], **members}).encode())
    left = with_messages(came, msgspec.Raw(json.dumps(messages).encode()))
    request: dict[str, Any] = json.loads(render_members(left))
    assert request.pop("messages") == messages
    return request


@pytest.mark.parametrize(
    ("messages", "thinking"),
    [
        ([USER, told(CALL), RESULTS], {"type": "disabled"}),
        ([USER, told(CALL), NOTE, RESULTS, NOTE], {"type": "disabled"}),
        ([USER, told(THOUGHT, CALL), RESULTS], BUDGET),
        ([USER, told(CALL), RESULTS, told({"type": "text"}), USER], BUDGET),
        ([USER, told(CALL)], BUDGET),
        ([RESULTS], BUDGET),
        ([], BUDGET),
        ("odd", BUDGET),
        ([1, None], BUDGET),
    ],
)
def test_thinking_is_off_where_results_have_no_thought_before_them(
    messages: object, thinking: object
) -> None:
    """Nowhere else does Anthropic demand one."""
    assert changed(messages, thinking=BUDGET) == {"thinking": thinking}


@pytest.mark.parametrize("thinking", [{"type": "adaptive"}, {"type": 1}, "odd", None])
def test_other_thinking_stays_as_it_was_asked_for(thinking: object) -> None:
    """Where no budget is named, no thought is demanded."""
    messages = [USER, told(CALL), RESULTS]

    assert changed(messages, thinking=thinking) == {"thinking": thinking}
    assert changed(messages) == {}


@pytest.mark.parametrize(
    ("management", "left"),
    [
        ({"edits": [{"type": "clear_thinking_1"}]}, None),
        (
            {"edits": [{"type": "clear_thinking_1"}, {"type": "other"}], "a": 1},
            {"edits": [{"type": "other"}], "a": 1},
        ),
        ({"edits": [{"type": "other"}]}, {"edits": [{"type": "other"}]}),
        ("clear_thinking", "clear_thinking"),
    ],
)
def test_nothing_is_told_to_clear_thoughts_that_are_off(
    management: object, left: object
) -> None:
    """Anthropic refuses that, too."""
    messages = [USER, told(CALL), RESULTS]

    sent = changed(messages, thinking=BUDGET, context_management=management)

    assert sent.get("context_management") == left
