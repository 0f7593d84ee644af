"""Half a surrogate pair is neither refused nor changed."""

import pytest

from smart_llmrouter.dialects.openai_chat.answers import parse_answer
from smart_llmrouter.dialects.openai_chat.requests import parse_request
from smart_llmrouter.dialects.openai_chat.streams import StreamMeter
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.surrogates import has_half_pairs, without_half_pairs

HALVES = (rb"\ud83d", rb"\uDE00", rb"x\ud83dx", rb"\ud83d\ud83d", rb"\ude00\ud83d")


@pytest.mark.parametrize("half", HALVES)
def test_a_half_is_found_and_replaced_by_as_many_bytes(half: bytes) -> None:
    """Places in the copy are places in the original."""
    copy = without_half_pairs(half)

    assert has_half_pairs(half)
    assert not has_half_pairs(copy)
    assert len(copy) == len(half)


@pytest.mark.parametrize("text", [rb"\ud83d\ude00", rb"\\ud83d", rb"\\\\ude00", rb"\n"])
def test_what_is_no_half_is_left_alone(text: bytes) -> None:
    """Neither a whole emoji nor an escaped backslash before these letters is one."""
    assert without_half_pairs(text) == text
    assert not has_half_pairs(text)


def test_a_key_that_is_a_half_is_refused() -> None:
    """It could not be sent on as it was written."""
    with pytest.raises(NotAnObject, match="key"):
        parse_members(rb'{"\ud83d": 1}')


@pytest.mark.parametrize("half", HALVES)
def test_a_request_with_a_half_keeps_each_value_as_it_was_written(half: bytes) -> None:
    """The slow way around the decoder finds the same values at the same places."""
    written = {
        "model": b'"chat"',
        "emoji": '"\N{GRINNING FACE}é"'.encode(),
        "messages": b'[{"role": "user", "content": "' + half + rb' \" , : {"}]',
        "n": b"1.00",
        "deep": b'{ "a" :[1,2 , {"messages": "x"}] }',
    }
    body = (
        b" { "
        + b" ,\n".join(
            b'"%b" : %b' % (key.encode(), value) for key, value in written.items()
        )
        + b" } "
    )

    members = parse_members(body)

    assert {key: bytes(raw) for key, raw in members.items()} == written
    assert list(members) == list(written)
    assert half in render_members(members)
    assert parse_request(body).model == "chat"


def test_the_last_of_two_equal_keys_wins_here_too() -> None:
    """The value that is read is the one that is sent on."""
    members = parse_members(rb'{"a": "\ud83d", "b": 2, "a": "\ude00"}')

    assert {key: bytes(raw) for key, raw in members.items()} == {
        "a": rb'"\ude00"',
        "b": b"2",
    }


@pytest.mark.parametrize(
    "body",
    [rb'{"a": "\ud83d"', rb'{"a": "\ud83d"} x', rb'["\ud83d"]', rb'{"a": "\ud83d" 1}'],
)
def test_a_half_excuses_nothing_else(body: bytes) -> None:
    """What is no object for another reason is still refused."""
    with pytest.raises(NotAnObject):
        parse_members(body)


def test_an_answer_with_a_half_is_an_answer() -> None:
    """Its usage is read although its text is cut inside an emoji."""
    usage = parse_answer(
        rb'{"choices": [{"message": {"content": "\ud83d"}}],'
        rb' "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'
    )

    assert (usage.input_tokens, usage.output_tokens) == (3, 1)


def test_a_stream_may_bring_an_emoji_in_two_halves() -> None:
    """Both chunks pass untouched, and the first one means something."""
    halves = [
        rb'data: {"choices": [{"delta": {"content": "\ud83d"}}]}' + b"\n\n",
        rb'data: {"choices": [{"delta": {"content": "\ude00"}}]}' + b"\n\n",
    ]
    meter = StreamMeter(strip_usage=True)

    passed = [meter.feed(half) for half in halves]

    assert passed == halves
    assert meter.meaningful
