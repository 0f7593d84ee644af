"""The requests of llhttp's own test suite, and what its strict parser makes of them.

They follow github.com/nodejs/llhttp, `test/request/*.md`, case by case, in its default
mode; long fields that do not matter are shortened. In a request a line's end stands
for CRLF, and `<LF>` and `<CR>` for these characters alone.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LlhttpRequest:
    """One request. `stricter` says why the edge refuses what the parser accepts."""

    name: str
    text: str
    accepted: bool
    stricter: str = ""

    @property
    def sent(self) -> bytes:
        """Return its bytes."""
        lines = self.text.replace("\n", "\r\n").encode("latin-1")
        return lines.replace(b"<LF>", b"\n").replace(b"<CR>", b"\r")

    @property
    def sent_with_host(self) -> bytes:
        """Return its bytes, and a host behind the request line if there is none."""
        line, end, rest = self.sent.partition(b" HTTP/1.1\r\n")
        if not end or b"\r\nhost:" in b"\r\n" + rest.lower():
            return self.sent
        return line + end + b"host: x\r\n" + rest

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name


_TUNNEL: Final = "no tunnel is made"
_CONNECTS: Final = "0-home0.example:443 HTTP/1.0\nUser-agent: Mozilla/1.1N\n"

_METHODS: Final = [
    *(
        LlhttpRequest(name, f"{name} /test HTTP/1.1\n\n", accepted=True)
        for name in ("REPORT", "PURGE", "SEARCH", "SOURCE", "HEAD", "OPTIONS", "PUT")
    ),
    LlhttpRequest(
        "M-SEARCH",
        'M-SEARCH * HTTP/1.1\nHOST: 239.255.255.250:1900\nMAN: "ssdp:discover"\n\n',
        accepted=True,
    ),
    LlhttpRequest(
        "PATCH",
        'PATCH /file.txt HTTP/1.1\nHost: www.example.com\nIf-Match: "e0023aa4e"\n'
        "Content-Length: 10\n\ncccccccccc",
        accepted=True,
    ),
    *(
        LlhttpRequest(
            name,
            f"{name} /images/dog.jpg HTTP/1.1\nHost: example.com\n"
            'Link: <http://example.com/joe>; rel="tag"\n'
            'Link: <http://example.com/sally>; rel="tag"\n\n',
            accepted=True,
        )
        for name in ("LINK", "UNLINK")
    ),
    LlhttpRequest(
        "CONNECT",
        f"CONNECT {_CONNECTS}\nsome data\nand yet more data",
        accepted=True,
        stricter=_TUNNEL,
    ),
    LlhttpRequest(
        "CONNECT in capitals",
        f"CONNECT {_CONNECTS.upper()}\n",
        accepted=True,
        stricter=_TUNNEL,
    ),
    LlhttpRequest(
        "CONNECT with a body",
        f'CONNECT {_CONNECTS}Content-Length: 10\n\nblarfcicle"',
        accepted=True,
        stricter=_TUNNEL,
    ),
    LlhttpRequest(
        "CONNECT to an underscore",
        "CONNECT home_0.example:443 HTTP/1.0\nUser-agent: Mozilla/1.1N\n\n",
        accepted=True,
        stricter=_TUNNEL,
    ),
]

_URIS: Final = [
    *(
        LlhttpRequest(f"target {target}", f"GET {target} HTTP/1.1\n\n", accepted=True)
        for target in (
            '/with_"lovely"_quotes?foo=\\"bar\\"',
            "/test.cgi?foo=bar?baz",
            "http://hypnotoad.example?hail=all",
            "http://hypnotoad.example:1234?hail=all",
            "/test.cgi?query=|",
            "http://hypnotoad.example:1234",
            "/forums/1/topics/2375?page=1#posts-17408",
        )
    ),
    LlhttpRequest(
        "target with a user",
        "GET http://a%12:b!&*$@hypnotoad.example:1234/toto HTTP/1.1\n\n",
        accepted=True,
        stricter="RFC 9110, 4.2.4: a user in a URL hides the host",
    ),
    LlhttpRequest(
        "target in UTF-8",
        "GET /\xce\xb4/pope?q=1 HTTP/1.1\nHost: x\n\n",
        accepted=False,
    ),
    LlhttpRequest("target with a space", "GET /foo bar/ HTTP/1.1\n\n", accepted=False),
]

_SAMPLES: Final = [
    LlhttpRequest(
        "simple",
        "OPTIONS /url HTTP/1.1\nHeader1: Value1\nHeader2:\t Value2\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "curl",
        "GET /test HTTP/1.1\nUser-Agent: curl/7.18.0 (i486-pc-linux-gnu)\n"
        "Host: 0.0.0.0=5000\nAccept: */*\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "Firefox",
        "GET /favicon.ico HTTP/1.1\nHost: 0.0.0.0=5000\nUser-Agent: Mozilla/5.0 (X11)\n"
        "Accept: text/html,*/*;q=0.8\nKeep-Alive: 300\nConnection: keep-alive\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "DUMBPACK",
        "GET /dumbpack HTTP/1.1\naaaaaaaaaaaaa:++++++++++\n\n",
        accepted=True,
    ),
    LlhttpRequest("no fields", "GET /no_fields/world HTTP/1.1\n\n", accepted=True),
    LlhttpRequest("one field", "GET /one HTTP/1.1\nAccept: */*\n\n", accepted=True),
    LlhttpRequest(
        "ApacheBench",
        "GET /test HTTP/1.0\nHost: 0.0.0.0:5000\nUser-Agent: ApacheBench/2.3\n\n",
        accepted=True,
    ),
    LlhttpRequest("line end first", "\nGET /test HTTP/1.1\n\n", accepted=True),
    LlhttpRequest(
        "line end first, and a field", "\nGET /url HTTP/1.1\nA: b\n\n", accepted=True
    ),
    LlhttpRequest("no version", "GET /\n\n", accepted=False),
    LlhttpRequest(
        "folded fields",
        "GET / HTTP/1.1\nLine1:   abc\n\tdef\n ghi\nLine3:\n line3\nLine4: \n \n"
        "Connection:\n close\n\n",
        accepted=False,
    ),
    LlhttpRequest(
        "folded fields with LF",
        "GET / HTTP/1.1<LF>Line1:   abc<LF>\tdef<LF>Connection:<LF> close<LF><LF>",
        accepted=False,
    ),
    LlhttpRequest(
        "Latin characters", "GET / HTTP/1.1\nTest: D\xc3\xbcsseldorf\n\n", accepted=True
    ),
    LlhttpRequest(
        "byte 255", "OPTIONS /url HTTP/1.1\nHeader2: \xffValue2\n\n", accepted=True
    ),
    LlhttpRequest(
        "a folded certificate",
        "GET / HTTP/1.1\nX-SSL-Nonsense:   -----BEGIN CERTIFICATE-----\n"
        "\tMIIFbTCCBFWgAwIBAgICH4cw\n\t-----END CERTIFICATE-----\n\n",
        accepted=False,
    ),
]

_CONNECTIONS: Final = [
    LlhttpRequest(
        "keep-alive", "PUT /url HTTP/1.1\nConnection: keep-alive\n\n", accepted=True
    ),
    LlhttpRequest(
        "keep-alive twice",
        2 * "PUT /url HTTP/1.1\nHost: x\nConnection: keep-alive\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "a request behind HTTP/1.0",
        "PUT /url HTTP/1.0\n\nPUT /url HTTP/1.1\nHost: x\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "line ends between requests",
        "POST / HTTP/1.1\nHost: www.example.com\nContent-Length: 4\n\nq=42\n\n"
        "GET / HTTP/1.1\nHost: x\n\n",
        accepted=True,
    ),
    LlhttpRequest("close", "PUT /url HTTP/1.1\nConnection: close\n\n", accepted=True),
    LlhttpRequest(
        "a request behind close",
        "POST / HTTP/1.1\nHost: www.example.com\nContent-Length: 4\n"
        "Connection: close\n\nq=42\n\nGET / HTTP/1.1\n",
        accepted=True,
    ),
    LlhttpRequest(
        "tokens",
        "PUT /url HTTP/1.1\nConnection: close, token, upgrade, token, keep-alive\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "folded tokens",
        "GET /demo HTTP/1.1\nHost: example.com\nConnection: Something,\n"
        " Upgrade, ,Keep-Alive\nUpgrade: WebSocket\n\nHot diggity dogg",
        accepted=False,
    ),
    LlhttpRequest(
        "upgrade",
        "PUT /url HTTP/1.1\nConnection: upgrade\nUpgrade: ws\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "upgrade with keep-alive",
        "GET /demo HTTP/1.1\nConnection: keep-alive, upgrade\nUpgrade: WebSocket\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "upgrade with a body",
        "POST /demo HTTP/1.1\nHost: example.com\nConnection: Upgrade\n"
        "Upgrade: HTTP/2.0\nContent-Length: 15\n\nsweet post body",
        accepted=True,
    ),
    LlhttpRequest(
        "what follows an upgrade",
        "GET /demo HTTP/1.1\nHost: example.com\nConnection: Upgrade\n"
        "Upgrade: WebSocket\nOrigin: http://example.com\n\nHot diggity dogg\n\n",
        accepted=True,
        stricter="no protocol is changed, and so what follows must be a request",
    ),
    LlhttpRequest(
        "what follows the body of an upgrade",
        "PUT /url HTTP/1.1\nConnection: upgrade\nContent-Length: 4\nUpgrade: ws\n\n"
        "abcdefgh",
        accepted=True,
        stricter="no protocol is changed, and so what follows must be a request",
    ),
]

_LENGTHS: Final = [
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
_CODINGS: Final = [
    *(
        LlhttpRequest(f"chunks {body!r}", _CHUNKED + body, accepted=True)
        for body in (
            "a\n0123456789\n0\n\n",
            "A\n0123456789\n0\n\n",
            "1e\nall your base are belong to us\n0\n\n",
            "5\nhello\n6\n world\n000\n\n",
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

_INVALID: Final = [
    LlhttpRequest(name, text, accepted=False)
    for name, text in (
        ("GET in ICE", "GET /sweet/music ICE/1.0\nHost: example.com\n\n"),
        ("nearly ICE", "GET /sweet/music IHTTP/1.0\nHost: example.com\n\n"),
        ("PUT in RTSP", "PUT /sweet/music RTSP/1.0\nHost: example.com\n\n"),
        ("ANNOUNCE", "ANNOUNCE /sweet/music HTTP/1.0\nHost: example.com\n\n"),
        ("fields apart by CR", "GET / HTTP/1.1\nFoo: 1<CR>Bar: 2\n\n"),
        (
            "fields apart by LF",
            "PUT / HTTP/1.1\nHost: x\nx:x<LF>Transfer-Encoding: chunked\n\n1\nA\n0\n\n",
        ),
        (
            "fields apart by something else",
            (
                "GET / HTTP/1.1\nConnection: close\nHost: a\n<CR>ZGET /evil: HTTP/1.1\n"
                "Host: a\n\n"
            ),
        ),
        (
            "an empty field, and CR",
            "POST / HTTP/1.1\nHost: x\nx:<CR>Transfer-Encoding: chunked\n\n1\nA\n0\n\n",
        ),
        (
            "an empty field, and LF",
            "POST / HTTP/1.1\nHost: x\nx:<LF>Transfer-Encoding: chunked\n\n1\nA\n0\n\n",
        ),
        ("name with @", "GET / HTTP/1.1\nFo@: Failure\n\n"),
        ("name with a control", "GET / HTTP/1.1\nFoo\x01test: Bar\n\n"),
        ("no name", "GET / HTTP/1.1\n: Bar\n\n"),
        ("a method that goes on", "MKCOLA / HTTP/1.1\n\n"),
        ("a folded name", "GET / HTTP/1.1\nname\n : value\n\n"),
        (
            "a broken Connection",
            "GET / HTTP/1.1\nHost: x\nConnection<CR>\x1b5\xd5eep-Alive\nA: b\n\n",
        ),
        (
            "a broken name",
            "GET / HTTP/1.1\nHost: x\nX-Some-Header<CR>\x1b5\xd5eep-Alive\nA: b\n\n",
        ),
        (
            "no CR between fields",
            (
                "GET / HTTP/1.1\nHost: x\nDummy: x<LF>Content-Length: 23\n\n"
                "GET / HTTP/1.1\nDummy: GET /admin HTTP/1.1\nHost: localhost\n\n"
            ),
        ),
        ("HTTP/5.6", "GET / HTTP/5.6\n\n"),
        ("a space after the request line", "GET / HTTP/1.1\n Host: foo\n\n"),
        (
            "only LF",
            (
                "POST / HTTP/1.1<LF>Transfer-Encoding: chunked<LF>Bar: def<LF><LF>"
                "1<LF>A<LF>0<LF><LF>"
            ),
        ),
        (
            "a space before a field",
            (
                "PUT /hi HTTP/1.1\nHost: localhost\nFoo: bar\n Content-Length: 38\n\n"
                "GET /bye HTTP/1.1\nHost: localhost\n\n"
            ),
        ),
    )
]

LLHTTP_REQUESTS: Final = [
    *_METHODS,
    *_URIS,
    *_SAMPLES,
    *_CONNECTIONS,
    *_LENGTHS,
    *_CODINGS,
    *_INVALID,
]
