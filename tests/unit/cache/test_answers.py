"""Answers as they are written into a store, and what is read of others."""

import msgspec
import pytest

from smart_llmrouter.cache.answers import Answer, decode_answer, encode_answer
from smart_llmrouter.core.notes import Note

ANSWER = Answer(
    label="acme/mini",
    identity=b"i" * 16,
    notes=(Note("dropped", "seed", "none there"),),
    body=b"\x00\xff{}",
)


def test_what_was_written_is_read_again() -> None:
    """With its age in seconds, which no clock that goes back makes negative."""
    written = encode_answer(ANSWER, kept_ms=5000)

    assert decode_answer(written, now_ms=6500) == (ANSWER, 1.5)
    assert decode_answer(written, now_ms=0) == (ANSWER, 0.0)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"nonsense",
        encode_answer(ANSWER, kept_ms=5)[:-1],
        msgspec.msgpack.encode([2, 5, ["a", b"", [], b""]]),
        msgspec.msgpack.encode([1, 5, ["a", b""]]),
        msgspec.msgpack.encode({"form": 1}),
    ],
)
def test_what_others_wrote_is_nothing(written: bytes) -> None:
    """Another form, another program, or half of it."""
    assert decode_answer(written, now_ms=0) is None
