"""The answers of llhttp's own test suite, and what a call makes of them.

They follow github.com/nodejs/llhttp (MIT), `test/response/*.md`, case by case, in its
default mode; long fields that do not matter are shortened, and what only a lenient
mode accepts is refused. Each answer is the whole of what the provider sends: then it
closes. In an answer a line's end stands for CRLF, and `<LF>` and `<CR>` for these
characters alone.
"""

from dataclasses import dataclass
from typing import Final

from smart_llmrouter.upstream.transport import ConnectionCut, MalformedAnswer
from tests.support.transports import Outcome


@dataclass(frozen=True, slots=True)
class LlhttpAnswer:
    """One answer, and the status and body of the call, or how it fails.

    `differs` says why that is not what the parser alone makes of it.
    """

    name: str
    text: str
    outcome: Outcome
    differs: str = ""

    @property
    def sent(self) -> bytes:
        """Return its bytes."""
        lines = self.text.replace("\n", "\r\n").encode("latin-1")
        return lines.replace(b"<LF>", b"\n").replace(b"<CR>", b"\r")

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name


_BEHIND: Final = "what comes behind an answer ends the connection, not the answer"
_NO_UPGRADE: Final = "no other protocol was asked for"
_CODING: Final = "RFC 9112, 7: the body would be in a coding that nobody undoes"

_CONNECTIONS: Final = [
    LlhttpAnswer(
        "Proxy-Connection",
        "HTTP/1.1 200 OK\nContent-Type: text/html; charset=UTF-8\nContent-Length: 11\n"
        "Proxy-Connection: close\nDate: Thu, 31 Dec 2009 20:55:48 +0000\n\nhello world",
        (200, b"hello world"),
    ),
    LlhttpAnswer(
        "keep-alive in HTTP/1.0, until the end",
        "HTTP/1.0 200 OK\nConnection: keep-alive\n\nHTTP/1.0 200 OK",
        (200, b"HTTP/1.0 200 OK"),
    ),
    LlhttpAnswer(
        "until the end",
        "HTTP/1.1 200 OK\n\nHTTP/1.1 200 OK",
        (200, b"HTTP/1.1 200 OK"),
    ),
    *(
        LlhttpAnswer(
            f"204 with more behind it: {name}",
            f"HTTP/{version} 204 No content\n{fields}\nHTTP/{version} 200 OK",
            (204, b""),
            differs=_BEHIND,
        )
        for name, version, fields in (
            ("keep-alive in HTTP/1.0", "1.0", "Connection: keep-alive\n"),
            ("HTTP/1.1", "1.1", ""),
            ("close", "1.1", "Connection: close\n"),
        )
    ),
    LlhttpAnswer(
        "more than its length, and close",
        "HTTP/1.1 200 No content\nContent-Length: 5\nConnection: close\n\n"
        "2ad731e3-4dcd-4f70-b871-0ad284b29ffc",
        (200, b"2ad73"),
        differs=_BEHIND,
    ),
    LlhttpAnswer(
        "101 with a length",
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: h2c\n"
        "Content-Length: 4\n\nbodyproto",
        MalformedAnswer,
        differs=_NO_UPGRADE,
    ),
    LlhttpAnswer(
        "101 with chunks",
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: h2c\n"
        "Transfer-Encoding: chunked\n\n2\nbo\n2\ndy\n0\n\nproto",
        MalformedAnswer,
        differs=_NO_UPGRADE,
    ),
    *(
        LlhttpAnswer(
            f"200 with Upgrade, {name}",
            f"HTTP/1.1 200 OK\nConnection: upgrade\nUpgrade: h2c\n{rest}",
            (200, b"body"),
        )
        for name, rest in (
            ("until the end", "\nbody"),
            ("with a length", "Content-Length: 4\n\nbody"),
            ("with chunks", "Transfer-Encoding: chunked\n\n2\nbo\n2\ndy\n0\n\n"),
        )
    ),
]

