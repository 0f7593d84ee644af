"""Cases of the fields of a head: names, values, the host, and how large it may be."""

from typing import Final

from smart_llmrouter.edge.connection import MAX_FIELDS, MAX_HEAD_BYTES
from tests.support.edge_cases import (
    SMUGGLED,
    head,
    hot,
    line,
    refused,
    served,
    site,
)

_NAME: Final = "RFC 9110, 5.1 and 5.6.2: a name is a token, and the colon follows it"
_VALUE: Final = "RFC 9110, 5.5: no control character but the tab is part of a value"
_FOLD: Final = "RFC 9112, 5.2: a field that goes on in the next line is refused"
_HOST: Final = "RFC 9112, 3.2: one host, and a sound one"
_ONCE: Final = "RFC 9110, 5.3: a field that is no list is there once"
_SIZE: Final = "RFC 9110, 5.4 and 15.5.15: a head of more than 64 KiB is refused"

_NAMES: Final = [
    *(
        refused(
            f"field {field!r}",
            line(b"POST /hot HTTP/1.1", field, body=SMUGGLED),
            _NAME,
        )
        for field in (
            b": a",
            b"abc",
            b"x : a",
            b"x\t: a",
            b"x y: a",
            b"x\x00: a",
            b"x\x0b: a",
            b"x\n: a",
            b"x\r: a",
            b"x\x7f: a",
            b"x\xc3\xa4: a",
            b"x(y): a",
            b'"x": a',
            b"x,y: a",
            b"x/y: a",
            b"x@y: a",
            b"x[y]: a",
            b"transfer-encoding : chunked",
            b"content-length\t: 0",
        )
    ),
    *(
        served(
            f"field {field!r}",
            line(b"POST /hot HTTP/1.1", field, body=SMUGGLED),
            _NAME,
            taken=[hot(SMUGGLED)],
        )
        for field in (b"x:", b"x:a", b"x:\ta\t", b"x: a:b", b"!#$%&'*+-.^_`|~0: a")
    ),
]

_VALUES: Final = [
    *(
        refused(
            f"value with {bytes([code])!r}",
            line(b"POST /hot HTTP/1.1", b"x: a" + bytes([code]) + b"b", body=SMUGGLED),
            _VALUE,
        )
        for code in (0, 1, 8, 10, 11, 12, 13, 14, 27, 31, 127)
    ),
    *(
        served(
            f"value with {bytes([code])!r}",
            line(b"POST /hot HTTP/1.1", b"x: a" + bytes([code]) + b"b", body=SMUGGLED),
            _VALUE,
            taken=[hot(SMUGGLED)],
        )
        for code in (9, 32, 34, 128, 160, 255)
    ),
    *(
        refused(
            f"fold {fields!r}",
            head(b"POST /hot HTTP/1.1", *fields) + SMUGGLED,
            _FOLD,
        )
        for fields in (
            (b"host: x", b"x: a", b" b"),
            (b"host: x", b"x: a", b"\tb"),
            (b"host: x", b"x:", b" a"),
            (b"host: x", b"x: a", b" transfer-encoding: chunked"),
            (b"host: x", b"transfer-encoding:", b" chunked"),
            (b"host: x", b"content-length: 3", b" 5"),
            (b" host: x",),
            (b" x: a", b"host: x"),
        )
    ),
]

_HOSTS: Final = [
    refused("no host", head(b"GET /hot HTTP/1.1"), _HOST),
    refused("two hosts", line(b"GET /hot HTTP/1.1", b"host: y"), _HOST),
    refused("the same host twice", line(b"GET /hot HTTP/1.1", b"Host: x"), _HOST),
    refused("two hosts in HTTP/1.0", line(b"GET /hot HTTP/1.0", b"host: y"), _HOST),
    *(
        refused(
            f"host {value!r}",
            head(b"GET /hot HTTP/1.1", b"host: " + value),
            _HOST,
        )
        for value in (
            b"a b",
            b"a,b",
            b"a/b",
            b"a?b",
            b"a#b",
            b"a@b",
            b"a\\b",
            b"<a>",
            b'a"b',
            b"a:b",
            b"a:80:80",
            b"a:123456",
            b"[::1",
            b"::1",
            b"[a b]",
            b"\xc3\xa4.example",
            b"%zz",
        )
    ),
    *(
        served(
            f"host {value!r}",
            head(b"GET /hot HTTP/1.1", b"host:" + value),
            _HOST,
            taken=[hot(method=b"GET")],
        )
        for value in (
            b"",
            b" x:80",
            b" x:",
            b" 127.0.0.1:8080",
            b" [::1]:8080",
            b" [::1]",
            b" a_b.example ",
            b" a%2db",
            b"\tX.Example.",
        )
    ),
    *(
        refused(
            f"twice {field!r}",
            line(b"POST /hot HTTP/1.1", field, field, body=SMUGGLED),
            _ONCE,
        )
        for field in (
            b"authorization: Bearer x",
            b"x-api-key: x",
            b"content-type: application/json",
            b"content-encoding: identity",
        )
    ),
    served(
        "a field twice that may be",
        line(b"POST /hot HTTP/1.1", b"accept: a", b"accept: b", body=SMUGGLED),
        "RFC 9110, 5.3: lists may be in more than one field",
        taken=[hot(SMUGGLED)],
    ),
]


def _of_size(size: int) -> bytes:
    """Return a head of this many bytes."""
    begun = b"GET /hot HTTP/1.1\r\nhost: x\r\nx: "
    return begun + b"a" * (size - len(begun) - 4) + b"\r\n\r\n"


def _line_of_size(size: int) -> bytes:
    begun, end = b"GET /", b" HTTP/1.1\r\nhost: x\r\n\r\n"
    return begun + b"a" * (size - len(begun) - len(end)) + end


def _of_fields(count: int) -> bytes:
    return line(b"GET /hot HTTP/1.1", *(b"x-%d: y" % each for each in range(count)))


_SIZES: Final = [
    served(
        "the largest head", _of_size(MAX_HEAD_BYTES), _SIZE, taken=[hot(method=b"GET")]
    ),
    refused("a head of a byte more", _of_size(MAX_HEAD_BYTES + 1), _SIZE),
    refused("a head of twice that", _of_size(2 * MAX_HEAD_BYTES), _SIZE),
    refused("a head that never ends", _of_size(2 * MAX_HEAD_BYTES)[:-4], _SIZE),
    served(
        "the longest request line",
        _line_of_size(MAX_HEAD_BYTES),
        _SIZE,
        taken=[site(_line_of_size(MAX_HEAD_BYTES).split()[1], method=b"GET")],
    ),
    refused("a request line of a byte more", _line_of_size(MAX_HEAD_BYTES + 1), _SIZE),
    served("200 fields", _of_fields(200), _SIZE, taken=[hot(method=b"GET")]),
    # The host is one of them.
    served(
        "the most fields",
        _of_fields(MAX_FIELDS - 1),
        _SIZE,
        taken=[hot(method=b"GET")],
    ),
    refused("a field more", _of_fields(MAX_FIELDS), _SIZE),
    refused("5,000 fields", _of_fields(5000), _SIZE),
    refused("50,000 fields", _of_fields(50_000), _SIZE),
]

HEADS: Final = [*_NAMES, *_VALUES, *_HOSTS, *_SIZES]
