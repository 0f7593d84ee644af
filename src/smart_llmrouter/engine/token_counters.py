"""Asking the targets that can count, one after another.

A provider that fails is told as it is: an estimate in its place would hide that its key
is wrong.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from smart_llmrouter.admission.gate import Reservation
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.attempt import error_body
from smart_llmrouter.engine.attempts import failure_of_silence
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.routes import addressed
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.upstream.endpoints import (
    COUNT_PATH_OF_DIALECT,
    Endpoint,
    endpoint_of,
)
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failure_endings import terminal_error
from smart_llmrouter.upstream.failures import failure_of_status, failure_of_transport
from smart_llmrouter.upstream.transport import Transport, TransportError, UpstreamAnswer

_NOT_SERVED: Final = frozenset({405, 501})
_MALFORMED: Final = Failure(error_class="upstream_malformed_answer")


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


class Counters:
    """The targets that count, by their group and the dialect that they do it in."""

    def __init__(
        self, snapshot: Snapshot, transport: Transport, *, tally: Tally, user_agent: str
    ) -> None:
        """Ask the targets of `snapshot` through `transport`, as `user_agent`."""
        self._transport = transport
        self._tally = tally
        self._by_group = {
            group.name: _counters_of(group, user_agent=user_agent)
            for group in snapshot.groups.values()
        }

    def of(self, group: Group, dialect: DialectName) -> tuple[Counter, ...]:
        """Return those that count in `dialect`, no more than may be called."""
        return self._by_group[group.name][dialect]

    async def first_to_count(
        self,
        counters: Iterable[Counter],
        peek: Peek,
        *,
        entry: Entry,
        vigil: Vigil,
        first_event_timeout_s: float,
        reservation: Reservation,  # noqa: ARG002 - the right to call a provider
    ) -> bytes | None:
        """Return the first count; `None` where none of them counts.

        Raises an `UpstreamError` where one does, and none has answered.
        """
        failures: list[Failure] = []
        for counter in counters:
            entry.target = counter.target
            entry.attempts += 1
            vigil.wait_for("first_event", first_event_timeout_s)
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
                msgspec.json.encode(target.model),
            )
            for target in group.targets
            if target.provider.dialect == dialect
        )[: group.max_attempts]
        for dialect, path in COUNT_PATH_OF_DIALECT.items()
    }
