"""Answers in memory: never more bytes than there may be, and none that is too old."""

import gc
import tracemalloc
from collections import OrderedDict
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.cache.answers import Answer
from smart_llmrouter.cache.memory import AnswersInMemory
from smart_llmrouter.core.notes import Note

TTL_S: Final = 10.0
ROOM: Final = 20_000


class Hands:
    """A clock that a test turns."""

    def __init__(self) -> None:
        """Begin at a thousand seconds."""
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def answer(size: int, notes: int = 0) -> Answer:
    """Return an answer with so large a body."""
    return Answer(
        label="acme/mini",
        identity=bytes(16),
        notes=tuple(Note("dropped", f"f{n}", "why") for n in range(notes)),
        body=bytes(size),
    )


def memory(hands: Hands, *, max_bytes: int = ROOM) -> AnswersInMemory:
    """Return one with room."""
    answers = AnswersInMemory(salt=b"salt", now=hands)
    answers.bound(max_bytes=max_bytes, ttl_s=TTL_S)
    return answers


def test_what_is_kept_is_found_until_it_is_too_old() -> None:
    """With its age, and not one moment longer."""
    hands = Hands()
    answers = memory(hands)
    answers.put(b"a", answer(5))

    hands.now_s += 9.5
    found = answers.get(b"a")
    hands.now_s += 0.5
    gone = answers.get(b"a")

    assert found == (answer(5), 9.5)
    assert gone is None
    assert (len(answers), answers.bytes) == (0, 0)
    assert answers.dropped == {"room": 0, "age": 1}


def test_without_room_nothing_is_kept() -> None:
    """As it is before any room was given, and for what is too large alone."""
    hands = Hands()
    answers = AnswersInMemory(salt=b"", now=hands)

    before = answers.put(b"a", answer(5))
    answers.bound(max_bytes=ROOM, ttl_s=TTL_S)
    large = answers.put(b"a", answer(ROOM))

    assert (before, large) == ("too-large", "too-large")
    assert (len(answers), answers.bytes) == (0, 0)


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    """To be asked for is to be used; to be kept is, too."""
    answers = memory(Hands())
    for key in (b"a", b"b", b"c"):
        answers.put(key, answer(5000))

    answers.get(b"a")
    answers.put(b"d", answer(5000))

    assert [answers.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [
        True,
        False,
        True,
        True,
    ]
    assert answers.dropped == {"room": 1, "age": 0}


def test_other_bounds_hold_at_once() -> None:
    """For less room and less time, what is too much goes; without any, everything."""
    hands = Hands()
    answers = memory(hands)
    for number in range(3):
        answers.put(b"%d" % number, answer(4000))
        hands.now_s += 2

    answers.bound(max_bytes=ROOM, ttl_s=5.0)
    young = len(answers)
    answers.bound(max_bytes=6000, ttl_s=5.0)
    few = len(answers)
    answers.bound(max_bytes=0, ttl_s=0.0)

    assert (young, few, len(answers), answers.bytes) == (2, 1, 0, 0)


def test_sweeping_lets_go_of_what_nobody_asks_for() -> None:
    """What was asked for lately is as old as it is."""
    hands = Hands()
    answers = memory(hands)
    answers.put(b"a", answer(5))
    hands.now_s += 5
    answers.put(b"b", answer(5))
    answers.get(b"a")

    hands.now_s += 5
    answers.sweep()

    assert (len(answers), answers.dropped["age"]) == (1, 1)
    assert answers.get(b"b") is not None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["get", "put", "sweep", "bound"]),
        st.integers(0, 5),
        st.integers(0, 9000),
        st.floats(0, 4),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_is_a_bounded_map_with_ages(
    steps: list[tuple[str, int, int, float]],
) -> None:
    """Against a simple model: the same answers, never too many bytes, none too old."""
    hands = Hands()
    answers, room = memory(hands), ROOM
    model: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
    sizes: dict[bytes, int] = {}
    for what, number, size, later_s in steps:
        hands.now_s += later_s
        key = b"%d" % number
        for old in [k for k, (at, _) in model.items() if hands.now_s - at >= TTL_S]:
            del model[old]
        if what == "get":
            found = answers.get(key)
            if key in model:
                model.move_to_end(key)
            expected = model.get(key)
            assert (None if found is None else found.answer) == (
                None if expected is None else expected[1]
            )
        elif what == "put":
            _put(answers, model, sizes, key, answer(size), hands.now_s, room)
        elif what == "sweep":
            answers.sweep()
            assert len(answers) == len(model)
        else:
            room = 5000 + size
            answers.bound(max_bytes=room, ttl_s=TTL_S)
            while sum(sizes[k] for k in model) > room:
                model.popitem(last=False)
        assert answers.bytes <= room
    answers.sweep()
    assert answers.bytes == sum(sizes[key] for key in model)


def _put(
    answers: AnswersInMemory,
    model: OrderedDict[bytes, tuple[float, Answer]],
    sizes: dict[bytes, int],
    key: bytes,
    given: Answer,
    now_s: float,
    room: int,
) -> None:
    alone = AnswersInMemory(salt=b"", now=lambda: 0.0)
    alone.bound(max_bytes=1 << 30, ttl_s=TTL_S)
    alone.put(b"k", given)
    answers.sweep()
    stored = answers.put(key, given)
    model.pop(key, None)
    if alone.bytes > room:
        assert stored == "too-large"
        return
    while sum(sizes[k] for k in model) + alone.bytes > room:
        model.popitem(last=False)
    model[key], sizes[key] = (now_s, given), alone.bytes
    assert stored == "stored"


@pytest.mark.parametrize(("size", "notes"), [(20, 0), (200, 0), (200, 5), (20_000, 0)])
def test_what_is_counted_is_what_it_takes(size: int, notes: int) -> None:
    """The memory of the process grows by no more, and by most of it."""
    count = 500
    answers = memory(Hands(), max_bytes=1 << 30)

    gc.collect()
    tracemalloc.start()
    try:
        for number in range(count):
            answers.put(b"%024d" % number, answer(size, notes))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(answers) == count
    assert 0.4 * answers.bytes < taken <= answers.bytes
