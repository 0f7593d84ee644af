"""A provider's Messages answer, streamed or plain, read into events."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import pytest

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.anthropic_messages.decoder import (
    REASONS,
    MessagesDecoder,
    read_answer,
)
from smart_llmrouter.dialects.anthropic_messages.streams import MessagesMeter
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream

NAME: Final = "anthropic-messages"


def raw(value: object) -> msgspec.Raw:
    """Return a value as the tests write it."""
    return msgspec.Raw(json.dumps(value).encode())


def event(kind: str, **members: object) -> bytes:
    """Return one event as Anthropic writes it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


def block(
    place: int, content: Mapping[str, object], *deltas: Mapping[str, object]
) -> bytes:
    """Return a whole block."""
    return (
        event("content_block_start", index=place, content_block=content)
        + b"".join(
            event("content_block_delta", index=place, delta=each) for each in deltas
        )
        + event("content_block_stop", index=place)
    )


def text(said: str) -> dict[str, object]:
    """Return a delta of text."""
    return {"type": "text_delta", "text": said}


def piece(said: str) -> dict[str, object]:
    """Return a delta of an input."""
    return {"type": "input_json_delta", "partial_json": said}


def ending(reason: str = "end_turn", **usage: object) -> bytes:
    """Return the last two events."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage=usage) + event("message_stop")


def told(stream: bytes, size: int = 10_000) -> list[Event]:
    """Return the events of a stream that comes in chunks of `size` bytes."""
    decoder = MessagesDecoder()
    events: list[Event] = []
    for place in range(0, len(stream), size):
        events += decoder.feed(stream[place : place + size])
    return events + decoder.end()


START = event(
    "message_start",
    message={"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 7}},
)
EMPTY_TEXT: dict[str, object] = {"type": "text", "text": ""}
CALL: dict[str, object] = {"type": "tool_use", "id": "toolu_1", "name": "f"}
STREAM = (
    START
    + event("ping")
    + block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "Eq"},
        {"type": "signature_delta", "signature": "QB"},
    )
    + block(1, {"type": "redacted_thinking", "data": "Emw"})
    + block(
        2,
        EMPTY_TEXT,
        text("Grüße "),
        {"type": "citations_delta", "citation": {"n": 1}},
        text("😀"),
    )
    + block(3, CALL | {"input": {}}, piece(""), piece('{"a"'), piece(":1}"))
    + ending("tool_use", output_tokens=9)
)
EVENTS: list[Event] = [
    Started("msg_1", "claude-x"),
    UsageSeen(Usage(input_tokens=7)),
    Opened(0, "reasoning"),
    Delta(0, "hm"),
    Signed(0, ReasoningState(kind="signature", value="EqQB")),
    Closed(0),
    Opened(1, "reasoning"),
    Signed(1, ReasoningState(kind="redacted", value="Emw")),
    Closed(1),
    Opened(2, "text"),
    Delta(2, "Grüße "),
    Annotated(2, NAME, raw({"n": 1})),
    Delta(2, "😀"),
    Closed(2),
    Opened(3, "tool_call", call_id="toolu_1", name="f"),
    Delta(3, '{"a"'),
    Delta(3, ":1}"),
    Closed(3),
    UsageSeen(Usage(input_tokens=7, output_tokens=9)),
    Finished("tool_calls"),
]


@pytest.mark.parametrize("size", [1, 3, 50, 100_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_whole_stream(size: int, line_end: bytes) -> None:
    """However it is cut, down to half a character."""
    assert told(STREAM.replace(b"\n", line_end), size) == EVENTS


def test_a_stream_that_is_cut_at_any_byte_has_no_end() -> None:
    """What was told before the cut is true; `Finished` needs a whole reason."""
    reason_ends = STREAM.find(b"\n\n", STREAM.find(b"event: message_delta\n"))

    for cut in range(len(STREAM)):
        events = told(STREAM[:cut])
        meter = MessagesMeter()
        relayed = meter.feed(STREAM[:cut]) + meter.end()

        ended = any(isinstance(each, Finished) for each in events)
        assert ended == meter.finished == (cut >= reason_ends)
        assert meter.ending.startswith(b"event: message_stop\n") == ended
        assert STREAM.startswith(relayed.rstrip(b"\n"))
        assert events == EVENTS[: len(events)]


def test_a_reason_without_the_last_event_is_an_end() -> None:
    """The provider has said that the message is complete."""
    stream = STREAM.removesuffix(event("message_stop"))

    assert told(stream) == EVENTS


@pytest.mark.parametrize(
    ("given", "deltas", "arguments"),
    [
        ({}, [], ["{}"]),
        ({"input": {}}, [piece("")], ["{}"]),
        ({"input": {"a": 1}}, [], ['{"a": 1}']),
        ({"input": {"a": 1}}, [piece('{"a":'), piece("1}")], ['{"a":', "1}"]),
        ({"input": None}, [], ["{}"]),
    ],
)
def test_arguments_are_never_lost(
    given: dict[str, object], deltas: Iterable[dict[str, object]], arguments: list[str]
) -> None:
    """They come in pieces, all at once, or not at all."""
    events = told(START + block(0, CALL | given, *deltas) + ending("tool_use"))

    assert [each.text for each in events if isinstance(each, Delta)] == arguments


def test_an_empty_text_opens_nothing() -> None:
    """So nobody writes an empty block of it; text may stand in the beginning, too."""
    events = told(
        block(0, EMPTY_TEXT)
        + block(1, EMPTY_TEXT, text(""))
        + block(2, {"type": "text", "text": "a"}, text("b"))
        + ending()
    )

    assert events == [
        Opened(0, "text"),
        Delta(0, "a"),
        Delta(0, "b"),
        Closed(0),
        Finished("stop"),
    ]


def test_blocks_may_overlap_and_lack_their_ends() -> None:
    """As other vendors' gateways write them."""
    first = event("content_block_start", index=0, content_block=CALL)
    second = event("content_block_start", index=1, content_block=CALL | {"id": "2"})
    pieces = [
        event("content_block_delta", index=place, delta=piece(said))
        for place, said in [(1, "{"), (0, '{"a":1'), (1, "}"), (0, "}")]
    ]

    events = told(first + second + b"".join(pieces) + ending("tool_use"))

    assert events == [
        Opened(0, "tool_call", call_id="toolu_1", name="f"),
        Opened(1, "tool_call", call_id="2", name="f"),
        Delta(1, "{"),
        Delta(0, '{"a":1'),
        Delta(1, "}"),
        Delta(0, "}"),
        Closed(0),
        Closed(1),
        Finished("tool_calls"),
    ]


