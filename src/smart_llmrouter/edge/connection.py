"""One connection of a caller: requests in, answers out, one after the other.

The parser is llhttp, through httptools, and it is strict. What is kept here is what
HTTP leaves to a server: when a request is complete, in which order answers go out,
when the connection may go on, and how much and how long is waited for.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, cast

import httptools
import structlog

from smart_llmrouter.core.errors import (
    ClientLeft,
    InternalError,
    InvalidHttp,
    RequestTimeout,
    RequestTooLarge,
    RouterError,
    ShuttingDown,
    TooManyConnections,
)
from smart_llmrouter.edge.addresses import packed
from smart_llmrouter.edge.exchange import WORTH_READING_BYTES, Exchange, Fields, Route
from smart_llmrouter.edge.heads import fault_of_head, head_bytes
from smart_llmrouter.edge.patience import Patience
from smart_llmrouter.edge.upgrades import pass_over_upgrade

if TYPE_CHECKING:
    from smart_llmrouter.edge.hub import Hub

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 256
_LINGER_BYTES: Final = 64 * 1024 * 1024
"""Many callers read nothing before all is sent; that must not take them long."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_NOT_HTTP: Final = "this is not an HTTP/1.1 request"
_HEAD_TOO_LARGE: Final = "the head of the request is too large"
_TOO_MANY_FIELDS: Final = f"the request has more than {MAX_FIELDS} header fields"

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """Reads requests, has them served in their order, and writes the answers.

    `congested` is a future while the caller takes nothing: it is done when there is
    room again, or nobody there any more. `transport` sends bytes, in order, and never
    waits. `hub` is what it shares with the others.
    """

    __slots__ = (
        "_current",
        "_deaf",
        "_fields",
        "_framing_bytes",
        "_in_head",
        "_lingering",
        "_parser",
        "_passed_over_bytes",
        "_patience",
        "_paused",
        "_peer",
        "_reading",
        "_target",
        "_task",
        "_waiting",
        "congested",
        "hub",
        "transport",
    )

    def __init__(self, hub: "Hub") -> None:
        """Serve what comes as `hub` says."""
        self.hub = hub
        self._parser: httptools.HttpRequestParser
        self.transport: asyncio.Transport
        self._peer: bytes | None = None
        self._target = b""
        self._fields: Fields = []
        # Whose turn it is, whose body is being read, and who has to wait.
        self._current: Exchange | None = None
        self._reading: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._paused = self._deaf = self._lingering = self._in_head = False
        self._framing_bytes = 0
        # How much is read and dropped of what comes when nothing more is heard.
        self._passed_over_bytes = WORTH_READING_BYTES
        self._patience = Patience(hub.client_timeout_s, hub.now())
        self.congested: asyncio.Future[None] | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to, and go in if there is room."""
        self.transport = cast("asyncio.Transport", transport)
        # Not before: it holds methods of this connection, and where a handshake fails
        # nobody would let go of either.
        self._parser = httptools.HttpRequestParser(self)
        entry = self.hub.join(self)
        if self.hub.draining:
            # It was accepted before, but its handshake took until now.
            self.transport.close()
        elif entry == "refused":
            self._reject(TooManyConnections())
        elif entry == "dropped":
            self.cut()

    def data_received(self, data: bytes) -> None:
        """Read on, but not without end where neither a head nor a body comes of it."""
        self._framing_bytes += len(data)
        if self._deaf:
            # Reset at once, the caller might lose the answer that it has not read yet.
            if self._framing_bytes > self._passed_over_bytes:
                self._pause()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            self._pass_over_upgrade(memoryview(data)[asked.args[0] :])
        except httptools.HttpParserError:
            self._reject(InvalidHttp(_NOT_HTTP))
        if self._framing_bytes > MAX_HEAD_BYTES:
            self._reject(InvalidHttp(_HEAD_TOO_LARGE))
        if self._reading is not None or self._in_head:
            self._read_on()

    def pause_writing(self) -> None:
        """Let whoever sends wait: the caller takes nothing."""
        self.congested = self.hub.loop.create_future()

    def resume_writing(self) -> None:
        """Let whoever sends go on."""
        congested, self.congested = self.congested, None
        self._patience.calm()
        if congested is not None:
            congested.set_result(None)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what is being served: nobody waits for it any more."""
        self.hub.forget(self)
        self._deaf = True
        self._waiting.clear()
        current = self._current
        if current is not None and not current.ended:
            current.left = True
            if self._task is not None:
                self._leave(current, self._task)
            elif not current.refused:
                self._refuse(current, ClientLeft())
        self.resume_writing()
        # It holds methods of this connection: nobody would let go of either.
        del self._parser

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._fields = b"", []
        self._in_head, self._patience.head_since_s = True, None

    def on_url(self, url: bytes) -> None:
        """Take a piece of what the request line asks for."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; those that come after a body are never looked at."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin with a request whose head is complete, or let it wait for its turn."""
        parser, fields = self._parser, self._fields
        if parser.should_upgrade() or self._deaf:
            return
        method, target = parser.get_method(), self._target
        large = (
            self._framing_bytes > MAX_HEAD_BYTES
            and head_bytes(method, target, fields) > MAX_HEAD_BYTES
        )
        # Fields that come after the body must not become part of the head.
        self._framing_bytes, self._in_head, self._fields = 0, False, []
        headers = dict(fields)
        keep_alive = parser.should_keep_alive()
        usual = keep_alive and b"connection" not in headers
        exchange = self.hub.exchange(
            self, target, method=method, fields=fields, headers=headers
        )
        if (
            not usual
            or len(headers) != len(fields)
            or b"transfer-encoding" in headers
            or headers.get(b"host") not in self.hub.sound_hosts
        ):
            version = parser.get_http_version()
            exchange.keep_alive, exchange.chunked = keep_alive, version != "1.0"
            exchange.fault = fault_of_head(fields, version=version)
            if exchange.fault is None:
                self.hub.trust_host(headers.get(b"host"))
        if large:
            exchange.fault = InvalidHttp(_HEAD_TOO_LARGE)
        elif len(fields) > MAX_FIELDS:
            exchange.fault = InvalidHttp(_TOO_MANY_FIELDS)
        if exchange.fault is not None:
            self._deaf, exchange.keep_alive = True, False
        self._reading = exchange
        if self._current is None and not self._waiting and self.congested is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self._pause()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, within its bound."""
        self._framing_bytes = 0
        exchange = self._reading
        if exchange is None or self._deaf:
            return
        exchange.body_bytes += len(body)
        if exchange.refused:
            return
        if exchange.body_bytes <= exchange.route.max_body_bytes:
            exchange.pieces.append(body)
            return
        exchange.pieces.clear()
        exchange.fault = RequestTooLarge(exchange.route.max_body_bytes)
        if exchange is self._current:
            self._refuse(exchange, exchange.fault)

    def on_message_complete(self) -> None:
        """Have the request served, now that all of it is here."""
        exchange, self._reading = self._reading, None
        if exchange is None or self._deaf:
            return
        exchange.complete = True
        if exchange is not self._current:
            return
        if exchange.ended:
            self._go_on(exchange)
        elif not exchange.refused:
            self._serve(exchange)

    # What an exchange does.

    def closes_after(self, exchange: Exchange) -> bool:
        """Say whether the connection ends with the answer that begins now."""
        if exchange.complete:
            ending = self.hub.draining and not self._waiting
        else:
            ending = self._deaf or not exchange.worth_reading
        exchange.keep_alive = exchange.keep_alive and not ending
        return not exchange.keep_alive

    def answered(self, exchange: Exchange) -> None:
        """Go on with the next request, once the answered one was read to its end."""
        self._patience.heard_s = now_s = self.hub.now()
        self.hub.stir(now_s)
        if not exchange.complete and not exchange.keep_alive:
            if not isinstance(exchange.fault, InvalidHttp):
                # A body that is only too large, or whose sender may not call.
                self._passed_over_bytes = _LINGER_BYTES
            self._linger()
        elif exchange.complete:
            self._go_on(exchange)

    def hurry(self) -> None:
        """Cut the connection soon if the caller makes no room for what was sent."""
        if self.congested is not None:
            self._patience.hurry(self.hub.now())

    def cut(self) -> None:
        """Drop the connection at once, and what the caller has not taken yet."""
        # Otherwise the kernel would go on offering it, for many minutes.
        connected: socket.socket | None = self.transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    # What the hub does.

    @property
    def peer(self) -> bytes:
        """The address of the other side; see `edge.addresses`."""
        if self._peer is None:
            found = self.transport.get_extra_info("peername")
            host = found[0] if isinstance(found, tuple) else ""
            self._peer = packed(host.partition("%")[0])
        return self._peer

    @property
    def busy(self) -> bool:
        """Whether a request is being read or served."""
        return self._current is not None or self._in_head

    def awaits(self, routes: Collection[Route]) -> bool:
        """Say whether one of its requests is, or will be, served by one of these."""
        exchanges = (self._current, self._reading, *self._waiting)
        return any(
            exchange is not None and exchange.route in routes for exchange in exchanges
        )

    def drain(self) -> None:
        """Close now if nothing is being served, else after the present answer."""
        if not self.busy and not self._waiting:
            self.transport.close()
        elif self._current is None:
            self._patience.hurry_head(self.hub.now())

    def stop(self) -> None:
        """End what is being served or read, at once."""
        current = self._current
        if current is None or current.ended:
            self.transport.close()
        elif self._task is not None:
            self.hub.cancel(self._task)
        elif not current.refused:
            self._refuse(current, ShuttingDown())

    def look(self, now_s: float) -> None:
        """Act where the caller has been silent, or has taken nothing, for too long."""
        patience, reading = self._patience, self._reading
        unsent_bytes = self.transport.get_write_buffer_size()
        if patience.ended(now_s, unsent_bytes=unsent_bytes, lingering=self._lingering):
            self.cut()
        elif self._lingering or self._paused or self._deaf:
            return
        elif reading is not None:
            if patience.ended_with_body(
                now_s, began_s=reading.began_s, body_bytes=reading.body_bytes
            ):
                self._reject(RequestTimeout())
        elif self._in_head:
            if patience.ended_with_head(now_s):
                stopping = self.hub.draining
                self._reject(ShuttingDown() if stopping else RequestTimeout())
        elif self._current is None and patience.ended_between(
            now_s, crowded=self.hub.crowded
        ):
            self.transport.close()

    # The rest is this connection's own.

    def _read_on(self) -> None:
        """Take note that a part of a request came, and bound what is kept of it."""
        patience = self._patience
        patience.heard_s = now_s = self.hub.now()
        if patience.head_since_s is None:
            patience.head_since_s = now_s
        if len(self._fields) > MAX_FIELDS:
            self._reject(InvalidHttp(_TOO_MANY_FIELDS))

    def _leave(self, exchange: Exchange, task: asyncio.Task[None]) -> None:
        """End what serves a caller that has left, unless that goes on without it."""
        if exchange.stays is not None and exchange.stays():
            self.hub.keep(task)
        else:
            self.hub.cancel(task)

    def _pass_over_upgrade(self, rest: memoryview) -> None:
        try:
            pass_over_upgrade(self._parser, rest, lambda: (self._target, self._fields))
        except httptools.HttpParserError:
            self._reject(InvalidHttp(_NOT_HTTP))

    def _reject(self, fault: RouterError) -> None:
        """Hear nothing more; refuse what is being read, in its turn, and close."""
        if self._deaf:
            return
        self._deaf = True
        broken, self._reading = self._reading, None
        if broken is None:
            broken = self.hub.exchange(self, b"", method=b"", fields=[], headers={})
            self._waiting.append(broken)
        broken.fault, broken.keep_alive = fault, False
        if broken is self._current:
            if broken.ended:
                self._linger()
            elif not broken.refused:
                self._refuse(broken, fault)
        else:
            self._next()

    def _begin(self, exchange: Exchange) -> None:
        """Look at a head whose turn it is."""
        self._current = exchange
        try:
            exchange.route.open(exchange)
            fault = exchange.fault
        except RouterError as error:
            fault = error
        except Exception:
            log.exception("request failed", request_id=exchange.request_id)
            fault = InternalError()
        if fault is not None:
            self._refuse(exchange, fault)
        elif exchange.complete:
            self._serve(exchange)
        elif exchange.expects_continue and not exchange.body_bytes:
            self.transport.write(_CONTINUE)

    def _serve(self, exchange: Exchange) -> None:
        # Naming it spares the loop to make up a name.
        self._task = asyncio.Task(
            exchange.route.serve(exchange), loop=self.hub.loop, name="call"
        )

    def _refuse(self, exchange: Exchange, error: RouterError) -> None:
        exchange.refused = True
        # The parser and the connection hold each other for a while after the end.
        exchange.pieces.clear()
        exchange.route.refuse(exchange, error)

    def _go_on(self, exchange: Exchange) -> None:
        """Turn to the next request, or close."""
        self._current = self._task = None
        if not exchange.keep_alive:
            self._linger()
        elif self.hub.draining and not self._waiting:
            self.transport.close()
        elif self._waiting:
            # Not at once: a thousand requests may wait, and each be refused at once.
            self.hub.loop.call_soon(self._next)

    def _next(self) -> None:
        # Nothing is begun, and nothing paid for, behind an answer that is not taken.
        busy = self._current is not None or self.congested is not None
        if busy or not self._waiting:
            return
        exchange = self._waiting.popleft()
        if not self._waiting and not self._deaf:
            self._resume()
        self._begin(exchange)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._patience.resume(self.hub.now())
            self.transport.resume_reading()

    def _linger(self) -> None:
        """Close, but let the caller read the answer before it learns that.

        Closing a socket with unread bytes in it would reset the connection, and what
        was sent might be lost.
        """
        if self._lingering:
            return
        self._lingering = self._deaf = True
        self._waiting.clear()
        self._resume()
        self._patience.linger(self.hub.now(), stopping=self.hub.draining)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
