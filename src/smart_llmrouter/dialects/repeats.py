"""Reading runs of events that differ in nothing but their text.

Most events of a stream do: they are the next words of an answer. What was learned from
the first of a run holds for the others, so that only their texts need be read, and all
that came together at once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.events import Closed, Delta, Event, Opened, Started

_END: Final = b"\n\n"
_TRIES: Final = 4
_SEAM_BYTES: Final = 8
_find_end: Final = re.compile(rb'"(?:[^"\\]|\\.)*"').match
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode
_BEFORE_A_PART: Final = frozenset({Started, Closed})
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)

_NOTHING: Final = Delta(0, "")

TextFinder = Callable[[bytes], Iterator[re.Match[bytes]]]
"""Finds the places in an event after which a text begins."""


def texts_of(*members: str) -> TextFinder:
    """Return what finds the texts of `members`, each of which makes a delta."""
    names = "|".join(re.escape(name) for name in members)
    return re.compile(rf'"(?:{names})"\s*:\s*(?=")'.encode()).finditer


class Repeats:
    """Remembers the last event that told one delta, and nothing that comes again.

    Its bytes before and after the text are what the next events are held against. A
    stream whose events always differ elsewhere is not searched for a text for long.
    `delta` is what the last run told.
    """

    __slots__ = (
        "_after",
        "_around_bytes",
        "_before",
        "_find_texts",
        "_head",
        "_seam",
        "_tail",
        "_tries_left",
        "delta",
    )

    def __init__(self, find_texts: TextFinder) -> None:
        """Look for the text with `find_texts`."""
        self._find_texts = find_texts
        self._before: bytes | None = None
        self._after = self._seam = self._head = self._tail = b""
        self._around_bytes = 0
        self._tries_left = _TRIES
        self.delta = _NOTHING

    def read(self, block: bytes, start: int) -> int:
        """Read the events from `start` on that are like the last one.

        Returns where they end, which is at `start` if there are none. There is no CR
        in `block`.
        """
        before = self._before
        if before is None or not block.startswith(before, start):
            return start
        begin = start + len(before)
        if block.find(_END, begin) == len(block) - len(_END):
            # One event, as in a stream that is not in a hurry.
            said, end = self._one_in(block, begin), len(block)
        else:
            said, end = self._run_in(block, start)
        if said is None:
            return start
        self._tries_left = _TRIES
        self.delta = Delta(self.delta.index, said)
        return end

    def _one_in(self, block: bytes, begin: int) -> str | None:
        """Return what the only event says whose text begins at `begin`."""
        if not block.endswith(self._after):
            return None
        return _text_of(block[begin : -len(self._after)])

    def _run_in(self, block: bytes, start: int) -> tuple[str | None, int]:
        """Read a run whose first event begins at `start`.

        Returns what it says, and where it ends.
        """
        texts = self._texts_in(block[start + _SEAM_BYTES :])
        try:
            # In no string of JSON is a line end: each of them is one string, or more.
            said = _decode_texts(b"[%b]" % b",\n".join(texts))
        except _UNREADABLE:
            return None, start
        if not texts or len(said) != len(texts):
            return None, start
        size = sum(map(len, texts)) + len(texts) * self._around_bytes
        return "".join(said), start + size

    def _texts_in(self, run: bytes) -> list[bytes]:
        """Return the texts of the events that `run` begins with, as they are written.

        Events are cut apart at the few bytes where two of them meet: to find a long
        pattern again and again takes CPython several times as long.
        """
        head, tail = self._head, self._tail
        begin, end = len(head), -len(tail)
        texts: list[bytes] = []
        *events, last = run.split(self._seam)
        for event in events:
            if not (event.startswith(head) and event.endswith(tail)):
                last = event
                break
            texts.append(event[begin:end])
        # What follows the run may begin as it does, and go on in another way.
        text, found, _ = last[begin:].partition(self._after)
        if found and last.startswith(head) and _text_of(text) is not None:
            texts.append(text)
        return texts

    def learn(self, event: bytes, told: Sequence[Event]) -> None:
        """Remember an event with its blank line, and what it told, or forget the last.

        An event that told anything else than one delta is not remembered, but for the
        beginning of a text, which is told only once.
        """
        self._before = None
        if not told or not self._tries_left:
            return
        delta = told[-1]
        if type(delta) is Delta and event.endswith(_END) and _is_one_text(told):
            self._tries_left -= 1
            self._remember(event, delta)

    def _remember(self, event: bytes, delta: Delta) -> None:
        places = [found.end() for found in self._find_texts(event)]
        found = _find_end(event, places[0]) if len(places) == 1 else None
        if found is None or _text_of(found[0]) != delta.text:
            return
        before, after = event[: found.start()], event[found.end() :]
        self._before, self._after = before, after
        self._around_bytes = len(before) + len(after)
        self._seam = _END + before[:_SEAM_BYTES]
        self._head, self._tail = before[_SEAM_BYTES:], after[: -len(_END)]
        self.delta = delta


def _text_of(text: bytes) -> str | None:
    try:
        return _decode_text(text)
    except _UNREADABLE:
        return None


def _is_one_text(told: Sequence[Event]) -> bool:
    """Say whether the last of these is a delta that is told alone the next time.

    A call may begin anew in each event that names it; a text or a thought goes on.
    """
    if len(told) == 1:
        return True
    *before, opened, _ = told
    return (
        type(opened) is Opened
        and opened.kind != "tool_call"
        and all(type(event) in _BEFORE_A_PART for event in before)
    )
