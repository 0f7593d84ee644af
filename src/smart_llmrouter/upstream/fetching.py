"""Fetching an image that a caller has named by its URL.

Whoever may name URLs could have the router look around in its own network. So a name is
looked up once, every address that is found must be public, and the connection goes to
one of just these addresses: a second look-up, which may say something else, does not
happen. No redirect is followed, no more is read than allowed, and what comes must be an
image by its type and by its first bytes. A proxy is not used.
"""

import re
from collections.abc import Iterable
from contextlib import closing
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.imageurls import is_private_url, is_public_address
from smart_llmrouter.upstream.addresses import Address, Addresses, Resolve
from smart_llmrouter.upstream.connecting import connect
from smart_llmrouter.upstream.lean_answer import LeanAnswer, answer_on
from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.origins import Origin
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectFailed,
    TlsFailed,
    TransportError,
)
from smart_llmrouter.upstream.trust import Contexts

_PORTS: Final = {"http": 80, "https": 443}
_PATH_BYTES: Final = "/%:@!$&'()*+,;=~-._"
_QUERY_BYTES: Final = _PATH_BYTES + "?"
_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_TYPES: Final = {"image/jpg": "image/jpeg"}
_SOME_TLS: Final = Tls()
_is_host: Final = re.compile(r"[A-Za-z0-9._:%-]+").fullmatch
_REASONS: Final = (
    (AnswerTooLarge, "too-large"),
    (TlsFailed, "tls"),
    (ConnectFailed, "unreachable"),
)
_WEBP_BEGINS: Final = (b"RIFF", b"WEBP")
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class FetchedImage(NamedTuple):
    """An image and its media type, which is that of its first bytes."""

    media_type: str
    data: bytes


class NotFetched(Exception):
    """An image could not be had; `reason` is one of a few stable words.

    `not-http`, `private-address`, `unresolved`, `unreachable`, `tls`, `broken-off`,
    `redirect`, `status`, `too-large`, `not-an-image`.
    """

    def __init__(self, reason: str) -> None:
        """Keep the reason, and nothing of the URL."""
        self.reason = reason
        super().__init__(reason)


class Fetcher:
    """Fetches images of at most `max_bytes` each and of some media `types`."""

    def __init__(
        self,
        resolve: Resolve,
        *,
        max_bytes: int,
        types: Iterable[str],
        allow_private: bool,
        now: Monotonic,
        tls: Tls = _SOME_TLS,
    ) -> None:
        """Look names up with `resolve`; `tls` says whom to trust."""
        self._resolve = resolve
        self._max_bytes = max_bytes
        self._types = frozenset(types)
        self._allow_private = allow_private
        self._now = now
        self._tls = tls
        self._contexts = Contexts()

    async def fetch(self, url: str) -> FetchedImage:
        """Fetch one image; there is no time-out in here. Raises `NotFetched`."""
        origin, head = self._asked(url)
        found = await self._found(origin)

        async def looked_up(_host: str, _port: int) -> tuple[Address, ...]:
            return found

        connection = LeanConnection(lambda _: None)
        pinned = Addresses(looked_up, ttl_s=0, now=self._now)
        try:
            await connect(connection, origin, addresses=pinned, contexts=self._contexts)
            await connection.ask(head, b"")
            with closing(
                answer_on(connection, _CUT, max_bytes=self._max_bytes)
            ) as answer:
                return await self._read(answer)
        except TransportError as error:
            raise NotFetched(_reason(error)) from None
        finally:
            connection.abort()
            await pinned.close()

    def _asked(self, url: str) -> tuple[Origin, bytes]:
        """Return where to ask, and the request but for the length of its body."""
        if not self._allow_private and is_private_url(url):
            raise NotFetched("private-address")
        try:
            parts = urlsplit(url.strip())
            port = _PORTS[parts.scheme] if parts.port is None else parts.port
            host = _ascii_name(parts.hostname or "")
        except (KeyError, ValueError):
            raise NotFetched("not-http") from None
        tls = self._tls if parts.scheme == "https" else None
        named = f"[{host}]" if ":" in host else host
        if port != _PORTS[parts.scheme]:
            named = f"{named}:{port}"
        path = quote(parts.path or "/", safe=_PATH_BYTES)
        query = f"?{quote(parts.query, safe=_QUERY_BYTES)}" if parts.query else ""
        lines = (
            f"GET {path}{query} HTTP/1.1",
            f"Host: {named}",
            "Accept: image/*",
            "Accept-Encoding: identity",
            "User-Agent: smart-llmrouter",
            "Connection: close",
            "Content-Length: ",
        )
        origin = Origin(host=host, port=port, unix_socket=None, tls=tls)
        return origin, "\r\n".join(lines).encode()

    async def _found(self, origin: Origin) -> tuple[Address, ...]:
        """Look a name up, once; one address that is not public spoils all."""
        lookup = Addresses(self._resolve, ttl_s=0, now=self._now)
        try:
            found = await lookup.of(origin.host, origin.port)
        except (OSError, UnicodeError):
            raise NotFetched("unresolved") from None
        finally:
            await lookup.close()
        public = all(is_public_address(str(each.address[0])) for each in found)
        if not public and not self._allow_private:
            raise NotFetched("private-address")
        return found

    async def _read(self, answer: LeanAnswer) -> FetchedImage:
        """Return an image that is of the type that its answer tells."""
        if answer.status in _REDIRECTS:
            raise NotFetched("redirect")
        if answer.status != _OK:
            raise NotFetched("status")
        told = (answer.header("content-type") or "").partition(";")[0].strip().lower()
        told = _SAME_TYPES.get(told, told)
        if told not in self._types:
            raise NotFetched("not-an-image")
        body = await answer.read()
        if _kind_of(body) != told:
            raise NotFetched("not-an-image")
        return FetchedImage(told, body)


class _Cut:
    """Cuts connections that are given back: each is for one image."""

    def release(self, connection: LeanConnection) -> None:
        """Cut it."""
        connection.abort()


_CUT: Final = _Cut()


def _kind_of(body: bytes) -> str:
    """Return the media type that the first bytes tell, nothing for others."""
    if (body[:4], body[8:12]) == _WEBP_BEGINS:
        return "image/webp"
    for beginning, media_type in _BEGINNINGS:
        if body.startswith(beginning):
            return media_type
    return ""


def _ascii_name(host: str) -> str:
    """Return a host as the DNS has it. Raises `ValueError` for what cannot be one."""
    name = host if host.isascii() else host.encode("idna").decode()
    if _is_host(name) is None:
        raise ValueError("not a host")
    return name


def _reason(error: TransportError) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "broken-off"
