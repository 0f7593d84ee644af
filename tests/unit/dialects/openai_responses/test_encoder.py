"""Writing answers: every item in full, exactly one end, and nothing that is empty."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from smart_llmrouter.core.content import Reasoning, ReasoningState, StateKind
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from smart_llmrouter.dialects.sealed import unseal
from tests.support.grammar_openai_responses import Read, events_of, read
from tests.support.openai_responses import ID, answering, parsed, streamed

STOP = Finished("stop")
BEGUN = Started("msg_1", "claude")


def text(index: int, *pieces: str) -> list[Event]:
    """Return a text in these pieces."""
    deltas = [Delta(index, piece) for piece in pieces]
    return [Opened(index, "text"), *deltas, Closed(index)]


def thought(index: int, *told: str, state: ReasoningState | None = None) -> list[Event]:
    """Return a reasoning, with its proof."""
    proof: list[Event] = [] if state is None else [Signed(index, state)]
    deltas = [Delta(index, piece) for piece in told]
    return [Opened(index, "reasoning"), *deltas, *proof, Closed(index)]


def written(events: Sequence[Event], request: Request | None = None) -> Read:
    """Write a stream and a plain answer, and insist that both say the same."""
    told = [BEGUN, *events]
    stream = streamed(told, answering(request))
    whole = read(stream)
    plain = OPENAI_RESPONSES.write_answer(told, answering(request))
    assert json.loads(plain) == whole.response
    Response.model_validate(whole.response)
    for event in events_of(stream):
        if event["type"] != "response.failed":
            TypeAdapter[Any](ResponseStreamEvent).validate_python(event)
    return whole


def test_a_text_as_a_stream() -> None:
    """Each event in its order, with its number and its place."""
    events = [BEGUN, *text(0, "hel", "lo"), UsageSeen(Usage(output_tokens=2)), STOP]

    told = events_of(streamed(events))

    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in told] == list(range(10))
    assert told[4] == {
        "type": "response.output_text.delta",
        "item_id": f"msg_{ID}_0",
        "output_index": 0,
        "content_index": 0,
        "sequence_number": 4,
        "delta": "hel",
        "logprobs": [],
    }


def test_a_plain_answer() -> None:
    """It repeats what was asked for, and names itself."""
    request = parsed(
        instructions="Be brief.",
        max_output_tokens=99,
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        tool_choice={"type": "function", "name": "f"},
        text={"verbosity": "low"},
        reasoning={"effort": "low"},
        metadata={"a": "b"},
        parallel_tool_calls=False,
    )

    answer = written([*text(0, "hello"), STOP], request).response

    assert answer["id"] == f"resp_{ID}"
    assert (answer["model"], answer["created_at"]) == ("fast", 1_700_000_000)
    assert answer["output"] == [
        {
            "id": f"msg_{ID}_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "hello",
                    "annotations": [],
                    "logprobs": [],
                }
            ],
        }
    ]
    assert answer["instructions"] == "Be brief."
    assert answer["tools"] == [
        {"type": "function", "name": "f", "parameters": {}, "strict": True}
    ]
    assert answer["tool_choice"] == {"type": "function", "name": "f"}
    assert answer["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert answer["reasoning"] == {"effort": "low", "summary": None}
    assert (answer["metadata"], answer["parallel_tool_calls"]) == ({"a": "b"}, False)
    assert (answer["max_output_tokens"], answer["usage"]) == (99, None)


def test_usage_has_each_count_that_codex_insists_on() -> None:
    """What is missing of it reads 0."""
    usage = Usage(
        input_tokens=10,
        cached_input_tokens=4,
        cache_write_5m_tokens=2,
        cache_write_1h_tokens=1,
        output_tokens=7,
        reasoning_tokens=3,
    )

    some = written([UsageSeen(Usage(output_tokens=1)), UsageSeen(usage), STOP])
    few = written([UsageSeen(Usage(output_tokens=7)), STOP])

    assert some.response["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    }
    assert few.response["usage"]["total_tokens"] == 7


def test_calls_are_what_codex_declared() -> None:
    """A freeform tool gets its text, a namespace comes back, a search is an object."""
    events: list[Event] = [
        Opened(0, "tool_call", "c1", "add", "mcp__toy"),
        Opened(1, "tool_call", "c2", "apply_patch", None, "custom"),
        Delta(0, '{"a"'),
        Delta(1, "*** Begin\n"),
        Delta(0, ":1}"),
        Closed(0),
        Closed(1),
        Opened(2, "tool_call", "c3", "tool_search", None, "tool_search"),
        Delta(2, '{"query":'),
        Delta(2, '"sum"}'),
        Closed(2),
    ]

    items = written([*events, Finished("tool_calls")]).items

    assert items == [
        {
            "id": f"fc_{ID}_0",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "add",
            "namespace": "mcp__toy",
            "arguments": '{"a":1}',
        },
        {
            "id": f"ctc_{ID}_1",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "c2",
            "name": "apply_patch",
            "input": "*** Begin\n",
        },
        {
            "id": f"tsc_{ID}_2",
            "type": "tool_search_call",
            "status": "completed",
            "call_id": "c3",
            "execution": "client",
            "arguments": {"query": "sum"},
        },
    ]


@pytest.mark.parametrize(
    ("kind", "pieces", "given"),
    [
        ("function", [], ("arguments", "{}")),
        ("custom", [], ("input", "")),
        ("tool_search", [], ("arguments", {})),
        ("tool_search", ["sum"], ("arguments", "sum")),
        ("function", ["{broken"], ("arguments", "{broken")),
    ],
)
def test_calls_with_odd_arguments(
    kind: Any,  # noqa: ANN401 - one of a table
    pieces: list[str],
    given: tuple[str, object],
) -> None:
    """Nothing is invented but the braces that JSON needs."""
    deltas = [Delta(0, piece) for piece in pieces]
    opened = Opened(0, "tool_call", "c", "f", None, kind)
    events: list[Event] = [opened, *deltas, Closed(0)]

    (item,) = written([*events, Finished("tool_calls")]).items

    assert item[given[0]] == given[1]


def test_consecutive_texts_are_one_message() -> None:
    """Providers cut a text where they cite; and a refusal is a part of its own."""
    refusal: list[Event] = [Opened(2, "refusal"), Delta(2, "no"), Closed(2)]

    (item,) = written([*text(0, "a"), *text(1, "b"), *refusal, STOP]).items

    assert [part.get("text", part.get("refusal")) for part in item["content"]] == [
        "a",
        "b",
        "no",
    ]


def test_nothing_empty_is_ever_sent() -> None:
    """Neither a text without a word nor a reasoning without a word and a proof."""
    empty: list[Event] = [*text(0), *thought(1), Opened(2, "summary"), Closed(2)]

    assert written([*empty, STOP]).items == []
    assert [item["type"] for item in written([*empty, *text(3, "a"), STOP]).items] == [
        "message"
    ]


@pytest.mark.parametrize("kind", ["signature", "redacted", "encrypted"])
def test_a_reasoning_comes_back_to_its_maker(kind: StateKind) -> None:
    """What the caller keeps for the next turn says all that was there."""
    state = ReasoningState(kind=kind, value="proof", item_id="x")
    whole = written([*thought(0, "hm", "m", state=state), *text(1, "so"), STOP])

    item, _ = whole.items
    (turn,) = parsed(input=whole.items).turns

    assert item["id"] == f"rs_{ID}_0"
    assert item["content"] == [{"type": "reasoning_text", "text": "hmm"}]
    assert turn.parts[0] == Reasoning(
        text="hmm", state=replace(state, minted_by="anthropic/claude")
    )


def test_a_reasoning_that_can_only_be_read_comes_back_too() -> None:
    """Codex sends back what is encrypted, and nothing that is readable."""
    item, _ = written([*thought(0, "hmm"), *text(1, "so"), STOP]).items

    (turn,) = parsed(input=[item | {"content": None}]).turns

    assert turn.parts == (
        Reasoning(text="hmm", extras={"id": Raw(f'"{item["id"]}"'.encode())}),
    )


def test_a_signed_account_is_what_was_signed() -> None:
    """A proof is useless without the words that it proves."""
    state = ReasoningState(kind="signature", value="proof")
    events: list[Event] = [
        Opened(0, "summary"),
        Delta(0, "short"),
        Signed(0, state),
        Closed(0),
    ]

    (item,) = written([*events, STOP]).items

    assert item["summary"] == [{"type": "summary_text", "text": "short"}]
    assert (unseal(item["encrypted_content"]) or ("", ""))[1] == "short"


def test_accounts_and_thoughts_are_one_item_until_a_proof() -> None:
    """A proof ends its item, and so does anything else."""
    state = ReasoningState(kind="redacted", value="data")
    events: list[Event] = [
        Opened(0, "summary"),
        Delta(0, "one"),
        Closed(0),
        Opened(1, "summary"),
        Delta(1, "two"),
        Closed(1),
        *thought(2, "raw", state=state),
        *thought(3, state=state),
        *thought(4, "more"),
        *text(5, "so"),
        *thought(6, "again"),
    ]

    items = written([*events, STOP]).items

    assert [(i["type"], len(i.get("summary", ())), "content" in i) for i in items] == [
        ("reasoning", 2, True),
        ("reasoning", 0, False),
        ("reasoning", 0, True),
        ("message", 0, True),
        ("reasoning", 0, True),
    ]


def test_who_did_not_ask_for_states_gets_none() -> None:
    """`include` is how a caller says that it keeps them."""
    state = ReasoningState(kind="signature", value="proof")

    (item,) = written([*thought(0, "hm", state=state), STOP], parsed()).items

    assert "encrypted_content" not in item


@pytest.mark.parametrize(
    ("reason", "status", "details", "message"),
    [
        ("stop", "completed", None, "completed"),
        ("stop_sequence", "completed", None, "completed"),
        ("tool_calls", "completed", None, "completed"),
        ("pause", "completed", None, "completed"),
        ("length", "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        ("context", "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        ("content_filter", "incomplete", {"reason": "content_filter"}, "incomplete"),
    ],
)
def test_how_an_answer_ends(
    reason: FinishReason, status: str, details: object, message: str
) -> None:
    """Each reason is a last event and a status."""
    whole = written([*text(0, "a"), Finished(reason)])

    assert whole.kind == f"response.{status}"
    assert whole.response["incomplete_details"] == details
    assert whole.items[0]["status"] == message


def test_an_answer_that_failed() -> None:
    """A plain one says so; in a stream that is said by an error event."""
    raw = Raw(b'{"code":"server_error","message":"x"}')
    events: list[Event] = [BEGUN, *text(0, "a"), Failed(raw)]

    plain = json.loads(OPENAI_RESPONSES.write_answer(events, answering()))

    assert (plain["status"], plain["error"]["code"]) == ("failed", "server_error")
    assert json.loads(OPENAI_RESPONSES.write_answer([], answering()))["error"] is None
    assert b"response.failed" not in streamed(events)


def test_a_stream_that_was_cut_has_no_end() -> None:
    """The message stays open, and no last event is written."""
    told = events_of(streamed([BEGUN, *text(0, "a")]))

    assert [event["type"] for event in told][-1] == "response.content_part.done"


def test_an_answer_without_a_beginning() -> None:
    """The stream begins with whatever comes first, or with its end."""
    assert read(streamed([*text(0, "a"), STOP])).items
    assert read(streamed([STOP])).items == []


def test_annotations() -> None:
    """Those of Chat have another form, and those of others none."""
    own = Raw(b'{"type":"file_citation","file_id":"f"}')
    chat = Raw(b'{"type":"url_citation","url_citation":{"url":"u","title":"t"}}')
    notes = Notes()
    events: list[Event] = [
        Opened(0, "text"),
        Annotated(0, "openai-responses", own),
        Delta(0, "a"),
        Annotated(0, "openai-chat", chat),
        Annotated(0, "anthropic-messages", Raw(b'{"type":"char_location"}')),
        Closed(0),
    ]

    whole = read(streamed([BEGUN, *events, STOP], answering(notes=notes)))

    assert whole.items[0]["content"][0]["annotations"] == [
        {"type": "file_citation", "file_id": "f"},
        {"type": "url_citation", "url": "u", "title": "t"},
    ]
    assert [(note.action, note.field) for note in notes.all()] == [
        ("dropped", "citations")
    ]


def test_a_proof_at_a_place_without_one() -> None:
    """A text cannot be signed here."""
    state = ReasoningState(kind="signature", value="v")
    events: list[Event] = [
        Opened(0, "text"),
        Delta(0, "a"),
        Signed(0, state),
        Closed(0),
    ]

    assert [item["type"] for item in written([*events, STOP]).items] == ["message"]


def test_what_a_provider_did_by_itself() -> None:
    """Items of this dialect pass as they are; others are noted."""
    notes = Notes()
    item = Raw(b'{"type":"web_search_call","id":"ws_1","status":"completed"}')
    frames: list[Event] = [
        *text(0, "a"),
        OpaqueFrame("openai-responses", "web_search_call", item),
        OpaqueFrame("anthropic-messages", "server_tool_use", Raw(b"{}")),
    ]

    whole = read(streamed([BEGUN, *frames, STOP], answering(notes=notes)))

    assert [each["type"] for each in whole.items] == ["message", "web_search_call"]
    assert [note.field for note in notes.all()] == ["server_tool_use"]


@pytest.mark.parametrize(
    ("asking", "summary"), [('{"summary":"auto"}', True), ('{"effort":"high"}', False)]
)
def test_thoughts_are_shown_as_the_summary_that_was_asked_for(
    asking: str, *, summary: bool
) -> None:
    """Codex shows summaries only, and asks for them."""
    request = parsed(reasoning=json.loads(asking))

    item, _ = written([*thought(0, "hm"), *text(1, "a"), STOP], request).items

    shown = {"type": "summary_text", "text": "hm"}
    assert item["summary"] == ([shown] if summary else [])
    assert ("content" in item) is not summary
