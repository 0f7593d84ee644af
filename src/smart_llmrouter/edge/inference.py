"""The paths where models are asked: from a request's bytes to the pipeline.

Nothing stands between the connection and this: these are the hot routes.
"""

from collections.abc import Coroutine
from typing import Any, Final, Protocol

import msgspec

from smart_llmrouter.core.errors import (
    MethodNotAllowed,
    RequestTooLarge,
    RouterError,
    TooManyAuthFailures,
    UnsupportedContentType,
    WebSocketNotServed,
)
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.edge.clients import client_label
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.exchange import Exchange, Route
from smart_llmrouter.edge.explain import EXPLAIN_PATH, ExplainRoute
from smart_llmrouter.edge.hub import refuse
from smart_llmrouter.edge.surfaces import (
    COUNTING_PATHS,
    INFERENCE_PATHS,
    anthropic_beta,
    anthropic_version,
    is_codex,
    retry_count,
)
from smart_llmrouter.engine.client import Arrival, Client, header_lines
from smart_llmrouter.engine.tally import Tally

_JSON: Final = b"application/json"
_IDENTITY: Final = frozenset({b"", b"identity"})
_POST: Final = ("POST",)
_METHODS: Final[dict[DialectName, tuple[str, ...]]] = {
    "openai-chat": _POST,
    "openai-responses": ("HEAD", *_POST),
    "anthropic-messages": _POST,
}
"""`codex doctor` sends a `HEAD` without a token, to see whether anybody is there."""


class Carrier(Protocol):
    """What calls go through; see `engine.carrier`."""

    def carry(
        self, arrival: Arrival, body: bytes, client: Client
    ) -> Coroutine[Any, Any, None]:
        """Carry one call from its arrival to the ledger."""

    def refuse(self, error: RouterError, arrival: Arrival, client: Client) -> None:
        """Refuse a request of a known caller before its body was looked at."""


class InferenceRoute:
    """One inference endpoint, which speaks one dialect."""

    def __init__(
        self,
        carrier: Carrier,
        door: Door,
        tally: Tally,
        *,
        max_request_bytes: int,
        dialect: DialectName,
        answers: bool = True,
    ) -> None:
        """Send what arrives, once its caller is known, through `carrier`.

        Without `answers` only something about the request is asked for.
        """
        self._carrier = carrier
        self._door = door
        self._tally = tally
        self._dialect: DialectName = dialect
        self._methods = _METHODS[dialect] if answers else _POST
        self._codex = dialect == "openai-responses" and answers
        self.max_body_bytes = max_request_bytes

    def open(self, exchange: Exchange) -> None:
        """Find out who calls, and refuse what the head alone shows to be refused."""
        headers = exchange.headers
        if exchange.method != b"POST":
            self._look_at_method(exchange)
            return
        caller = self._door.caller_of(exchange)
        repeats = headers.get(b"x-stainless-retry-count")
        exchange.context = arrival = Arrival(
            request_id=exchange.request_id,
            caller=caller,
            client=client_label(headers.get(b"user-agent")),
            began_s=exchange.began_s,
            ts_ms=exchange.ts_ms,
            dialect=self._dialect,
            codex=self._codex and is_codex(headers),
            retry_count=0 if repeats is None else retry_count(repeats),
        )
        refusal = self._door.refusal_of(caller, exchange)
        if refusal is not None:
            if isinstance(refusal, TooManyAuthFailures):
                # A flood with a key that was disabled is not worth a record each time.
                exchange.context = None
            raise refusal
        if self._dialect == "anthropic-messages":
            exchange.context = msgspec.structs.replace(
                arrival,
                anthropic_version=anthropic_version(headers),
                anthropic_beta=anthropic_beta(headers, exchange.fields),
            )
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
        arrival = exchange.context
        if not isinstance(arrival, Arrival):
            return _be_there(exchange)
        return self._carrier.carry(arrival, exchange.take_body(), exchange)

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Refuse a call: on record when its caller is known, only counted if not."""
        arrival = exchange.context
        if isinstance(arrival, Arrival):
            self._carrier.refuse(error, arrival, exchange)
        else:
            self._tally.refusals[error.code] += 1
            refuse(exchange, error)

    def _look_at_method(self, exchange: Exchange) -> None:
        """Refuse any method but one that is to be answered without a call."""
        if _wants_websocket(exchange):
            raise WebSocketNotServed
        if exchange.method.decode("ascii") not in self._methods:
            raise MethodNotAllowed(self._methods)
        exchange.keep_no_body()


def inference_routes(
    pipeline: Carrier,
    counting: Carrier,
    explaining: Carrier,
    door: Door,
    *,
    tally: Tally,
    max_request_bytes: int,
) -> dict[str, Route]:
    """Return the routes of all paths that take a request, by the path."""
    carried = [
        *((path, dialect, pipeline) for path, dialect in INFERENCE_PATHS.items()),
        *((path, dialect, counting) for path, dialect in COUNTING_PATHS.items()),
    ]

    def route(carrier: Carrier, dialect: DialectName) -> InferenceRoute:
        return InferenceRoute(
            carrier,
            door,
            tally,
            max_request_bytes=max_request_bytes,
            dialect=dialect,
            answers=carrier is pipeline,
        )

    explained = {dialect: route(explaining, dialect) for dialect in _METHODS}
    return {
        EXPLAIN_PATH: ExplainRoute(explained, max_body_bytes=max_request_bytes),
        **{path: route(carrier, dialect) for path, dialect, carrier in carried},
    }


async def _be_there(exchange: Exchange) -> None:
    """Answer who only wants to know whether anybody is there."""
    exchange.answer(200, header_lines((b"content-type", _JSON)), b"")


def _wants_websocket(exchange: Exchange) -> bool:
    return exchange.headers.get(b"upgrade", b"").strip().lower() == b"websocket"


def _bare(media_type: bytes) -> bytes:
    """Return a media type without its parameters."""
    return media_type.partition(b";")[0].strip().lower()
