"""Golden transcripts: what is given, and what each lane must make of it.

A transcript is a text file. Its first lines say what it shows. Then come sections, each
begun by a line such as

    === given: group                                   what of it is not as usual
    === given: target                                  the same of a target
    === given: client openai-chat request
    === expect: upstream anthropic-messages request
    === given: upstream anthropic-messages stream
    === expect: client openai-chat stream
    === expect: usage
    === expect: notes

What a provider sends is an `answer` (a plain one), a `stream` or, with a status, an
`error 503`. A stream may come `in CRLF`, `in bytes` (one at a time) or be `cut` (no
blank line at its end). A client from whom no request is given has asked for something
simple. Usage and notes are those of the translation that was expected before. An
expected request or answer fans out: each dialect gets its own section.

`rewritten` fills the expected sections in as they are now, so that a difference can be
read before it is kept.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from msgspec import structs

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.errors import (
    InvalidRequest,
    ProviderHostedToolsForbidden,
    RouterError,
)
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream, NotBridged, Serving
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.refusals import refusal
from smart_llmrouter.engine.streaming import _end_of
from smart_llmrouter.engine.translation import Asked, Translation, Translator
from smart_llmrouter.upstream.failure_endings import terminal_error
from smart_llmrouter.upstream.failures import failure_of_error_event, failure_of_status

REQUEST_ID: Final = "req_" + "0" * 32
GROUP: Final = Group(
    name="chat",
    aliases=(),
    strategy="failover",
    targets=(),
    max_attempts=3,
    first_event_timeout_s=1.0,
)
SERVING: Final = Serving(label="acme/mini", model="mini", output_cap=8192)
SIMPLE: Final[Mapping[DialectName, Mapping[str, object]]] = {
    "openai-chat": {
        "model": "chat",
        "messages": [{"role": "user", "content": "hi"}],
        "stream_options": {"include_usage": True},
    },
    "openai-responses": {
        "model": "chat",
        "input": "hi",
        "include": ["reasoning.encrypted_content"],
    },
    "anthropic-messages": {
        "model": "chat",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    },
}
"""A request in each dialect, without its `stream`."""

_SECTION: Final = re.compile(r"^=== (given|expect): (.+)$", re.MULTILINE)
_LINE_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class Section:
    """One section: whether it is given, what it is, and its text."""

    given: bool
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript says in front of its sections, and these."""

    about: str
    sections: tuple[Section, ...]

    def text(self) -> str:
        """Return it as it is in its file."""
        said = [self.about.strip() + "\n"]
        for section in self.sections:
            kind = "given" if section.given else "expect"
            said.append(f"=== {kind}: {section.title}\n{section.text.strip()}\n")
        return "\n".join(said)


def read(text: str) -> Transcript:
    """Read a transcript."""
    about, *pieces = _SECTION.split(text)
    sections = tuple(
        Section(kind == "given", title.strip(), body.strip())
        for kind, title, body in zip(
            pieces[::3], pieces[1::3], pieces[2::3], strict=True
        )
    )
    return Transcript(about.strip(), sections)


def rewritten(transcript: Transcript) -> Transcript:
    """Return a transcript whose expected sections say what is so now."""
    play = _Play()
    return replace(
        transcript,
        sections=tuple(
            play.given(section) if section.given else play.expected(section)
            for section in transcript.sections
        ),
    )


@dataclass(slots=True)
class _Sent:
    """What a provider sent: an `answer`, a `stream` or an `error`, and how."""

    dialect: DialectName
    what: str
    text: str
    how: tuple[str, ...]

    def pieces(self) -> Iterable[bytes]:
        """Return a stream as it arrives."""
        text = self.text.strip() + ("" if self.how == ("cut",) else "\n\n")
        if self.how == ("in", "CRLF"):
            text = text.replace("\n", "\r\n")
        if self.how == ("in", "bytes"):
            return (bytes((byte,)) for byte in text.encode())
        return (piece.encode() for piece in re.split(r"(?<=\n\n)", text) if piece)


