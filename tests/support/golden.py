"""Golden transcripts: what is given, and what each lane must make of it.

A transcript is a text file. Its first lines say what it shows. Then come sections, each
begun by a line such as

    === given: client openai-chat request
    === expect: upstream anthropic-messages request
    === given: upstream anthropic-messages stream
    === expect: client openai-chat stream
    === expect: usage
    === expect: notes

A `given` section of the provider is an `answer` (a plain one) or a `stream`. What is
expected stands behind what it follows from. `rewritten` fills the expected sections in
as they are now, so that a difference can be read before it is kept.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, cast

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import NotBridged, Serving
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.translation import Asked, Translation

REQUEST_ID: Final = "req_" + "0" * 32
_SECTION: Final = re.compile(r"^=== (given|expect): (.+)$", re.MULTILINE)
_LABEL: Final = "acme/mini"


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


class _Play:
    """Goes through a transcript, and keeps what later sections follow from."""

    def __init__(self) -> None:
        self._client: DialectName = "openai-chat"
        self._body = b""
        self._translation: Translation | None = None
        self._usage = Usage()
        self._provider_body = b""
        self._streamed = False

    def given(self, section: Section) -> Section:
        side, dialect, what = section.title.split()
        if side == "client":
            self._client, self._body = cast("DialectName", dialect), _body(section.text)
            self._translation = None
        else:
            if self._translation is None:
                self._translate(dialect)
            self._provider_body = section.text.encode() + b"\n\n"
            self._streamed = what == "stream"
        return section

    def expected(self, section: Section) -> Section:
        words = section.title.split()
        if words[0] == "upstream":
            text = self._translate(words[1])
        elif words[0] == "client":
            text = self._answered()
        elif words[0] == "usage":
            text = _told(self._usage)
        else:
            text = self._noted()
        return replace(section, text=text)

    def _translate(self, dialect: str) -> str:
        client, provider = (
            DIALECTS[self._client],
            DIALECTS[cast("DialectName", dialect)],
        )
        asked = Asked(client, client.peek(self._body), _group())
        serving = Serving(label=_LABEL, model="mini", output_cap=8192)
        try:
            self._translation = Translation(
                asked, provider, serving, request_id=REQUEST_ID
            )
        except NotBridged as lacking:
            return f"not bridged: {', '.join(lacking.reasons)}"
        return _pretty(self._translation.take_body())

    def _answered(self) -> str:
        assert self._translation is not None
        if not self._streamed:
            body, self._usage = self._translation.answer(self._provider_body)
            return _pretty(body)
        meter = self._translation.meter()
        sent = meter.feed(self._provider_body) + meter.end() + meter.ending
        self._usage = meter.usage
        return sent.decode()

    def _noted(self) -> str:
        assert self._translation is not None
        notes = self._translation.noted()
        lines = [f"{note.action} {note.field}: {note.reason}" for note in notes]
        return "\n".join(lines) or "none"


def _group() -> Group:
    return Group(
        name="chat",
        aliases=(),
        strategy="failover",
        targets=(),
        max_attempts=3,
        first_event_timeout_s=1.0,
    )


def _body(text: str) -> bytes:
    return json.dumps(json.loads(text), ensure_ascii=False).encode()


def _pretty(body: bytes) -> str:
    return json.dumps(json.loads(body), indent=1, ensure_ascii=False)


def _told(usage: Usage) -> str:
    fields: Iterable[str] = usage.__struct_fields__
    said = ((name, getattr(usage, name)) for name in fields)
    return "\n".join(f"{name} {value}" for name, value in said if value) or "unknown"
