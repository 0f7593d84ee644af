"""Anthropic's errors."""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.http import Event
from smart_llmrouter.mockprovider.script import StreamError

REQUEST_ID: Final = "req_mock"
_KINDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is a problem with billing."),
    403: ("permission_error", "You may not do this."),
    404: ("not_found_error", "The model does not exist."),
    405: ("invalid_request_error", "No such method."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "Rate limit reached."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
_REFUSED: Final = ("invalid_request_error", "The mock was told to refuse.")
_FAILED: Final = ("api_error", "The mock was told to fail.")
_encode: Final = msgspec.json.Encoder().encode


def refusal(status: int, refused: Refused | None = None) -> bytes:
    """Return the error body for `status`, of `refused` where it is given."""
    kind, message = _KINDS.get(status, _REFUSED if status < 500 else _FAILED)
    if refused is None:
        return _error(kind, message)
    return _error(refused.kind or kind, str(refused))


def stream_error(error: StreamError) -> Event:
    """Return the event that ends a stream in `error`."""
    return Event(name="error", data=_error(error.type or "api_error", error.message))


def _error(kind: str, message: str) -> bytes:
    error = {"type": kind, "message": message}
    return _encode({"type": "error", "error": error, "request_id": REQUEST_ID})
