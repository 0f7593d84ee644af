"""The requests of llhttp's own test suite, and what its strict parser makes of them.

They follow github.com/nodejs/llhttp, `test/request/*.md`, case by case, in its default
mode: what only a lenient mode accepts is refused. Long fields that do not matter are
shortened. In a request a line's end stands for CRLF, and `<LF>` and `<CR>` for these
characters alone. What is not a whole request is in `llhttp_beginnings`.
"""

from typing import Final

from tests.support.llhttp_case import LlhttpRequest
from tests.support.llhttp_request_bodies import CODINGS, HIDDEN, LENGTHS

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

_NO_UPGRADE: Final = "no protocol is changed, and so what follows must be a request"
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
        "what follows an upgrade that is to be kept alive",
        "GET /demo HTTP/1.1\nConnection: keep-alive, upgrade\nUpgrade: WebSocket\n\n"
        "Hot diggity dogg",
        accepted=True,
        stricter=_NO_UPGRADE,
    ),
    LlhttpRequest(
        "folded tokens in a row",
        "GET /demo HTTP/1.1\nConnection: keep-alive, \n upgrade\nUpgrade: WebSocket\n\n"
        "Hot diggity dogg",
        accepted=False,
    ),
    LlhttpRequest(
        "what follows the body of an upgrade to HTTP/2",
        "POST /demo HTTP/1.1\nHost: example.com\nConnection: Upgrade\n"
        "Upgrade: HTTP/2.0\nContent-Length: 15\n\nsweet post bodyHot diggity dogg",
        accepted=True,
        stricter=_NO_UPGRADE,
    ),
    LlhttpRequest(
        "chunks behind HTTP/1.0",
        "PUT /url HTTP/1.0\nContent-Length: 0\n\n"
        "PUT /url HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n",
        accepted=True,
    ),
    LlhttpRequest(
        "what follows an upgrade",
        "GET /demo HTTP/1.1\nHost: example.com\nConnection: Upgrade\n"
        "Upgrade: WebSocket\nOrigin: http://example.com\n\nHot diggity dogg\n\n",
        accepted=True,
        stricter=_NO_UPGRADE,
    ),
    LlhttpRequest(
        "what follows the body of an upgrade",
        "PUT /url HTTP/1.1\nConnection: upgrade\nContent-Length: 4\nUpgrade: ws\n\n"
        "abcdefgh",
        accepted=True,
        stricter=_NO_UPGRADE,
    ),
]

_HOSTS: Final = [
    LlhttpRequest(
        "two hosts",
        "GET / HTTP/1.1\nhost: www.example.com\nhost: example.org\n\n",
        accepted=True,
        stricter="RFC 9112, 3.2: two hosts",
    )
]

_VALUES: Final = [
    LlhttpRequest(
        f"value {value!r}", f"{first}GET /url HTTP/1.1\n{rest}", accepted=False
    )
    for first, value, rest in (
        ("", "\f", "Header1: \f\n\n"),
        ("", "hello\fworld", "Header1: hello\fworld\n\n"),
        (
            "GET /url HTTP/1.1\nHost: x\nHeader1: Okay\n\n\n",
            "\f in the second request",
            "Host: x\nHeader1: \f\n\n",
        ),
        ("", " behind the request line", " Header1: value\n\n"),
    )
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
            "only LF, but for one line",
            (
                "POST / HTTP/1.1<LF>Transfer-Encoding: chunked<LF>Trailer: Baz\n"
                "Foo: abc<LF><LF>1<LF>A<LF>1;abc<LF>B<LF>0<LF><LF>Baz: ghi<LF><LF>"
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
    *LENGTHS,
    *CODINGS,
    *HIDDEN,
    *_HOSTS,
    *_VALUES,
    *_INVALID,
]
