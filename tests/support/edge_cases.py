"""What a case for the edge is: bytes, what comes of them, and which rule says so.

The tables are in `edge_cases_lines`, `_heads` and `_bodies`. Behind the bytes of every
case a test puts one more request, the probe: it is answered if the edge still knows
where a request begins, and must not be if the edge has refused to go on. Bodies carry
`SMUGGLED`, a whole request that never may be served.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.support.edge import HOT, Taken

PROBE: Final = b"GET /probe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
SMUGGLED: Final = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED: Final = b"transfer-encoding: chunked"
CHUNKED_SMUGGLED: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. `why` names the section of an RFC, and what it says.

    `taken` are the requests that are served, without the probe; `goes_on` says whether
    the probe is.
    """

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    taken: tuple[Taken, ...]
    goes_on: bool
    why: str

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name


def line(text: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Return a request with this request line, and a length if it has a body."""
    length = (b"content-length: %d" % len(body),) if body else ()
    return head(text, b"host: x", *fields, *length) + body


def head(*lines: bytes) -> bytes:
    """Return lines, with their ends, and the empty one."""
    return b"".join(each + b"\r\n" for each in lines) + b"\r\n"


def post(body: bytes, *fields: bytes, path: str = HOT) -> bytes:
    """Return a request with a body and exactly these fields, beside the host."""
    return head(b"POST %b HTTP/1.1" % path.encode(), b"host: x", *fields) + body


def refused(name: str, sent: bytes, why: str, *, status: int = 400) -> Case:
    """Return a case that is refused, and behind which nothing is read."""
    return Case(
        name=name, sent=sent, statuses=(status,), taken=(), goes_on=False, why=why
    )


def passed_over(name: str, sent: bytes, why: str, *, status: int) -> Case:
    """Return a case that is refused by its route, and the connection goes on."""
    return Case(
        name=name, sent=sent, statuses=(status,), taken=(), goes_on=True, why=why
    )


def served(
    name: str,
    sent: bytes,
    why: str,
    *,
    taken: Iterable[Taken] = (),
    goes_on: bool = True,
    before: tuple[int, ...] = (),
) -> Case:
    """Return a case whose requests are all served; `before` are interim answers."""
    served_by = tuple(taken)
    statuses = before + (200,) * len(served_by)
    return Case(
        name=name,
        sent=sent,
        statuses=statuses,
        taken=served_by,
        goes_on=goes_on,
        why=why,
    )


def hot(
    body: bytes = b"", *, method: bytes = b"POST", target: bytes = b"/hot"
) -> Taken:
    """Return a request as the hot route was given it."""
    return Taken("hot", method, target, body)


def site(target: bytes, *, method: bytes = b"POST", body: bytes = b"") -> Taken:
    """Return a request as the other route was given it."""
    return Taken("site", method, target, body)
