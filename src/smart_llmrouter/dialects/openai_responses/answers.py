"""Reading a plain answer: its usage as it passes, or all of it."""

from collections.abc import Sequence
from typing import Final

from smart_llmrouter.core.events import Event
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import NotAnAnswer
from smart_llmrouter.dialects.openai_responses.reading import Reading
from smart_llmrouter.dialects.openai_responses.schema import (
    WireResponse,
    read_response,
    usage_from,
)
from smart_llmrouter.wire.rawvalues import UNREADABLE

_FAILED: Final = "failed"
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def usage_of_answer(body: bytes) -> Usage:
    """Return the usage that a plain answer reports, if only half of one came.

    Raises `NotAnAnswer` when the body is no answer: a 200 alone is none, and neither is
    one that failed.
    """
    answer = _answer(body)
    if answer.status == _FAILED:
        raise NotAnAnswer
    return usage_from(answer.usage)


def stored_id_of(body: bytes) -> str | None:
    """Return the id of an answer that its provider keeps, if it does."""
    answer = _answer(body)
    return None if answer.store is False else answer.id


def read_answer(body: bytes) -> Sequence[Event]:
    """Read a plain answer. Raises `NotAnAnswer`, also for one that is still made."""
    answer = _answer(body)
    if answer.status in _UNFINISHED:
        raise NotAnAnswer
    reading = Reading()
    try:
        reading.finish(answer, answer.status or "completed")
    except UNREADABLE:
        raise NotAnAnswer from None
    return reading.taken()


def _answer(body: bytes) -> WireResponse:
    try:
        answer = read_response(body)
    except UNREADABLE:
        raise NotAnAnswer from None
    if answer.output is None and answer.object != "response":
        raise NotAnAnswer
    return answer
