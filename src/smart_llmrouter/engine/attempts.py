"""One target after another, until the first that really answers.

A 200 is not an answer: an attempt has won when its first meaningful event is decoded,
or its whole plain body. Until then any retryable failure passes the call on to the
next target, and the caller notices nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from smart_llmrouter.admission.gate import Reservation
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import (
    Meter,
    NotAnAnswer,
    NotAStream,
    NotBridged,
)
from smart_llmrouter.dialects.proofs import ProofMark
from smart_llmrouter.engine.client import HeaderLines, header_lines
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.lanes import NO_NOTES, WITHOUT_FOREIGN, Lane, Relay
from smart_llmrouter.engine.refusals import unservable
from smart_llmrouter.engine.routes import JSON, NAME, Route, addressed
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.translation import Asked, Translation
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failure_endings import terminal_error
from smart_llmrouter.upstream.failures import (
    failure_of_error_event,
    failure_of_status,
    failure_of_transport,
)
from smart_llmrouter.upstream.transport import Transport, TransportError, UpstreamAnswer
from smart_llmrouter.wire.sse import EventTooLarge

_ERROR_BODY_MAX_BYTES: Final = 64 * 1024
_PREAMBLE_MAX_BYTES: Final = 256 * 1024
_EVENT_STREAM: Final = "text/event-stream"
_MOST_NOTES: Final = 16
_MS_PER_S: Final = 1000
# Looking a member of an enumeration up costs as much as a call.
_OK: Final = int(HTTPStatus.OK)
_MALFORMED: Final = Failure(
    error_class="upstream_malformed_answer", upstream_status=HTTPStatus.OK
)


class PlainWin(msgspec.Struct, kw_only=True):
    """A target's whole plain answer, and the headers that it is sent on with."""

    route: Route
    lane: Lane
    headers: HeaderLines
    body: bytes
    usage: Usage
    stored_id: str | None
    proofs: list[bytes] = []


class StreamWin(msgspec.Struct, kw_only=True):
    """A target's stream, open after its first meaningful event.

    With a `proof_mark`, `proofs` are the digests of what the provider has proved.
    `first` is what may be sent on so far. Whoever holds the win closes `answer`.
    """

    route: Route
    lane: Lane
    headers: HeaderLines
    answer: UpstreamAnswer
    meter: Meter
    first: bytes
    proof_mark: ProofMark | None = None
    proofs: list[bytes] = []


