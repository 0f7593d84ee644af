"""Sending a provider's stream on to the caller while the meter reads along."""

from smart_llmrouter.core.errors import UpstreamFailed
from smart_llmrouter.dialects.openai_chat.streams import DONE, StreamMeter
from smart_llmrouter.engine.attempts import StreamWin
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.upstream.transport import AnswerTooLarge, TransportError
from smart_llmrouter.wire.sse import EventTooLarge


async def relay_stream(
    win: StreamWin, client: Client, *, vigil: Vigil, idle_timeout_s: float
) -> bytes:
    """Send all of a stream but what came with its last event, which is returned.

    The caller's slowness holds the provider back: nothing is read while `send` waits.
    Raises an `UpstreamError` when the stream breaks off, after all that came before; a
    stream never ends cleanly that the provider did not end.
    """
    meter, block, at_eof = win.meter, win.first, False
    while True:
        if vigil.beating is not None:
            await vigil.beating
        ended = at_eof or meter.done or meter.error is not None
        if ended and meter.error is None and meter.finished:
            vigil.rest()
            return block + (meter.ending or DONE)
        if block and (room := client.send(block)) is not None:
            vigil.rest()
            await room
        if ended:
            vigil.rest()
            raise _end_of(meter)
        vigil.wait_for_more(idle_timeout_s)
        try:
            chunk = await win.answer.next_chunk()
            block = meter.feed(chunk) if chunk else meter.end()
        except (TransportError, EventTooLarge) as error:
            raise _fault_of(error) from None
        at_eof = not chunk


def _end_of(meter: StreamMeter) -> UpstreamFailed:
    """Say why a stream has come to an end that is not one of its own."""
    if meter.error is not None:
        return _broken("reported an error in its stream", "upstream_error_in_stream")
    return _broken("broke the stream off", "upstream_connection_cut")


def _fault_of(error: TransportError | EventTooLarge) -> UpstreamFailed:
    if isinstance(error, EventTooLarge):
        return _broken("sent an event that never ended", "upstream_malformed_answer")
    if isinstance(error, AnswerTooLarge):
        return _broken(
            "sent more than `upstream.max_response_bytes`", error.error_class
        )
    return _broken("broke the stream off", error.error_class)


def _broken(what: str, error_class: str) -> UpstreamFailed:
    return UpstreamFailed(f"the provider {what}", details={"error_class": error_class})
