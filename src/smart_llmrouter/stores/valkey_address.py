"""Where a Valkey or Redis is, and who we are there: its URL, taken apart.

    valkey://user:password@host:6379/0      redis:// is the same
    valkeys://user:password@host:6379/0     with TLS; rediss:// is the same
    unix:///run/valkey.sock?db=0            a socket of this machine

Behind `?` may stand `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`, files in PEM, and
`db`: the names that redis-py has for them.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from smart_llmrouter.core.secrets import Secret

_LONGEST_PATH: Final = 100
_PORT: Final = 6379
_SECURE: Final = frozenset({"valkeys", "rediss"})
_OPTIONS: Final = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})


class AddressUnusable(Exception):
    """The URL is none that a store can be reached by; says why, without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeyAddress:
    """How to reach a store; it is on this machine where `path` is not empty."""

    host: str = ""
    port: int = _PORT
    path: str = ""
    database: int = 0
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    secure: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def __str__(self) -> str:
        """Say where it is, and nothing that is secret."""
        return self.path or f"{self.host}:{self.port}"


def parse_address(url: str) -> ValkeyAddress:
    """Take a URL apart. Raises `AddressUnusable`."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise AddressUnusable(
            f"`state.counters` has an option that is not known: {unknown[0]}"
        )
    local = parts.scheme == "unix"
    secret = parts.password
    try:
        database = int(options.get("db") or ("" if local else parts.path[1:]) or 0)
        port = parts.port or _PORT
    except ValueError:
        raise AddressUnusable(
            "the port or the database in `state.counters` is no number"
        ) from None
    if not (parts.path if local else parts.hostname):
        raise AddressUnusable("`state.counters` names no host or socket")
    return ValkeyAddress(
        host=parts.hostname or "",
        port=port,
        path=unquote(parts.path) if local else "",
        database=database,
        user=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(secret), source="state.counters") if secret else None,
        secure=parts.scheme in _SECURE,
        ca_file=options.get("ssl_ca_certs"),
        cert_file=options.get("ssl_certfile"),
        key_file=options.get("ssl_keyfile"),
    )


@contextmanager
def reachable(path: str) -> Iterator[str]:
    """Give a name of a Unix socket that the system takes: it takes no long ones."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    directory, name = os.path.split(path)
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{opened}/{name}"
    finally:
        os.close(opened)


def client_context(address: ValkeyAddress) -> ssl.SSLContext | None:
    """Read the certificates that an address needs; `None` where it needs none.

    Raises `AddressUnusable`.
    """
    if not address.secure:
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca_file)
        if address.ca_file is not None:
            # A file may name the very certificate of a server, and not its authority.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if address.cert_file is not None:
            context.load_cert_chain(
                address.cert_file, address.key_file, password=lambda: ""
            )
    except OSError as error:
        raise AddressUnusable(
            f"a certificate that `state.counters` names is unusable: {error.strerror}"
        ) from None
    return context
