"""Cases of the request line: methods, targets, versions, and what stands around it."""

from typing import Final

from tests.support.edge_cases import (
    SMUGGLED,
    Case,
    head,
    hot,
    line,
    passed_over,
    refused,
    served,
    site,
)

_METHOD: Final = "RFC 9110, 9.1: methods know case; RFC 9112, 3: others are none"
_KNOWN: Final = "RFC 9110, 9.1: whether a method is allowed is the route's to say"
_TARGET: Final = "RFC 9112, 3.2: the target of an origin, or a whole URL"
_ABSOLUTE: Final = "RFC 9112, 3.2.2: a whole URL is taken; its host means nothing here"
_PATH: Final = "RFC 3986, 6: a path is compared decoded, and nothing is resolved in it"
_VERSION: Final = "RFC 9112, 2.3: HTTP/1.1, HTTP/1.0, and nothing else"
_SPACES: Final = "RFC 9112, 3: a request line is three words"
_LENIENT: Final = "RFC 9112, 3: more spaces between the words may be accepted"
_BEFORE: Final = "RFC 9112, 2.2: empty lines before a request line are ignored"
_ENDS: Final = "RFC 9112, 2.2: a line ends with CRLF"
_OLD: Final = "RFC 9112, 9.3: HTTP/1.0 closes, unless it asks otherwise"
_CLOSE: Final = "RFC 9112, 9.6: after `close` nothing more is read"

_METHODS: Final = [
    *(
        refused(
            f"method {method!r}",
            line(method + b" /hot HTTP/1.1", body=SMUGGLED),
            _METHOD,
        )
        for method in (
            b"get",
            b"Post",
            b"FOO",
            b"G",
            b"POSTX",
            b"PRI",
            b"CONNECT",
            b"DESCRIBE",
            b"P\x00ST",
            b"(POST)",
            b"",
        )
    ),
    *(
        served(
            f"method {method!r}",
            line(method + b" /hot HTTP/1.1", body=SMUGGLED),
            _KNOWN,
            taken=[hot(SMUGGLED, method=method)],
        )
        for method in (b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"M-SEARCH")
    ),
    refused(
        "CONNECT to an authority",
        head(b"CONNECT a.example:443 HTTP/1.1", b"host: a.example:443") + SMUGGLED,
        "RFC 9110, 9.3.6: no tunnel is made here",
    ),
]

_TARGETS: Final = [
    *(
        refused(f"target {target!r}", line(b"GET " + target + b" HTTP/1.1"), _TARGET)
        for target in (
            b"hot",
            b"?x",
            b"\\hot",
            b"x:443",
            b"javascript:alert(1)",
            b"http://x#/hot",
            b"http://a b/hot",
            b"http://\xc3\xa4/hot",
            b"/ho\x00t",
            b"/ho\tt",
            b"/ho\x7ft",
            b"/ho\xc3\xb6t",
        )
    ),
    *(
        passed_over(
            f"target {target!r}",
            line(b"GET " + target + b" HTTP/1.1"),
            "RFC 9110, 4.2.1 and 4.2.4: a URL of HTTP, with a host, without a user",
            status=400,
        )
        for target in (
            b"http:///hot",
            b"http://:80/hot",
            b"http://u:p@x/hot",
            b"http://x:y/hot",
            b"ftp://x/hot",
        )
    ),
    *(
        served(
            f"target {target!r}",
            line(b"GET " + target + b" HTTP/1.1"),
            _ABSOLUTE,
            taken=[hot(method=b"GET", target=target)],
        )
        for target in (
            b"http://other/hot",
            b"HTTP://x/hot",
            b"https://x:8/hot?a=b",
            b"http://[::1]:80/hot",
        )
    ),
    *(
        served(
            f"target {target!r}",
            line(b"GET " + target + b" HTTP/1.1"),
            _ABSOLUTE,
            taken=[site(target, method=b"GET")],
        )
        for target in (b"http://x", b"http://x?a=/hot", b"http://x?hot")
    ),
    *(
        served(
            f"target {target!r}",
            line(b"GET " + target + b" HTTP/1.1"),
            _PATH,
            taken=[hot(method=b"GET", target=target)],
        )
        for target in (
            b"/hot?a=b",
            b"/hot?",
            b"/hot?a?b#",
            b"/%68ot",
            b"/%68%6F%74?x",
        )
    ),
    *(
        served(
            f"target {target!r}",
            line(b"GET " + target + b" HTTP/1.1"),
            _PATH,
            taken=[site(target, method=b"GET")],
        )
        for target in (
            b"/hot/",
            b"//hot",
            b"//x/hot",
            b"/./hot",
            b"/%2e/hot",
            b"/a/../hot",
            b"/a/%2e%2e/hot",
            b"/HOT",
            b"/hot;x",
            b"/hot%3fa",
            b"/hot%23",
            b"/hot%00",
            b"/hot%0d%0aa:b",
            b"/hot%",
            b"/hot%zz",
            b"/hot%2568",
            b"/hot\\",
            b"/hot#a",
        )
    ),
    served(
        "target b'*'",
        line(b"OPTIONS * HTTP/1.1"),
        "RFC 9112, 3.2.4: the server itself; it has nothing to say",
        taken=[site(b"*", method=b"OPTIONS")],
    ),
]

