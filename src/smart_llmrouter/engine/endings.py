"""How calls end that fail or are refused: on record, and told in their dialect."""

import msgspec
import structlog

from smart_llmrouter.core.errors import (
    ClientLeft,
    JournalUnwritable,
    RouterError,
    RouterFault,
    RoutingPolicyError,
    ShuttingDown,
    UpstreamError,
    UpstreamRejectedRequest,
)
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.refusals import error_event, refusal
from smart_llmrouter.engine.routes import attempts_header, name_header

log = structlog.get_logger()


class CallEnding(msgspec.Struct, frozen=True, eq=False):
    """What ends the answer to one call; see `recorder.Ending`."""

    entry: Entry
    client: Client

    @property
    def request_id(self) -> str:
        """Which call it ends."""
        return self.entry.arrival.request_id


class Refused(CallEnding, frozen=True, eq=False):
    """An error instead of an answer, or behind what there is of one."""

    error: RouterError

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, or the worse one that the call is not on record."""
        tell(unwritable or self.error, self.entry, self.client)


class Refusals:
    """Writes down how calls fail, and tells their callers."""

    def __init__(self, recorder: Recorder) -> None:
        """Write to `recorder`."""
        self._recorder = recorder

    def refuse(self, error: RouterError, entry: Entry, client: Client) -> None:
        """Write down how the call failed, and tell the caller in its dialect.

        A call that is on record already has not failed, whatever went wrong behind it.
        """
        if entry.closed:
            return
        if isinstance(error, UpstreamError):
            entry.error_class = error.error_class
        if entry.draining and not isinstance(error, ClientLeft):
            # The end of the answer was not reached, for whatever reason.
            error = ClientLeft()
        if entry.answering and isinstance(error, ClientLeft):
            entry.disconnect = entry.disconnect or "cancelled"
        failed = isinstance(error, (UpstreamError, RouterFault, RoutingPolicyError))
        if failed and not isinstance(error, ClientLeft):
            log.warning(
                "call failed",
                request_id=entry.arrival.request_id,
                code=error.code,
                error_class=entry.error_class,
                target=entry.target.label if entry.target else None,
                reason=_reason_of(error),
            )
        self._recorder.close(
            entry,
            status=error.status,
            error=error,
            ending=Refused(entry, client, error),
        )

    def abandon(self, entry: Entry, client: Client) -> None:
        """Write down that the caller left, or tell it that the process is stopping."""
        self.refuse(ClientLeft() if client.left else ShuttingDown(), entry, client)


def _reason_of(error: RouterError) -> str | None:
    """Return what the operator is told beyond the class, where anything is known."""
    if isinstance(error, RoutingPolicyError):
        return error.run.error
    return (error.reason or None) if isinstance(error, UpstreamError) else None


def tell(error: RouterError, entry: Entry, client: Client) -> None:
    """Tell the caller how its call failed, in its dialect."""
    arrival = entry.arrival
    dialect, request_id = arrival.dialect, arrival.request_id
    if client.began:
        own = error.event if isinstance(error, UpstreamError) else b""
        client.fail(
            own
            or error_event(
                error,
                dialect=dialect,
                request_id=request_id,
                answer_id=entry.answer_id,
            )
        )
        return
    named = [attempts_header(entry.attempts)] if entry.attempts else []
    if isinstance(error, UpstreamRejectedRequest) and entry.target is not None:
        named.append(name_header(entry.target))
    status, headers, body = refusal(
        error, *named, dialect=dialect, request_id=request_id, codex=arrival.codex
    )
    client.answer(status, headers + entry.limit_lines, body)
