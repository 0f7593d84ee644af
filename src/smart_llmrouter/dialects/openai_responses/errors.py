"""Our errors inside of a stream of the Responses API.

There an error is a `response.failed`, whose code decides what Codex does next: go on
trying, wait, or stop and tell.
"""

from typing import Final

from smart_llmrouter.core.errors import (
    KeyExhausted,
    LimitExceeded,
    QuotaExhausted,
    RouterError,
    UpstreamRejectedRequest,
)
from smart_llmrouter.core.overflow import overflow_in
from smart_llmrouter.dialects.openai_errors import OVERFLOW, SERVER_ERROR, said_in
from smart_llmrouter.dialects.openai_responses.schema import encode
from smart_llmrouter.dialects.openai_responses.writing import frame_of

RATE_LIMITED: Final = "rate_limit_exceeded"
NO_QUOTA: Final = "insufficient_quota"
STREAM_CODES: Final = {
    "upstream-rate-limited": RATE_LIMITED,
    "upstream_rate_limited": RATE_LIMITED,
    "upstream-quota-exhausted": NO_QUOTA,
    "upstream_quota_exhausted": NO_QUOTA,
    "upstream-overloaded": "server_is_overloaded",
    "upstream_overloaded": "server_is_overloaded",
    "upstream-capacity-throttled": RATE_LIMITED,
    "upstream_context_overflow": OVERFLOW,
}
"""The code in a stream, by our code or by the class of the provider's failure."""
_REFUSED: Final = "invalid_prompt"
_USUAL_WAIT_S: Final = 1
_LAST: Final = 2**31 - 1
"""Higher than the number of each event before it, which is not known here."""


def encode_error_event(
    error: RouterError, *, request_id: str, answer_id: str | None = None
) -> bytes:
    """Encode an error as the last event of a stream that has begun.

    OpenAI's SDK takes it for a fault of its own when the answer has another id here
    than in the first event.
    """
    code = stream_code(error)
    message = f"{error.message} (request {request_id})"
    if isinstance(error, UpstreamRejectedRequest):
        message = f"{said_in(error.body) or error.message} (request {request_id})"
    if code == RATE_LIMITED:
        wait_s = error.retry_after_s or _USUAL_WAIT_S
        message = f"{message}. Please try again in {wait_s}s."
    answer = {
        "id": answer_id or f"resp_{request_id.removeprefix('req_')}",
        "object": "response",
        "created_at": 0,
        "status": "failed",
        "background": False,
        "error": {"code": code, "message": message},
        "incomplete_details": None,
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    return frame_of("response.failed", _LAST, b',"response":' + encode(answer))


def stream_code(error: RouterError) -> str:
    """Return the code by which Codex knows what to do."""
    if isinstance(error, LimitExceeded):
        return _limit_code(error)
    named = STREAM_CODES.get(error.code) or STREAM_CODES.get(
        str(error.details.get("error_class"))
    )
    if named is not None:
        return named
    if isinstance(error, UpstreamRejectedRequest) and overflow_in(error.body):
        return OVERFLOW
    if error.permanent:
        return _REFUSED
    return RATE_LIMITED if error.status == 429 else SERVER_ERROR


def _limit_code(error: LimitExceeded) -> str:
    """Let Codex wait for a limit that passes soon, and stop at any other."""
    if error.retry_after_s is not None:
        return RATE_LIMITED
    return NO_QUOTA if isinstance(error, QuotaExhausted | KeyExhausted) else _REFUSED
