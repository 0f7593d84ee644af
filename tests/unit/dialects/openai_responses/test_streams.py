"""The meter: a provider's bytes pass as they are, and what they tell is known."""

import json

import pytest

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import Meter, NotAStream
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.openai_responses import answer, completed, sse

BEGUN = {"type": "response.created", "response": answer(status="in_progress")}
DELTA = {
    "type": "response.output_text.delta",
    "delta": 'he said "response" and "error": "response.completed"',
}
FAILED = {
    "type": "response.failed",
    "response": answer(status="failed", error={"code": "x", "message": "broken"}),
}
USED = Usage(
    input_tokens=12,
    cached_input_tokens=4,
    cache_write_5m_tokens=2,
    output_tokens=7,
    reasoning_tokens=3,
)


def meter() -> Meter:
    """Return a meter before its first event."""
    return OPENAI_RESPONSES.meter(OPENAI_RESPONSES.peek(b'{"input":"hi"}'))


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
def test_the_last_event_is_kept_back(kind: str) -> None:
    """What comes before it passes; what comes after it does not."""
    last = sse({"type": f"response.{kind}", "response": answer(status=kind)})
    follow, stream = meter(), sse(BEGUN, DELTA, DELTA)

    passed = follow.feed(stream) + follow.feed(last + b"data: [DONE]\n\n")

    assert passed == stream
    assert (follow.done, follow.finished, follow.ending) == (True, True, last)
    assert (follow.usage, follow.stored_id) == (USED, "resp_1")
    assert follow.feed(sse(DELTA)) == b""
    assert (follow.end(), follow.error, follow.failed) == (b"", None, False)


@pytest.mark.parametrize(
    ("store", "stored"), [(True, "resp_1"), (None, "resp_1"), (False, None)]
)
def test_the_id_of_an_answer_that_is_kept(store: object, stored: object) -> None:
    """Only such an answer can be gone on from, whether it came as a stream or not."""
    follow = meter()
    follow.feed(sse(BEGUN, DELTA, completed(store=store)))
    plain = json.dumps(answer(store=store)).encode()

    assert follow.stored_id == stored
    assert OPENAI_RESPONSES.stored_id(plain) == stored


@pytest.mark.parametrize(
    ("given", "read"), [(b'"resp_1"', "resp_1"), (b"null", None), (b"1", None)]
)
def test_the_answer_that_a_request_goes_on_from(given: bytes, read: object) -> None:
    """It is named by its id."""
    body = b'{"input":"hi","previous_response_id":%b}' % given

    assert OPENAI_RESPONSES.goes_on_from(OPENAI_RESPONSES.peek(body)) == read


@pytest.mark.parametrize("kind", ["created", "in_progress", "queued"])
def test_an_opening_means_nothing(kind: str) -> None:
    """Another target may still be asked."""
    follow = meter()
    opening = sse({"type": f"response.{kind}", "response": answer()})

    assert follow.feed(b": hello\n\n" + opening) == b": hello\n\n" + opening
    assert not follow.meaningful
    assert follow.stored_id == "resp_1"
    assert follow.usage is UNKNOWN_USAGE


@pytest.mark.parametrize(
    "event",
    [
        DELTA,
        {"type": "response.output_item.added", "item": {"type": "message"}},
        {"type": "response.web_search_call.in_progress"},
    ],
)
def test_content_means_something(event: dict[str, object]) -> None:
    """From here on the caller has an answer."""
    follow = meter()

    follow.feed(sse(BEGUN, event))

    assert follow.meaningful


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([BEGUN, FAILED], {"code": "x", "message": "broken"}),
        ([{"type": "response.failed"}], {}),
        ([{"type": "error", "code": "x"}], None),
        ([{"type": "error", "error": {"code": "x"}}], {"code": "x"}),
        ([{"type": "", "error": {"code": "x"}}], {"code": "x"}),
    ],
)
def test_an_error_before_the_answer(
    events: list[dict[str, object]], error: object
) -> None:
    """Nothing of it is sent on, so that another target can be asked."""
    follow = meter()

    passed = follow.feed(sse(*events))

    assert passed == sse(*events[:-1])
    assert follow.error is not None
    told = json.loads(follow.error)
    assert told == error or told["code"] == "x"
    assert not follow.meaningful
    assert follow.feed(sse(DELTA)) == b""


