"""What the head of a request must not leave open.

Two programs that read one head differently can be made to disagree about where a
request ends, and then one of them takes a part of it for another request. The parser
refuses what HTTP's framing forbids; here is the rest.
"""

from collections import Counter
from typing import Final

from smart_llmrouter.core.errors import InvalidHttp
from smart_llmrouter.edge.exchange import Fields

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


def fault_of_head(fields: Fields, *, version: str) -> InvalidHttp | None:
    """Return why a head cannot be trusted to mean one thing; `None` if it can."""
    if version not in _VERSIONS:
        return InvalidHttp("only HTTP/1.1 and HTTP/1.0 are spoken here")
    counts = Counter(name for name, _ in fields)
    for name in sorted(_ONCE & counts.keys()):
        if counts[name] > 1:
            return InvalidHttp(f"`{name.decode()}` is there more than once")
    if version == "1.1" and b"host" not in counts:
        return InvalidHttp("`host` is missing")
    return None


def head_bytes(fields: Fields) -> int:
    """Return how much the fields of a head take, without what stands between them."""
    return sum(len(name) + len(value) for name, value in fields)


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Split what a request line asks for into its path and its query.

    Proxies may write a whole URL there (RFC 9112, 3.2.2); its host means nothing here.
    """
    if not target.startswith(b"/"):
        _, scheme_end, rest = target.partition(b"://")
        if scheme_end:
            target = b"/" + rest.partition(b"/")[2]
    path, _, query = target.partition(b"?")
    return path, query
