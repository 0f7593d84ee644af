"""Reading along a relayed Messages stream: bytes stay, and what they tell is known."""

import json

import pytest

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.anthropic_messages.streams import STOP, MessagesMeter
from smart_llmrouter.dialects.base import NotAStream


def event(kind: str, **members: object) -> bytes:
    """Return one event as Anthropic writes it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()


USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {
        "ephemeral_5m_input_tokens": 10,
        "ephemeral_1h_input_tokens": 20,
    },
    "output_tokens": 1,
}
START = event("message_start", message={"id": "msg_1", "usage": USAGE})
PING = event("ping")
BLOCK = event(
    "content_block_start", index=0, content_block={"type": "text", "text": ""}
)
DELTA = event(
    "content_block_delta",
    index=0,
    delta={"type": "text_delta", "text": 'say "message_stop" and "error"'},
)
BLOCK_STOP = event("content_block_stop", index=0)
END = event(
    "message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={"output_tokens": 9},
)
WHOLE = START + PING + BLOCK + DELTA + BLOCK_STOP + END
ALL_USED = Usage(
    input_tokens=140,
    cached_input_tokens=100,
    cache_write_5m_tokens=10,
    cache_write_1h_tokens=20,
    output_tokens=9,
)


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_byte_passes_and_the_end_is_kept_back(size: int, line_end: bytes) -> None:
    """However it is cut; the usage of the end adds to that of the beginning."""
    stream = (WHOLE + STOP).replace(b"\n", line_end)
    meter = MessagesMeter()

    seen = b"".join(
        meter.feed(stream[place : place + size])
        for place in range(0, len(stream), size)
    )

    assert seen + meter.ending == stream
    assert meter.ending == STOP.replace(b"\n", line_end)
    assert (meter.meaningful, meter.finished, meter.done) == (True, True, True)
    assert meter.usage == ALL_USED


@pytest.mark.parametrize(
    ("events", "meaningful"),
    [
        (START + PING, False),
        (START + BLOCK, True),
        (START + DELTA, True),
        (START + END, True),
        (START + b": comment\n\n", False),
    ],
)
def test_the_first_content_is_meaningful(events: bytes, meaningful: bool) -> None:  # noqa: FBT001
    """The head of a message and pings are not an answer yet."""
    meter = MessagesMeter()

    assert meter.feed(events) == events
    assert meter.meaningful is meaningful


def test_a_finished_stream_gets_the_last_event_that_it_lacks() -> None:
    """The message was complete; the caller is told so."""
    meter = MessagesMeter()

    seen = meter.feed(WHOLE) + meter.end()

    assert seen == WHOLE
    assert (meter.finished, meter.done, meter.ending) == (True, False, STOP)


def test_a_cut_stream_gets_no_end() -> None:
    """Without a stop reason nothing says that this was all."""
    meter = MessagesMeter()

    seen = meter.feed(START + BLOCK + DELTA + END[:-20]) + meter.end()

    assert seen == START + BLOCK + DELTA
    assert (meter.finished, meter.done, meter.ending) == (False, False, b"")


def test_the_last_blank_line_may_be_missing() -> None:
    """The rest is an event if it is whole."""
    meter = MessagesMeter()

    seen = meter.feed((WHOLE + STOP)[:-2]) + meter.end()

    assert seen + meter.ending == WHOLE + STOP


@pytest.mark.parametrize("before", [b"", START, START + BLOCK + DELTA])
def test_an_error_ends_what_is_seen(before: bytes) -> None:
    """The error is kept as its provider wrote it; nothing after it passes."""
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    meter = MessagesMeter()

    seen = meter.feed(before + error + DELTA) + meter.feed(DELTA) + meter.end()

    assert seen == before
    assert json.loads(meter.error or b"") == {
        "type": "overloaded_error",
        "message": "Overloaded",
    }


def test_a_later_usage_wipes_nothing() -> None:
    """Zeros and nulls at the end are not what was counted at the beginning."""
    end = event(
        "message_delta",
        delta={"stop_reason": "end_turn"},
        usage={"input_tokens": 0, "cache_read_input_tokens": None, "output_tokens": 9},
    )
    meter = MessagesMeter()

    meter.feed(START + BLOCK + end)

    assert meter.usage == ALL_USED


def test_a_stream_may_say_nothing_of_usage() -> None:
    """Absent is not zero."""
    meter = MessagesMeter()

    meter.feed(event("message_start", message={}) + BLOCK + STOP)

    assert meter.usage == UNKNOWN_USAGE


@pytest.mark.parametrize(
    "event_",
    [b"data: <html>\n\n", b"data: {}\n\n", b'data: {"choices":[]}\n\n', b"data: 5\n\n"],
)
def test_what_is_no_event_of_messages_is_no_stream(event_: bytes) -> None:
    """Before the first content, another target can still answer."""
    with pytest.raises(NotAStream):
        MessagesMeter().feed(event_)


def test_after_the_first_content_all_passes() -> None:
    """An event that cannot be read is the caller's to judge."""
    strange = b'event: new\ndata: {"type":"new","message_x":1}\n\ndata: x "error"\n\n'
    meter = MessagesMeter()

    assert meter.feed(START + BLOCK + strange) == START + BLOCK + strange
