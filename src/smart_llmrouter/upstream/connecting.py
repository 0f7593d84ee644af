"""How a connection to an origin is made: addresses, sockets, TLS."""

import asyncio
import socket
import ssl

from smart_llmrouter.upstream.addresses import Addresses
from smart_llmrouter.upstream.origins import Origin
from smart_llmrouter.upstream.racing import Race, connect_to_unix_socket
from smart_llmrouter.upstream.reasons import reason_of
from smart_llmrouter.upstream.transport import (
    ConnectFailed,
    TlsFailed,
    TransportError,
)
from smart_llmrouter.upstream.trust import Contexts

_KEEP_ALIVE: tuple[tuple[int, int, int], ...] = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A model may think for minutes: what forgets silent connections on the way does not
forget these, and a provider that is gone is noticed in the end."""


async def connect(
    protocol: asyncio.Protocol,
    origin: Origin,
    *,
    addresses: Addresses,
    contexts: Contexts,
) -> ssl.SSLObject | None:
    """Connect `protocol` to an origin; return the TLS that it speaks there, if any.

    Raises `TransportError`. However the wait ends, no socket is left but the one that
    `protocol` has.
    """
    tls = None if origin.tls is None else await contexts.of(origin.tls)
    try:
        connected = await _socket_to(origin, addresses)
    except (OSError, UnicodeError) as error:
        # The latter is for a host name that cannot be one in the DNS.
        raise ConnectFailed(reason_of(error)) from None
    try:
        transport = await _made(protocol, connected, tls, origin.server_name)
    except ssl.SSLError as error:
        raise TlsFailed(reason_of(error)) from None
    except OSError as error:
        raise _broken_off(error, secure=tls is not None) from None
    spoken: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return spoken


async def _socket_to(origin: Origin, addresses: Addresses) -> socket.socket:
    """Return a connected socket. Raises `OSError` or `UnicodeError`.

    Left to itself, uvloop keeps the socket of a cancelled `create_connection` open for
    as long as the kernel goes on knocking: minutes, where a provider is silent.
    """
    if origin.unix_socket is not None:
        return await connect_to_unix_socket(origin.unix_socket)
    found = await addresses.of(origin.host, origin.port)
    connected, address = await Race(found, on_failed=addresses.failed).won()
    addresses.reached(address)
    for level, option, value in _KEEP_ALIVE:
        connected.setsockopt(level, option, value)
    return connected


async def _made(
    protocol: asyncio.Protocol,
    connected: socket.socket,
    tls: ssl.SSLContext | None,
    server_name: str | None,
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    if connected.family == socket.AF_UNIX:
        transport, _ = await loop.create_unix_connection(
            lambda: protocol, sock=connected, ssl=tls, server_hostname=server_name
        )
    else:
        transport, _ = await loop.create_connection(
            lambda: protocol, sock=connected, ssl=tls, server_hostname=server_name
        )
    return transport


def _broken_off(error: OSError, *, secure: bool) -> TransportError:
    """Tell a handshake that the provider broke off from a connection never made."""
    if secure and isinstance(error, (ConnectionResetError, ConnectionAbortedError)):
        return TlsFailed("it broke the TLS handshake off")
    return ConnectFailed(reason_of(error))
