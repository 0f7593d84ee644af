"""What a step does to an answer: first to its events, then to its bytes in time.

`performance` turns an answer and a step into actions on the socket. Everything here
is arithmetic on bytes; the server carries the actions out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.http import (
    JSON_TYPE,
    LAST_CHUNK,
    Answer,
    Event,
    Header,
    chunk,
    head,
)
from smart_llmrouter.mockprovider.script import NOTHING, Raw, Step

_BODILESS: Final = frozenset({204, 304})
_BROKEN_EVENT: Final = 2


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Keep the connection open and say nothing more."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection: with an RST, or with a FIN."""

    rst: bool = False


Action = Send | Pause | Stall | HangUp


def refused(step: Step, usual_body: bytes) -> Answer:
    """Return the answer with the status of `step`, and its body where it has one."""
    body = usual_body if step.body == NOTHING else _spelt(step.body)
    if step.status in _BODILESS or step.status < 200:
        body = b""
    return Answer(status=step.status, headers=(JSON_TYPE,), body=body)


def verbatim(raw: Raw) -> Answer:
    """Return the answer that `raw` spells out."""
    body = raw.body.encode()
    if raw.body_base64 is not None:
        body = raw.body_base64
    chunks = None
    if raw.chunks is not None:
        chunks = tuple(piece.encode() for piece in raw.chunks)
    headers = tuple(_header(name, value) for name, value in raw.headers.items())
    return Answer(status=raw.status, headers=headers, body=body, chunks=chunks)


