"""Runs of events that differ in nothing but their text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.events import Delta, Event, Opened, Started, UsageSeen
from smart_llmrouter.core.usage import UNKNOWN_USAGE
from smart_llmrouter.dialects.openai_chat.decoder import ChatDecoder
from smart_llmrouter.dialects.repeats import Repeats, texts_of


def event(text: str, **more: object) -> bytes:
    """Write one event with a text."""
    return b"data: %b\n\n" % json.dumps({"n": 1, "content": text} | more).encode()


def taught(text: str = "one", **more: object) -> Repeats:
    """Return what has seen an event that told `text` for the part 3."""
    repeats = Repeats(texts_of("content", "arguments"))
    repeats.learn(event(text, **more), [Delta(3, text)])
    return repeats


def test_a_run_is_read_at_once() -> None:
    """All events that are like the last one are one delta, up to the first other."""
    repeats = taught()
    run = event(" two") + event(' "three"\n') + event("")
    block = b": before\n\n" + run + event("four", end=True)

    end = repeats.read(block, len(b": before\n\n"))

    assert block[:end] == b": before\n\n" + run
    assert repeats.delta == Delta(3, ' two "three"\n')


def test_the_event_that_begins_a_text_is_like_those_that_go_on_with_it() -> None:
    """That a text begins is told once only, so that the next event tells its text."""
    repeats = Repeats(texts_of("content"))
    repeats.learn(event("one"), [Started(), Opened(3, "text"), Delta(3, "one")])

    end = repeats.read(event(" two"), 0)

    assert end == len(event(" two"))
    assert repeats.delta == Delta(3, " two")


def test_one_event_is_read_alone() -> None:
    """A stream that is not in a hurry brings one event at a time."""
    repeats = taught()

    end = repeats.read(event(" two"), 0)

    assert end == len(event(" two"))
    assert repeats.delta == Delta(3, " two")


@pytest.mark.parametrize(
    "block",
    [
        event("two", end=True),
        event("two").replace(b'"n": 1', b'"n": 2'),
        event("two").replace(b'"two"', b"2"),
        event("two").replace(b'"two"', b'"two", "n": "three"'),
        event("two").replace(b'"two"', b'"\\ud83d"'),
        event("two").replace(b'"two"', b'"two'),
        event("two").replace(b'"two"', b'"two') + event("three"),
        b": nothing\n\n",
    ],
    ids=["more", "before", "number", "member", "half", "open", "torn", "comment"],
)
def test_what_differs_elsewhere_is_not_read(block: bytes) -> None:
    """Only a text may be different; whatever else is, is left to who knows it."""
    repeats = taught()

    end = repeats.read(block, 0)

    assert end == 0


def test_what_ends_in_another_way_is_not_read() -> None:
    """The bytes behind the text count as much as those before it."""
    repeats = taught(end=True)

    end = repeats.read(event("two"), 0)

    assert end == 0


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (event("one"), []),
        (event("one"), [Opened(3, "tool_call"), Delta(3, "one")]),
        (event("one"), [UsageSeen(UNKNOWN_USAGE), Delta(3, "one")]),
        (event("one"), [Opened(3, "text")]),
        (event("one"), [Delta(3, "other")]),
        (event("one", arguments="one"), [Delta(3, "one")]),
        (event("one").replace(b"content", b"text"), [Delta(3, "one")]),
        (event("one").replace(b'"one"', b'"\\ud83d"'), [Delta(3, "one")]),
        (event("one")[:-1], [Delta(3, "one")]),
    ],
    ids=[
        "nothing",
        "call",
        "usage",
        "no-delta",
        "other",
        "twice",
        "name",
        "half",
        "cut",
    ],
)
def test_what_told_more_than_a_text_is_no_pattern(
    seen: bytes, told: list[Event]
) -> None:
    """An event is remembered if its text is all that it told, and stands there once."""
    repeats = taught()

    repeats.learn(seen, told)

    assert repeats.read(event("two"), 0) == 0


def test_a_stream_that_never_repeats_is_not_searched_for_long() -> None:
    """After a few events in vain nothing is learned any more."""
    repeats = Repeats(texts_of("content"))
    for number in range(5):
        repeats.learn(event("one", number=number), [Delta(0, "one")])

    assert repeats.read(event("two", number=4), 0) == 0


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(1, 400))
def test_a_chat_stream_says_the_same_however_it_is_cut(
    texts: list[str], size: int
) -> None:
    """The text of an answer is that of its chunks, run or not."""
    stream = b"".join(
        b"data: %b\n\n"
        % json.dumps({"id": "a", "choices": [{"delta": {"content": text}}]}).encode()
        for text in texts
    )
    decoder = ChatDecoder()

    told = [
        each
        for start in range(0, len(stream), size)
        for each in decoder.feed(stream[start : start + size])
    ]

    assert "".join(each.text for each in told if isinstance(each, Delta)) == "".join(
        texts
    )
