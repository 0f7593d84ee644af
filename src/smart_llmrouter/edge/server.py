"""Listening, and ending gracefully."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from smart_llmrouter.config.snapshot import ServerTls
from smart_llmrouter.edge.connection import Connection
from smart_llmrouter.edge.hub import Hub
from smart_llmrouter.edge.tls import CertificateUnusable, renew

log = structlog.get_logger()

_BACKLOG: Final = 2048
_SWEEP_S: Final = 1.0
_HANDSHAKE_S: Final = 10.0
_FAREWELL_S: Final = 2.0
_STRAGGLERS_S: Final = 5.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Server:
    """Serves a hub's routes on a socket until it is asked to stop."""

    def __init__(
        self,
        hub: Hub,
        *,
        grace_s: float,
        tls: ssl.SSLContext | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Give calls in flight `grace_s` to end once a stop was asked for.

        `on_stop` is called in that moment; with `tls` only TLS is spoken.
        """
        self._hub = hub
        self._grace_s = grace_s
        self._tls = tls
        self._on_stop = on_stop
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self.listening = asyncio.Event()

    def adjust(self, *, grace_s: float, certificate: ServerTls | None) -> None:
        """Let calls end within `grace_s`, and show what the certificate's files hold.

        Handshakes that begin from now on show it. A certificate that has become
        unusable leaves the one before in its place.
        """
        self._grace_s = grace_s
        if self._tls is None or certificate is None:
            return
        try:
            renew(self._tls, certificate)
        except CertificateUnusable as unusable:
            log.warning("certificate not renewed", reason=str(unusable))

    async def serve(
        self, bound: socket.socket, *, on_listening: Callable[[], None] = lambda: None
    ) -> None:
        """Accept connections until the stop, then let what is in flight end.

        `on_listening` is called as soon as connections are accepted.
        """
        hub = self._hub
        handshake_s = min(_HANDSHAKE_S, hub.client_timeout_s)
        listener = await hub.loop.create_server(
            lambda: Connection(hub),
            sock=bound,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=handshake_s if self._tls else None,
            ssl_shutdown_timeout=_FAREWELL_S if self._tls else None,
        )
        sweeping = asyncio.create_task(self._sweep())
        self.listening.set()
        on_listening()
        try:
            await self._stopping.wait()
            listener.close()
            await self._drain()
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping

    def stop(self) -> None:
        """Ask for the end; when asked twice, end what is in flight at once."""
        if self._stopping.is_set():
            self._hurried.set()
        else:
            self._stopping.set()
            self._on_stop()

    def stop_as_told(self) -> None:
        """Stop on SIGTERM, however often it comes; end at once only on SIGUSR2.

        Whoever stops all processes of a router signals each of them, and so does the
        parent of its workers: that is one wish to stop, and no hurry.
        """
        self._hub.loop.add_signal_handler(
            signal.SIGTERM, lambda: None if self._stopping.is_set() else self.stop()
        )
        self._hub.loop.add_signal_handler(signal.SIGUSR2, self._hurry)

    def _hurry(self) -> None:
        if not self._stopping.is_set():
            self.stop()
        self.stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                self._hub.sweep()
            except Exception:
                # Without it no caller would ever be timed out again.
                log.exception("looking for silent callers failed")

    async def _drain(self) -> None:
        hub = self._hub
        hub.drain()
        await _first_of(hub.gone, self._hurried, within_s=self._grace_s)
        hub.stop()
        await _first_of(hub.gone, within_s=_STRAGGLERS_S)
        for connection in tuple(hub.connections):
            connection.cut()


class StopWishes:
    """SIGINT and SIGTERM from now on, also while there is no server yet.

    Without it, one that comes while a router starts would only cancel whatever is
    waited for just then.
    """

    def __init__(self) -> None:
        """Catch them on the running loop."""
        self._came = False
        self._stop: Callable[[], None] | None = None
        for each in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(each, self._on_signal)

    def listen(self, stop: Callable[[], None]) -> None:
        """Call `stop` when one comes, and at once if one did."""
        self._stop = stop
        if self._came:
            stop()

    def _on_signal(self) -> None:
        # The loop may have heard of one long before it comes to calling this: whoever
        # put another handler in its place would never be told.
        self._came = True
        if self._stop is not None:
            self._stop()


async def _first_of(*events: asyncio.Event, within_s: float) -> None:
    """Wait until one of some events is set, or for so long."""
    waits = [asyncio.create_task(each.wait()) for each in events]
    try:
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


def listening_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind and return a socket. Raises `OSError` with the address in its message.

    An empty `host` is all interfaces, by IPv4 and, where the system has it, by IPv6.
    `shared` takes a part of a port that `let_others_share` was called for.
    """
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if both:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            let_others_share(bound)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{error.strerror}: {host}:{port}") from None
    return bound


def let_others_share(bound: socket.socket) -> None:
    """Let sockets of this user that are shared, too, have the same port.

    A socket that was bound before this has made sure that nobody else had it.
    """
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
