"""Whose request it is, as far as an address says so, also behind proxies.

Addresses are their bytes: four of IPv4, sixteen of IPv6, none where there is none, as
with a Unix socket. An IPv4 address in the clothes of IPv6 is one of IPv4.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Final

from smart_llmrouter.edge.exchange import Fields

_FORWARDED_FOR: Final = b"x-forwarded-for"
_MOST_HOPS: Final = 32
"""So many proxies in a row are believed; nobody has as many."""
_LONGEST: Final = 64
_ENTRY: Final = re.compile(
    rb"\[(?P<bracketed>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::[0-9]+)?"
    rb"|(?P<v4>[0-9.]+)(?::[0-9]+)?"
    rb"|(?P<v6>[0-9A-Fa-f:.]+)"
)
_MAPPED: Final = bytes(10) + b"\xff\xff"
_V4_BYTES: Final = 4
_WARD_BYTES: Final = 8


def packed(host: str) -> bytes:
    """Return the address that `host` writes; no bytes where it is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.inet_pton(family, host)
    except (OSError, ValueError):
        return b""
    return address.removeprefix(_MAPPED) if family == socket.AF_INET6 else address


def ward(address: bytes) -> bytes:
    """Return what counts as one: an address of IPv4, a /64 of IPv6.

    Who has one line by IPv6 has 2**64 addresses.
    """
    return address if len(address) <= _V4_BYTES else address[:_WARD_BYTES]


def shown(address: bytes) -> str:
    """Return an address or a ward as people write it."""
    if not address:
        return "unknown"
    if len(address) == _WARD_BYTES:
        return f"{shown(address + bytes(_WARD_BYTES))}/64"
    family = socket.AF_INET if len(address) == _V4_BYTES else socket.AF_INET6
    return socket.inet_ntop(family, address)


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Believe the addresses in `networks`, which are CIDRs."""
        self._networks = tuple(_masked(network) for network in networks)

    def trusts(self, address: bytes) -> bool:
        """Say whether this is a proxy of ours."""
        number, length = int.from_bytes(address), len(address)
        return any(
            length == size and number & mask == network
            for size, network, mask in self._networks
        )

    def client_of(self, peer: bytes, fields: Fields) -> bytes:
        """Return whose request came from `peer` with these fields.

        It is the last address of the list that is no proxy of ours. Where an entry is
        no address, nothing before it is believed either: it is the address after it.
        """
        if not self._networks or not self.trusts(peer):
            return peer
        listed = b",".join(value for name, value in fields if name == _FORWARDED_FOR)
        client = peer
        for entry in reversed(listed.rsplit(b",", _MOST_HOPS)[-_MOST_HOPS:]):
            stripped = entry.strip()
            if not stripped:
                continue
            found = _entry(stripped)
            if not found:
                break
            client = found
            if not self.trusts(found):
                break
        return client


NOBODY: Final = Proxies(())
"""No proxy is trusted."""


def _entry(text: bytes) -> bytes:
    """Read an address with what proxies put around it; no bytes for anything else."""
    if len(text) > _LONGEST:
        return b""
    match = _ENTRY.fullmatch(text.strip(b'"'))
    if match is None:
        return b""
    host: bytes = match["bracketed"] or match["v4"] or match["v6"]
    return packed(host.decode())


def _masked(network: str) -> tuple[int, int, int]:
    """Return how many bytes the addresses of a network have, it, and its mask."""
    parsed = ipaddress.ip_network(network)
    if isinstance(parsed, ipaddress.IPv6Network):
        mapped = parsed.network_address.ipv4_mapped
        if mapped is not None and parsed.prefixlen >= 8 * len(_MAPPED):
            parsed = ipaddress.IPv4Network((mapped, parsed.prefixlen - 96))
    size = parsed.max_prefixlen // 8
    return size, int(parsed.network_address), int(parsed.netmask)
