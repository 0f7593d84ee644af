"""Cases of where a body ends: lengths, transfer codings, chunks and trailers."""

from typing import Final

from tests.support.edge import MAX_BODY_BYTES
from tests.support.edge_cases import (
    CHUNKED,
    CHUNKED_SMUGGLED,
    SMUGGLED,
    Case,
    head,
    hot,
    line,
    passed_over,
    post,
    refused,
    served,
    site,
)

_CHUNKS: Final = b"5\r\nhello\r\n0\r\n\r\n"
_BOTH: Final = "RFC 9112, 6.1 and 6.3: a length beside a coding is a fault"
_LENGTH: Final = "RFC 9110, 8.6: a length is digits, and there is one"
_CODING: Final = "RFC 9112, 6.1 and 7: `chunked` is the one coding that is understood"
_CHUNK: Final = "RFC 9112, 7.1: a size in hexadecimal digits, CRLF, the bytes, CRLF"
_EXTENSION: Final = "RFC 9112, 7.1.1: extensions that are not known are ignored"
_TRAILER: Final = "RFC 9110, 6.5.1: fields after a body are not taken for fields"
_EXPECT: Final = "RFC 9110, 10.1.1: who expects `100-continue` is asked for its body"
_LIMIT: Final = "RFC 9110, 15.5.14: a body above the route's bound"
_REFUSED: Final = "RFC 9112, 9.3: the body of a refused request is read, or the end"
_UPGRADE: Final = "RFC 9110, 7.8: an upgrade may be ignored; the body stays a body"
_NO_LENGTH: Final = "RFC 9112, 6.3: without a length or a coding there is no body"


_LENGTHS: Final = [
    refused(f"length {value!r}", post(SMUGGLED, b"content-length: " + value), _LENGTH)
    for value in (
        b"+35",
        b"-35",
        b"3 5",
        b"35,35",
        b"35, 35",
        b"0x23",
        b"35a",
        b"35;",
        b"35.0",
        b"",
        b" ",
        b"\xd9\xa3\xd9\xa6",
        b"18446744073709551616",
        b"18446744073709551651",
        b"99999999999999999999999999",
        b"35\x0b",
        b"chunked",
    )
] + [
    refused(
        "the same length twice",
        post(b"hello", b"content-length: 5", b"content-length: 5"),
        _LENGTH,
    ),
    refused(
        "two lengths",
        post(SMUGGLED, b"content-length: 0", b"content-length: 35"),
        _LENGTH,
    ),
    *(
        served(
            f"length {value!r}",
            post(SMUGGLED, b"content-length:" + value),
            "RFC 9110, 5.5 and 8.6: white space around a value is not part of it, and "
            "zeros before a number are digits",
            taken=[hot(SMUGGLED)],
        )
        for value in (b"35", b" 35", b"\t35", b" 35 ", b" 35\t", b" 0035")
    ),
    served(
        "a length that the connection should drop",
        post(SMUGGLED, b"connection: content-length", b"content-length: 35"),
        "RFC 9110, 7.6.1: `Connection` may not name what frames a message",
        taken=[hot(SMUGGLED)],
    ),
    served("no length", line(b"POST /hot HTTP/1.1"), _NO_LENGTH, taken=[hot()]),
    served(
        "what follows a request without a length is the next one",
        line(b"POST /hot HTTP/1.1") + line(b"GET /next HTTP/1.1"),
        _NO_LENGTH,
        taken=[hot(), site(b"/next", method=b"GET")],
    ),
    served(
        "a body of GET",
        line(b"GET /hot HTTP/1.1", body=SMUGGLED),
        "RFC 9110, 9.3.1: it means nothing, but is framed like any other",
        taken=[hot(SMUGGLED, method=b"GET")],
    ),
    served(
        "a body of HEAD",
        line(b"HEAD /hot HTTP/1.1", body=SMUGGLED),
        "RFC 9110, 9.3.2: the same",
        taken=[hot(SMUGGLED, method=b"HEAD")],
    ),
]

