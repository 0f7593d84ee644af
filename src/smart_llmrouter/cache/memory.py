"""Keeping answers in the memory of this process.

What was asked for longest ago goes first where there is no more room, and whatever has
been kept for `ttl_s` goes at the latest a second later. All that an answer takes of the
memory counts: its bytes, its key, and what Python needs for both.
"""

import sys
from collections import OrderedDict
from typing import Final

import msgspec

from smart_llmrouter.cache.answers import Answer, Found
from smart_llmrouter.cache.keys import Key
from smart_llmrouter.cache.words import Reason
from smart_llmrouter.core.clock import Monotonic

DROPS: Final = ("room", "age")
"""Why answers are let go of: others need the room, or they are too old."""

_OVERHEAD_BYTES: Final = 900
"""What an answer takes beside its bytes, its label and its notes."""
_NOTE_BYTES: Final = 400


class _Slot(msgspec.Struct, frozen=True):
    answer: Answer
    kept_s: float
    size_bytes: int


class AnswersInMemory:
    """Answers by their keys: no more than `max_bytes` of them, which is 0 at first."""

    def __init__(self, *, salt: bytes, now: Monotonic) -> None:
        """Keep nothing yet; `salt` is for the hashes that keys are."""
        self.salt = salt
        self._now = now
        self._slots: OrderedDict[Key, _Slot] = OrderedDict()
        self._by_age: OrderedDict[Key, None] = OrderedDict()
        self._max_bytes = 0
        self._ttl_s = 0.0
        self.bytes = 0
        """What all of them take together."""
        self.dropped = dict.fromkeys(DROPS, 0)
        """How many were let go of, by why."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._slots)

    def bound(self, *, max_bytes: int, ttl_s: float) -> None:
        """Keep no more than so much from now on, and nothing for longer than so."""
        self._max_bytes, self._ttl_s = max_bytes, ttl_s
        self.sweep()
        self._make_room(0)

    def get(self, key: Key) -> Found | None:
        """Return what is kept under a key, if anything is."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        age_s = self._now() - slot.kept_s
        if age_s >= self._ttl_s:
            self._drop(key, "age")
            return None
        self._slots.move_to_end(key)
        return Found(slot.answer, age_s)

    def put(self, key: Key, answer: Answer) -> Reason:
        """Keep an answer, in the place of another one with this key: `stored`."""
        if key in self._slots:
            self._forget(key)
        size_bytes = _size_of(answer)
        if size_bytes > self._max_bytes:
            return "too-large"
        self._make_room(size_bytes)
        self._slots[key] = _Slot(answer, self._now(), size_bytes)
        self._by_age[key] = None
        self.bytes += size_bytes
        return "stored"

    def sweep(self) -> None:
        """Let go of what is too old."""
        oldest_s = self._now() - self._ttl_s
        while self._by_age:
            key = next(iter(self._by_age))
            if self._slots[key].kept_s > oldest_s:
                break
            self._drop(key, "age")

    def _make_room(self, size_bytes: int) -> None:
        while self._slots and self.bytes + size_bytes > self._max_bytes:
            self._drop(next(iter(self._slots)), "room")

    def _drop(self, key: Key, why: str) -> None:
        self._forget(key)
        self.dropped[why] += 1

    def _forget(self, key: Key) -> None:
        self.bytes -= self._slots.pop(key).size_bytes
        del self._by_age[key]


def _size_of(answer: Answer) -> int:
    return (
        sys.getsizeof(answer.body)
        + len(answer.label)
        + _NOTE_BYTES * len(answer.notes)
        + _OVERHEAD_BYTES
    )
