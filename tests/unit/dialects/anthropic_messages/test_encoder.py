"""A caller's Messages answer, streamed or plain, written from events."""

import json
from typing import Any, Final

import msgspec

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
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
from smart_llmrouter.dialects.anthropic_messages.answers import write_answer
from smart_llmrouter.dialects.anthropic_messages.encoder import (
    NO_STATE,
    STOP_REASONS,
    MessagesEncoder,
)
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.sealed import seal
from tests.support.grammar_anthropic_messages import read_stream, read_whole_stream

ID = "0123456789abcdef" * 2
LABEL = "acme/mini"
OWN: Final = "anthropic-messages"


def answering() -> Answering:
    """Return what an answer is written for."""
    request = Request(dialect="anthropic-messages", model="m", turns=())
    return Answering(
        request=request, id=ID, created_s=1, model="m", label=LABEL, notes=Notes()
    )


def streamed(*events: Event, reason: FinishReason = "stop") -> bytes:
    """Write a stream, event by event."""
    encoder = MessagesEncoder(answering())
    written = b"".join(encoder.encode([event]) for event in events)
    return written + encoder.finish(Finished(reason))


def both(*events: Event, reason: FinishReason = "stop") -> list[dict[str, Any]]:
    """Return the blocks of a stream, which are those of the plain answer."""
    stream = read_whole_stream(streamed(*events, reason=reason))
    plain = json.loads(write_answer([*events, Finished(reason)], answering()))
    assert plain == stream
    content: list[dict[str, Any]] = plain["content"]
    return content


def test_a_short_stream_byte_for_byte() -> None:
    """Each event is named, usage stands where Anthropic puts it."""
    written = streamed(
        Started("x", "other"),
        UsageSeen(Usage(input_tokens=7, cached_input_tokens=4)),
        Opened(0, "text"),
        Delta(0, 'a"é'),
        Closed(0),
        UsageSeen(Usage(input_tokens=7, cached_input_tokens=4, output_tokens=2)),
    )

    used = (
        '"usage":{"input_tokens":3,"cache_creation_input_tokens":0,'
        '"cache_read_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":0,'
        '"ephemeral_1h_input_tokens":0},"output_tokens":'
    )
    assert written.decode().split("\n\n") == [
        (
            'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_'
            f'{ID}","type":"message","role":"assistant","model":"m","content":[],'
            f'"stop_reason":null,"stop_sequence":null,{used}0}}}}}}'
        ),
        (
            'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
            '"content_block":{"type":"text","text":""}}'
        ),
        (
            'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            '"delta":{"type":"text_delta","text":"a\\"é"}}'
        ),
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}',
        (
            'event: message_delta\ndata: {"type":"message_delta","delta":'
            f'{{"stop_reason":"end_turn","stop_sequence":null}},{used}2}}}}'
        ),
        'event: message_stop\ndata: {"type":"message_stop"}',
        "",
    ]


def test_every_count_is_in_the_end() -> None:
    """Usage that is known only then is 0 in the beginning."""
    usage = Usage(
        input_tokens=100,
        cached_input_tokens=50,
        cache_write_5m_tokens=20,
        cache_write_1h_tokens=10,
        output_tokens=8,
        reasoning_tokens=3,
    )

    stream = streamed(Opened(0, "text"), Delta(0, "a"), Closed(0), UsageSeen(usage))

    first = json.loads(stream.split(b"\n")[1].removeprefix(b"data: "))
    assert first["message"]["usage"]["input_tokens"] == 0
    assert read_whole_stream(stream)["usage"] == {
        "input_tokens": 20,
        "cache_read_input_tokens": 50,
        "cache_creation_input_tokens": 30,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 10,
        },
        "output_tokens": 8,
        "output_tokens_details": {"thinking_tokens": 3},
    }


def test_calls_that_alternate_become_blocks_one_after_the_other() -> None:
    """What came of the second meanwhile waits."""
    content = both(
        Opened(0, "text"),
        Delta(0, "ok"),
        Opened(1, "tool_call", call_id="a", name="f"),
        Opened(2, "tool_call", call_id="b", name="g"),
        Delta(2, '{"x"'),
        Delta(1, '{"y":'),
        Closed(0),
        Delta(2, ":1}"),
        Delta(1, "2}"),
        Closed(2),
        Opened(3, "tool_call", call_id="", name="h"),
        Closed(1),
        Closed(3),
        reason="tool_calls",
    )

    assert content == [
        {"type": "text", "text": "ok"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"y": 2}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"x": 1}},
        {"type": "tool_use", "id": f"toolu_{ID}_3", "name": "h", "input": {}},
    ]


def test_many_calls_at_once() -> None:
    """However many wait."""
    calls = [Opened(n, "tool_call", call_id=f"c{n}", name="f") for n in range(2_000)]
    ends = [Closed(n) for n in range(1, 2_000)]

    content = both(*calls, *ends, Closed(0), reason="tool_calls")

    assert [block["id"] for block in content] == [f"c{n}" for n in range(2_000)]


