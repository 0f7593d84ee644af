"""The one seam between the router and the network: a request in, an answer out.

An implementation keeps pools of connections, follows no redirect, bounds what it
reads, and puts credentials into headers only. Time-outs other than connecting belong to
the caller, who cancels: one deadline enters with the call.
"""

from collections.abc import Callable
from typing import Protocol

from smart_llmrouter.upstream.endpoints import Endpoint


class TransportError(Exception):
    """The exchange failed below HTTP; `error_class` is its stable name.

    Messages are ours: nothing of the provider's bytes, URL or credentials is in them.
    """

    error_class = "upstream_network_error"

    @property
    def reason(self) -> str:
        """Why, for the operator: safe in a log, and no business of the caller's."""
        return str(self)


class ConnectFailed(TransportError):
    """No connection: refused, unreachable, or no such host."""

    error_class = "upstream_connect_failed"


class ConnectTimedOut(TransportError):
    """No connection within `connect_timeout_s`."""

    error_class = "upstream_connect_timeout"


class PoolExhausted(ConnectTimedOut):
    """No connection within `connect_timeout_s`, as all `max_connections` are in use."""

    error_class = "upstream_pool_exhausted"


class TlsFailed(TransportError):
    """The TLS handshake failed: a wrong certificate, most often."""

    error_class = "upstream_tls_failed"


class ConnectionCut(TransportError):
    """The connection ended or was reset before the answer did."""

    error_class = "upstream_connection_cut"


class MalformedAnswer(TransportError):
    """What came back was not HTTP."""

    error_class = "upstream_malformed_answer"


class AnswerTooLarge(TransportError):
    """The answer is larger than `max_response_bytes`."""

    error_class = "upstream_response_too_large"


Sink = Callable[[bytes], bool]
"""Takes a chunk of a body, and says whether it takes another one at once."""


class UpstreamAnswer(Protocol):
    """An answer whose headers have arrived. Whoever got it closes it."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    def header(self, name: str) -> str | None:
        """Return a header by its name, whatever the case; the first if several."""

    async def read(self) -> bytes:
        """Return the whole body. Raises `TransportError`."""

    async def next_chunk(self) -> bytes:
        """Return what has arrived, as soon as something has; empty at the end.

        Raises `TransportError`.
        """

    async def pour(self, sink: Sink) -> None:
        """Give `sink` what arrives, until it takes no more.

        The empty chunk at the end is the last that it is given. Raises what
        `next_chunk` does.
        """

    async def finish(self) -> None:
        """Read what little is left after the last event, so that the connection lives.

        Raises nothing; gives up soon when more comes, or nothing does.
        """

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else cut it."""


class Transport(Protocol):
    """The seam: a request is sent; the rest is housekeeping."""

    async def send(self, endpoint: Endpoint, body: bytes) -> UpstreamAnswer:
        """POST `body` and wait for the headers of the answer.

        Raises `TransportError`. A cancelled call leaves no connection behind.
        """

    def forget(self) -> None:
        """Drop what is kept of endpoints that may never be asked again."""
