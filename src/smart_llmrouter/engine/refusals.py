"""An error as an HTTP answer: its headers and, in the caller's dialect, its body."""

from smart_llmrouter.core.errors import (
    MethodNotAllowed,
    RouterError,
    Unauthorized,
    UpstreamError,
)
from smart_llmrouter.dialects.openai_chat.errors import render_error
from smart_llmrouter.engine.client import HeaderLines, header_lines


def render_refusal(error: RouterError, *, request_id: str) -> bytes:
    """Render the body of an error answer."""
    return render_error(error, request_id=request_id)


Fields = list[tuple[bytes, bytes]]


def error_lines(error: RouterError, *more: tuple[bytes, bytes]) -> HeaderLines:
    """Return the headers that go with an error, and `more`, as they are sent."""
    return header_lines(*error_headers(error), *more)


def error_headers(error: RouterError) -> Fields:
    """Return the headers that go with an error."""
    headers: Fields = [(b"content-type", b"application/json")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if error.permanent:
        headers.append((b"x-should-retry", b"false"))
    if isinstance(error, UpstreamError):
        headers += _upstream_headers(error)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def _upstream_headers(error: UpstreamError) -> Fields:
    names = {
        "error_class": b"x-router-error-class",
        "upstream_status": b"x-upstream-status",
    }
    return [
        (header, str(error.details[detail]).encode())
        for detail, header in names.items()
        if detail in error.details
    ]
