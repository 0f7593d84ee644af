"""What the head of a request must not leave open.

Two programs that read one head differently can be made to disagree about where a
request ends, and then one of them takes a part of it for another request. The parser
refuses what HTTP's framing forbids; here is the rest.
"""

import re
from collections import Counter
from typing import Final

from smart_llmrouter.core.errors import InvalidHttp
from smart_llmrouter.edge.exchange import Fields

WHITE: Final = b" \t"
"""What may stand around a value without being a part of it (RFC 9110, 5.6.3)."""

_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    }
)
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_AUTHORITY: Final = (
    rb"(?:(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\])"
    rb"(?::[0-9]{0,5})?"
)
_HOST: Final = re.compile(_AUTHORITY)
_URL: Final = re.compile(
    rb"(?i:https?)://(?=[^:/?])%b(/[^?]*)?(?:\?(.*))?" % _AUTHORITY
)


def fault_of_head(fields: Fields, *, version: str) -> InvalidHttp | None:
    """Return why a head cannot be trusted to mean one thing; `None` if it can."""
    if version not in _VERSIONS:
        return InvalidHttp("only HTTP/1.1 and HTTP/1.0 are spoken here")
    counts = Counter(name for name, _ in fields)
    for name in sorted(_ONCE & counts.keys()):
        if counts[name] > 1:
            return InvalidHttp(f"`{name.decode()}` is there more than once")
    values = {name: value.strip(WHITE) for name, value in fields}
    host = values.get(b"host", None if version == "1.1" else b"")
    if host is None:
        return InvalidHttp("`host` is missing")
    if _HOST.fullmatch(host) is None:
        return InvalidHttp("`host` names no host")
    return _fault_of_coding(values.get(b"transfer-encoding"), version=version)


def _fault_of_coding(coding: bytes | None, *, version: str) -> InvalidHttp | None:
    """Return what is wrong with how a body is sent (RFC 9112, 6.1).

    The parser looks at the last coding only, and at none in HTTP/1.0.
    """
    if coding is None:
        return None
    if version == "1.0":
        return InvalidHttp("`transfer-encoding` is no part of HTTP/1.0")
    if coding.lower() != b"chunked":
        return InvalidHttp("no other `transfer-encoding` than `chunked` is understood")
    return None


def head_bytes(method: bytes, target: bytes, fields: Fields) -> int:
    """Return how long a head is, if it is written without superfluous spaces."""
    line = len(method) + len(target) + len(b"  HTTP/1.1\r\n\r\n")
    return line + sum(len(name) + len(value) + len(b": \r\n") for name, value in fields)


def split_target(target: bytes) -> tuple[bytes, bytes] | None:
    """Split what a request line asks for into its path and its query.

    Proxies may write a whole URL there (RFC 9112, 3.2.2); its host means nothing here.
    Returns `None` for what is no such URL either.
    """
    if target.startswith(b"/") or target == b"*":
        path, _, query = target.partition(b"?")
        return path, query
    url = _URL.fullmatch(target)
    return None if url is None else (url[1] or b"/", url[2] or b"")
