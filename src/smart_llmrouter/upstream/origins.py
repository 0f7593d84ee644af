"""What an endpoint says about where to connect, and what each request begins with."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.endpoints import Endpoint

MOST_WAYS: Final = 4096
"""How many endpoints a transport remembers: callers can make new ones, by headers."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What endpoints must have in common to share connections.

    `tls` is `None` where the connection is plain, `unix_socket` where it is TCP.
    """

    host: str
    port: int
    unix_socket: str | None
    tls: Tls | None

    @property
    def server_name(self) -> str | None:
        """The name that the server must prove to have; `None` without TLS."""
        if self.tls is None:
            return None
        # A name may be written with the DNS's last dot; a certificate never has it.
        return self.tls.server_name or self.host.rstrip(".")


def origin_of(endpoint: Endpoint) -> Origin:
    """Return the origin that an endpoint belongs to."""
    url = urlsplit(endpoint.url)
    return Origin(
        host=url.hostname or "",
        port=url.port or _DEFAULT_PORTS[url.scheme],
        unix_socket=endpoint.unix_socket,
        tls=endpoint.tls if url.scheme == "https" else None,
    )


def request_head(endpoint: Endpoint) -> bytes:
    """Return all that precedes the value of `Content-Length`, which comes last."""
    url = urlsplit(endpoint.url)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {url.netloc.rpartition('@')[2]}",
        *(f"{name}: {value}" for name, value in endpoint.headers.items()),
        "Content-Length: ",
    ]
    return "\r\n".join(lines).encode()