def test_a_failure_after_the_answer_began_is_relayed() -> None:
    """The provider has told its caller itself, in the one way that Codex reads."""
    follow = meter()
    follow.feed(sse(DELTA))

    assert follow.feed(sse(FAILED)) == b""
    assert (follow.done, follow.finished, follow.error) == (True, False, None)
    assert follow.ending == sse(FAILED)
    assert follow.failed
    assert follow.usage == USED


def test_the_id_of_an_answer_is_known_from_its_first_event() -> None:
    """Whether or not the provider keeps it."""
    follow = meter()
    kept = {"id": "resp_1", "store": False}

    follow.feed(sse({"type": "response.created", "response": kept}, DELTA))

    assert (follow.answer_id, follow.stored_id) == ("resp_1", None)


def test_an_error_event_after_the_answer_began() -> None:
    """Codex ignores those: the router must say it in its own words."""
    follow = meter()
    follow.feed(sse(DELTA))

    assert follow.feed(sse(DELTA, {"type": "error", "code": "x"}, DELTA)) == sse(DELTA)
    assert (follow.done, follow.finished) == (False, False)
    assert json.loads(follow.error or b"")["code"] == "x"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r\r"])
def test_a_last_event_without_a_blank_line(end: bytes) -> None:
    """It is complete all the same."""
    follow = meter()
    follow.feed(sse(DELTA))
    last = sse(completed()).rstrip(b"\n") + end

    assert follow.feed(last) + follow.end() == b""
    assert follow.finished
    assert follow.usage == USED


def test_a_cut_stream_is_not_finished() -> None:
    """What came whole was sent on, and half an event is not."""
    follow = meter()
    follow.feed(sse(DELTA))

    assert follow.feed(sse(DELTA)[:-20]) == b""
    assert follow.end() == b""
    assert (follow.done, follow.finished) == (False, False)
    assert meter().end() == b""


def test_a_cut_comment_and_a_foreign_end() -> None:
    """Neither is an event of this dialect."""
    follow = meter()

    assert follow.feed(b"data: [DONE]") + follow.end() == b"data: [DONE]\n\n"
    assert follow.feed(b": hello") + follow.end() == b""
    assert not follow.done


def test_carriage_returns() -> None:
    """Line ends of another kind are ends as well."""
    follow = meter()
    stream = sse(DELTA).replace(b"\n", b"\r\n")
    last = sse(completed()).replace(b"\n", b"\r\n")

    assert follow.feed(stream + stream) == stream + stream
    assert follow.feed(stream + last) == stream
    assert follow.ending == last


def test_what_is_no_stream() -> None:
    """Before the answer it is a failure; later it passes, as the caller may read it."""
    with pytest.raises(NotAStream):
        meter().feed(b"data: <html>\n\n")
    follow = meter()
    follow.feed(sse(DELTA))

    odd = b'data: {"error\n\n: "error"\n\n'
    assert follow.feed(odd) == odd
    assert not follow.done


def test_a_last_event_that_cannot_be_read() -> None:
    """It ends the stream, and what it used stays unknown."""
    follow = meter()
    last = b'data: {"type":"response.completed","response":{"id":1}}\n\n'

    assert follow.feed(last) == b""
    assert (follow.finished, follow.usage) == (True, UNKNOWN_USAGE)


def test_usage_that_can_be_read_in_part() -> None:
    """Each count that is one counts."""
    follow = meter()
    usage = {"input_tokens": 3, "output_tokens": "many", "input_tokens_details": []}

    follow.feed(sse(completed(usage=usage)))

    assert follow.usage == Usage(input_tokens=3)


@pytest.mark.parametrize("usage", [None, [], "none", {"input_tokens": -1}])
def test_usage_that_cannot_be_read(usage: object) -> None:
    """It is unknown, not nothing."""
    follow = meter()

    follow.feed(sse(completed(usage=usage)))

    assert follow.usage == UNKNOWN_USAGE


def test_half_a_pair_in_the_last_event() -> None:
    """Such text is passed on as it came, and read around."""
    follow = meter()
    last = sse(completed(model="a")).replace(b'"a"', b'"\\ud83d"')

    follow.feed(last)

    assert follow.ending == last
    assert follow.usage == USED


def test_the_sign_of_life_is_an_event_for_codex() -> None:
    """Comments do not keep Codex waiting; SDKs take no event before the first."""
    assert OPENAI_RESPONSES.codex_keep_alive == (
        b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
    )
    assert OPENAI_RESPONSES.keep_alive == b": keep-alive\n\n"
