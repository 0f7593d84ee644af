"""Following a stream: what is sent on, what is kept back, and what is learned."""

import pytest

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.dialects.openai_chat.streams import StreamMeter

OPENING = b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
ERROR = b'data: {"error":{"message":"overloaded","code":529}}\n\n'
DONE = b"data: [DONE]\n\n"


def meter(*, strip_usage: bool = True) -> StreamMeter:
    """Return a meter for a caller who did not ask for usage."""
    return StreamMeter(strip_usage=strip_usage)


def test_a_whole_stream_in_one_read() -> None:
    """All events but the usage chunk and the end are sent on, unchanged."""
    following = meter()

    sent = following.feed(OPENING + HELLO + STOP + USAGE + DONE)

    assert sent == OPENING + HELLO + STOP
    assert following.ending == DONE
    assert (following.meaningful, following.finished, following.done) == (True,) * 3
    assert following.usage == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("spaced", [False, True], ids=["compact", "spaced"])
def test_events_tell_the_same_one_by_one_and_all_at_once(
    line_end: bytes, *, spaced: bool
) -> None:
    """What is learned does not depend on how the network cut the stream."""
    events = [OPENING, HELLO, HELLO, STOP, USAGE, DONE]
    if spaced:
        events = [event.replace(b'":', b'" : ') for event in events]
    events = [event.replace(b"\n", line_end) for event in events]
    alone, together = meter(), meter()

    sent_alone = b"".join(alone.feed(event) for event in events) + alone.end()
    sent_together = together.feed(b"".join(events)) + together.end()

    assert sent_alone == sent_together == b"".join(events[:4])
    assert alone.usage == together.usage == Usage(input_tokens=7, output_tokens=3)
    assert (alone.finished, alone.done) == (together.finished, together.done)


@pytest.mark.parametrize(
    "telling",
    [
        b'data: {"choices":[],\n"usage":{"prompt_tokens":9}}\n\n',
        b'data: {"choices":[]}\rdata: [DONE]\r\n\n',
        b'{"choices":[]}\ndata: {"error":{"code":1}}\n\n',
    ],
    ids=["torn", "two lines", "no data before"],
)
def test_what_stands_on_several_lines_is_looked_at(telling: bytes) -> None:
    """Nothing hides behind a line that tells nothing; alone, it is read the same."""
    alone, together = meter(), meter()
    alone.feed(HELLO)

    alone.feed(telling)
    together.feed(HELLO + telling)

    assert (alone.usage, alone.error) == (together.usage, together.error)
    assert (alone.done, alone.finished) == (together.done, together.finished)


def test_a_later_usage_takes_away_no_cache_writes() -> None:
    """What only an earlier chunk said of the cache is still known at the end."""
    following = meter()
    first = (
        b'data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":7,'
        b'"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":4}}}\n\n'
    )

    following.feed(first)
    following.feed(USAGE)

    assert following.usage == Usage(
        input_tokens=7,
        cached_input_tokens=1,
        cache_write_5m_tokens=4,
        output_tokens=3,
    )


def test_usage_is_kept_for_whom_asked_for_it() -> None:
    """The usage chunk stays in the stream of a caller who asked for it."""
    following = meter(strip_usage=False)

    assert following.feed(HELLO + STOP + USAGE + DONE) == HELLO + STOP + USAGE


@pytest.mark.parametrize(
    "delta",
    [
        b'{"role":"assistant"}',
        b'{"role":"assistant","content":""}',
        b'{"role":"assistant","content":null,"refusal":null}',
        b'{"content":"","tool_calls":[]}',
        b"{}",
        b"null",
    ],
)
def test_an_opening_chunk_means_nothing(delta: bytes) -> None:
    """Roles, empty texts and empty lists tell the caller nothing yet."""
    following = meter()

    following.feed(b'data: {"choices":[{"delta":' + delta + b"}]}\n\n")

    assert not following.meaningful


@pytest.mark.parametrize(
    "choice",
    [
        b'{"delta":{"content":"a"}}',
        b'{"delta":{"content":" "}}',
        b'{"delta":{"reasoning_content":"hm"}}',
        b'{"delta":{"refusal":"no"}}',
        b'{"delta":{"tool_calls":[{"index":0}]}}',
        b'{"delta":{"vendor_field":0}}',
        b'{"delta":{},"finish_reason":"length"}',
        b'{"finish_reason":"content_filter"}',
    ],
)
def test_content_tool_calls_and_ends_mean_something(choice: bytes) -> None:
    """Whatever a caller could act on is the answer's beginning."""
    following = meter()

    following.feed(b'data: {"choices":[' + choice + b"]}\n\n")

    assert following.meaningful


@pytest.mark.parametrize("event", [b": ping\n\n", b"event: ping\n\n", b"\n\n", USAGE])
def test_comments_and_usage_mean_nothing(event: bytes) -> None:
    """Keep-alives and accounts are not an answer."""
    following = meter()

    following.feed(event)

    assert not following.meaningful


@pytest.mark.parametrize(
    "event", [b"data: <html>\n\n", b"data: \xff\n\n", b"data:\n\n", b"data: 7\n\n"]
)
def test_what_is_no_chunk_is_no_stream(event: bytes) -> None:
    """Before anything meaningful, an event that cannot be read condemns the stream."""
    with pytest.raises(NotAStream):
        meter().feed(event)