_CODINGS: Final = [
    refused(
        "a length before a coding",
        post(b"0\r\n\r\n" + SMUGGLED, b"content-length: 40", CHUNKED),
        _BOTH,
    ),
    refused(
        "a length after a coding",
        post(b"0\r\n\r\n" + SMUGGLED, CHUNKED, b"content-length: 40"),
        _BOTH,
    ),
    refused(
        "a length of 0 beside a coding",
        post(CHUNKED_SMUGGLED, b"content-length: 0", CHUNKED),
        _BOTH,
    ),
    refused(
        "a length beside a coding that is none",
        post(SMUGGLED, b"content-length: 35", b"transfer-encoding: identity"),
        _BOTH,
    ),
    *(
        refused(
            f"coding {value!r}",
            post(CHUNKED_SMUGGLED, b"transfer-encoding: " + value),
            _CODING,
        )
        for value in (
            b"identity",
            b"gzip",
            b"chunked, identity",
            b"identity, chunked",
            b"gzip, chunked",
            b"chunked, gzip",
            b"chunked, chunked",
            b"chunked,chunked",
            b"chunked,",
            b",chunked",
            b"xchunked",
            b"chunkedx",
            b"chunke",
            b"chunked;q=1",
            b'"chunked"',
            b"'chunked'",
            b"\x0bchunked",
            b"chunked\x0b",
            b"\x0cchunked",
            b"chunked\x00",
            b"\xa0chunked",
            b"chunked\xa0",
            b"chun ked",
            b"",
        )
    ),
    *(
        served(
            f"coding {value!r}",
            post(CHUNKED_SMUGGLED, b"transfer-encoding:" + value),
            "RFC 9112, 7: names of codings know no case; RFC 9110, 5.5: white space",
            taken=[hot(SMUGGLED)],
        )
        for value in (b"chunked", b" Chunked", b" CHUNKED", b"\tchunked", b" chunked ")
    ),
    refused(
        "chunked twice, in two fields",
        post(CHUNKED_SMUGGLED, CHUNKED, CHUNKED),
        _CODING,
    ),
    refused(
        "chunked, and then identity",
        post(CHUNKED_SMUGGLED, CHUNKED, b"transfer-encoding: identity"),
        _CODING,
    ),
    refused(
        "identity, and then chunked",
        post(CHUNKED_SMUGGLED, b"transfer-encoding: identity", CHUNKED),
        _CODING,
    ),
    refused(
        "a coding in HTTP/1.0",
        head(b"POST /hot HTTP/1.0", CHUNKED) + CHUNKED_SMUGGLED,
        "RFC 9112, 6.1: framing of HTTP/1.0 with a transfer coding is faulty",
    ),
    refused(
        "a coding in HTTP/1.0 that is kept alive",
        head(b"POST /hot HTTP/1.0", b"connection: keep-alive", CHUNKED)
        + CHUNKED_SMUGGLED,
        "RFC 9112, 6.1: the same",
    ),
    served(
        "a field that only looks like a coding",
        line(b"POST /hot HTTP/1.1", b"transfer_encoding: chunked", body=SMUGGLED),
        "RFC 9110, 5.1: another name is another field",
        taken=[hot(SMUGGLED)],
    ),
    served(
        "a coding that the connection should drop",
        post(CHUNKED_SMUGGLED, b"connection: transfer-encoding", CHUNKED),
        "RFC 9110, 7.6.1: `Connection` may not name what frames a message",
        taken=[hot(SMUGGLED)],
    ),
]

