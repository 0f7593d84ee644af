"""What a caller of Chat Completions is streamed, and what is noted of it."""

import json
from collections.abc import Sequence

import msgspec
import pytest

from smart_llmrouter.core.content import Reasoning, ReasoningState, Text
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    PartKind,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Note, Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from tests.support.grammar_openai_chat import ReadStream, read_stream

USAGE = Usage(
    input_tokens=9,
    cached_input_tokens=4,
    cache_write_5m_tokens=1,
    cache_write_1h_tokens=2,
    output_tokens=5,
    reasoning_tokens=3,
)
WIRE_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def answering(
    *, include_usage: bool = True, legacy: bool = False, keeps: bool = False
) -> Answering:
    """Return what an answer is written for."""
    request = Request(
        dialect="openai-chat",
        model="fast",
        turns=(),
        include_usage=include_usage,
        legacy_functions=legacy,
        wants_reasoning_state=keeps,
    )
    return Answering(
        request=request,
        id="0" * 32,
        created_s=7,
        model="fast",
        label="t",
        notes=Notes(),
    )


def part(index: int, kind: PartKind, *texts: str) -> list[Event]:
    """Return a whole part."""
    deltas = [Delta(index, text) for text in texts]
    return [Opened(index, kind), *deltas, Closed(index)]


def called(index: int, call_id: str, *texts: str) -> list[Event]:
    """Return a whole call of a function `f`."""
    deltas = [Delta(index, text) for text in texts]
    return [Opened(index, "tool_call", call_id, "f"), *deltas, Closed(index)]


def written(
    events: Sequence[Event], to: Answering, reason: FinishReason = "stop"
) -> bytes:
    """Return the stream of a complete answer."""
    encoder = OPENAI_CHAT.encoder(to)
    return encoder.encode([Started("x", "real"), *events]) + encoder.finish(
        Finished(reason)
    )


def streamed(
    events: Sequence[Event], to: Answering, reason: FinishReason = "stop"
) -> ReadStream:
    """Return what a strict reader reads of a complete answer."""
    data = written(events, to, reason)
    return read_stream(data, include_usage=to.request.include_usage)


def folded(
    events: Sequence[Event], to: Answering, reason: FinishReason = "stop"
) -> dict[str, object]:
    """Return the message of the plain answer, and why it ended."""
    body = OPENAI_CHAT.write_answer(
        [Started("x", "real"), *events, Finished(reason)], to
    )
    choice = json.loads(body)["choices"][0]
    return {**choice["message"], "finish_reason": choice["finish_reason"]}


def test_a_whole_stream_byte_for_byte() -> None:
    """The role comes first, then deltas, the reason, the usage and the end."""
    events = [*part(0, "text", "Hé", "\n"), UsageSeen(Usage(output_tokens=2))]

    data = written(events, answering())

    head = (
        b'data: {"id":"chatcmpl-00000000000000000000000000000000",'
        b'"object":"chat.completion.chunk","created":7,"model":"fast","choices":['
    )
    delta, tail = b'{"index":0,"delta":{', b'},"finish_reason":null}],"usage":null}\n\n'
    assert data.split(b"data: ")[1:] == [
        line.removeprefix(b"data: ")
        for line in (
            head + delta + b'"role":"assistant","content":""' + tail,
            head + delta + b'"content":"H\xc3\xa9"' + tail,
            head + delta + b'"content":"\\n"' + tail,
            head + delta + b'},"finish_reason":"stop"}],"usage":null}\n\n',
            head + b'],"usage":{"completion_tokens":2}}\n\n',
            b"data: [DONE]\n\n",
        )
    ]


def test_usage_only_if_it_was_asked_for() -> None:
    """Who did not ask for usage sees neither the chunk nor the null."""
    events = [*part(0, "text", "a"), UsageSeen(USAGE)]

    asked = streamed(events, answering())
    unasked = written(events, answering(include_usage=False))

    assert asked.usage == WIRE_USAGE
    assert b"usage" not in unasked
    assert read_stream(unasked, include_usage=False).complete


def test_unknown_usage_is_not_zero() -> None:
    """Without any usage there is no usage chunk, and none in a plain answer."""
    read = streamed(part(0, "text", "a"), answering())
    plain = OPENAI_CHAT.write_answer(
        [*part(0, "text", "a"), Finished("stop")], answering()
    )

    assert (read.usage, read.complete) == (None, True)
    assert "usage" not in json.loads(plain)