def changed(answer: Answer, step: Step, failure: Event | None) -> Answer:
    """Apply what `step` does to the content; `failure` is the error that ends it."""
    answer = replace(answer, headers=answer.headers + tuple(_extra_headers(step)))
    if answer.events is not None:
        events = _changed_events(answer.events, step, failure)
        return replace(answer, events=tuple(events))
    if failure is not None:
        return replace(answer, body=failure.data)
    if step.malformed_json:
        return replace(answer, body=answer.body[: len(answer.body) * 2 // 3])
    return answer


def performance(answer: Answer, step: Step, *, keep_alive: bool) -> tuple[Action, ...]:
    """Return what to do on the socket, in order.

    An answer that neither stalls nor hangs up ends with its last byte, and the
    connection may be used again where `keep_alive` says so.
    """
    opening = head(answer, keep_alive=keep_alive)
    frames = [opening, *_body_frames(answer, step)]
    end: Action | None = None
    if step.malformed_http is not None:
        frames, end = _malformed(frames, step), HangUp()
    frames, cut = _cut(frames, step)
    end = cut or end
    if step.drip is not None:
        paced = _dripped(b"".join(frames), step.drip.bytes, step.drip.every_ms)
    else:
        paced = _paced(frames, step)
    actions = tuple(_delayed(paced, step, opening))
    return actions if end is None else (*actions, end)


def _spelt(body: msgspec.Raw) -> bytes:
    """Return a body as it is spelt; a JSON string stands for the text in it."""
    document = bytes(body)
    if document.startswith(b'"'):
        return msgspec.json.decode(document, type=str).encode()
    return document


def _header(name: str, value: str) -> Header:
    return name.encode("latin-1"), value.encode("latin-1")


def _extra_headers(step: Step) -> Iterator[Header]:
    if step.retry_after is not None:
        yield b"retry-after", str(step.retry_after).encode()
    for name, value in step.headers.items():
        yield _header(name, value)


def _changed_events(
    events: Sequence[Event], step: Step, failure: Event | None
) -> Iterator[Event]:
    if failure is not None and step.error_in_stream is not None:
        yield from events[: step.error_in_stream.after_events]
        yield failure
        return
    if step.end_after_events is not None:
        events = events[: step.end_after_events]
    for index, event in enumerate(events):
        if step.no_done and event.last:
            continue
        if step.malformed_json and index == _BROKEN_EVENT:
            yield replace(event, data=event.data[: len(event.data) // 2])
        else:
            yield event


def _body_frames(answer: Answer, step: Step) -> Iterator[bytes]:
    if answer.events is not None:
        for event in answer.events:
            yield chunk(_event_bytes(event, step))
        yield LAST_CHUNK
    elif answer.chunks is not None:
        for piece in answer.chunks:
            yield chunk(piece)
        yield LAST_CHUNK
    else:
        yield answer.body


def _event_bytes(event: Event, step: Step) -> bytes:
    line_end = b"\r\n" if step.crlf else b"\n"
    lines = [b": mock heartbeat", b""] * step.comments
    if event.name is not None:
        lines.append(b"event: " + event.name.encode())
    lines += [b"data: " + event.data, b"", b""]
    return line_end.join(lines)


def _malformed(frames: Sequence[bytes], step: Step) -> list[bytes]:
    """Break the framing in the way that `step` names; the connection then closes."""
    opening, *body = frames
    status_line, _, headers = opening.partition(b"\r\n")
    match step.malformed_http:
        case "status-line":
            return [b"HTTP/1.1 two hundred\r\n" + headers, *body]
        case "header":
            return [status_line + b"\r\nno colon here\x00\r\n" + headers, *body]
        case "chunk-size":
            lines = headers.replace(b"content-length:", b"x-content-length:")
            coding = b"" if b"chunked" in lines else b"transfer-encoding: chunked\r\n"
            return [status_line + b"\r\n" + coding + lines, b"xyz\r\n", *body]
        case _:
            # More is promised than comes; the chunked coding has to go for that.
            lines = headers.replace(b"transfer-encoding: chunked\r\n", b"")
            lines = lines.replace(b"content-length:", b"x-content-length:")
            promised = sum(map(len, body)) + 10
            length = b"content-length: %d\r\n" % promised
            return [status_line + b"\r\n" + length + lines, *body]


def _cut(frames: list[bytes], step: Step) -> tuple[list[bytes], Action | None]:
    """Cut the bytes where `step` says that the answer stalls or breaks off."""
    ends = list(accumulate(len(frame) for frame in frames))
    hang_up_at = _place(step, ends, step.hang_up_at_byte, step.hang_up_after_events)
    stall_at = _place(step, ends, step.stall_at_byte, step.stall_after_events)
    if hang_up_at is None and stall_at is None:
        return frames, None
    if stall_at is None or (hang_up_at is not None and hang_up_at <= stall_at):
        return list(_until(frames, hang_up_at)), HangUp(rst=step.rst)
    return list(_until(frames, stall_at)), Stall()


def _place(
    step: Step, ends: Sequence[int], at_byte: int | None, after_events: int | None
) -> int | None:
    """Return how many bytes of the answer still go out, head included."""
    if at_byte is not None:
        return at_byte if step.count_from == "answer" else ends[0] + at_byte
    if after_events is not None:
        return ends[min(after_events, len(ends) - 1)]
    return None


def _until(frames: Iterable[bytes], place: int | None) -> Iterator[bytes]:
    left = place or 0
    for frame in frames:
        if left <= 0:
            return
        yield frame[:left]
        left -= len(frame)


def _paced(frames: Sequence[bytes], step: Step) -> Iterator[Action]:
    """Send all at once, or event by event with a pause between two of them."""
    if not step.delay_between_ms:
        yield Send(b"".join(frames))
        return
    # The head and the first event leave together; the last chunk follows the last
    # event at once.
    opening, *body = frames or [b""]
    last = body.pop() if body and body[-1] == LAST_CHUNK else b""
    if not body:
        yield Send(opening + last)
        return
    body[0] = opening + body[0]
    body[-1] += last
    for index, frame in enumerate(body):
        if index:
            yield Pause(step.delay_between_ms / 1000)
        yield Send(frame)


def _dripped(data: bytes, size: int, every_ms: float) -> Iterator[Action]:
    for start in range(0, len(data), size):
        if start:
            yield Pause(every_ms / 1000)
        yield Send(data[start : start + size])


def _delayed(actions: Iterable[Action], step: Step, opening: bytes) -> Iterator[Action]:
    """Put the first delay before everything, or between the head and the rest."""
    delay_s = (step.delay_first_ms or 0) / 1000
    if not delay_s:
        yield from actions
        return
    first, *rest = actions
    if step.head_first and isinstance(first, Send) and first.data.startswith(opening):
        yield Send(opening)
        first = Send(first.data[len(opening) :])
    yield Pause(delay_s)
    yield first
    yield from rest
