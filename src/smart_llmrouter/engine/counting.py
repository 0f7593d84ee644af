"""How many tokens a request would have: a call that is no answer.

It goes the way of every other call: its caller is known and allowed, the gate lets it
pass, one record is left behind. It consumes nothing.

    peek      which group?
    admit     the gate
    ask       the group's targets that count in the caller's dialect, one after another
    estimate  only where none of them does
    record    `inbound_dialect` is that of the caller with `/count` behind it

A provider that fails is told as it is: an estimate in its place would hide that its key
is wrong.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import structlog

from smart_llmrouter.admission.gate import Gate, Reservation
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.errors import (
    InternalError,
    JournalUnwritable,
    RouterError,
    UnknownResponseId,
)
from smart_llmrouter.core.estimates import input_tokens
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.attempts import (
    addressed,
    error_body,
    failure_of_silence,
    name_header,
)
from smart_llmrouter.engine.client import Arrival, Client, HeaderLines, header_lines
from smart_llmrouter.engine.endings import CallEnding, Refusals, tell
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.groups import allowed_group
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.refusals import dialect_headers
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.vigil import Vigil, Watch
from smart_llmrouter.upstream.endpoints import (
    COUNT_PATH_OF_DIALECT,
    Endpoint,
    endpoint_of,
)
from smart_llmrouter.upstream.failures import (
    Failure,
    failure_of_status,
    failure_of_transport,
    terminal_error,
)
from smart_llmrouter.upstream.transport import Transport, TransportError, UpstreamAnswer

NOTHING_USED: Final = Usage(input_tokens=0, output_tokens=0)
_JSON: Final = (b"content-type", b"application/json")
_ESTIMATED: Final = (b"x-router-estimate", b"true")
_OBJECT: Final[Mapping[DialectName, dict[str, object]]] = {
    "openai-responses": {"object": "response.input_tokens"},
}
_NOT_SERVED: Final = frozenset({405, 501})
_MALFORMED: Final = Failure(error_class="upstream_malformed_answer")

_encode: Final = msgspec.json.Encoder().encode

log = structlog.get_logger()


class Counter(NamedTuple):
    """A target that can count, and where it is asked."""

    target: Target
    endpoint: Endpoint
    model: bytes


class _Count(msgspec.Struct):
    """What a provider says; it may say more, which goes on to the caller."""

    input_tokens: int


_decode_count: Final = msgspec.json.Decoder(_Count).decode


Outcome = bytes | Failure | None
"""What a target says: a count, a failure, or that it does not count."""


class Counting:
    """Carries the calls that count tokens."""

    def __init__(
        self,
        snapshot: Snapshot,
        gate: Gate,
        transport: Transport,
        *,
        pins: Pins,
        recorder: Recorder,
        tally: Tally,
        watch: Watch,
        user_agent: str,
    ) -> None:
        """Ask the targets of `snapshot` through `transport`."""
        self._snapshot = snapshot
        self._gate = gate
        self._transport = transport
        self._pins = pins
        self._recorder = recorder
        self._refusals = Refusals(recorder)
        self._tally = tally
        self._watch = watch
        self._counters = {
            group.name: _counters_of(group, user_agent=user_agent)
            for group in snapshot.groups.values()
        }

    async def carry(self, arrival: Arrival, body: bytes, client: Client) -> None:
        """Carry one call from its arrival to the ledger."""
        entry = _entry(arrival)
        self._tally.in_flight += 1
        try:
            await self._carry(entry, body, client)
        except RouterError as error:
            self._refusals.refuse(error, entry, client)
        except asyncio.CancelledError:
            self._refusals.abandon(entry, client)
        except Exception:
            log.exception("call failed", request_id=arrival.request_id)
            self._refusals.refuse(InternalError(), entry, client)
        finally:
            self._tally.in_flight -= 1

    def refuse(self, error: RouterError, arrival: Arrival, client: Client) -> None:
        """Refuse a request of a known caller before its body was looked at."""
        self._refusals.refuse(error, _entry(arrival), client)

    async def _carry(self, entry: Entry, body: bytes, client: Client) -> None:
        peek = DIALECTS[entry.arrival.dialect].peek(body)
        group = allowed_group(peek.model, entry, self._snapshot)
        self._recorder.check()
        with (
            self._gate.reserve(entry.arrival.caller, group.name) as reservation,
            self._watch.over_this_task(
                total_s=self._snapshot.upstream.total_timeout_s
            ) as vigil,
        ):
            counted = await self._asked(
                group, peek, entry=entry, vigil=vigil, reservation=reservation
            )
            entry.usage = reservation.used = NOTHING_USED
            headers = dialect_headers(
                entry.arrival.dialect, request_id=entry.arrival.request_id
            )
            if counted is None or entry.target is None:
                entry.target = None
                counted = _estimate(entry.arrival.dialect, body)
                headers.append(_ESTIMATED)
            else:
                headers.append(name_header(entry.target))
        ending = _Counted(entry, client, header_lines(_JSON, *headers), counted)
        self._recorder.close(entry, status=200, ending=ending)

    async def _asked(
        self,
        group: Group,
        peek: Peek,
        *,
        entry: Entry,
        vigil: Vigil,
        reservation: Reservation,  # noqa: ARG002 - the right to call a provider
    ) -> bytes | None:
        """Return the first count; `None` where no target counts in this dialect.

        Raises an `UpstreamError` where one does, and none has answered.
        """
        failures: list[Failure] = []
        for counter in self._counters_for(peek, group, entry):
            entry.target = counter.target
            entry.attempts += 1
            vigil.wait_for("first_event", group.first_event_timeout_s)
            outcome = await self._tried(counter, peek, entry=entry, vigil=vigil)
            if isinstance(outcome, bytes):
                entry.error_class = None
                return outcome
            if outcome is None:
                continue
            failures.append(outcome)
            entry.error_class = outcome.error_class
            if not outcome.retryable:
                break
        if failures:
            raise terminal_error(failures)
        return None

    def _counters_for(
        self, peek: Peek, group: Group, entry: Entry
    ) -> tuple[Counter, ...]:
        """Return who may be asked: what one provider keeps, no other can count.

        Raises `UnknownResponseId`.
        """
        dialect = entry.arrival.dialect
        counters = self._counters[group.name][dialect]
        answer_id = DIALECTS[dialect].goes_on_from(peek)
        if answer_id is None:
            return counters
        keeper = self._pins.keeper(answer_id, caller_id=entry.arrival.caller.id)
        kept = tuple(each for each in counters if each.target.label == keeper)
        if not kept:
            raise UnknownResponseId
        return kept

    async def _tried(
        self, counter: Counter, peek: Peek, *, entry: Entry, vigil: Vigil
    ) -> Outcome:
        """Ask one target, for no longer than it may take."""
        try:
            outcome = await self._attempt(counter, peek, entry)
        except TransportError as error:
            outcome = failure_of_transport(error)
        except asyncio.CancelledError:
            if vigil.expired is None:
                raise
            outcome = failure_of_silence(vigil)
        vigil.rest()
        self._tally.attempts[counter.target.label, _told(outcome)] += 1
        return outcome

    async def _attempt(self, counter: Counter, peek: Peek, entry: Entry) -> Outcome:
        endpoint = addressed(counter.endpoint, entry.arrival)
        dialect = DIALECTS[entry.arrival.dialect]
        body = dialect.address(peek, model=counter.model)
        answer = await self._transport.send(endpoint, body)
        entry.upstream_status = answer.status
        try:
            return await _read(answer, endpoint)
        finally:
            answer.close()


async def _read(answer: UpstreamAnswer, endpoint: Endpoint) -> Outcome:
    if answer.status != 200:
        return await _failure_of(answer, endpoint)
    body = await answer.read()
    try:
        _decode_count(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _MALFORMED
    return body


async def _failure_of(answer: UpstreamAnswer, endpoint: Endpoint) -> Failure | None:
    """Say what an error means; `None` that nothing counts at this path.

    Of a model that is not there a provider says 404, too, and names it.
    """
    body = await error_body(answer)
    if answer.status in _NOT_SERVED or (answer.status == 404 and b"model" not in body):
        return None
    return failure_of_status(
        answer.status,
        body=body,
        retry_after=answer.header("retry-after"),
        credentials=endpoint.credentials,
    )


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, bytes):
        return "answered"
    return "not_served" if outcome is None else outcome.error_class


def _counters_of(
    group: Group, *, user_agent: str
) -> dict[DialectName, tuple[Counter, ...]]:
    """Find the targets of a group that count, by the dialect that they do it in."""
    return {
        dialect: tuple(
            Counter(
                target,
                endpoint_of(target.provider, user_agent=user_agent, path=path),
                _encode(target.model),
            )
            for target in group.targets
            if target.provider.dialect == dialect
        )[: group.max_attempts]
        for dialect, path in COUNT_PATH_OF_DIALECT.items()
    }


def _entry(arrival: Arrival) -> Entry:
    return Entry(arrival=arrival, dialect=f"{arrival.dialect}/count")


def _estimate(dialect: DialectName, body: bytes) -> bytes:
    """Return a count of our own, which says that it is an estimate."""
    count = {"input_tokens": input_tokens(body), "estimate": True}
    return _encode(_OBJECT.get(dialect, {}) | count)


class _Counted(CallEnding, frozen=True, eq=False):
    """A count, ready to be sent."""

    headers: HeaderLines
    body: bytes

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless its call is not on record."""
        if unwritable is None:
            self.client.answer(200, self.headers, self.body)
        else:
            tell(unwritable, self.entry, self.client)