def test_calls_are_numbered_by_themselves() -> None:
    """The numbers of calls count calls, not parts, also where they alternate."""
    events = [
        *part(0, "reasoning", "hm"),
        *part(1, "text", "a"),
        Opened(2, "tool_call", "x", "f"),
        Opened(3, "tool_call", "y", "g", call_kind="custom"),
        Delta(2, '{"a"'),
        Delta(3, "free"),
        Delta(2, ":1}"),
        Closed(2),
        Closed(3),
    ]

    read = streamed(events, answering(), "tool_calls")
    plain = folded(events, answering(), "tool_calls")

    assert read.texts == {"content": "a", "reasoning_content": "hm"}
    assert read.calls == [
        {"id": "x", "kind": "function", "name": "f", "given": '{"a":1}'},
        {"id": "y", "kind": "custom", "name": "g", "given": "free"},
    ]
    assert read.finish_reason == "tool_calls"
    assert plain == {
        "role": "assistant",
        "content": "a",
        "refusal": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "x",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
            },
            {"id": "y", "type": "custom", "custom": {"name": "g", "input": "free"}},
        ],
        "finish_reason": "tool_calls",
    }


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """Who reads the arguments as JSON must be able to."""
    read = streamed(called(0, "x"), answering(), "tool_calls")
    plain = folded(called(0, "x"), answering(), "tool_calls")

    assert read.calls[0]["given"] == "{}"
    assert plain["content"] is None
    assert plain["tool_calls"] == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def test_calls_are_a_reason_of_their_own() -> None:
    """An answer with calls never ends with `stop`."""
    events = called(0, "x", "{}")

    read = streamed(events, answering(), "stop")

    assert read.finish_reason == "tool_calls"
    assert folded(events, answering(), "stop")["finish_reason"] == "tool_calls"


def test_single_calls_for_callers_of_before_tools() -> None:
    """Who sent `functions` gets `function_call`, and the first call only."""
    to = answering(legacy=True)
    events = [*called(0, "x", "{}"), *called(1, "y", "{}")]

    read = streamed(events, to, "tool_calls")
    plain = folded(events, answering(legacy=True), "tool_calls")

    assert read.calls == [{"name": "f", "given": "{}"}]
    assert read.finish_reason == plain["finish_reason"] == "function_call"
    assert plain["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in plain
    assert [note.field for note in to.notes.all()] == ["tool_calls"]


def test_texts_that_do_not_touch_are_kept_apart() -> None:
    """Texts that follow each other are one; others have a blank line in between."""
    events = [
        *part(0, "text", "one"),
        *part(1, "text", " two"),
        *called(2, "x", "{}"),
        *part(3, "text", "three"),
        *part(4, "text"),
    ]

    read = streamed(events, answering())

    assert read.texts == {"content": "one two\n\nthree"}
    assert folded(events, answering())["content"] == "one two\n\nthree"


def test_thoughts_and_accounts_of_them_are_paragraphs() -> None:
    """Every part of reasoning and every summary is a paragraph."""
    events = [
        *part(0, "summary", "one"),
        *part(1, "summary", "two"),
        *part(2, "reasoning", "three"),
        *part(3, "text", "a"),
    ]

    read = streamed(events, answering())

    assert read.texts["reasoning_content"] == "one\n\ntwo\n\nthree"
    assert folded(events, answering())["reasoning_content"] == "one\n\ntwo\n\nthree"


def test_a_refusal() -> None:
    """A refusal has a field of its own."""
    events = part(0, "refusal", "no")

    read = streamed(events, answering(), "content_filter")
    plain = folded(events, answering(), "content_filter")

    assert read.texts == {"refusal": "no"}
    assert (plain["content"], plain["refusal"]) == (None, "no")
    assert plain["finish_reason"] == read.finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("reason", "told"),
    [("context", "length"), ("stop_sequence", "stop"), ("pause", "stop")],
)
def test_reasons_that_chat_does_not_have(reason: FinishReason, told: str) -> None:
    """Each reason becomes the one that comes nearest."""
    assert streamed(part(0, "text", "a"), answering(), reason).finish_reason == told