def test_later_an_unreadable_event_passes_untouched() -> None:
    """In mid-stream the caller is given what the provider said, readable or not."""
    following = meter()
    odd = b'data: {"usage": {, "error": {\n\n'

    assert following.feed(HELLO + odd) == HELLO + odd


def test_an_error_before_any_content() -> None:
    """The error is kept as the provider wrote it, and nothing is sent on."""
    following = meter()

    sent = following.feed(OPENING + ERROR + HELLO)

    assert sent == OPENING
    assert following.error == b'{"message":"overloaded","code":529}'
    assert not following.meaningful


def test_what_came_before_an_error_is_sent_on() -> None:
    """Content in the same read as an error is not lost; what follows the error is."""
    following = meter()

    sent = following.feed(HELLO + HELLO + ERROR + HELLO + DONE)

    assert sent == HELLO + HELLO
    assert following.error is not None
    assert not following.done
    assert following.feed(HELLO) == b""
    assert following.end() == b""


@pytest.mark.parametrize("error", [b'"overloaded"', b'{"code":null}'])
def test_errors_of_any_shape(error: bytes) -> None:
    """A text is an error as much as an object is."""
    following = meter()

    following.feed(HELLO)
    following.feed(b'data: {"error": ' + error + b"}\n\n")

    assert following.error == error


def test_a_null_error_is_none() -> None:
    """`error: null` in a chunk says that all is well."""
    following = meter()
    chunk = b'data: {"choices":[{"delta":{"content":"a"}}],"error":null}\n\n'

    assert following.feed(chunk * 2) == chunk * 2
    assert following.error is None


@pytest.mark.parametrize(
    "text", [rb"\"usage\":{", rb"\"error\":{", "[DONE]", r"data: [DONE]\n\n"]
)
def test_text_about_the_protocol_is_text(text: str | bytes) -> None:
    """A model that writes about streams does not end or break its own."""
    said = text if isinstance(text, bytes) else text.encode()
    event = b'data: {"choices":[{"delta":{"content":"' + said + b'"}}]}\n\n'
    following = meter()

    assert following.feed(HELLO + event) == HELLO + event
    assert (following.done, following.error) == (False, None)
    assert following.usage == UNKNOWN_USAGE


@pytest.mark.parametrize(
    "place",
    [
        b'{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"usage":%s}',
        b'{"usage": %s ,"choices":[]}',
        b'{\n"usage":%s,\n"choices":[]\n}',
        b'{"choices":null,"usage":%s}',
    ],
)
def test_usage_is_found_wherever_it_stands(place: bytes) -> None:
    """Before or after the choices, in the last chunk or in one of its own."""
    usage = b'{"prompt_tokens":7,"completion_tokens":3}'
    payload = (place % usage).replace(b"\n", b"\ndata: ")
    following = meter()

    following.feed(HELLO + b"data: " + payload + b"\n\n")

    assert following.usage == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (b'{"cost":0.5}', Usage(reported_cost_nusd=500_000_000)),
        (rb'{"prompt\u005ftokens":7}', Usage(input_tokens=7)),
        (b"{ }", Usage()),
    ],
)
def test_a_usage_without_the_usual_keys_is_one_all_the_same(
    reported: bytes, usage: Usage
) -> None:
    """It is read as far as it can be, and nobody sees it who did not ask for it."""
    following = meter()
    following.feed(HELLO)

    sent = following.feed(b'data: {"choices":[],"usage" : ' + reported + b"}\n\n")

    assert sent == b""
    assert following.usage == usage


def test_a_chunk_with_usage_and_content_is_sent_on() -> None:
    """Only a chunk that has nothing but usage is taken out."""
    last = (
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":7}}\n\n'
    )

    assert meter().feed(HELLO + last) == HELLO + last


def test_the_last_usage_wins_but_wipes_nothing() -> None:
    """Running totals are overwritten; what a later report leaves out is kept."""
    following = meter()

    following.feed(
        HELLO
        + b'data: {"usage":{"prompt_tokens":7,"completion_tokens":1}}\n\n'
        + b'data: {"usage":{"completion_tokens":9}}\n\n'
    )

    assert following.usage == Usage(input_tokens=7, output_tokens=9)


def test_nothing_follows_the_end() -> None:
    """What a provider sends after `[DONE]` is dropped."""
    following = meter()

    assert following.feed(HELLO + DONE + HELLO) == HELLO
    assert following.feed(HELLO) == b""
    assert following.ending == DONE


def test_a_last_event_without_its_blank_line() -> None:
    """Some providers forget the last blank line; their last event counts."""
    following = meter()

    assert following.feed(HELLO + USAGE.rstrip()) == HELLO
    assert following.end() == b""
    assert following.usage == Usage(input_tokens=7, output_tokens=3)


def test_an_end_without_its_blank_line() -> None:
    """`[DONE]` may be the last bytes of a stream; its blank line is added."""
    following = meter()

    following.feed(HELLO + DONE.rstrip())
    following.end()

    assert following.ending == DONE


@pytest.mark.parametrize("cut", [10, 20, len(HELLO) - 3])
def test_half_an_event_is_dropped(cut: int) -> None:
    """An event that was cut in the middle of its JSON does not reach the caller."""
    following = meter()

    following.feed(HELLO + HELLO[:cut])

    assert following.end() == b""


def test_a_finish_reason_in_the_rest_counts() -> None:
    """A last event without a blank line may be the one that ends the answer."""
    following = meter()

    following.feed(HELLO + STOP.rstrip())

    assert following.end() == STOP
    assert following.finished
