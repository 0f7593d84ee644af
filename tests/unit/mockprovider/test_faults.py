"""Answers and steps as actions on a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.mockprovider.faults import (
    HangUp,
    Pause,
    Send,
    Stall,
    performance,
)
from smart_llmrouter.mockprovider.http import Answer, Event, head
from smart_llmrouter.mockprovider.script import Drip, Step

STREAM = Answer(events=(Event(data=b"1"), Event(data=b"2"), Event(data=b"[DONE]")))
PLAIN = Answer(body=b"hello")


def sent(actions: tuple[object, ...]) -> bytes:
    """Return all bytes of `actions`."""
    return b"".join(action.data for action in actions if isinstance(action, Send))


@pytest.mark.parametrize("answer", [STREAM, PLAIN])
def test_an_answer_without_faults_is_one_write(answer: Answer) -> None:
    """What needs no time takes one action."""
    actions = performance(answer, Step(), keep_alive=True)

    assert len(actions) == 1
    assert isinstance(actions[0], Send)


@given(place=st.integers(0, 400), stream=st.booleans(), drip=st.integers(1, 50))
def test_a_hang_up_leaves_exactly_so_many_bytes(
    place: int, drip: int, *, stream: bool
) -> None:
    """Whatever else the step does, the cut is at its byte."""
    answer = STREAM if stream else PLAIN
    whole = sent(performance(answer, Step(), keep_alive=True))

    actions = performance(
        answer,
        Step(hang_up_at_byte=place, drip=Drip(bytes=drip)),
        keep_alive=True,
    )

    assert sent(actions) == whole[:place]
    assert actions[-1] == HangUp(rst=False)


@given(delay_ms=st.integers(0, 5), first_ms=st.integers(0, 5), head_first=st.booleans())
def test_delays_change_no_byte(
    delay_ms: int, first_ms: int, *, head_first: bool
) -> None:
    """However an answer is spread over time, its bytes are the same."""
    step = Step(
        delay_between_ms=delay_ms, delay_first_ms=first_ms, head_first=head_first
    )

    actions = performance(STREAM, step, keep_alive=True)

    assert sent(actions) == sent(performance(STREAM, Step(), keep_alive=True))


def test_pauses_stand_between_events() -> None:
    """The first event comes with the head, the last with the end of the body."""
    actions = performance(STREAM, Step(delay_between_ms=7), keep_alive=True)

    assert [type(action) for action in actions] == [Send, Pause, Send, Pause, Send]
    assert actions[1] == Pause(0.007)


def test_the_head_may_come_first() -> None:
    """With `head_first` the delay stands between the head and the rest."""
    step = Step(delay_first_ms=9, head_first=True)

    actions = performance(PLAIN, step, keep_alive=True)

    assert actions == (
        Send(head(PLAIN, keep_alive=True)),
        Pause(0.009),
        Send(b"hello"),
    )


def test_the_earlier_of_stall_and_hang_up_wins() -> None:
    """Only one end is possible, and it is the first that is reached."""
    stalls = performance(
        PLAIN, Step(stall_at_byte=3, hang_up_at_byte=9), keep_alive=True
    )
    hangs = performance(
        PLAIN, Step(stall_at_byte=9, hang_up_at_byte=3), keep_alive=True
    )

    assert stalls[-1] == Stall()
    assert hangs[-1] == HangUp(rst=False)


def test_a_place_beyond_the_end_leaves_the_answer_whole() -> None:
    """All bytes come, and then the connection ends."""
    actions = performance(PLAIN, Step(hang_up_at_byte=9999), keep_alive=True)

    assert sent(actions) == sent(performance(PLAIN, Step(), keep_alive=True))
    assert actions[-1] == HangUp(rst=False)