_CHUNK_SIZES: Final = [
    *(
        served(f"chunks {chunks!r}", post(chunks, CHUNKED), _CHUNK, taken=[hot(body)])
        for chunks, body in (
            (_CHUNKS, b"hello"),
            (b"0\r\n\r\n", b""),
            (b"000\r\n\r\n", b""),
            (b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"hello"),
            (b"00000000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"A\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
            (b"a\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
            (CHUNKED_SMUGGLED, SMUGGLED),
        )
    ),
    *(
        refused(f"chunks {chunks!r}", post(chunks + SMUGGLED, CHUNKED), _CHUNK)
        for chunks in (
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5h\r\nhello\r\n0\r\n\r\n",
            b"g\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5\t\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b"\xb5\r\nhello\r\n0\r\n\r\n",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
            b"100000000000000000000\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\rhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"5\r\nhello!!0\r\n\r\n",
            b"5\r\nhello\r\r\n0\r\n\r\n",
            b"5\r\nhello\r\n0\n\r\n",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\nX",
        )
    ),
]

_EXTENSIONS: Final = [
    *(
        served(
            f"extension {extension[:20]!r} of {len(extension)} bytes",
            post(b"5;%b\r\nhello\r\n0;%b\r\n\r\n" % (extension, extension), CHUNKED),
            _EXTENSION,
            taken=[hot(b"hello")],
        )
        for extension in (
            b"x",
            b"x=y",
            b'x="y"',
            b'x="a\\"b"',
            b"x=y;z=1",
            b"x=" + b"y" * 4000,
        )
    ),
    *(
        refused(
            f"extension {extension!r}",
            post(b"5%b\r\nhello\r\n0\r\n\r\n" % extension + SMUGGLED, CHUNKED),
            _EXTENSION + "; but what is not one may be read in two ways",
        )
        for extension in (
            b" ;x",
            b"; x",
            b";x\n",
            b";\nx",
            b";x\ry",
            b";x\x00",
            b';x="\n"',
            b";x=\x7f",
            b"\x0b;x",
        )
    ),
]

_TRAILERS: Final = [
    *(
        served(
            f"trailer {trailer!r}",
            post(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n", CHUNKED),
            _TRAILER,
            taken=[hot(b"hello")],
        )
        for trailer in (
            b"x: y",
            b"x:",
            b"host: y",
            b"authorization: Bearer x",
            b"connection: upgrade\r\nupgrade: h2c",
        )
    ),
    *(
        refused(
            f"trailer {trailer!r}",
            post(b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n" + SMUGGLED, CHUNKED),
            _TRAILER + ", and those that frame a message are faults",
        )
        for trailer in (
            b"content-length: 5",
            b"content-length: 0",
            b"transfer-encoding: chunked",
            b"x y",
            b"x : y",
            b" x: y",
            b": y",
            b"x: y\n",
            b"x: \x00",
            b"x: a\r\n b",
        )
    ),
    Case(
        name="trailer b'connection: close'",
        sent=post(b"5\r\nhello\r\n0\r\nconnection: close\r\n\r\n", CHUNKED),
        statuses=(200, 400),
        taken=(hot(b"hello"),),
        goes_on=False,
        why=_TRAILER + "; the parser hears this one, and takes nothing after it",
    ),
]

_EXPECTATIONS: Final = [
    *(
        served(
            f"expect {value!r}",
            line(b"POST /hot HTTP/1.1", b"expect: " + value, body=SMUGGLED),
            _EXPECT,
            taken=[hot(SMUGGLED)],
            before=(100,),
        )
        for value in (b"100-continue", b"100-Continue", b"100-continue ")
    ),
    *(
        served(
            f"expect {value!r}",
            line(b"POST /hot HTTP/1.1", b"expect: " + value, body=SMUGGLED),
            "RFC 9110, 10.1.1: another expectation may be answered 417, or ignored",
            taken=[hot(SMUGGLED)],
        )
        for value in (b"200-ok", b"100-continue, x", b"", b"x=100-continue")
    ),
    served(
        "expect in HTTP/1.0",
        line(b"POST /hot HTTP/1.0", b"expect: 100-continue", body=SMUGGLED),
        "RFC 9110, 10.1.1: a client of HTTP/1.0 cannot be asked",
        taken=[hot(SMUGGLED)],
        goes_on=False,
    ),
    refused(
        "expect, and refused before the body",
        line(b"POST /refuse HTTP/1.1", b"expect: 100-continue", body=SMUGGLED),
        "RFC 9110, 10.1.1: the body may come or not, so that nothing is read on",
        status=401,
    ),
    refused(
        "expect twice",
        line(
            b"POST /hot HTTP/1.1",
            b"expect: 100-continue",
            b"expect: 100-continue",
            body=SMUGGLED,
        ),
        "RFC 9110, 5.3: a field that is no list is there once",
    ),
]

_REFUSALS: Final = [
    passed_over(
        "refused, with a body of known length",
        line(b"POST /refuse HTTP/1.1", body=SMUGGLED),
        _REFUSED,
        status=401,
    ),
    passed_over(
        "refused, without a body", line(b"GET /refuse HTTP/1.1"), _REFUSED, status=401
    ),
    refused(
        "refused, with a body in chunks",
        post(CHUNKED_SMUGGLED, CHUNKED, path="/refuse"),
        _REFUSED,
        status=401,
    ),
    refused(
        "refused, with a body too long to read on",
        post(SMUGGLED, b"content-length: 2000000", path="/refuse"),
        _REFUSED,
        status=401,
    ),
    served(
        "the largest body",
        line(b"POST /hot HTTP/1.1", body=b"a" * MAX_BODY_BYTES),
        _LIMIT,
        taken=[hot(b"a" * MAX_BODY_BYTES)],
    ),
    passed_over(
        "a body too large",
        line(
            b"POST /hot HTTP/1.1", body=SMUGGLED * (1 + MAX_BODY_BYTES // len(SMUGGLED))
        ),
        _LIMIT,
        status=413,
    ),
    refused(
        "a body too large, in chunks",
        post(b"7d1\r\n" + b"a" * 2001 + b"\r\n0\r\n\r\n" + SMUGGLED, CHUNKED),
        _LIMIT,
        status=413,
    ),
    served(
        "the largest body, in chunks",
        post(b"7d0\r\n" + b"a" * 2000 + b"\r\n0\r\n\r\n", CHUNKED),
        _LIMIT,
        taken=[hot(b"a" * 2000)],
    ),
]

_UPGRADES: Final = [
    served(
        f"upgrade to {protocol.decode()}, {how}",
        post(
            body,
            b"connection: upgrade",
            b"upgrade: " + protocol,
            framing,
        ),
        _UPGRADE,
        taken=[hot(SMUGGLED)],
    )
    for protocol in (b"h2c", b"websocket")
    for how, framing, body in (
        ("with a length", b"content-length: 35", SMUGGLED),
        ("in chunks", CHUNKED, CHUNKED_SMUGGLED),
    )
] + [
    served(
        "two upgrades in a row",
        2
        * line(b"POST /hot HTTP/1.1", b"connection: upgrade", b"upgrade: x", body=b"a"),
        _UPGRADE,
        taken=[hot(b"a"), hot(b"a")],
    ),
    served(
        "an upgrade that the connection does not name",
        line(b"POST /hot HTTP/1.1", b"upgrade: h2c", body=SMUGGLED),
        _UPGRADE,
        taken=[hot(SMUGGLED)],
    ),
    refused(
        "an upgrade with a length beside a coding",
        post(
            CHUNKED_SMUGGLED,
            b"connection: upgrade",
            b"upgrade: h2c",
            CHUNKED,
            b"content-length: 5",
        ),
        _BOTH,
    ),
]

BODIES: Final = [
    *_LENGTHS,
    *_CODINGS,
    *_CHUNK_SIZES,
    *_EXTENSIONS,
    *_TRAILERS,
    *_EXPECTATIONS,
    *_REFUSALS,
    *_UPGRADES,
]
