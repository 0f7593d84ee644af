"""Server-sent events as bytes: where they end, and what their data are."""

import time

import pytest

from smart_llmrouter.wire.sse import (
    EventSplitter,
    EventTooLarge,
    payload_of,
    split_events,
)


def test_an_event_is_held_until_it_ends() -> None:
    """Nothing half is given back."""
    splitter = EventSplitter(max_event_bytes=100)

    assert splitter.feed(b"data: a\n") == b""
    assert splitter.feed(b"\ndata: b") == b"data: a\n\n"
    assert splitter.flush() == b"data: b"
    assert splitter.flush() == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends_of_the_standard(end: bytes) -> None:
    """LF, CRLF and CR end lines; two of them end an event."""
    event = b"data: a" + end + end
    splitter = EventSplitter(max_event_bytes=100)

    given = splitter.feed(event) + splitter.feed(b"data: b")

    assert given == event
    assert payload_of(event) == b"a"


def test_half_a_crlf_ends_nothing() -> None:
    """A CR at the end of a read may be half a CRLF."""
    splitter = EventSplitter(max_event_bytes=100)

    assert splitter.feed(b"data: a\r\n\r") == b""
    assert splitter.feed(b"\n") == b"data: a\r\n\r\n"


def test_an_event_that_never_ends() -> None:
    """What is held is bounded; what is complete is not."""
    splitter = EventSplitter(max_event_bytes=10)

    assert len(splitter.feed(b"data: 123456\n\n" * 10)) == 140
    with pytest.raises(EventTooLarge):
        splitter.feed(b"data: 123456")


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\nid: 1\ndata: a\n\n", b"a"),
        (b"data:\n\n", b""),
        (b": comment\n\n", None),
        (b"event: ping\n\n", None),
        (b"database: a\n\n", None),
        (b"\n\n", None),
        (b"event: a\ndata: {}\n\n", b"{}"),
        (b"event: a\ndata:{}\n\n", b"{}"),
        (b"event: a\ndata: b\ndata: c\n\n", b"b\nc"),
        (b"event: a\ndata: b\rdata: c\n\n", b"b\nc"),
        (b"event: data: b\n\n", None),
        (b"event: a\nid: data: b\n\n", None),
        (b"\xef\xbb\xbfdata: x\n\n", b"x"),
        (b"\xef\xbb\xbfevent: a\ndata: x\n\n", b"x"),
    ],
)
def test_the_data_of_an_event(event: bytes, payload: bytes | None) -> None:
    """One blank after the colon is dropped, and lines of data are joined."""
    assert payload_of(event) == payload


def test_events_are_split_where_they_end() -> None:
    """Each keeps its blank line; a rest without one is the last."""
    assert list(split_events(b"a\n\nb\r\n\r\nc\r\rd")) == [
        b"a\n\n",
        b"b\r\n\r\n",
        b"c\r\r",
        b"d",
    ]


def test_a_long_event_in_many_pieces_is_searched_once() -> None:
    """A large picture that arrives piece by piece costs no more than its size."""
    piece, pieces = b"x" * 512, 15_000
    splitter = EventSplitter(max_event_bytes=8 << 20)
    splitter.feed(b"data: ")

    began_s = time.process_time()
    held = [splitter.feed(piece) for _ in range(pieces)]
    event = splitter.feed(b"\n\n")

    assert time.process_time() - began_s < 2
    assert not any(held)
    assert event == b"data: " + piece * pieces + b"\n\n"
