"""Reads the YAML file: plain values, and where in the file each of them stands.

The reader is strict and bounded. It reports every duplicate key, refuses what a
configuration has no use for (several documents, tags, merge keys, keys that are not
text), and stops at absurd sizes before they cost anything. Numbers keep their
literal: a decimal is read as `Decimal`, never through a float.

libyaml takes the syntax apart, ten times as fast as a parser in Python would: with ten
thousand callers that is seconds. It says only what is written where. What a scalar
means is decided here, as YAML 1.2 has it: `yes`, `0x10` and `1:30` are text.

Anchors and aliases are allowed, for whole values only: an alias counts as if its
value were written out, so that a small file cannot unfold into a huge one.
"""

import gc
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

from yaml import CSafeLoader
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from smart_llmrouter.config.document import START, Document, Plain, Position, Reading
from smart_llmrouter.config.findings import Finding, KeyPath, dotted, step_text

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_VALUES: Final = 500_000
MAX_DEPTH: Final = 24

# A longer run of digits is an id or a hash that happens to hold no letter.
_LONGEST_NUMBER: Final = 30
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_DECIMAL: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,2})?"
)
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# libyaml breaks lines at these, as YAML 1.1 did and YAML 1.2 does not.
_OLD_LINE_BREAKS: Final = re.compile("[\x85\u2028\u2029]")
_Tagged: Final = (ScalarEvent, MappingStartEvent, SequenceStartEvent)
_SYNTAX_REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("tab character", "indent with spaces; YAML allows no tabs there"),
    (
        "character that cannot start any token",
        "indent with spaces, and put quotes around a text that begins with a sign",
    ),
    (
        "did not find expected node content",
        "close every bracket, and put quotes around a text that begins with a sign",
    ),
    (
        "mapping values are not allowed",
        "check the indentation, and put quotes around a text that contains `: `",
    ),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("did not find expected key", "indent the keys of one mapping by the same width"),
)


class _Mark(Protocol):
    """Where the parser stands, counted from 0."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


class _Unreadable(Exception):
    """Reading cannot go on."""

    def __init__(
        self, message: str, remedy: str, *, at: Position = START, path: KeyPath = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.at = at
        self.path = path


def read_file(path: Path) -> Reading:
    """Read the file; one that cannot be read at all is a finding, not an exception."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as failure:
        reason = (failure.strerror or "it cannot be opened").lower()
        stop = _Unreadable(
            f"the file cannot be read: {reason}",
            "name an existing, readable file with --config or SMART_LLMROUTER_CONFIG",
        )
        return Reading(document=None, findings=(_finding(str(path), stop),))
    return read_bytes(raw, file=str(path))


def read_bytes(raw: bytes, *, file: str) -> Reading:
    """Read the text of a configuration file that is called `file` in findings."""
    builder = _Builder(file)
    try:
        with _no_garbage_collection():
            root = builder.build(_text(raw))
    except _Unreadable as stop:
        return Reading(
            document=None, findings=(*builder.findings, _finding(file, stop))
        )
    document = Document(
        file=file, root=root, keys=builder.keys, scalars=builder.scalars
    )
    return Reading(document=document, findings=tuple(builder.findings))


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Spare the collector a parse: it makes many objects, and none in cycles.

    With ten thousand callers this saves a third of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def plain_scalar(literal: str) -> Plain:
    """Resolve an unquoted scalar as YAML 1.2 does, without ever using a float."""
    if literal in _WORDS:
        return _WORDS[literal]
    if len(literal) > _LONGEST_NUMBER:
        return literal
    if _INTEGER.fullmatch(literal):
        return int(literal)
    if _DECIMAL.fullmatch(literal):
        return Decimal(literal)
    return literal


