"""Sending a provider's stream on to the caller while the meter reads along."""

from smart_llmrouter.core.errors import UpstreamFailed
from smart_llmrouter.dialects.openai_chat.streams import DONE, ErrorInStream
from smart_llmrouter.engine.attempts import StreamWin
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.vigil import Vigil
from smart_llmrouter.upstream.transport import TransportError
from smart_llmrouter.wire.sse import EventTooLarge


async def relay_stream(
    win: StreamWin, client: Client, *, vigil: Vigil, idle_timeout_s: float
) -> bytes:
    """Send all of a stream but its last event, which is returned.

    The caller's slowness holds the provider back: nothing is read while `send` waits.
    Raises an `UpstreamError` when the stream breaks off; a stream never ends cleanly
    that the provider did not end.
    """
    meter, block = win.meter, win.first
    while True:
        if block:
            await vigil.sending()
            await client.send(block)
        if meter.done:
            return meter.ending
        vigil.wait_for("idle", idle_timeout_s)
        try:
            chunk = await win.answer.next_chunk()
            block = meter.feed(chunk) if chunk else meter.end()
        except (TransportError, EventTooLarge, ErrorInStream) as error:
            raise _broken(error) from None
        vigil.rest()
        if not chunk:
            return block + _ending_at_eof(win)


def _ending_at_eof(win: StreamWin) -> bytes:
    """End a stream whose provider closed the connection, if it had come to its end."""
    meter = win.meter
    if meter.done:
        return meter.ending
    if meter.finished:
        return DONE
    raise UpstreamFailed(
        "the provider broke the stream off",
        details={"error_class": "upstream_connection_cut"},
    )


def _broken(error: Exception) -> UpstreamFailed:
    if isinstance(error, TransportError):
        error_class = error.error_class
        told = "the provider broke the stream off"
    elif isinstance(error, ErrorInStream):
        error_class = "upstream_error_in_stream"
        told = "the provider reported an error inside its stream"
    else:
        error_class = "upstream_malformed_answer"
        told = "the provider sent an event that never ended"
    return UpstreamFailed(told, details={"error_class": error_class})
