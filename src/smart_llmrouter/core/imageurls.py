"""Which URLs of images, and of other files, lead to somewhere that is not public.

A provider fetches what a caller names. A provider in the operator's own network would
fetch from that network, and tell the caller what it found there. So a URL is refused
whose host is an address that is not public, or a name that means nothing in the public
DNS. What a public name leads to is for whoever resolves it to judge: here nothing is
looked up.

Readers of URLs do not agree on odd ones. Each is read in the ways in which browsers,
curl and the libraries of servers read it, and is refused if one of these leads to
somewhere private, or if it is not clear at all where it leads.
"""

import re
import unicodedata
from collections.abc import Iterator
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
)
from typing import Final
from urllib.parse import unquote

_NETWORK_SCHEMES: Final = frozenset(
    {
        *("", "http", "https", "ws", "wss", "ftp", "ftps", "sftp", "scp", "tftp"),
        *("gopher", "dict", "ldap", "ldaps", "smb", "rtsp", "rtmp", "telnet"),
    }
)
"""Schemes whose URLs name a host; `//host/path` has none. What providers have invented,
such as `gs` or `ms`, names a thing that they keep themselves."""
_LOCAL_SCHEMES: Final = frozenset({"file", "jar", "netdoc", "unix"})
_PRIVATE_DOMAINS: Final = frozenset(
    {
        *("localhost", "local", "localdomain", "internal", "intranet", "private"),
        *("corp", "home", "lan", "svc"),
    }
)
"""Last labels of names that are never public."""
_PRIVATE_PAIR: Final = ["home", "arpa"]

_PRIVATE_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        # The agent of Azure's machines answers at a public address.
        "168.63.129.16/32",
    )
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_PRIVATE_V6: Final = tuple(
    IPv6Network(network)
    # Tunnels are among them: what is at their other end is not to be seen.
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_HOLDS_V4: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_SLASHES: Final = 2
_V4_BITS: Final = 0xFFFF_FFFF
_BYTE: Final = 8
_V4_PARTS: Final = 4

_STRIPPED: Final = "".join(map(chr, range(0x21)))
_REMOVED: Final = str.maketrans("", "", "\t\n\r")
_URL: Final = re.compile(
    r"(?:([a-z][a-z0-9+.-]*):)?([/\\]*)([^/\\?#]*)"
    r"(.?)",
    re.IGNORECASE | re.DOTALL,
)
_UNCLEAR: Final = re.compile(r"[\x00-\x20\x7f\\<>^`{|}\"]|@.*@")
_DOTS: Final = str.maketrans("\u3002\uff0e\uff61", "...")
_is_name: Final = re.compile(r"[\w.-]+").fullmatch
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


def is_private_url(url: str) -> bool:
    """Say whether a URL leads, or may lead, to somewhere that is not public.

    What is no URL, and what holds its own data, leads nowhere.
    """
    # The pattern fits at the beginning of whatever there is.
    ((scheme, slashes, authority, rest), *_) = _URL.findall(
        url.strip(_STRIPPED).translate(_REMOVED)
    )
    scheme = scheme.lower()
    if scheme in _LOCAL_SCHEMES:
        return True
    if scheme not in _NETWORK_SCHEMES or (not scheme and len(slashes) < _SLASHES):
        return False
    # Some end the host at a backslash, others do not.
    unclear = rest == "\\" or "\\" in slashes
    if unclear or _UNCLEAR.search(authority) is not None:
        return True
    return is_private_host(_host_of(authority))


def is_private_host(host: str) -> bool:
    """Say whether a host, as it stands in a URL, is not public, in any spelling."""
    if host.startswith("["):
        return not is_public_address(host.strip("[]"))
    name = _plain_name(host)
    if _is_name(name) is None:
        return True
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]) is not None:
        return not all(map(_is_public_v4, _v4_readings(labels)))
    return (
        len(labels) == 1
        or labels[-1] in _PRIVATE_DOMAINS
        or labels[-2:] == _PRIVATE_PAIR
    )


def is_public_address(address: str) -> bool:
    """Say whether an IP address, as a resolver tells it, is one of the public Internet.

    An address of another that is inside of it, as for translation, is that other.
    """
    plain = address.partition("%")[0]
    try:
        if ":" not in plain:
            return _is_public_v4(IPv4Address(plain))
        whole = IPv6Address(plain)
    except AddressValueError:
        return False
    # With a zone it is an address of this link.
    if plain != address:
        return False
    if any(whole in network for network in _HOLDS_V4):
        return _is_public_v4(IPv4Address(int(whole) & _V4_BITS))
    return whole in _PUBLIC_V6 and not any(whole in each for each in _PRIVATE_V6)


def _is_public_v4(address: IPv4Address | None) -> bool:
    return address is not None and not any(address in each for each in _PRIVATE_V4)


def _host_of(authority: str) -> str:
    """Return the host without who logs in there, and without a port."""
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]


def _plain_name(host: str) -> str:
    """Return a name as a resolver would be asked for it, whatever it is written with.

    Characters that are only another form of a letter, a digit or a dot are that, and
    those that nobody sees are left out, as IDNA has it.
    """
    plain = unicodedata.normalize("NFKC", unquote(host).translate(_DOTS))
    seen = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    return seen.translate(_DOTS).lower().rstrip(".")


def _v4_readings(labels: list[str]) -> Iterator[IPv4Address | None]:
    """Return what a host with a number at its end can mean: octal, or just zeros.

    Nothing stands for what cannot be an address, and is no name either.
    """
    yield _v4_of(labels, octal=True)
    yield _v4_of(labels, octal=False)


def _v4_of(labels: list[str], *, octal: bool) -> IPv4Address | None:
    """Read an address of up to four parts, of which the last fills what is left."""
    if len(labels) > _V4_PARTS:
        return None
    try:
        *heads, last = (_number_of(label, octal=octal) for label in labels)
    except ValueError:
        return None
    bits = _BYTE * (_V4_PARTS - len(heads))
    if any(head >> _BYTE for head in heads) or last >> bits:
        return None
    whole = last
    for place, head in enumerate(heads):
        whole |= head << _BYTE * (_V4_PARTS - 1 - place)
    return IPv4Address(whole)


def _number_of(label: str, *, octal: bool) -> int:
    """Read one part. Raises `ValueError`."""
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    if octal and label.startswith("0") and len(label) > 1:
        return int(label, 8)
    if not label.isdecimal():
        raise ValueError(label)
    return int(label)
