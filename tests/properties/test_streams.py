"""However a provider's stream is cut, the caller sees and the meter learns the same."""

import json
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.openai_chat.streams import StreamMeter

TEXTS = st.sampled_from(
    ["hello", "", "é😀", '"usage":{', '"error":{"', "[DONE]", "data: [DONE]", "a\nb"]
) | st.text(max_size=6)
COUNTS = st.integers(0, 1_000_000)


@dataclass(frozen=True)
class Stream:
    """A provider's stream, what the caller is to see of it, and what it used."""

    data: bytes
    seen: bytes
    done: bytes
    usage: Usage
    pieces: list[bytes]


def _event(document: object, end: str, *, ascii_only: bool) -> bytes:
    text = json.dumps(document, ensure_ascii=ascii_only)
    return f"data: {text}{end}{end}".encode()


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Return a stream with comments, usage in some place, and some line end."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    ascii_only = draw(st.booleans())

    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({"choices": [choice]}, end, ascii_only=ascii_only)

    first, second = draw(COUNTS), draw(COUNTS)
    usage = {"prompt_tokens": first, "completion_tokens": second}
    usage_event = _event({"choices": [], "usage": usage}, end, ascii_only=ascii_only)
    seen = [chunk({"role": "assistant"}), chunk({"content": "first"})]
    for text in draw(st.lists(TEXTS, max_size=6)):
        seen.append(chunk({"content": text}))
        if draw(st.booleans()):
            seen.append(f": ping{end}{end}".encode())
    seen.append(chunk({}, "stop"))
    place = draw(st.integers(2, len(seen)))
    done = f"data: [DONE]{end}{end}".encode()
    data = b"".join([*seen[:place], usage_event, *seen[place:], done])
    places = draw(st.lists(st.integers(0, len(data)), max_size=10).map(sorted))
    bounds = [0, *places, len(data)]
    return Stream(
        data=data,
        seen=b"".join(seen),
        done=done,
        usage=Usage(input_tokens=first, output_tokens=second),
        pieces=[data[a:b] for a, b in pairwise(bounds)],
    )


@given(streams())
def test_cuts_do_not_matter(stream: Stream) -> None:
    """Everything but the usage chunk arrives unchanged, and nothing is missed."""
    meter = StreamMeter(strip_usage=True)

    seen = b"".join(meter.feed(piece) for piece in stream.pieces) + meter.end()

    assert seen == stream.seen
    assert meter.ending == stream.done
    assert meter.usage == stream.usage
    assert (meter.meaningful, meter.finished, meter.error) == (True, True, None)


@given(streams())
def test_who_asked_for_usage_sees_every_byte(stream: Stream) -> None:
    """With `include_usage` the caller's stream is the provider's, byte for byte."""
    meter = StreamMeter(strip_usage=False)

    seen = b"".join(meter.feed(piece) for piece in stream.pieces) + meter.end()

    assert seen + meter.ending == stream.data


@given(streams(), st.data())
def test_an_error_ends_what_is_seen(stream: Stream, data: st.DataObject) -> None:
    """All before the error is seen, nothing after it, wherever the cuts are."""
    error = b'data: {"error":{"message":"no"}}\n\n'
    whole = stream.seen + error + stream.seen
    place = data.draw(st.integers(0, len(whole)))
    meter = StreamMeter(strip_usage=True)

    seen = meter.feed(whole[:place]) + meter.feed(whole[place:]) + meter.end()

    assert seen == stream.seen
    assert meter.error == b'{"message":"no"}'


@given(streams(), st.data())
def test_a_broken_stream_is_seen_up_to_its_last_whole_event(
    stream: Stream, data: st.DataObject
) -> None:
    """No half event is passed on, and what usage came before the break is known."""
    cut = data.draw(st.integers(0, len(stream.data)))
    meter = StreamMeter(strip_usage=False)

    seen = meter.feed(stream.data[:cut]) + meter.end()
    seen += meter.ending if meter.done else b""

    assert stream.data.startswith(seen.rstrip(b"\r\n"))
    assert seen.rstrip(b"\r\n").rpartition(b"data: ")[2][-1:] in {b"", b"}", b"]", b"g"}
    assert meter.usage in {Usage(), stream.usage}
