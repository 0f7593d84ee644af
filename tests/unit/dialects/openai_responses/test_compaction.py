"""Compacting for models that cannot: one sealed summary, and back again."""

import json

import pytest
from msgspec import Raw

from smart_llmrouter.core.content import ReasoningState, Text
from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
)
from smart_llmrouter.core.request import ToolChoice
from smart_llmrouter.dialects.openai_responses.compaction import (
    asks_for_summary,
    sealed_summary,
    summary_in,
)
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from smart_llmrouter.dialects.sealed import SEAL, seal
from tests.support.grammar_openai_responses import read
from tests.support.openai_responses import answering, parsed, streamed

TRIGGER = {"type": "compaction_trigger"}
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "name": "f"}
SAID: list[Event] = [
    Started(),
    Opened(0, "reasoning"),
    Delta(0, "let me see"),
    Signed(0, ReasoningState(kind="signature", value="v")),
    Closed(0),
    Opened(1, "text"),
    Delta(1, "Two files "),
    Delta(1, "were changed."),
    Closed(1),
    OpaqueFrame("openai-responses", "web_search_call", Raw(b"{}")),
    Opened(2, "tool_call", "c", "f"),
    Delta(2, "{}"),
    Closed(2),
]


def test_a_model_is_asked_for_a_summary() -> None:
    """Its tools stay declared, since calls were made, and none may be called."""
    request = parsed(input=[USER, TRIGGER], tools=[TOOL], tool_choice="auto")

    assert asks_for_summary(request)
    assert [turn.role for turn in request.turns] == ["user", "user"]
    assert len(request.tools) == 1
    assert request.tool_choice == ToolChoice(mode="none")
    assert not asks_for_summary(parsed(input=[USER]))
    assert not asks_for_summary(parsed(input=[]))


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_the_answer_is_exactly_one_compaction_item(reason: str) -> None:
    """Whatever else the model did, nothing else may come back."""
    request = parsed(input=[USER, TRIGGER], tools=[TOOL])
    last = Finished(reason)  # type: ignore[arg-type]  # one of a table

    whole = read(streamed([*SAID, last], answering(request)))
    plain = OPENAI_RESPONSES.write_answer([*SAID, last], answering(request))

    (item,) = whole.items
    assert json.loads(plain)["output"] == [item]
    assert set(item) == {"type", "id", "encrypted_content"}
    assert item["type"] == "compaction"
    assert item["encrypted_content"].startswith(SEAL)
    assert "Two files" not in item["encrypted_content"]


def test_the_summary_stands_for_the_conversation() -> None:
    """It comes back as a message, for any model."""
    request = parsed(input=[USER, TRIGGER])
    (item,) = read(streamed([*SAID, Finished("stop")], answering(request))).items

    (turn, _) = parsed(input=[item, USER]).turns

    (part,) = turn.parts
    assert turn.role == "user"
    assert isinstance(part, Text)
    assert part.text.endswith("\n\nTwo files were changed.")


def test_no_summary_is_a_failure() -> None:
    """An empty one would be the loss of the whole conversation; Codex asks again."""
    request = parsed(input=[USER, TRIGGER])

    whole = read(streamed([Started(), Finished("stop")], answering(request)))

    assert whole.kind == "response.failed"
    assert whole.response["error"]["code"] == "server_error"
    assert whole.items == []


def test_what_was_sealed_otherwise_is_no_summary() -> None:
    """Each seal is for what it holds."""
    state = ReasoningState(kind="encrypted", value="other")

    assert summary_in(seal(state, label="a", text="x")) is None
    assert summary_in("gAAAA") is None
    assert (summary_in(sealed_summary("x", label="a")) or "").endswith("\n\nx")
