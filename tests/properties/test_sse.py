"""However the network cuts a stream, its events are the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.wire.sse import EventSplitter, payload_of, split_events

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.lists(
    st.text(
        alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def events(draw: st.DrawFn, end: str) -> tuple[bytes, bytes | None]:
    """Return one event as bytes, and what its data are."""
    kind = draw(st.sampled_from(["data", "comment", "named"]))
    lines = draw(LINES)
    if kind == "comment":
        return (end.join(f": {line}" for line in lines) + end + end).encode(), None
    spaced = draw(st.booleans())
    fields = [f"data: {line}" if spaced else f"data:{line}" for line in lines]
    if not spaced:
        # One blank after the colon belongs to the field, not to the data.
        lines = [line.removeprefix(" ") for line in lines]
    if kind == "named":
        fields.insert(0, "event: chunk")
    event = (end.join(fields) + end + end).encode()
    return event, "\n".join(lines).encode()


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[bytes]]:
    """Return a stream, the data of its events, and the stream cut in pieces."""
    end = draw(LINE_ENDS)
    parts = draw(st.lists(events(end), min_size=1, max_size=6))
    stream = b"".join(event for event, _ in parts)
    payloads = [payload for _, payload in parts if payload is not None]
    places = draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
    bounds = [0, *places, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]
    return stream, payloads, pieces


@given(streams())
def test_cuts_do_not_matter(cut: tuple[bytes, list[bytes], list[bytes]]) -> None:
    """No byte is lost, added or moved, and each event's data are read as written."""
    stream, payloads, pieces = cut
    splitter = EventSplitter(max_event_bytes=1 << 20)

    blocks = [splitter.feed(piece) for piece in pieces]
    rest = splitter.flush()

    assert b"".join(blocks) + rest == stream
    found = [
        payload_of(event) for block in [*blocks, rest] for event in split_events(block)
    ]
    assert [payload for payload in found if payload is not None] == payloads


@given(streams())
def test_blocks_end_where_events_end(
    cut: tuple[bytes, list[bytes], list[bytes]],
) -> None:
    """What is given back is whole events only, and joins again to the block."""
    _, _, pieces = cut
    splitter = EventSplitter(max_event_bytes=1 << 20)

    for piece in pieces:
        block = splitter.feed(piece)

        assert b"".join(split_events(block)) == block
        assert not block or block.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