_VERSIONS: Final = [
    *(
        refused(
            f"version {version!r}",
            line(b"POST /hot " + version, body=SMUGGLED),
            _VERSION,
        )
        for version in (
            b"HTTP/0.9",
            b"HTTP/1.2",
            b"HTTP/2.0",
            b"HTTP/3.0",
            b"HTTP/1.10",
            b"HTTP/01.1",
            b"HTTP/11",
            b"HTTP/1.",
            b"HTTP/1,1",
            b"HTTP/ 1.1",
            b"HTTP/1.1x",
            b"http/1.1",
            b"HTTPS/1.1",
            b"ICE/1.0",
            b"SIP/2.0",
            b"RTSP/2.0",
            b"",
        )
    ),
    refused("HTTP/0.9 itself", b"GET /hot\r\n", _VERSION),
    refused(
        "the preface of HTTP/2",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        _VERSION,
    ),
    refused("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", _VERSION),
    served(
        "RTSP/1.0, which the parser knows",
        head(b"POST /hot RTSP/1.0"),
        "read as HTTP/1.0: nothing of it frames a message otherwise",
        taken=[hot()],
        goes_on=False,
    ),
]

_WORDS: Final = [
    refused("a tab after the method", line(b"POST\t/hot HTTP/1.1"), _SPACES),
    refused("a tab before the version", line(b"POST /hot\tHTTP/1.1"), _SPACES),
    refused("a space after the version", line(b"POST /hot HTTP/1.1 "), _SPACES),
    refused("a space before the method", line(b" POST /hot HTTP/1.1"), _SPACES),
    refused("a space in the target", line(b"POST /hot x HTTP/1.1"), _SPACES),
    refused("no target", line(b"POST HTTP/1.1"), _SPACES),
    served(
        "two spaces after the method",
        line(b"POST  /hot HTTP/1.1", body=SMUGGLED),
        _LENIENT,
        taken=[hot(SMUGGLED)],
    ),
    served(
        "two spaces after the target",
        line(b"POST /hot  HTTP/1.1", body=SMUGGLED),
        _LENIENT,
        taken=[hot(SMUGGLED)],
    ),
    *(
        served(
            f"{before!r} before the request line",
            before + line(b"POST /hot HTTP/1.1", body=SMUGGLED),
            _BEFORE,
            taken=[hot(SMUGGLED)],
        )
        for before in (b"\r\n", b"\r\n\r\n\r\n", b"\n", b"\r")
    ),
    *(
        refused(f"line ends {sent!r}", sent, _ENDS)
        for sent in (
            b"GET /hot HTTP/1.1\nhost: x\n\n",
            b"GET /hot HTTP/1.1\nhost: x\r\n\r\n",
            b"GET /hot HTTP/1.1\r\nhost: x\n\r\n",
            b"GET /hot HTTP/1.1\r\nhost: x\r\n\n",
            b"GET /hot HTTP/1.1\rhost: x\r\r",
            b"GET /hot HTTP/1.1\r\r\nhost: x\r\n\r\n",
            b"GET /hot HTTP/1.1\r\nhost: x\r\r\n\r\n",
            b"GET /hot HTTP/1.1\r\nhost: x\r\n\rX",
        )
    ),
]

_ENDINGS: Final = [
    *(
        served(
            f"close as {fields!r}",
            line(b"POST /hot HTTP/1.1", *fields, body=SMUGGLED),
            _CLOSE,
            taken=[hot(SMUGGLED)],
            goes_on=False,
        )
        for fields in (
            (b"connection: close",),
            (b"Connection: Close",),
            (b"connection: x, close",),
            (b"connection: close, keep-alive",),
            (b"connection: keep-alive, close",),
            (b"connection: close", b"connection: keep-alive"),
            (b"connection: keep-alive", b"connection: close"),
        )
    ),
    served(
        "HTTP/1.0",
        line(b"POST /hot HTTP/1.0", body=SMUGGLED),
        _OLD,
        taken=[hot(SMUGGLED)],
        goes_on=False,
    ),
    served(
        "HTTP/1.0 without a host",
        head(b"POST /hot HTTP/1.0"),
        _OLD,
        taken=[hot()],
        goes_on=False,
    ),
    served(
        "HTTP/1.0 that is kept alive",
        line(b"POST /hot HTTP/1.0", b"connection: keep-alive", body=SMUGGLED),
        _OLD,
        taken=[hot(SMUGGLED)],
    ),
    served(
        "a stream to HTTP/1.0",
        line(b"POST /stream HTTP/1.0", b"connection: keep-alive", body=SMUGGLED),
        "RFC 9112, 6.3: without chunks, the close is its end",
        taken=[site(b"/stream", body=SMUGGLED)],
        goes_on=False,
    ),
    served(
        "a stream",
        line(b"POST /stream HTTP/1.1", body=SMUGGLED),
        "RFC 9112, 7.1: in chunks",
        taken=[site(b"/stream", body=SMUGGLED)],
    ),
    served(
        "requests in a row",
        3 * line(b"POST /hot HTTP/1.1", body=SMUGGLED) + line(b"HEAD /hot HTTP/1.1"),
        "RFC 9112, 9.3.2: answered in their order",
        taken=[*3 * [hot(SMUGGLED)], hot(method=b"HEAD")],
    ),
    Case(
        name="a broken request after others",
        sent=2 * line(b"POST /hot HTTP/1.1", body=SMUGGLED)
        + line(b"POST /hot HTTP/1.1", b"a b")
        + SMUGGLED,
        statuses=(200, 200, 400),
        taken=(hot(SMUGGLED), hot(SMUGGLED)),
        goes_on=False,
        why="RFC 9112, 9.3.2: answered in their order",
    ),
]

LINES: Final = [*_METHODS, *_TARGETS, *_VERSIONS, *_WORDS, *_ENDINGS]