def test_what_chat_cannot_say_is_noted() -> None:
    """Proofs, citations of others, frames of others, and the met stop sequence."""
    to, plain = answering(), answering()
    state = ReasoningState(kind="signature", value="s")
    events: list[Event] = [
        Opened(0, "reasoning"),
        Delta(0, "hm"),
        Signed(0, state),
        Closed(0),
        Opened(1, "text"),
        Delta(1, "a"),
        Annotated(1, "anthropic-messages", msgspec.Raw(b"{}")),
        Closed(1),
        OpaqueFrame("openai-responses", "image_generation_call", msgspec.Raw(b"{}")),
    ]
    finished = Finished("stop_sequence", "END")
    encoder = OPENAI_CHAT.encoder(to)

    data = encoder.encode(events) + encoder.finish(finished)
    OPENAI_CHAT.write_answer([*events, finished], plain)

    assert read_stream(data, include_usage=True).complete
    assert to.notes.all() == plain.notes.all()
    assert to.notes.all() == (
        Note("dropped", "thinking.signature", "nothing in Chat can hold a proof"),
        Note("dropped", "annotations", "only anthropic-messages has them"),
        Note("dropped", "image_generation_call", "only openai-responses has it"),
        Note("dropped", "stop_sequence", "Chat does not say which one was met"),
    )


def test_annotations_of_this_dialect() -> None:
    """Notes on the text that a provider of this dialect made are passed on."""
    note = Annotated(0, "openai-chat", msgspec.Raw(b'{"type":"url_citation"}'))
    events: list[Event] = [Opened(0, "text"), Delta(0, "a"), note, Closed(0)]

    read = streamed(events, answering())

    assert read.annotations == [{"type": "url_citation"}]
    assert folded(events, answering())["annotations"] == [{"type": "url_citation"}]


def test_an_empty_answer() -> None:
    """An answer that says nothing is one all the same."""
    encoder = OPENAI_CHAT.encoder(answering())

    read = read_stream(encoder.finish(Finished("stop")), include_usage=True)

    assert (read.texts, read.finish_reason, read.complete) == ({}, "stop", True)
    assert folded([], answering())["content"] == ""


def test_a_cut_stream_has_no_end() -> None:
    """Without `finish` nothing is written that could be taken for the end."""
    encoder = OPENAI_CHAT.encoder(answering())

    data = encoder.encode([Started(), *part(0, "text", "a"), UsageSeen(USAGE)])

    read = read_stream(data, include_usage=True)
    assert (read.complete, read.finish_reason) == (False, None)
    assert b"[DONE]" not in data


def test_the_plain_answer_around_the_message() -> None:
    """A plain answer has the ids and names that clients read."""
    events: list[Event] = [*part(0, "text", "a"), UsageSeen(USAGE), Finished("stop")]

    body = json.loads(OPENAI_CHAT.write_answer(events, answering()))

    assert body == {
        "id": "chatcmpl-" + "0" * 32,
        "object": "chat.completion",
        "created": 7,
        "model": "fast",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": WIRE_USAGE,
    }


def test_proofs_for_callers_that_keep_them() -> None:
    """Who knows `reasoning_details` gets each proof with the thought that it proves."""
    first = ReasoningState(kind="signature", value="s")
    second = ReasoningState(kind="encrypted", value="e", item_id="rs_1")
    events: list[Event] = [
        Opened(0, "reasoning"),
        Delta(0, "h"),
        Delta(0, "m"),
        Signed(0, first),
        Closed(0),
        *part(1, "summary", "one"),
        Opened(2, "summary"),
        Delta(2, "two"),
        Signed(2, second),
        Closed(2),
        *part(3, "text", "a"),
    ]
    to = answering(keeps=True)

    read = streamed(events, to)
    plain = folded(events, answering(keeps=True))

    said = {"role": "assistant", "content": "a", "reasoning_details": read.details}
    back = OPENAI_CHAT.parse(
        OPENAI_CHAT.peek(json.dumps({"model": "m", "messages": [said]}).encode())
    )
    assert plain["reasoning_details"] == read.details
    assert back.turns[0].parts == (
        Reasoning(text="hm", state=msgspec.structs.replace(first, minted_by="t")),
        Reasoning(
            text="one\n\ntwo", state=msgspec.structs.replace(second, minted_by="t")
        ),
        Text(text="a"),
    )
    assert back.wants_reasoning_state
    assert to.notes.all() == ()
