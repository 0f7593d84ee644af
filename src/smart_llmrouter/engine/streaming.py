"""Sending a provider's stream on to the caller while the meter reads along."""

from collections.abc import Awaitable, Sequence

from smart_llmrouter.core.errors import (
    LimitExceeded,
    RouterError,
    UpstreamError,
    UpstreamFailed,
)
from smart_llmrouter.dialects.base import Meter, NotAStream
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.spending import Spending
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.engine.wins import StreamWin
from smart_llmrouter.upstream.failure_endings import error_behind
from smart_llmrouter.upstream.failures import failure_of_error_event, scrubbed
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    TransportError,
)
from smart_llmrouter.wire.sse import EventTooLarge


async def relay_stream(
    win: StreamWin,
    client: Client,
    *,
    vigil: Vigil,
    idle_timeout_s: float,
    spending: Spending,
) -> bytes:
    """Send all of a stream but what came with its last event, which is returned.

    The caller's slowness holds the provider back: nothing is read while `send` waits.
    Raises an `UpstreamError` when the stream breaks off, after all that came before; a
    stream never ends cleanly that the provider did not end. Raises `LimitExceeded`
    where it has used more than its caller may.
    """
    meter = win.meter
    relay = _Relay(win, client, vigil, spending)
    while True:
        if vigil.beating is not None:
            await vigil.beating
        if relay.over and meter.error is None and meter.finished:
            vigil.rest()
            relay.note_proofs()
            return relay.block + meter.ending
        relay.send_on()
        if relay.room is not None:
            vigil.rest()
            await relay.room
            relay.room = None
        if relay.over:
            vigil.rest()
            raise _end_of(meter, win.route.endpoint.credentials)
        vigil.wait_for_more(idle_timeout_s)
        try:
            await win.answer.pour(relay.take)
        except TransportError as error:
            raise _fault_of(error) from None
        if relay.fault is not None:
            raise _fault_of(relay.fault) from None


class _Relay:
    """Sends a stream on as it arrives, for as long as nobody has to wait.

    `block` is what may be sent on and was not. `room` waits for a caller that reads
    slowly. `over` says that nothing more is taken from the provider, and `fault` that
    it sent what cannot be taken.
    """

    __slots__ = (
        "_client",
        "_mark",
        "_meter",
        "_now",
        "_proofs",
        "_spending",
        "_vigil",
        "block",
        "fault",
        "over",
        "room",
    )

    def __init__(
        self, win: StreamWin, client: Client, vigil: Vigil, spending: Spending
    ) -> None:
        """Begin with what came before the attempt had won."""
        self._spending = spending if spending.follows else None
        self._client = client
        self._meter = win.meter
        self._mark, self._proofs = win.proof_mark, win.proofs
        self._vigil, self._now = vigil, vigil.now
        self.block = win.first
        self.fault: EventTooLarge | NotAStream | LimitExceeded | None = None
        self.over = win.meter.done or win.meter.error is not None
        self.room: Awaitable[None] | None = None

    def take(self, chunk: bytes) -> bool:
        """Send on what a chunk allows; say whether another may follow at once."""
        meter, vigil = self._meter, self._vigil
        try:
            block = meter.feed(chunk) if chunk else meter.end()
        except (EventTooLarge, NotAStream) as fault:
            self.fault = fault
            return False
        self.over = over = not chunk or meter.done or meter.error is not None
        if over or vigil.beating is not None:
            self.block = block
            return False
        if self._mark is not None:
            self._proofs += self._mark.all_in(block)
        if block:
            self.room = self._client.send(block)
            spending = self._spending
            if spending is not None:
                spending.saw(block)
                if spending.refused is not None:
                    self.fault = spending.refused
                    return False
        vigil.heard_s = self._now()
        return self.room is None

    def note_proofs(self) -> None:
        """Keep what proves a reasoning in what is sent on, where that matters."""
        if self._mark is not None:
            self._proofs += self._mark.all_in(self.block)

    def send_on(self) -> None:
        """Send what may be sent."""
        self.note_proofs()
        block, self.block = self.block, b""
        if block:
            self.room = self._client.send(block)
            if self._spending is not None:
                self._spending.saw(block)


def _end_of(meter: Meter, credentials: Sequence[bytes] = ()) -> UpstreamError:
    """Say why a stream has come to an end that is not one of its own."""
    if meter.failed:
        failed = _broken("reported a failure", "upstream_error_in_stream")
        failed.event = scrubbed(meter.ending, credentials)
        return failed
    if meter.error is not None:
        failure = failure_of_error_event(meter.error, credentials=credentials)
        cut = failure.error_class == ConnectionCut.error_class
        what = "broke the stream off" if cut else "reported an error in its stream"
        return error_behind(failure, f"the provider {what}")
    return _broken("broke the stream off", ConnectionCut.error_class)


def _fault_of(
    error: TransportError | EventTooLarge | NotAStream | LimitExceeded,
) -> RouterError:
    if isinstance(error, LimitExceeded):
        return error
    if isinstance(error, NotAStream):
        return _broken("sent what is no event", "upstream_malformed_answer")
    if isinstance(error, EventTooLarge):
        return _broken("sent an event that never ended", "upstream_malformed_answer")
    if isinstance(error, AnswerTooLarge):
        return _broken(
            "sent more than `upstream.max_response_bytes`", error.error_class
        )
    broken = _broken("broke the stream off", error.error_class)
    broken.reason = error.reason
    return broken


def _broken(what: str, error_class: str) -> UpstreamFailed:
    return UpstreamFailed(f"the provider {what}", details={"error_class": error_class})
