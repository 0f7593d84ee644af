"""Requests for another protocol: they are served in this one, as is (RFC 9110, 7.8)."""

from collections.abc import Callable
from typing import Final

import httptools

from smart_llmrouter.edge.exchange import Fields

# The parser takes the second, which nobody should send, for the first.
_CONNECTION: Final = frozenset({b"connection", b"proxy-connection"})


def pass_over_upgrade(
    parser: httptools.HttpRequestParser,
    rest: memoryview,
    head: Callable[[], tuple[bytes, Fields]],
) -> None:
    """Serve a request for another protocol in this one. Raises `HttpParserError`.

    The parser takes the body of such a request, which is the `rest` of what came, for
    the other protocol, and what comes after it for a request. So it reads the head once
    more, without the wish; `head` is the target and the fields that it found last.
    """
    while True:
        parser.feed_data(_head_without_upgrade(parser, *head()))
        try:
            parser.feed_data(rest)
        except httptools.HttpParserUpgrade as again:
            rest = rest[again.args[0] :]
        else:
            return


def _head_without_upgrade(
    parser: httptools.HttpRequestParser, target: bytes, fields: Fields
) -> bytes:
    method = parser.get_method()
    if method == b"CONNECT":
        raise httptools.HttpParserError("a tunnel was asked for")
    version = parser.get_http_version().encode()
    lines = [b"%s %s HTTP/%s" % (method, target, version)]
    for name, value in fields:
        kept = _without_upgrade(value) if name in _CONNECTION else value
        lines.append(b"%s: %s" % (name, kept))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _without_upgrade(options: bytes) -> bytes:
    """Take the wish to change the protocol out of a `Connection` field.

    The parser does not look at `Upgrade` without it, so that this may stay to be seen.
    """
    return b",".join(
        each for each in options.split(b",") if b"upgrade" not in each.lower()
    )
