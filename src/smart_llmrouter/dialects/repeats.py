"""Reading runs of events that differ in nothing but their text.

Most events of a stream do: they are the next words of an answer. What was learned from
the first of a run holds for the others, so that only their texts need be read, and all
that came together at once.
"""

import re
from typing import Final

import msgspec

from smart_llmrouter.core.events import Delta, Event

_END: Final = b"\n\n"
_TRIES: Final = 4
_find_end: Final = re.compile(rb'"(?:[^"\\]|\\.)*"').match
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)


class Repeats:
    """Remembers the last event that told one delta and nothing else.

    Its bytes before and after the text are what the next events are held against. A
    stream whose events always differ elsewhere is not searched for a text for long.
    `delta` is what the last run told.
    """

    __slots__ = (
        "_after",
        "_before",
        "_between",
        "_find_texts",
        "_tries_left",
        "delta",
    )

    def __init__(self, *members: str) -> None:
        """Look for the text in one of `members`, each of which makes a delta."""
        names = "|".join(re.escape(name) for name in members)
        self._find_texts = re.compile(rf'"(?:{names})"\s*:\s*(?=")'.encode()).finditer
        self._before: bytes | None = None
        self._after = self._between = b""
        self._tries_left = _TRIES
        self.delta = Delta(0, "")

    def read(self, block: bytes, start: int) -> int:
        """Read the events from `start` on that are like the last one.

        Returns where they end, which is at `start` if there are none. There is no CR
        in `block`.
        """
        before = self._before
        if before is None or not block.startswith(before, start):
            return start
        rest = block[start + len(before) :]
        text = rest.removesuffix(self._after)
        if text.find(b"\n") < 0 and len(text) < len(rest):
            # One event, as in a stream that is not in a hurry.
            said, end = _text_of(text), len(block)
        else:
            said, end = self._run_in(rest, start)
        if said is None:
            return start
        self._tries_left = _TRIES
        self.delta = Delta(self.delta.index, said)
        return end

    def _run_in(self, rest: bytes, start: int) -> tuple[str | None, int]:
        """Read a run whose first event begins at `start`, and `rest` behind that.

        Returns what it says, and where it ends.
        """
        *texts, last = rest.split(self._between)
        text, found, _ = last.partition(self._after)
        # What follows the run may begin as the run does, and go on in another way.
        if found and _text_of(text) is not None:
            texts.append(text)
        try:
            # In no string of JSON is a line end: each of them is one string, or more.
            said = _decode_texts(b"[%b]" % b",\n".join(texts))
        except _UNREADABLE:
            return None, start
        if not texts or len(said) != len(texts):
            return None, start
        size = sum(map(len, texts)) + len(texts) * len(self._between)
        return "".join(said), start + size

    def learn(self, event: bytes, told: list[Event]) -> None:
        """Remember an event with its blank line, and what it told, or forget the last.

        An event that told anything else than one delta is not remembered.
        """
        self._before = None
        if len(told) != 1 or not self._tries_left:
            return
        delta = told[0]
        if type(delta) is Delta and event.endswith(_END):
            self._tries_left -= 1
            self._remember(event, delta)

    def _remember(self, event: bytes, delta: Delta) -> None:
        places = [found.end() for found in self._find_texts(event)]
        found = _find_end(event, places[0]) if len(places) == 1 else None
        if found is None or _text_of(found[0]) != delta.text:
            return
        self._before, self._after = event[: found.start()], event[found.end() :]
        self._between = self._after + self._before
        self.delta = delta


def _text_of(text: bytes) -> str | None:
    try:
        return _decode_text(text)
    except _UNREADABLE:
        return None
