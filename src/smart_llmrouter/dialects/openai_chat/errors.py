"""Our errors at the end of a stream of chunks."""

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.dialects.openai_errors import render_error


def encode_error_event(error: RouterError, *, request_id: str) -> bytes:
    """Encode an error as the last event of a stream that has begun."""
    return b"data: " + render_error(error, request_id=request_id) + b"\n\n"
