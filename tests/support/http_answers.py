"""A strict reader of what a server sent: whole answers, and nothing else."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9]{2}) [A-Za-z' -]*\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_CHUNK: Final = re.compile(rb"([0-9a-f]+)\r\n")
_BODILESS: Final = frozenset({204, 304})


class NotHttp(AssertionError):
    """What was sent is not a row of whole answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: `fields` holds each of its fields, by its lower-case name."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Say whether it announces the end of the connection."""
        return self.fields.get(b"connection") == b"close"


def read_answers(
    sent: bytes, *, method_of: Callable[[bytes], bytes], closed: bool
) -> list[Answer]:
    """Read answers to the end. Raises `NotHttp` where that cannot be done.

    `method_of` knows the method of a request by its id. `closed` says that the
    connection has ended, and so an answer that is ended by that.
    """
    answers = []
    while sent:
        answer, sent = _first(sent, method_of, closed=closed)
        answers.append(answer)
    return answers


def _first(
    sent: bytes, method_of: Callable[[bytes], bytes], *, closed: bool
) -> tuple[Answer, bytes]:
    match = _HEAD.match(sent)
    if match is None:
        raise NotHttp(sent[:200])
    status, rest = int(match[1]), sent[match.end() :]
    pairs = [line.split(b": ", 1) for line in match[2].splitlines()]
    fields = {name.lower(): value for name, value in pairs}
    if len(fields) != len(pairs):
        raise NotHttp(b"a field is there twice: " + match[2])
    if status < 200:
        return Answer(status=status, fields=fields, body=b""), rest
    if status in _BODILESS or method_of(fields[b"x-request-id"]) == b"HEAD":
        return Answer(status=status, fields=fields, body=b""), rest
    body, rest = _body(fields, rest, closed=closed)
    return Answer(status=status, fields=fields, body=body), rest


def _body(
    fields: dict[bytes, bytes], rest: bytes, *, closed: bool
) -> tuple[bytes, bytes]:
    if b"transfer-encoding" in fields:
        if b"content-length" in fields:
            raise NotHttp(b"an answer has two lengths")
        return _chunks(rest)
    if b"content-length" in fields:
        length = int(fields[b"content-length"])
        if len(rest) < length:
            raise NotHttp(b"an answer is cut off: " + rest[:200])
        return rest[:length], rest[length:]
    if not closed:
        raise NotHttp(b"an answer without an end")
    return rest, b""


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while match := _CHUNK.match(rest):
        size, begin = int(match[1], 16), match.end()
        chunk, end, rest = (
            rest[begin : begin + size],
            rest[begin + size : begin + size + 2],
            rest[begin + size + 2 :],
        )
        if len(chunk) != size or end != b"\r\n":
            break
        if not size:
            return body, rest
        body += chunk
    raise NotHttp(b"chunks do not fit: " + rest[:200])
