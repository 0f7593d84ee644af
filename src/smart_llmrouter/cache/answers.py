"""Answers as they are kept, and how they are written into a store that many share."""

from collections.abc import Awaitable
from typing import Final, NamedTuple, Protocol

import msgspec

from smart_llmrouter.cache.keys import Key
from smart_llmrouter.cache.words import Reason
from smart_llmrouter.core.notes import Note

FORM: Final = 1
"""To be raised with any change of what is written."""


class Answer(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A whole answer: a plain one, or all events of a stream, as the caller had them.

    `label` names the target that gave it, and `identity` is what that was then; see
    `keys.identity_of`. `notes` are what its translation could not carry.
    """

    label: str
    identity: bytes
    notes: tuple[Note, ...]
    body: bytes


class Found(NamedTuple):
    """An answer that was kept, and for how many seconds it has been."""

    answer: Answer
    age_s: float


class _Written(msgspec.Struct, frozen=True, array_like=True):
    form: int
    kept_ms: int
    answer: Answer


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Written).decode


def encode_answer(answer: Answer, *, kept_ms: int) -> bytes:
    """Write an answer that is kept from `kept_ms` on, in ms since 1970 UTC."""
    return _encode(_Written(FORM, kept_ms, answer))


def decode_answer(written: bytes, *, now_ms: int) -> Found | None:
    """Read what was written; nothing where it was another program that wrote it."""
    try:
        form, kept_ms, answer = msgspec.structs.astuple(_decode(written))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if form != FORM:
        return None
    return Found(answer, max(0, now_ms - kept_ms) / 1000)


class Answers(Protocol):
    """Where answers are kept."""

    @property
    def salt(self) -> bytes:
        """What all keys here are hashed with."""

    def get(self, key: Key) -> Found | Awaitable[Found | None] | None:
        """Return what is kept under a key, at once or when awaited."""

    def put(self, key: Key, answer: Answer) -> Reason:
        """Keep an answer: `stored`, or why it is not."""