_LENGTHS: Final = [
    LlhttpAnswer(
        "close, until the end",
        "HTTP/1.1 200 OK\nDate: Tue, 04 Aug 2009 07:59:32 GMT\nServer: Apache\n"
        "Content-Type: text/xml; charset=utf-8\nConnection: close\n\n"
        '<?xml version="1.0"?><LF><SOAP-ENV:Envelope><LF></SOAP-ENV:Envelope>',
        (200, b'<?xml version="1.0"?>\n<SOAP-ENV:Envelope>\n</SOAP-ENV:Envelope>'),
    ),
    LlhttpAnswer(
        "Content-Length-X",
        "HTTP/1.1 200 OK\nContent-Length-X: 0\nTransfer-Encoding: chunked\n\n"
        "2\nOK\n0\n\n",
        (200, b"OK"),
    ),
    LlhttpAnswer(
        "two answers to HEAD",
        "HTTP/1.1 200 OK\nContent-Length: 123\n\nHTTP/1.1 200 OK\n"
        "Content-Length: 456\n\n",
        ConnectionCut,
        differs="HEAD is never sent, and so the body is missing",
    ),
    LlhttpAnswer(
        "tabs around a length",
        f"HTTP/1.1 200 OK\nContent-Length:\t42\t\n\n{'x' * 42}",
        (200, b"x" * 42),
    ),
    LlhttpAnswer("nothing until the end", "HTTP/1.1 200 OK\n\n", (200, b"")),
]

_INVALID: Final = [
    LlhttpAnswer(name, text, MalformedAnswer)
    for name, text in (
        ("HTP", "HTP/1.1 200 OK\n\n"),
        ("HTTPER", "HTTPER/1.1 200 OK\n\n"),
        ("HTTP/01.1", "HTTP/01.1 200 OK\n\n"),
        ("HTTP/11.1", "HTTP/11.1 200 OK\n\n"),
        ("HTTP/1.01", "HTTP/1.01 200 OK\n\n"),
        ("HTTP/5.6", "HTTP/5.6 200 OK\n\n"),
        ("a tab behind the version", "HTTP/1.1\t200 OK\n\n"),
        ("CR first, and a tab", "<CR>HTTP/1.1\t200 OK\n\n"),
        ("fields apart by CR", "HTTP/1.1 200 OK\nFoo: 1<CR>Bar: 2\n\n"),
        ("a space before the first field", "HTTP/1.1 200 OK\n Host: foo\n\n"),
        ("two spaces before the status", "HTTP/1.1  200 OK\n\n"),
        ("a status of one digit", "HTTP/1.1 2 OK\n\n"),
        ("only LF", "HTTP/1.1 200 OK<LF>Content-Length: 0<LF><LF>"),
        ("only LF, and a body", "HTTP/1.1 200 OK<LF>Foo: abc<LF><LF>BODY<LF>"),
        (
            "only LF, and close",
            "HTTP/1.1 200 OK<LF>Server: x<LF>Connection: close<LF><LF>these are odd",
        ),
        (
            "a space in a field's name",
            "HTTP/1.1 200 OK\nen-US Content-Type: text/xml\nContent-Length: 2\n\nok",
        ),
    )
]

