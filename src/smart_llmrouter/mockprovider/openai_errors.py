"""OpenAI's errors, in the one shape that both of its dialects have."""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.script import StreamError

_KINDS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "forbidden", "You may not do this."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    405: ("invalid_request_error", "method_not_supported", "No such method."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    503: ("server_error", "overloaded", "The server is overloaded."),
}
_OTHER: Final = ("server_error", None, "The mock was told to fail.")
_encode: Final = msgspec.json.Encoder().encode


def refusal(status: int, refused: Refused | None = None) -> bytes:
    """Return the error body for `status`, of `refused` where it is given."""
    kind, code, message = _KINDS.get(status, _OTHER)
    if refused is None:
        return _error(message, kind, code, None)
    return _error(
        str(refused), refused.kind or kind, refused.code or code, refused.param
    )


def stream_error(error: StreamError) -> bytes:
    """Return the error that ends a Chat stream."""
    return _error(error.message, error.type or "server_error", error.code, None)


def _error(message: str, kind: str, code: str | None, param: str | None) -> bytes:
    return _encode(
        {"error": {"message": message, "type": kind, "param": param, "code": code}}
    )
