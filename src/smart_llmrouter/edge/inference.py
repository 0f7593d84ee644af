"""`POST /v1/chat/completions`: from the request's bytes to the pipeline.

Nothing stands between the server and this: it is the hot route, and plain ASGI.
"""

import asyncio
from typing import Final, cast

from smart_llmrouter.core.clock import Monotonic, RandomBytes, WallClock
from smart_llmrouter.core.errors import (
    MethodNotAllowed,
    RequestTooLarge,
    RouterError,
    ShuttingDown,
    UnsupportedContentType,
)
from smart_llmrouter.core.ids import new_request_id
from smart_llmrouter.edge.asgi import (
    CONNECTION,
    AsgiClient,
    Receive,
    Scope,
    Send,
    read_body,
)
from smart_llmrouter.edge.clients import client_label
from smart_llmrouter.edge.identity import Authenticator, token_of
from smart_llmrouter.edge.server import Connection
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.pipeline import Pipeline
from smart_llmrouter.engine.refusals import error_headers, render_refusal
from smart_llmrouter.engine.tally import Tally

_MS_PER_S: Final = 1000
_JSON: Final = b"application/json"
_IDENTITY: Final = frozenset({None, b"", b"identity"})


class InferenceRoute:
    """One inference endpoint."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticator: Authenticator,
        tally: Tally,
        *,
        max_request_bytes: int,
        now: Monotonic,
        wall_clock: WallClock,
        random_bytes: RandomBytes,
    ) -> None:
        """Send what arrives, once its caller is known, through `pipeline`."""
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._tally = tally
        self._max_request_bytes = max_request_bytes
        self._now = now
        self._wall_clock = wall_clock
        self._random_bytes = random_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began_s, ts_ms = self._now(), int(self._wall_clock() * _MS_PER_S)
        request_id = new_request_id(ts_ms, self._random_bytes)
        connection = cast("Connection | None", scope.get(CONNECTION))
        cut = connection.cut if connection else None
        client = AsgiClient(send, request_id=request_id, cut=cut)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(("POST",))
            caller = self._authenticator.caller_of(
                token_of(headers.get(b"authorization"), headers.get(b"x-api-key"))
            )
        except RouterError as error:
            await self._turn_away(error, client, request_id=request_id)
            return
        arrival = Arrival(
            request_id=request_id,
            caller=caller,
            client=client_label(headers.get(b"user-agent")),
            body=b"",
            began_s=began_s,
            ts_ms=ts_ms,
        )
        try:
            self._check(arrival, headers)
            body = await read_body(receive, max_bytes=self._max_request_bytes)
        except RouterError as error:
            await self._pipeline.refuse(error, arrival, client)
            return
        except asyncio.CancelledError:
            # While a body arrives only the end of the process cancels.
            await self._pipeline.refuse(ShuttingDown(), arrival, client)
            return
        await self._carry(arrival.with_body(body), client, connection)

    async def _carry(
        self, arrival: Arrival, client: AsgiClient, connection: Connection | None
    ) -> None:
        """Carry the call; the connection cancels it when the caller leaves."""
        if connection is None:
            await self._pipeline.carry(arrival, client)
            return
        task = asyncio.current_task()

        def leave() -> None:
            client.left = True
            if task is not None:
                task.cancel()

        connection.on_leave = leave
        try:
            await self._pipeline.carry(arrival, client)
        finally:
            # The next call of this connection may have begun already.
            if connection.on_leave is leave:
                connection.on_leave = None

    def _check(self, arrival: Arrival, headers: dict[bytes, bytes]) -> None:
        """Refuse what the headers alone show to be refused."""
        refusal = self._authenticator.refusal_of(arrival.caller)
        if refusal is not None:
            raise refusal
        media_type = headers.get(b"content-type", _JSON).partition(b";")[0].strip()
        if media_type.lower() != _JSON:
            raise UnsupportedContentType(
                "the body must be sent as `Content-Type: application/json`"
            )
        if headers.get(b"content-encoding") not in _IDENTITY:
            raise UnsupportedContentType("the body must be sent without compression")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_request_bytes:
            raise RequestTooLarge(self._max_request_bytes)

    async def _turn_away(
        self, error: RouterError, client: AsgiClient, *, request_id: str
    ) -> None:
        """Answer a request of nobody: counted, but not on record."""
        self._tally.refusals[error.code] += 1
        body = render_refusal(error, request_id=request_id)
        await client.refuse(error.status, error_headers(error), body)