def test_what_the_provider_ran_is_one_opaque_frame_a_block() -> None:
    """With the input that was streamed."""
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "content": []}

    events = told(
        block(0, use, piece('{"q":'), piece('"x"}')) + block(1, found) + ending()
    )

    assert [each.kind for each in events if isinstance(each, OpaqueFrame)] == [
        "server_tool_use",
        "web_search_tool_result",
    ]
    first = events[0]
    assert isinstance(first, OpaqueFrame)
    assert json.loads(bytes(first.raw)) == use | {"input": {"q": "x"}}


@pytest.mark.parametrize("reason", [*REASONS, "compaction"])
def test_each_reason(reason: str) -> None:
    """One that is not known is that of a complete answer."""
    events = told(START + ending(reason))

    assert events[-1] == Finished(REASONS.get(reason, "stop"))


def test_an_error_may_come_without_a_type() -> None:
    """As some gateways write them; and a block may begin where one had not ended."""
    start = event(
        "content_block_start", index=0, content_block=EMPTY_TEXT | {"text": "a"}
    )

    events = told(start + start + b'data: {"error":{"x":1}}\n\n')

    assert events == [
        Opened(0, "text"),
        Delta(0, "a"),
        Closed(0),
        Opened(1, "text"),
        Delta(1, "a"),
        Failed(msgspec.Raw(b'{"x":1}')),
    ]


def test_the_words_of_a_refusal_are_a_part() -> None:
    """They stand beside the reason, streamed and plain."""
    stop = {
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": None, "explanation": "no"},
    }
    wanted = [
        Opened(0, "refusal"),
        Delta(0, "no"),
        Closed(0),
        Finished("content_filter"),
    ]

    streamed = told(event("message_delta", delta=stop) + event("message_stop"))
    plain = read_answer(json.dumps({"content": []} | stop).encode())

    assert streamed == wanted
    assert list(plain) == [Started(), *wanted]