_SAMPLES: Final = [
    LlhttpAnswer("two spaces behind the status", "HTTP/1.1 200  OK\n\n", (200, b"")),
    LlhttpAnswer(
        "simple",
        "HTTP/1.1 200 OK\nHeader1: Value1\nHeader2:\t Value2\nContent-Length: 0\n\n",
        (200, b""),
    ),
    LlhttpAnswer("RTSP", "RTSP/1.1 200 OK\n\n", (200, b"")),
    LlhttpAnswer("ICE", "ICE/1.1 200 OK\n\n", (200, b"")),
    LlhttpAnswer("HTTP/0.9", "HTTP/0.9 200 OK\n\n", (200, b"")),
    LlhttpAnswer(
        "301 of Google",
        "HTTP/1.1 301 Moved Permanently\nLocation: http://www.google.com/\n"
        "X-$PrototypeBI-Version: 1.6.0.3\nServer: gws\nContent-Length:  28  \n\n"
        "<HTML><HEAD></HEAD>\n</HTML>",
        (301, b"<HTML><HEAD></HEAD>\r\n</HTML>"),
    ),
    LlhttpAnswer(
        "301 of amazon.com",
        "HTTP/1.1 301 MovedPermanently\nServer: Server\nx-amz-id-1: 0GPHKXSJQ826RK7G\n"
        'p3p: policyref="http://www.amazon.com/w3c/p3p.xml",CP="CAO DSP LAW CUR "\n'
        "Transfer-Encoding: chunked\n\n1\n<LF>\n0\n\n",
        (301, b"\n"),
    ),
    LlhttpAnswer("no fields", "HTTP/1.1 404 Not Found\n\n", (404, b"")),
    LlhttpAnswer("no reason", "HTTP/1.1 301\n\n", (301, b"")),
    LlhttpAnswer("an empty reason", "HTTP/1.1 200 \n\n", (200, b"")),
    LlhttpAnswer(
        "an underscore in a name",
        "HTTP/1.1 200 OK\nServer: DCLK-AdSvr\nContent-Length: 0\n"
        "DCLK_imp: v7;x;114750856;0-0;0;17820020;0/0;~okv=;dcmt=text/xml;;~cs=o\n\n",
        (200, b""),
    ),
    LlhttpAnswer(
        "an empty value",
        "HTTP/1.0 301 Moved Permanently\nCache-Control: public\nPragma: \n"
        "Location: http://www.bonjourmadame.fr/\nContent-Length: 0\n"
        "Connection: keep-alive\n\n",
        (301, b""),
    ),
    LlhttpAnswer(
        "odd names, and close",
        "HTTP/1.1 200 OK\n.et-Cookie: PlaxoCS=1274804622353690521; path=/\n"
        "_eep-Alive: timeout=45\n_onnection: Keep-Alive\n"
        "Transfer-Encoding: chunked\nConnection: close\n\n0\n\n",
        (200, b""),
    ),
    LlhttpAnswer(
        "a reason beyond ASCII",
        "HTTP/1.1 500 Ori\xc3\xabntatieprobleem\nContent-Length: 0\n"
        "Connection: close\n\n",
        (500, b""),
    ),
    LlhttpAnswer(
        "hello until the end",
        "HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello world",
        (200, b"hello world"),
    ),
    LlhttpAnswer(
        "a line's end first",
        "\nHTTP/1.1 200 OK\nHeader1: Value1\nContent-Length: 0\n\n",
        (200, b""),
    ),
    LlhttpAnswer(
        "three answers",
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nAAA\nHTTP/1.1 201 Created\n"
        "Content-Length: 4\n\nBBBB\nHTTP/1.1 202 Accepted\nContent-Length: 5\n\nCCCC",
        (200, b"AAA"),
        differs=_BEHIND,
    ),
    LlhttpAnswer(
        "a length", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", (200, b"abc")
    ),
]

_PLAIN: Final = "HTTP/1.1 200 OK\nAccept: */*\n"
_CHUNKED: Final = "HTTP/1.1 200 OK\nHost: localhost\nTransfer-encoding: chunked\n\n"
_CODINGS: Final = [
    LlhttpAnswer(
        "an empty coding",
        "HTTP/1.1 200 OK\nTransfer-Encoding:\nContent-Length: 5\n\nhello",
        MalformedAnswer,
    ),
    LlhttpAnswer(
        "chunked before another coding",
        _PLAIN + "Transfer-Encoding: chunked, deflate\n\nWorld",
        MalformedAnswer,
        differs=_CODING,
    ),
    LlhttpAnswer(
        "chunked, and then another coding",
        _PLAIN + "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n\nWorld",
        ConnectionCut,
        differs="what was called chunked must end as chunks do",
    ),
    LlhttpAnswer(
        "chunkedchunked",
        _PLAIN + "Transfer-Encoding: chunkedchunked\n\n2\nOK\n0\n\n",
        MalformedAnswer,
        differs=_CODING,
    ),
    *(
        LlhttpAnswer(f"chunks {body!r}", _CHUNKED + body, (200, found))
        for body, found in (
            ("a\n0123456789\n0\n\n", b"0123456789"),
            ("5;ilovew3;lot=of;love\nhello\n6;bla;h\n world\n0\n\n", b"hello world"),
            ('5;ilovew3="I love; it";much="of";b;a=r\nhello\n0\n\n', b"hello"),
        )
    ),
    *(
        LlhttpAnswer(f"chunks {body!r}", _CHUNKED + body, MalformedAnswer)
        for body in (
            "25  \nThis is the data in the first chunk\n\n0  \n\n",
            "2 erfrferferf\naa\n0 rrrr\n\n",
            "2;\naa\n0\n\n",
            '5;ilovew3="abc";somuchlove="def; ghi\nhello\n0\n\n',
        )
    ),
    LlhttpAnswer(
        "a folded coding",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n  abc\n\n5\nWorld\n0\n\n",
        MalformedAnswer,
    ),
]

LLHTTP_ANSWERS: Final = [*_CONNECTIONS, *_LENGTHS, *_INVALID, *_SAMPLES, *_CODINGS]