def test_no_block_is_empty() -> None:
    """Parts that say nothing are not written."""
    assert (
        both(
            Opened(0, "text"),
            Delta(0, ""),
            Closed(0),
            Opened(1, "reasoning"),
            Closed(1),
            Opened(2, "refusal"),
            Closed(2),
        )
        == []
    )


def test_thinking_is_signed_with_what_its_maker_gave() -> None:
    """Sealed with who that was; a seal of nothing where there was nothing."""
    encrypted = ReasoningState(kind="encrypted", value="gA", item_id="rs_1")
    redacted = ReasoningState(kind="redacted", value="Emw")

    content = both(
        Opened(0, "reasoning"),
        Delta(0, "hm"),
        Signed(0, encrypted),
        Closed(0),
        Opened(1, "summary"),
        Delta(1, "in short"),
        Closed(1),
        Opened(2, "reasoning"),
        Signed(2, encrypted),
        Closed(2),
        Opened(3, "reasoning"),
        Signed(3, redacted),
        Closed(3),
    )

    proof = seal(encrypted, label=LABEL)
    assert content == [
        {"type": "thinking", "thinking": "hm", "signature": proof},
        {
            "type": "thinking",
            "thinking": "in short",
            "signature": seal(NO_STATE, label=LABEL),
        },
        {"type": "thinking", "thinking": "", "signature": proof},
        {"type": "redacted_thinking", "data": seal(redacted, label=LABEL)},
    ]


def test_refusals_are_text_and_own_notes_on_text_stay() -> None:
    """Notes of another dialect are dropped, which is noted."""
    goal = answering()
    events: list[Event] = [
        Opened(0, "refusal"),
        Delta(0, "no"),
        Closed(0),
        Opened(1, "text"),
        Delta(1, "see"),
        Annotated(1, OWN, msgspec.Raw(b'{"n":1}')),
        Annotated(1, "openai-chat", msgspec.Raw(b"{}")),
        Closed(1),
    ]
    encoder = MessagesEncoder(goal)

    written = encoder.encode(events) + encoder.finish(Finished("stop"))

    assert read_whole_stream(written)["content"] == both(*events)
    assert both(*events) == [
        {"type": "text", "text": "no"},
        {"type": "text", "text": "see", "citations": [{"n": 1}]},
    ]
    assert {note.field for note in goal.notes.all()} == {"refusal", "annotations"}


def test_a_note_on_a_text_may_come_before_it() -> None:
    """The block begins with whatever comes first."""
    content = both(
        Opened(0, "text"),
        Annotated(0, OWN, msgspec.Raw(b'{"n":1}')),
        Delta(0, "a"),
        Closed(0),
    )

    assert content == [{"type": "text", "text": "a", "citations": [{"n": 1}]}]


def test_blocks_that_only_messages_knows_are_written_whole() -> None:
    """In their place; those of others are dropped with a note."""
    frame = OpaqueFrame(OWN, "server_tool_use", msgspec.Raw(b'{"type":"x"}'))
    foreign = OpaqueFrame("openai-responses", "web_search_call", msgspec.Raw(b"{}"))
    goal = answering()
    events: list[Event] = [
        frame,
        Opened(0, "text"),
        Delta(0, "a"),
        frame,
        foreign,
        Closed(0),
    ]

    plain = json.loads(write_answer([*events, Finished("stop")], goal))

    assert plain["content"] == [
        {"type": "x"},
        {"type": "text", "text": "a"},
        {"type": "x"},
    ]
    assert read_whole_stream(streamed(*events))["content"] == plain["content"]
    assert [note.field for note in goal.notes.all()] == ["web_search_call"]


def test_each_reason_is_told_and_a_call_is_always_one() -> None:
    """Who called a tool waits for its result."""
    call: list[Event] = [Opened(0, "tool_call", call_id="a", name="f"), Closed(0)]

    for reason, written in STOP_REASONS.items():
        alone = read_whole_stream(streamed(reason=reason))
        called = read_whole_stream(streamed(*call, reason=reason))

        wanted = "end_turn" if reason == "tool_calls" else written
        assert alone["stop_reason"] == wanted
        assert called["stop_reason"] == (
            "tool_use" if reason in ("stop", "tool_calls") else written
        )


def test_a_stop_sequence_is_told() -> None:
    """It is the one that ended the answer."""
    written = MessagesEncoder(answering()).finish(Finished("stop_sequence", "END"))

    message = read_whole_stream(written)

    assert (message["stop_reason"], message["stop_sequence"]) == (
        "stop_sequence",
        "END",
    )


def test_input_that_is_no_object_is_a_text_in_one() -> None:
    """A plain answer is valid, whatever a provider gave."""
    events: list[Event] = [
        Opened(0, "tool_call", call_id="a", name="f"),
        Delta(0, '{"a":'),
        Closed(0),
        Finished("length"),
    ]

    plain = json.loads(write_answer(events, answering()))

    assert plain["content"][0]["input"] == {"INVALID_JSON": '{"a":'}


def test_a_stream_without_an_end_has_none() -> None:
    """Neither the encoder nor anything else closes it."""
    encoder = MessagesEncoder(answering())

    written = encoder.encode([Opened(0, "text"), Delta(0, "a"), Closed(0)])

    assert not read_stream(written).ended
