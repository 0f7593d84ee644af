"""Grammars of custom tools, budgets of thinking, and proofs on calls, in odd forms."""

import json
from typing import Any

import pytest

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import Closed, Event, Opened, Signed
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import CustomTool
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.dialects.sealed import seal
from tests.support.bridge import CHAT, MESSAGES, bridge, chat_end, chat_stream, sent
from tests.support.golden import SERVING, SIMPLE

CHAT_DIALECT = DIALECTS[CHAT]
LARK = {"syntax": "lark", "definition": "start: /.+/"}


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ({"type": "grammar", "grammar": LARK}, {"type": "grammar", **LARK}),
        ({"type": "text"}, {"type": "text"}),
        ({"type": "grammar", "grammar": "x"}, {"type": "grammar", "grammar": "x"}),
        ("text", "text"),
        (None, None),
    ],
)
def test_a_grammar_is_flat_in_the_canon_and_nested_in_chat(
    said: object, held: object
) -> None:
    """What is no grammar as Chat has it stays as it is."""
    tool = {"type": "custom", "custom": {"name": "c", "format": said}}
    body = json.dumps({**SIMPLE[CHAT], "tools": [tool]}).encode()

    request = CHAT_DIALECT.parse(CHAT_DIALECT.peek(body))
    written = json.loads(CHAT_DIALECT.render(request, SERVING, Notes()))

    (read,) = request.tools
    assert isinstance(read, CustomTool)
    assert (json.loads(bytes(read.format)) if read.format else None) == held
    assert written["tools"][0]["custom"].get("format") == said


@pytest.mark.parametrize(
    ("asked", "thinking", "noted"),
    [
        ({"thinking": {"type": "adaptive"}}, None, ["thinking"]),
        ({"output_config": {"effort": "ultra"}}, None, ["thinking"]),
        ({"output_config": {"effort": "high"}}, 8_976, ["thinking", "thinking"]),
        ({"thinking": {"type": "enabled", "budget_tokens": 4_096}}, 4_096, []),
        ({}, None, []),
    ],
)
def test_a_budget_is_less_than_the_cap_and_no_wish_is_lost(
    asked: dict[str, Any], thinking: int | None, noted: list[str]
) -> None:
    """What cannot be a number is left to the provider, with a note."""
    body = json.dumps({**SIMPLE[MESSAGES], "max_tokens": 10_000, **asked}).encode()
    messages, notes = DIALECTS[MESSAGES], Notes()
    request = messages.parse(messages.peek(body))
    serving = Serving(label="a/m", model="m", reasoning_control="token_budget")

    written = json.loads(CHAT_DIALECT.render(request, serving, notes))

    assert written.get("thinking", {}).get("budget_tokens") == thinking
    assert [note.field for note in notes.all()] == noted


def test_a_cap_without_room_for_thoughts_switches_them_off() -> None:
    """The answer comes first."""
    members = {**SIMPLE[MESSAGES], "max_tokens": 500}
    body = json.dumps({**members, "output_config": {"effort": "high"}}).encode()
    messages = DIALECTS[MESSAGES]
    serving = Serving(label="a/m", model="m", reasoning_control="token_budget")

    written = json.loads(
        CHAT_DIALECT.render(messages.parse(messages.peek(body)), serving, Notes())
    )

    assert written["thinking"] == {"type": "disabled"}


def signed(extra: object) -> dict[str, Any]:
    """Return the delta of a call with a proof on it."""
    function = {"name": "f", "arguments": "{}"}
    call = {"index": 0, "id": "c", "type": "function", "function": function}
    return {"tool_calls": [{**call, "extra_content": extra}]}


def heard(*deltas: dict[str, Any]) -> list[Event]:
    """Return what a stream of these tells."""
    return CHAT_DIALECT.decoder().feed(chat_stream(*deltas, *chat_end("tool_calls")))


def test_a_proof_belongs_to_the_thought_before_the_call() -> None:
    """A thought that is open is what it proves; without one it stands for itself."""
    state = ReasoningState(kind="encrypted", value='{"g": 1}')

    after_thought = heard({"reasoning_content": "Hm."}, signed({"g": 1}))
    alone = heard(signed({"g": 1}))

    assert after_thought[3:5] == [Signed(0, state), Closed(0)]
    assert alone[1:4] == [Opened(0, "reasoning"), Signed(0, state), Closed(0)]


def test_nothing_on_a_call_proves_nothing() -> None:
    """A null is as absent."""
    told = heard(signed(None))

    assert not any(isinstance(event, Signed) for event in told)


def test_what_a_caller_made_up_is_not_put_on_a_call() -> None:
    """A seal is no secret: what is in it must be an object at least."""
    state = ReasoningState(kind="encrypted", value='"} , {')
    proof = seal(state, label=SERVING.label)
    said = [
        {"type": "thinking", "thinking": "Hm.", "signature": proof},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": said}]
    body = {**SIMPLE[MESSAGES], "messages": turns}

    (call,) = sent(MESSAGES, CHAT, body)["messages"][1]["tool_calls"]

    assert "extra_content" not in call
    fields = [note.field for note in bridge(MESSAGES, CHAT, body).noted()]
    assert "reasoning.encrypted_content" in fields