def _finding(file: str, stop: _Unreadable) -> Finding:
    return Finding(
        severity="error",
        file=file,
        line=stop.at.line,
        column=stop.at.column,
        key_path=dotted(stop.path),
        message=stop.message,
        remedy=stop.remedy,
    )


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _Unreadable(
            f"the file is larger than {MAX_BYTES} bytes", "make the file smaller"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        before = raw[: failure.start].decode("utf-8-sig", "replace")
        raise _Unreadable(
            "the file is not UTF-8 text",
            "save the file in the encoding UTF-8",
            at=_position_after(before),
        ) from None


def _position_after(before: str) -> Position:
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _at(mark: _Mark | None) -> Position:
    return START if mark is None else Position(mark.line + 1, mark.column + 1)


def _events(text: str) -> Iterator[Event]:
    """Parse; whatever the parser raises becomes one `_Unreadable` with a position.

    What the parser says of a problem never quotes the file, so it can be repeated.
    """
    old_break = _OLD_LINE_BREAKS.search(text)
    if old_break is not None:
        raise _special_character(text[: old_break.start()])
    encoded = text.encode()
    try:
        parser = CSafeLoader(encoded)
        while (event := parser.get_event()) is not None:
            yield event
    except MarkedYAMLError as failure:
        raise _syntax_error(failure) from None
    except ReaderError as failure:
        before = encoded[: failure.position].decode()
        raise _special_character(before) from None


def _syntax_error(failure: MarkedYAMLError) -> _Unreadable:
    problem = failure.problem or "nothing more is known"
    remedy = next(
        (remedy for sign, remedy in _SYNTAX_REMEDIES if sign in problem),
        "check the indentation, brackets and quotes here and on the line above",
    )
    at = _at(failure.problem_mark or failure.context_mark)
    return _Unreadable(f"this is not valid YAML: {problem}", remedy, at=at)


def _special_character(before: str) -> _Unreadable:
    return _Unreadable(
        "this is not valid YAML: special characters are not allowed",
        "remove the control character",
        at=_position_after(before),
    )


class _Builder:
    """Turns the parser's events into plain values and positions."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.keys: dict[KeyPath, Position] = {}
        self.scalars: dict[KeyPath, Position] = {}
        self._anchors: dict[str, tuple[KeyPath, Plain]] = {}
        self._values = 0
        self._events: Iterator[Event] = iter(())

    def build(self, text: str) -> dict[str, Plain]:
        self._events = _events(text)
        next(self._events)
        opening = next(self._events)
        if isinstance(opening, StreamEndEvent):
            raise _Unreadable(
                "the file is empty", "start from examples/router.yaml of the project"
            )
        root = self._value(next(self._events), ())
        next(self._events)
        following = next(self._events)
        if isinstance(following, DocumentStartEvent):
            raise _Unreadable(
                "a second YAML document begins here",
                "keep one document in the file; remove the line `---`",
                at=_at(following.start_mark),
            )
        if not isinstance(root, dict):
            raise _Unreadable(
                "the file must hold a mapping of settings",
                "write keys such as `providers:` at the left margin",
            )
        return root

    def _value(self, event: Event, path: KeyPath) -> Plain:
        at = _at(event.start_mark)
        self._count(at)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        if isinstance(event, _Tagged) and event.tag is not None:
            self._report(path, at, "tags are not used here", "remove the `!` tag")
        value: Plain
        if isinstance(event, ScalarEvent):
            # A value that is not there has no place of its own.
            if event.value or event.style:
                self.scalars[path] = at
            value = event.value if event.style else plain_scalar(event.value)
        elif len(path) >= MAX_DEPTH:
            raise _Unreadable(
                f"values are nested deeper than {MAX_DEPTH} levels",
                "nest less deeply",
                at=at,
            )
        elif isinstance(event, MappingStartEvent):
            value = self._mapping(path)
        else:
            value = self._sequence(path)
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._anchors[event.anchor] = (path, value)
        return value

    def _count(self, at: Position) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _Unreadable(
                f"the file holds more than {MAX_VALUES} values, aliases written out",
                "make the file smaller",
                at=at,
            )

    def _sequence(self, path: KeyPath) -> list[Plain]:
        items: list[Plain] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            item_path = (*path, len(items))
            self.keys[item_path] = _at(event.start_mark)
            items.append(self._value(event, item_path))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Plain]:
        entries: dict[str, Plain] = {}
        first: dict[str, Position] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            at = _at(event.start_mark)
            key = self._key(event, path)
            if key is None or key in first:
                if key is not None:
                    self._report_duplicate((*path, key), at, first[key])
                self._skip(next(self._events))
                continue
            first[key] = at
            entry_path = (*path, key)
            self.keys[entry_path] = at
            entries[key] = self._value(next(self._events), entry_path)
        return entries

    def _key(self, event: Event, path: KeyPath) -> str | None:
        """Return the key's text, or report why it cannot be one."""
        at = _at(event.start_mark)
        if not isinstance(event, ScalarEvent):
            self._skip(event)
            self._report(
                path, at, "a key must be plain text", "write `key: value` with a word"
            )
            return None
        if event.value == "<<" and not event.style:
            self._report(
                path,
                at,
                "merge keys (`<<`) are not supported",
                "write the keys out, or use an alias for a whole value",
            )
            return None
        return event.value

    def _skip(self, event: Event) -> None:
        """Read over a value that is not kept, with all that it holds."""
        depth = 0
        while True:
            self._count(_at(event.start_mark))
            if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
                depth += 1
            elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
                depth -= 1
            if depth == 0:
                return
            event = next(self._events)

    def _alias(self, event: AliasEvent, path: KeyPath) -> Plain:
        at = _at(event.start_mark)
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise _Unreadable(
                "no finished value before this has the anchor of this alias",
                "define the anchor above its use, and not around it",
                at=at,
                path=path,
            )
        origin, value = known
        self._place_again(value, origin, path)
        return value

    def _place_again(self, value: Plain, origin: KeyPath, path: KeyPath) -> None:
        """Let an alias's parts be found where their anchor wrote them."""
        where = self.scalars.get(origin)
        if where is not None:
            self.scalars[path] = where
        parts: Iterator[tuple[str | int, Plain]] = iter(())
        if isinstance(value, dict):
            parts = iter(value.items())
        elif isinstance(value, list):
            parts = iter(enumerate(value))
        for step, part in parts:
            at = self.keys[*origin, step]
            self._count(at)
            self.keys[*path, step] = at
            self._place_again(part, (*origin, step), (*path, step))

    def _report_duplicate(self, path: KeyPath, at: Position, first: Position) -> None:
        self._report(
            path,
            at,
            f"the key {step_text(str(path[-1]))} is here a second time"
            f" (first on line {first.line})",
            "keep one of the two",
        )

    def _report(self, path: KeyPath, at: Position, message: str, remedy: str) -> None:
        self.findings.append(
            Finding(
                severity="error",
                file=self.file,
                line=at.line,
                column=at.column,
                key_path=dotted(path),
                message=message,
                remedy=remedy,
            )
        )
