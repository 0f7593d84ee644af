"""uvicorn, told to let go of a call in the moment in which its caller leaves.

ASGI shows a disconnect only to whoever waits for it in `receive`, which would cost a
second task for each call. The connection itself knows, so it is asked to say so.
"""

import asyncio
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from smart_llmrouter.core.errors import InvalidHttp
from smart_llmrouter.edge.asgi import CONNECTION, AsgiApp
from smart_llmrouter.engine.refusals import error_headers, render_refusal

_KEEP_ALIVE_S: Final = 75
_MAX_HEAD_BYTES: Final = 64 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Connection(HttpToolsProtocol):
    """One connection. `on_leave` is called when it is lost while a call is served."""

    on_leave: Callable[[], None] | None = None
    new_id: Callable[[], str]
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on, but not without end where no request comes out of it."""
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("this is not an HTTP/1.1 request")
        if self._head_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("the head of the request is too large")

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse `data`; a request for another protocol is served in this one.

        The parser takes the body of such a request for the other protocol, and what
        comes after it for a request. So it reads the head once more, without the wish.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                data = memoryview(data)[asked.args[0] :]
                self.parser.feed_data(self._head_without_upgrade())
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("a tunnel was asked for")
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """Put this connection into the scope of the request that begins."""
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]  # own key

    def on_headers_complete(self) -> None:
        """Begin the request; its head was not too large."""
        self._head_bytes = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, which has a bound of its own."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless its body is still to be read."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, but never in the middle of another's answer."""
        # There is none before the first request, whatever its annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self.cut()
            return
        request_id = self.new_id()
        error = InvalidHttp(msg)
        headers = [*error_headers(error), (b"x-request-id", request_id.encode())]
        body = render_refusal(error, request_id=request_id)
        lines = [b"HTTP/1.1 400 Bad Request"]
        lines += [b"%s: %s" % header for header in headers]
        lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the call that is being served."""
        super().connection_lost(exc)
        if self.on_leave is not None:
            self.on_leave()

    def cut(self) -> None:
        """Drop the connection at once, and what the caller has not taken yet."""
        self.cycle.disconnected = True
        # Otherwise the kernel would go on offering it, for many minutes.
        connected: socket.socket = self.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class Server(uvicorn.Server):
    """A server that ends with status 0 when it was asked to end."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        """Call `on_stop` in the moment in which the end is asked for."""
        super().__init__(config)
        self._on_stop = on_stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn itself would raise them once more."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._ask_to_stop)
        try:
            yield
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(each)

    def _ask_to_stop(self) -> None:
        """Stop gracefully; when asked twice, end what is in flight at once."""
        if self.should_exit:
            self.force_exit = True
            for task in self.server_state.tasks:
                task.cancel()
        self.should_exit = True
        self._on_stop()


def make_server(
    app: AsgiApp,
    *,
    grace_s: float,
    new_id: Callable[[], str],
    on_stop: Callable[[], None] = lambda: None,
) -> Server:
    """Return the server for `app`; calls in flight have `grace_s` to end.

    `new_id` names what is refused before it has become a request; `on_stop` is called
    when a signal asks for the end.
    """
    return Server(
        uvicorn.Config(
            app,
            http=type("Connection", (Connection,), {"new_id": staticmethod(new_id)}),
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            # Longer than the pools of the usual clients keep a connection, so that it
            # is they who close it, and no request meets a connection just closed.
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(grace_s)),
        ),
        on_stop=on_stop,
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind and return a socket. Raises `OSError` with the address in its message."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{error.strerror}: {host}:{port}") from None
    return bound
