"""The headers of answers that do not depend on who gave them."""

from typing import Final

from smart_llmrouter.engine.client import HeaderLines, header_lines
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.refusals import dialect_headers

STREAM_HEADERS: Final = header_lines(
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # nginx and its kin would hold events back until their buffers are full.
    (b"x-accel-buffering", b"no"),
)


def stream_headers(entry: Entry) -> HeaderLines:
    """Return the headers of every stream to the caller."""
    return STREAM_HEADERS + usual_lines(entry)


def usual_lines(entry: Entry) -> HeaderLines:
    """Return the headers of every answer to the caller, in the dialect of the call."""
    if entry.arrival.dialect != "anthropic-messages":
        return entry.limit_lines
    return entry.limit_lines + header_lines(
        *dialect_headers(entry.arrival.dialect, request_id=entry.arrival.request_id)
    )