def test_a_stop_sequence_is_told() -> None:
    """It is the one that ended the answer."""
    delta = {"stop_reason": "stop_sequence", "stop_sequence": "END"}

    events = told(event("message_delta", delta=delta) + event("message_stop"))

    assert events == [Finished("stop_sequence", "END")]


def test_an_error_is_the_last_event() -> None:
    """The provider's error object, as it wrote it."""
    error = {"type": "overloaded_error", "message": "Overloaded"}

    events = told(START + event("error", error=error) + ending())

    assert events[-1] == Failed(raw(error))


def test_what_is_not_known_is_passed_over() -> None:
    """New events and deltas, comments and pings, a trailing `[DONE]`."""
    new = {"type": "new_delta", "x": 1}

    events = told(
        b": hello\n\nevent: ping\n\n"
        + event("something_new", x=1)
        + block(0, EMPTY_TEXT, text("a"), new)
        + event("content_block_delta", index=9, delta=text("nowhere"))
        + ending()
        + b"data: [DONE]\n\n"
    )

    assert events == [Opened(0, "text"), Delta(0, "a"), Closed(0), Finished("stop")]


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "text_delta", "text": "x"},
        {"type": "thinking_delta", "thinking": "x"},
        {"type": "signature_delta", "signature": "x"},
        {"type": "citations_delta", "citation": {}},
    ],
)
def test_what_a_block_of_an_unknown_kind_says_is_no_part(
    delta: dict[str, object],
) -> None:
    """A provider may say more one day; callers get what they can read."""
    stream = block(0, {"type": "brand_new", "text": "y"}, delta)

    events = told(stream + block(1, {"type": "text", "text": ""}, text("hi")))

    parts = [each for each in events if isinstance(each, Opened | Delta | Annotated)]
    assert parts == [Opened(0, "text"), Delta(0, "hi")]


def test_half_an_emoji_is_read_as_a_replacement() -> None:
    """Some providers stream the two halves of one apart."""
    half = (
        b'data: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"\\ud83d"}}\n\n'
    )
    start = event("content_block_start", index=0, content_block=EMPTY_TEXT)

    assert told(start + half) == [Opened(0, "text"), Delta(0, "\ufffd")]


def test_half_an_emoji_at_the_beginning_of_a_block() -> None:
    """It stands in the block itself."""
    stream = (
        b'data: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":"\\ud83d"}}\n\n'
    )

    assert told(stream) == [Opened(0, "text"), Delta(0, "\ufffd")]


@pytest.mark.parametrize(
    "event_",
    [
        b"data: <html>\n\n",
        b'data: {"choices":[]}\n\n',
        b'data: {"type":"content_block_delta","index":"x","delta":{}}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"text_delta"}}\n\n',
    ],
)
def test_what_is_no_event_of_messages_is_no_stream(event_: bytes) -> None:
    """Text must not be lost in silence."""
    with pytest.raises(NotAStream):
        MessagesDecoder().feed(event_)


def test_a_plain_answer_tells_the_same() -> None:
    """Each part has one delta."""
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            {"type": "redacted_thinking", "data": "Emw"},
            {"type": "text", "text": "hi", "citations": [{"n": 1}]},
            {"type": "text", "text": ""},
            CALL | {"input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 9},
    }

    assert list(read_answer(json.dumps(body).encode())) == [
        Started("msg_1", "claude-x"),
        Opened(0, "reasoning"),
        Delta(0, "hm"),
        Signed(0, ReasoningState(kind="signature", value="EqQB")),
        Closed(0),
        Opened(1, "reasoning"),
        Signed(1, ReasoningState(kind="redacted", value="Emw")),
        Closed(1),
        Opened(2, "text"),
        Delta(2, "hi"),
        Annotated(2, NAME, raw({"n": 1})),
        Closed(2),
        Opened(3, "tool_call", call_id="toolu_1", name="f"),
        Delta(3, '{"a": 1}'),
        Closed(3),
        UsageSeen(Usage(input_tokens=7, output_tokens=9)),
        Finished("tool_calls"),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"type":"error","content":[]}', b'{"content":[5]}']
)
def test_a_200_alone_is_not_an_answer(body: bytes) -> None:
    """What has no content that can be read is refused."""
    with pytest.raises(NotAnAnswer):
        read_answer(body)
