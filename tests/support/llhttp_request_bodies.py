"""The requests of llhttp's own test suite that are about bodies: lengths and codings.

See `llhttp_requests`.
"""

from typing import Final

from tests.support.llhttp_case import LlhttpRequest

LENGTHS: Final = [
    *(
        LlhttpRequest(
            f"length {value!r}", f"PUT /url HTTP/1.1\n{value}\n\nabc", accepted=True
        )
        for value in (
            "Content-Length: 003",
            "Content-Length: 003\nOhai: world",
            "conTENT-Length: 3",
            "Content-Length:  3 ",
        )
    ),
    *(
        LlhttpRequest(
            f"length {value!r}", f"PUT /url HTTP/1.1\n{value}\n\nabc", accepted=False
        )
        for value in (
            "Content-Length: 1000000000000000000000",
            "Content-Length: 1\nContent-Length: 2",
            "Content-Length: 1\nTransfer-Encoding: identity",
            "Content-Length: 1\nTransfer-Encoding: chunked",
            "Content-Length: 4 2",
            "Content-Length: 13 37",
            "Content-Length:",
            "Content-Length: 42\n Hello world!",
            "Content<CR>Length: 003",
        )
    ),
    LlhttpRequest(
        "a body of GET in HTTP/1.0",
        "GET /funky HTTP/1.0\nconTENT-Length: 5\n\nHELLO",
        accepted=True,
    ),
]

_CHUNKED: Final = "PUT /url HTTP/1.1\nTransfer-Encoding: chunked\n\n"
CODINGS: Final = [
    *(
        LlhttpRequest(f"chunks {body!r}", _CHUNKED + body, accepted=True)
        for body in (
            "a\n0123456789\n0\n\n",
            "A\n0123456789\n0\n\n",
            "1e\nall your base are belong to us\n0\n\n",
            "5\nhello\n6\n world\n000\n\n",
            "5;so;much=of;it=all\nhello\n6;bla;bla\n world\n0\n\n",
            '5;so="of \\"it\\"; \\\\all\\\\";it="much";bla;foo=bar\nhello\n0\n\n',
            "5\nhello\n6\n world\n0\nVary: *\nContent-Type: text/plain\n\n",
            "5;love;much=aretheseparametersfor;another=withvalue\nhello\n0\n\n",
            '5;love="I \\"love\\"; \\\\extensions\\\\";blah;foo=bar\nhello\n0\n\n',
        )
    ),
    *(
        LlhttpRequest(f"chunks {body!r}", _CHUNKED + body, accepted=False)
        for body in (
            "2 erfrferferf\naa\n0 rrrr\n\n",
            "2;\naa\n0\n\n",
            '5;love="abc";much="def; ghi\nhello\n0\n\n',
            "a \n0123456789\n0\n\n",
            "5\nhello\n0\nContent-Length: 1\n\n",
            "1<LF>A<LF>0<LF><LF>",
            "5\nhelloX\n0\n\n",
            "3\nfoo\n\n\n",
            "3 <LF>  \nfoo\n\n",
            "5\nABCDE0\n\n",
            "5<CR><CR>;ABCD\n34\nE\n0\n\n",
            '5;so="abc";much="def; ghi\nhello\n6;bla;bla\n world\n0\n\n',
        )
    ),
    *(
        LlhttpRequest(
            f"coding {fields!r}",
            f"POST / HTTP/1.1\n{fields}\n\n1\nA\n0\n\n",
            accepted=False,
        )
        for fields in (
            "Transfer-Encoding:\nContent-Length: 5",
            "Transfer-Encoding: pigeons",
            "Transfer-Encoding: identity\nContent-Length: 5",
            "Content-Length: 10\nTransfer-Encoding:\nTransfer-Encoding:",
            "Transfer-Encoding: chunked, deflate",
            "Transfer-Encoding: chunked\nTransfer-Encoding: deflate",
            "Transfer-Encoding: chunkedchunked",
            "Transfer-Encoding: nope, chunked-bogus",
            "Transfer-Encoding:\n chunked",
            "Transfer-Encoding: chunked\n  abc",
            "Content-Length: 10\n" + 3 * "Transfer-Encoding:\n" + "X: y",
            "Transfer-Encoding : chunked",
        )
    ),
    LlhttpRequest(
        "coding 'deflate, chunked'",
        "POST / HTTP/1.1\nTransfer-Encoding: deflate, chunked\n\n1\nA\n0\n\n",
        accepted=True,
        stricter="RFC 9112, 6.1: a coding that is not understood",
    ),
    LlhttpRequest(
        "coding 'deflate', then 'chunked'",
        "POST / HTTP/1.1\nTransfer-Encoding: deflate\nTransfer-Encoding: chunked\n\n"
        "1\nA\n0\n\n",
        accepted=True,
        stricter="RFC 9112, 6.1: a coding that is not understood",
    ),
    LlhttpRequest(
        "coding in capitals",
        "POST / HTTP/1.1\nTransfer-Encoding: CHUNKED\n\n1\nA\n0\n\n",
        accepted=True,
    ),
]

HIDDEN: Final = [
    LlhttpRequest(
        f"a request behind a chunk of {size}",
        "GET / HTTP/1.1\nHost: a\nConnection: close \nTransfer-Encoding: chunked \n\n"
        f"{size}<CR><CR>;ABCD\n{next_size}\nE\n0\n\nGET / HTTP/1.1 \nHost: a\n"
        "Content-Length: 5\n\n0\n\n",
        accepted=False,
    )
    for size, next_size in ((5, 34), (6, 33))
]