class _AttemptFailed(Exception):
    """An attempt ended without an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error_class)
        self.failure = failure


class Attempts:
    """Try the targets of a plan in their order."""

    def __init__(
        self,
        transport: Transport,
        routes: Mapping[str, Route],
        *,
        health: HealthBook,
        tally: Tally,
        now: Monotonic,
    ) -> None:
        """Reach the targets in `routes`, by label, through `transport`."""
        self._transport = transport
        self._routes = routes
        self._health = health
        self._tally = tally
        self._now = now
        # The targets that are routers like this one, by label: they have said so.
        self._routers: set[str] = set()

    async def first_to_answer(
        self,
        plan: Plan,
        asked: Asked,
        *,
        entry: Entry,
        vigil: Vigil,
        first_event_timeout_s: float,
        reservation: Reservation,  # noqa: ARG002 - the right to call a provider
    ) -> PlainWin | StreamWin:
        """Return the first answer. Raises an `UpstreamError` when there is none.

        A target that cannot carry the request is passed over; where all are, that is
        `NoEligibleTarget`. The reservation is what gives the right to call a provider
        at all.
        """
        failures: list[Failure] = []
        missing: dict[str, list[str]] = {}
        for target in plan.targets:
            route = self._routes[target.label]
            try:
                lane = self._lane_of(asked, route, plan, entry=entry)
            except NotBridged as lacking:
                missing[target.label] = list(lacking.missing)
                continue
            vigil.wait_for("first_event", first_event_timeout_s)
            win = await self._try(route, lane, asked=asked, entry=entry, vigil=vigil)
            if not isinstance(win, Failure):
                return win
            failures.append(win)
            if not win.retryable or entry.attempts >= plan.max_attempts:
                break
        if not failures:
            raise unservable(
                plan.group,
                dialect=asked.dialect.name,
                missing={**plan.missing, **missing},
            )
        raise terminal_error(failures)

    def _lane_of(self, asked: Asked, route: Route, plan: Plan, *, entry: Entry) -> Lane:
        """Choose the lane of an attempt. Raises `NotBridged`."""
        if asked.dialect is route.dialect:
            keep_seals = route.seals and route.target.label in self._routers
            if not plan.has_siblings:
                return Relay(asked.dialect, asked.peek, route.model, keep_seals)
            shown = asked.shown_to(route.target.label)
            return Relay(
                asked.dialect,
                shown,
                route.model,
                keep_seals,
                asked.dialect.proof_mark,
                NO_NOTES if shown is asked.peek else WITHOUT_FOREIGN,
            )
        arrival = entry.arrival
        return Translation(
            asked,
            route.dialect,
            route.serving,
            request_id=arrival.request_id,
            created_s=arrival.ts_ms // _MS_PER_S,
        )

    async def _try(
        self, route: Route, lane: Lane, *, asked: Asked, entry: Entry, vigil: Vigil
    ) -> PlainWin | StreamWin | Failure:
        """Make one attempt, and note what became of it."""
        target = route.target
        entry.target = target
        entry.attempts += 1
        entry.lane = lane.name
        try:
            win = await self._attempt(route, lane, asked=asked, entry=entry)
        except _AttemptFailed as failed:
            failure = failed.failure
        except asyncio.CancelledError:
            if vigil.expired is None:
                raise
            failure = failure_of_silence(vigil)
        else:
            vigil.rest()
            entry.error_class = None
            self._note(target, None)
            return win
        entry.error_class = failure.error_class
        entry.upstream_status = failure.upstream_status
        if failure.retryable:
            self._note(target, failure.error_class)
        return failure

    def broke_off(self, target: Target, error_class: str) -> None:
        """Note that a target's stream failed after it had begun."""
        self._note(target, error_class)

    def _note(self, target: Target, error_class: str | None) -> None:
        self._health.note(target.label, error_class)
        self._tally.attempts[target.label, error_class or "answered"] += 1

    async def _attempt(
        self, route: Route, lane: Lane, *, asked: Asked, entry: Entry
    ) -> PlainWin | StreamWin:
        """Make one attempt; the answer is closed unless it won."""
        endpoint = route.endpoint
        if route.anthropic:
            endpoint = addressed(endpoint, entry.arrival)
        try:
            answer = await self._transport.send(endpoint, lane.take_body())
        except TransportError as error:
            raise _AttemptFailed(failure_of_transport(error)) from None
        entry.first_byte_s = self._now()
        entry.upstream_status = answer.status
        won = False
        try:
            win = await self._read(
                answer, route, lane, stream=asked.peek.stream, entry=entry
            )
            won = isinstance(win, StreamWin)
            return win
        except TransportError as error:
            raise _AttemptFailed(failure_of_transport(error)) from None
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
    ) -> PlainWin | StreamWin:
        if answer.status != _OK:
            raise _AttemptFailed(await _failure_of_answer(answer, route.endpoint))
        content_type = answer.header("content-type") or ""
        # The usual one needs no look at how it is spelled.
        streamed = content_type != JSON and _is_stream(content_type, asked=stream)
        if streamed != stream:
            raise _AttemptFailed(_MALFORMED)
        if route.seals and answer.header(NAME) is not None:
            self._routers.add(route.target.label)
        if streamed:
            return await self._begin_stream(answer, route, lane, entry=entry)
        came = await answer.read()
        try:
            body, usage = lane.answer(came)
        except NotAnAnswer:
            raise _AttemptFailed(_MALFORMED) from None
        entry.first_event_s = self._now()
        if lane.name == "translate" or content_type == JSON:
            headers = route.headers
        else:
            headers = header_lines(_typed(content_type)) + route.name_line
        notes, mark = lane.noted(), lane.proof_mark
        return PlainWin(
            route=route,
            lane=lane,
            headers=headers + _notes_line(notes) if notes else headers,
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
        first = b""
        while not meter.meaningful:
            chunk = await answer.next_chunk()
            first += _fed(meter, chunk)
            if meter.error is not None and not meter.meaningful:
                raise _AttemptFailed(
                    failure_of_error_event(
                        meter.error, credentials=route.endpoint.credentials
                    )
                )
            ended = not chunk or meter.done or len(first) > _PREAMBLE_MAX_BYTES
            if ended and not meter.meaningful:
                raise _AttemptFailed(_MALFORMED)
        entry.first_event_s = self._now()
        return StreamWin(
            route=route,
            lane=lane,
            headers=route.name_line + _notes_line(lane.noted()),
            answer=answer,
            meter=meter,
            first=first,
            proof_mark=lane.proof_mark,
        )


def _notes_line(notes: Sequence[Note]) -> HeaderLines:
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


def failure_of_silence(vigil: Vigil) -> Failure:
    """Say which limit passed, and let the task go on."""
    return Failure(error_class=f"upstream_{vigil.forgive()}_timeout")


def _fed(meter: Meter, chunk: bytes) -> bytes:
    """Feed the meter before the first meaningful event: all faults are failures."""
    try:
        return meter.feed(chunk) if chunk else meter.end()
    except (NotAStream, EventTooLarge):
        raise _AttemptFailed(_MALFORMED) from None


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


async def _failure_of_answer(answer: UpstreamAnswer, endpoint: Endpoint) -> Failure:
    """Say what an error answer means."""
    return failure_of_status(
        answer.status,
        body=await error_body(answer),
        retry_after=answer.header("retry-after"),
        credentials=endpoint.credentials,
    )
