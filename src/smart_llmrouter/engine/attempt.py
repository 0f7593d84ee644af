"""One attempt at one target: a request out, and what comes back until it has won.

A 200 is not an answer: an attempt has won when its first meaningful event is decoded,
or its whole plain body. Everything that goes wrong before is a `Failure`.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.notes import Note
from smart_llmrouter.dialects.base import Meter, NotAnAnswer, NotAStream
from smart_llmrouter.engine.client import HeaderLines, header_lines
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.images import ImageFetcher
from smart_llmrouter.engine.lanes import Lane
from smart_llmrouter.engine.routes import (
    ATTEMPTS_LINES,
    JSON,
    NAME,
    Route,
    addressed,
)
from smart_llmrouter.engine.wins import PlainWin, StreamWin, Win
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failures import (
    failure_of_error_event,
    failure_of_status,
    failure_of_transport,
)
from smart_llmrouter.upstream.transport import Transport, TransportError, UpstreamAnswer
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there, leniently
from smart_llmrouter.wire.sse import EventTooLarge

_ERROR_BODY_MAX_BYTES: Final = 64 * 1024
_PREAMBLE_MAX_BYTES: Final = 256 * 1024
_EVENT_STREAM: Final = "text/event-stream"
_MOST_NOTES: Final = 16
# Looking a member of an enumeration up costs as much as a call.
_OK: Final = int(HTTPStatus.OK)
_MALFORMED: Final = Failure(
    error_class="upstream_malformed_answer", upstream_status=HTTPStatus.OK
)


class AttemptFailed(Exception):
    """An attempt ended without an answer."""

    def __init__(self, failure: Failure) -> None:
        """Say why."""
        super().__init__(failure.error_class)
        self.failure = failure


class Attempting:
    """Makes attempts, and keeps nothing of them but who has said to be a router."""

    def __init__(
        self,
        transport: Transport,
        *,
        now: Monotonic,
        images: ImageFetcher | None = None,
        routers: set[str] | None = None,
    ) -> None:
        """Send requests through `transport`; `routers` are known already."""
        self._transport = transport
        self._now = now
        self.images = images
        """What fetches images for targets that take no URLs, where that is wanted."""
        self.routers: set[str] = set() if routers is None else routers
        """The targets that are routers like this one, by label: they have said so."""

    async def attempt(
        self, route: Route, lane: Lane, *, stream: bool, entry: Entry
    ) -> Win:
        """Make one attempt; the answer is closed unless it won.

        Raises `AttemptFailed`.
        """
        endpoint = route.endpoint
        if route.anthropic:
            endpoint = addressed(endpoint, entry.arrival)
        try:
            answer = await self._transport.send(endpoint, lane.take_body())
        except TransportError as error:
            raise AttemptFailed(failure_of_transport(error, answered=False)) from None
        entry.first_byte_s = self._now()
        entry.upstream_status = answer.status
        won = False
        try:
            win = await self._read(answer, route, lane, stream=stream, entry=entry)
            won = isinstance(win, StreamWin)
            return win
        except TransportError as error:
            raise AttemptFailed(failure_of_transport(error)) from None
        finally:
            if not won:
                answer.close()

    async def _read(
        self,
        answer: UpstreamAnswer,
        route: Route,
        lane: Lane,
        *,
        stream: bool,
        entry: Entry,
    ) -> Win:
        if answer.status != _OK:
            said = await error_body(answer)
            # Who bills for what it refuses says what that has used.
            entry.usage = route.dialect.read_usage(_refusal_in(said).usage)
            raise AttemptFailed(_failure_of_answer(answer, said, route.endpoint))
        content_type = answer.header("content-type") or ""
        # The usual one needs no look at how it is spelled.
        streamed = content_type != JSON and _is_stream(content_type, asked=stream)
        if streamed != stream:
            raise AttemptFailed(_MALFORMED)
        if route.seals and answer.header(NAME) is not None:
            self.routers.add(route.target.label)
        if streamed:
            return await self._begin_stream(answer, route, lane, entry=entry)
        came = await answer.read()
        try:
            body, usage = lane.answer(came)
        except NotAnAnswer:
            refusal = _refusal_in(came)
            entry.usage = route.dialect.read_usage(refusal.usage)
            raise AttemptFailed(_failure_in(refusal, route.endpoint)) from None
        entry.first_event_s = self._now()
        if lane.name == "translate" or content_type == JSON:
            headers = route.headers
        else:
            headers = header_lines(_typed(content_type)) + route.name_line
        headers += ATTEMPTS_LINES[entry.attempts]
        notes, mark = lane.noted(), lane.proof_mark
        return PlainWin(
            route=route,
            lane=lane,
            headers=headers + notes_line(notes) if notes else headers,
            body=body,
            usage=usage,
            stored_id=lane.stored_id(came) if route.dialect.stores_answers else None,
            proofs=mark.all_in(came) if mark is not None else [],
        )

    async def _begin_stream(
        self,
        answer: UpstreamAnswer,
        route: Route,
        lane: Lane,
        *,
        entry: Entry,
    ) -> StreamWin:
        """Read until the first meaningful event; what came before it is held back."""
        meter = lane.meter()
        try:
            first = await _preamble(answer, meter, route.endpoint)
        except BaseException:
            # It may have said before it failed, or was left, what it has used.
            entry.usage = meter.usage
            raise
        entry.first_event_s = self._now()
        return StreamWin(
            route=route,
            lane=lane,
            headers=route.name_line
            + ATTEMPTS_LINES[entry.attempts]
            + notes_line(lane.noted()),
            answer=answer,
            meter=meter,
            first=first,
            proof_mark=lane.proof_mark,
        )


async def _preamble(answer: UpstreamAnswer, meter: Meter, endpoint: Endpoint) -> bytes:
    """Return what may be sent on up to the first meaningful event."""
    first = b""
    while not meter.meaningful:
        chunk = await answer.next_chunk()
        first += _fed(meter, chunk)
        if meter.error is not None and not meter.meaningful:
            raise AttemptFailed(
                failure_of_error_event(meter.error, credentials=endpoint.credentials)
            )
        ended = not chunk or meter.done or len(first) > _PREAMBLE_MAX_BYTES
        if ended and not meter.meaningful:
            raise AttemptFailed(_MALFORMED)
    return first


def notes_line(notes: Sequence[Note]) -> HeaderLines:
    """Return the header that tells what was lost, if anything was."""
    return header_lines((b"x-router-notes", _told(notes))) if notes else b""


def _told(notes: Sequence[Note]) -> bytes:
    """Say shortly what was lost: `dropped top_k, approximated max_tokens`."""
    told = ", ".join(f"{note.action} {note.field}" for note in notes[:_MOST_NOTES])
    more = len(notes) - _MOST_NOTES
    return (f"{told}, and {more} more" if more > 0 else told).encode()


def _is_stream(content_type: str, *, asked: bool) -> bool:
    """Say whether an answer is a stream; one that does not say is what was asked."""
    if not content_type:
        return asked
    return content_type.lower().startswith(_EVENT_STREAM)


def _typed(content_type: str) -> tuple[bytes, bytes]:
    """Return the header for a content type as the provider wrote it."""
    return b"content-type", (content_type or JSON).encode("utf-8", "surrogateescape")


def _fed(meter: Meter, chunk: bytes) -> bytes:
    """Feed the meter before the first meaningful event: all faults are failures."""
    try:
        return meter.feed(chunk) if chunk else meter.end()
    except (NotAStream, EventTooLarge):
        raise AttemptFailed(_MALFORMED) from None


class _Refusal(msgspec.Struct):
    """What stands in the place of a plain answer, as far as it is read."""

    error: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


_decode_refusal: Final = msgspec.json.Decoder(_Refusal).decode


def _refusal_in(body: bytes) -> _Refusal:
    """Read the body of an error, or of a 200 that is no answer."""
    try:
        return leniently(_decode_refusal, body)
    except UNREADABLE:
        return _Refusal()


def _failure_in(refusal: _Refusal, endpoint: Endpoint) -> Failure:
    """Say what such a body means."""
    error = refusal.error
    if not is_there(error):
        return _MALFORMED
    return failure_of_error_event(bytes(error), credentials=endpoint.credentials)


async def error_body(answer: UpstreamAnswer) -> bytes:
    """Read an error answer, as far as it is worth reading."""
    body = b""
    try:
        while len(body) < _ERROR_BODY_MAX_BYTES and (
            chunk := await answer.next_chunk()
        ):
            body += chunk
    except TransportError:
        return b""
    return body[:_ERROR_BODY_MAX_BYTES]


def _failure_of_answer(
    answer: UpstreamAnswer, body: bytes, endpoint: Endpoint
) -> Failure:
    """Say what an error answer means."""
    return failure_of_status(
        answer.status,
        body=body,
        retry_after=answer.header("retry-after"),
        date=answer.header("date"),
        credentials=endpoint.credentials,
    )
