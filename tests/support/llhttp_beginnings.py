"""Requests of llhttp's own test suite of which something is missing.

They follow github.com/nodejs/llhttp, `test/request/{finish,pausing,pipelining}.md` and
what the other files there leave unfinished. As in `llhttp_requests`, a line's end
stands for CRLF.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LlhttpBeginning:
    """What is sent before the caller falls silent, and what is served of it by then.

    `served` are the targets of the requests that are whole.
    """

    name: str
    text: str
    served: tuple[bytes, ...] = ()

    @property
    def sent(self) -> bytes:
        """Return its bytes."""
        return self.text.replace("\n", "\r\n").encode()

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name


_HOST: Final = "Host: x\n"

LLHTTP_BEGINNINGS: Final = [
    LlhttpBeginning("a whole GET", f"GET / HTTP/1.1\n{_HOST}\n", served=(b"/",)),
    LlhttpBeginning(
        "a length, and no end of the head",
        f"PUT / HTTP/1.1\n{_HOST}Content-Length: 100\n",
    ),
    LlhttpBeginning("half a field", f"PUT / HTTP/1.1\n{_HOST}Content-Leng"),
    LlhttpBeginning(
        "a head that announces chunks",
        f"PUT /url HTTP/1.1\n{_HOST}Transfer-Encoding: chunked\n\n",
    ),
    LlhttpBeginning(
        "a head that announces a body",
        f"POST / HTTP/1.1\n{_HOST}Content-Length:  42 \n\n",
    ),
    LlhttpBeginning(
        "chunks without the last line",
        f"POST / HTTP/1.1\n{_HOST}Transfer-Encoding: chunked\n\n"
        "5;so;much=of;it=all\nhello\n6;bla;bla\n world\n0\n",
    ),
    LlhttpBeginning(
        "a second request that is only begun",
        f"POST / HTTP/1.1\n{_HOST}Content-Length: 4\n\nq=42\n\nGET / HTTP/1.1",
        served=(b"/",),
    ),
    LlhttpBeginning(
        "three in a row, the last of which lacks a byte",
        f"POST /aaa HTTP/1.1\n{_HOST}Content-Length: 3\n\nAAA\n"
        f"PUT /bbb HTTP/1.1\n{_HOST}Content-Length: 4\n\nBBBB\n"
        f"PATCH /ccc HTTP/1.1\n{_HOST}Content-Length: 5\n\nCCCC",
        served=(b"/aaa", b"/bbb"),
    ),
]

LLHTTP_PAUSED: Final = [
    LlhttpBeginning(
        "a body", f"POST / HTTP/1.1\n{_HOST}Content-Length: 3\n\nabc", served=(b"/",)
    ),
    LlhttpBeginning(
        "a chunk",
        f"PUT / HTTP/1.1\n{_HOST}Transfer-Encoding: chunked\n\na\n0123456789\n0\n\n",
        served=(b"/",),
    ),
]
"""Their parser is paused after each of its callbacks; the edge gets each byte alone."""
