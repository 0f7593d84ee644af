"""Which proxy leads to a URL: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.

The names are read in lower case first, as other programs do. Loopback addresses are
never reached through a proxy.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from smart_llmrouter.core.secrets import Secret

_VARIABLES: Final = {"http": "HTTP_PROXY", "https": "HTTPS_PROXY"}
_EXCEPTIONS: Final = "NO_PROXY"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class UnusableProxy(Exception):
    """A variable names something that is no HTTP proxy; it may hold a password."""

    def __init__(self, variable: str) -> None:
        """`variable` is the name of the variable, whose value is not shown."""
        super().__init__(f"{variable} holds no URL of an HTTP proxy")
        self.variable = variable


@dataclass(frozen=True, slots=True)
class _Destination:
    host: str
    port: int


def proxy_for(url: str, environment: Mapping[str, str]) -> Secret | None:
    """Return the URL of the proxy that leads to `url`, or `None` for a direct way.

    Raises `UnusableProxy`.
    """
    parts = urlsplit(url)
    variable, value = _read(_VARIABLES[parts.scheme], environment)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    to = _Destination((parts.hostname or "").rstrip("."), port)
    if not value or _is_loopback(to.host):
        return None
    exceptions = _read(_EXCEPTIONS, environment)[1]
    if any(_matches(each.strip(), to) for each in exceptions.split(",")):
        return None
    return Secret(_proxy_url(value, variable), source=f"${{{variable}}}")


def _read(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return under which name a variable is set, and its value; empty if not at all."""
    for spelling in (name.lower(), name):
        value = environment.get(spelling, "").strip()
        if value:
            return spelling, value
    return name, ""


def _proxy_url(value: str, variable: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it raises for a port that is none
    except ValueError:
        raise UnusableProxy(variable) from None
    sound = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not sound:
        raise UnusableProxy(variable)
    return url


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost"


def _matches(exception: str, to: _Destination) -> bool:
    """Say whether one entry of `NO_PROXY` is about a destination.

    `*` is about everything, a name about itself and what is below it; an address may
    have a prefix length, and each may have a port.
    """
    if exception in {"", "*"}:
        return exception == "*"
    address = _address(to.host)
    if address is not None and _network_holds(exception, address):
        return True
    name, port = _without_port(exception.lower())
    if port is not None and port != to.port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.strip(".")
    return to.host == name or to.host.endswith("." + name)


def _without_port(exception: str) -> tuple[str, int | None]:
    if exception.startswith("["):
        name, _, port = exception[1:].partition("]")
        port = port.removeprefix(":")
    elif exception.count(":") == 1:
        name, _, port = exception.partition(":")
    else:
        return exception, None
    return name, int(port) if port.isdecimal() else None


def _network_holds(
    exception: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> bool:
    try:
        return address in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
