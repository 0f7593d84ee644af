"""Which addresses a host has: looked up once for all who wait, and kept for a while.

The system's resolver does not say how long its answer holds, so every answer holds
equally long. An answer that could not be renewed goes on being used: a provider does
not move because a resolver is down.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple

from smart_llmrouter.core.clock import Monotonic

SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""As `getaddrinfo` gives it; the last form is for what Python cannot read."""
_FAILED_FOR_S: Final = 60.0


class Address(NamedTuple):
    """One address of a host and port, as `socket.connect` takes it."""

    family: int
    address: SocketAddress


Resolve = Callable[[str, int], Awaitable[Iterable[Address]]]
"""What finds a host's addresses, the preferred ones first. Raises `OSError`."""


async def resolve_by_system(host: str, port: int) -> list[Address]:
    """Ask the system's resolver, off the event loop. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(each[0], each[4]) for each in found))


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[Address, ...]
    until_s: float


class Addresses:
    """Remember what `resolve` found for `ttl_s` seconds, and which addresses failed."""

    def __init__(self, resolve: Resolve, *, ttl_s: float, now: Monotonic) -> None:
        """Begin with nothing known; a `ttl_s` of 0 keeps no answer."""
        self._resolve = resolve
        self._ttl_s = ttl_s
        self._now = now
        self._known: dict[tuple[str, int], _Known] = {}
        self._lookups: dict[
            tuple[str, int], asyncio.Task[tuple[Address, ...] | Exception]
        ] = {}
        self._failed_at_s: dict[Address, float] = {}

    async def of(self, host: str, port: int) -> tuple[Address, ...]:
        """Return the addresses of a host in the order in which to try them.

        Families alternate (RFC 8305, 4), and what failed lately comes last. Raises
        `OSError`, or `UnicodeError` for what cannot be a host name.
        """
        literal = _literal(host, port)
        if literal is not None:
            return (literal,)
        known = self._known.get((host, port))
        if known is not None and self._now() < known.until_s:
            return self._in_order(known.addresses)
        found = await self._looked_up(host, port)
        if isinstance(found, Exception):
            if known is None:
                raise found
            found = known.addresses
        return self._in_order(found)

    def failed(self, address: Address) -> None:
        """Note that nobody could be reached at an address."""
        self._failed_at_s[address] = self._now()

    def reached(self, address: Address) -> None:
        """Note that somebody was."""
        self._failed_at_s.pop(address, None)

    async def close(self) -> None:
        """End the lookups that are under way."""
        lookups = tuple(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _looked_up(self, host: str, port: int) -> tuple[Address, ...] | Exception:
        """Take part in the one lookup of a name; who leaves does not end it."""
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(host, port))
            self._lookups[host, port] = lookup
        return await asyncio.shield(lookup)

    async def _look_up(self, host: str, port: int) -> tuple[Address, ...] | Exception:
        """Return what was found or raised: perhaps nobody waits for it any more."""
        try:
            found = tuple(await self._resolve(host, port))
            if not found:
                return OSError("the host has no address")
        except (OSError, UnicodeError) as error:
            return error
        else:
            if self._ttl_s:
                until_s = self._now() + self._ttl_s
                self._known[host, port] = _Known(found, until_s)
            return found
        finally:
            del self._lookups[host, port]

    def _in_order(self, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        if len(addresses) == 1:
            return addresses
        since_s = self._now() - _FAILED_FOR_S
        for address, failed_at_s in tuple(self._failed_at_s.items()):
            if failed_at_s <= since_s:
                del self._failed_at_s[address]
        ordered = _alternating(addresses)
        return tuple(sorted(ordered, key=self._failed_at_s.__contains__))


def _literal(host: str, port: int) -> Address | None:
    """Return the address that a host is, if it is one and not a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return Address(socket.AF_INET, (host, port))
    # The number of a scope (`%eth0`) is for the resolver to find.
    return None if address.scope_id else Address(socket.AF_INET6, (host, port, 0, 0))


def _alternating(addresses: Iterable[Address]) -> list[Address]:
    """Let the families take turns, beginning with that of the first address."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.family, []).append(address)
    rounds = zip_longest(*families.values())
    return [address for each in rounds for address in each if address is not None]
