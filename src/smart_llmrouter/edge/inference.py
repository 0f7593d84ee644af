"""`POST /v1/chat/completions`: from the request's bytes to the pipeline.

Nothing stands between the connection and this: it is the hot route.
"""

from collections.abc import Coroutine
from typing import Any, Final, cast

from smart_llmrouter.core.errors import (
    MethodNotAllowed,
    RequestTooLarge,
    RouterError,
    UnsupportedContentType,
)
from smart_llmrouter.edge.clients import client_label
from smart_llmrouter.edge.exchange import Exchange
from smart_llmrouter.edge.hub import refuse
from smart_llmrouter.edge.identity import Authenticator, token_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.pipeline import Pipeline
from smart_llmrouter.engine.tally import Tally

_JSON: Final = b"application/json"
_IDENTITY: Final = frozenset({b"", b"identity"})


class InferenceRoute:
    """One inference endpoint."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticator: Authenticator,
        tally: Tally,
        *,
        max_request_bytes: int,
    ) -> None:
        """Send what arrives, once its caller is known, through `pipeline`."""
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._tally = tally
        self.max_body_bytes = max_request_bytes

    def open(self, exchange: Exchange) -> None:
        """Find out who calls, and refuse what the head alone shows to be refused."""
        headers = exchange.headers
        if exchange.method != b"POST":
            raise MethodNotAllowed(("POST",))
        caller = self._authenticator.caller_of(
            token_of(headers.get(b"authorization"), headers.get(b"x-api-key"))
        )
        exchange.context = Arrival(
            request_id=exchange.request_id,
            caller=caller,
            client=client_label(headers.get(b"user-agent")),
            began_s=exchange.began_s,
            ts_ms=exchange.ts_ms,
        )
        refusal = self._authenticator.refusal_of(caller)
        if refusal is not None:
            raise refusal
        media_type = headers.get(b"content-type", _JSON)
        if media_type != _JSON and _bare(media_type) != _JSON:
            raise UnsupportedContentType(
                "the body must be sent as `Content-Type: application/json`"
            )
        coding = headers.get(b"content-encoding")
        if coding is not None and coding.strip().lower() not in _IDENTITY:
            raise UnsupportedContentType("the body must be sent without compression")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.max_body_bytes:
            raise RequestTooLarge(self.max_body_bytes)

    def serve(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Carry the call."""
        arrival = cast("Arrival", exchange.context)
        return self._pipeline.carry(arrival, exchange.take_body(), exchange)

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Refuse a call: on record when its caller is known, only counted if not."""
        arrival = exchange.context
        if isinstance(arrival, Arrival):
            self._pipeline.refuse(error, arrival, exchange)
        else:
            self._tally.refusals[error.code] += 1
            refuse(exchange, error)


def _bare(media_type: bytes) -> bytes:
    """Return a media type without its parameters."""
    return media_type.partition(b";")[0].strip().lower()