class _Play:
    """Goes through a transcript, and keeps what later sections follow from."""

    def __init__(self) -> None:
        self._group = GROUP
        self._serving = SERVING
        self._client: DialectName = "openai-chat"
        self._bodies: dict[DialectName, bytes] = {}
        self._sent: _Sent | None = None
        self._translation: Translation | None = None
        self._usage = UNKNOWN_USAGE

    def given(self, section: Section) -> Section:
        side, *words = section.title.split()
        if side == "group":
            self._group = replace(GROUP, **json.loads(section.text))
        elif side == "target":
            self._serving = structs.replace(SERVING, **json.loads(section.text))
        elif side == "client":
            self._client = cast("DialectName", words[0])
            self._bodies[self._client] = _body(json.loads(section.text))
        else:
            dialect, what, *how = words
            name = cast("DialectName", dialect)
            self._sent = _Sent(name, what, section.text, tuple(how))
        return section

    def expected(self, section: Section) -> Section:
        side, *words = section.title.split()
        if side == "upstream":
            text = self._asked(cast("DialectName", words[0]))
        elif side == "client":
            text = self._answered(cast("DialectName", words[0]))
        elif side == "usage":
            text = _told(self._usage)
        else:
            text = self._noted()
        return replace(section, text=text)

    def _asked(self, provider: DialectName) -> str:
        try:
            return pretty(self._translate(self._client, provider).take_body())
        except NotBridged as lacking:
            return f"not eligible: {', '.join(lacking.missing)}"
        except (InvalidRequest, ProviderHostedToolsForbidden) as error:
            return _refused(error, self._client)

    def _translate(self, client: DialectName, provider: DialectName) -> Translation:
        stream = self._sent is not None and self._sent.what == "stream"
        body = self._bodies.get(client) or _body({**SIMPLE[client], "stream": stream})
        asked = Asked(DIALECTS[client], DIALECTS[client].peek(body), self._group)
        self._translation = None
        self._translation = Translation(
            asked, DIALECTS[provider], self._serving, request_id=REQUEST_ID
        )
        return self._translation

    def _answered(self, client: DialectName) -> str:
        sent = self._sent
        assert sent is not None, "nothing was given that could be answered"
        if sent.what == "error":
            return _refused(_failure(sent), client)
        translation = self._translate(client, sent.dialect)
        if sent.what == "stream":
            return self._streamed(translation.meter(), sent, client)
        try:
            body, self._usage = translation.answer(sent.text.encode())
        except NotAnAnswer:
            return "no answer: the next target is asked"
        return pretty(body)

    def _streamed(self, meter: Translator, sent: _Sent, client: DialectName) -> str:
        told = b""
        try:
            for piece in sent.pieces():
                told += meter.feed(piece)
            told += meter.end()
        except NotAStream:
            return "no stream: the next target is asked"
        self._usage = meter.usage
        if meter.error is not None and not meter.meaningful:
            failed = terminal_error([failure_of_error_event(meter.error)])
            return "the next target is asked; without one:\n" + _refused(failed, client)
        if not meter.meaningful:
            return "no answer: the next target is asked"
        if meter.error is not None or not meter.done:
            told += DIALECTS[client].encode_error_event(
                _end_of(meter), request_id=REQUEST_ID
            )
        return (told + meter.ending).decode()

    def _noted(self) -> str:
        if self._translation is None:
            return "none: there is no translation"
        notes = self._translation.noted()
        lines = [f"{note.action} {note.field}: {note.reason}" for note in notes]
        return "\n".join(lines) or "none"


def pretty(body: bytes) -> str:
    """Return JSON with a line for each value that fits on one."""
    return _pretty(json.loads(body), "")


def _pretty(value: object, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    short = len(indent) + len(line) <= _LINE_CHARS
    if short or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + " "
    if isinstance(value, list):
        lines = [inner + _pretty(each, inner) for each in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    lines = [
        f"{inner}{json.dumps(name, ensure_ascii=False)}: {_pretty(each, inner)}"
        for name, each in value.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _body(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode()


def _failure(sent: _Sent) -> RouterError:
    failure = failure_of_status(
        int(sent.how[0]), body=sent.text.encode(), retry_after=None, credentials=()
    )
    return terminal_error([failure])


def _refused(error: RouterError, client: DialectName) -> str:
    told = refusal(error, dialect=client, request_id=REQUEST_ID)
    return f"status {told.status}\n{pretty(told.body)}"


def _told(usage: Usage) -> str:
    fields: Iterable[str] = usage.__struct_fields__
    said = ((name, getattr(usage, name)) for name in fields)
    shown = [f"{name} {value}" for name, value in said if value is not None]
    return "\n".join(line for line in shown if line != "estimated False") or "unknown"
