"""Each fault of the mock, as it is seen on a bare socket."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from smart_llmrouter.mockprovider.script import parse_step
from tests.support.mock import Mock, running_mock
from tests.support.raw_http import chat_request, exchange
from tests.support.wait import eventually


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


def tell(mock: Mock, **step: object) -> None:
    """Queue one step, written as its users write it: in JSON."""
    mock.will(parse_step(json.dumps(step)))


async def test_a_status_comes_with_retry_after_and_an_error_body(mock: Mock) -> None:
    """A refusal has the status, the header, and an error in OpenAI's shape."""
    tell(mock, status=429, retry_after=7)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert heard.status == 429
    assert b"\r\nretry-after: 7\r\n" in heard.data
    assert json.loads(heard.body)["error"]["code"] == "rate_limit_exceeded"


async def test_a_body_may_be_something_else_than_json(mock: Mock) -> None:
    """A string as the body stands for its text, such as a proxy's error page."""
    tell(mock, status=502, body="<html>bad gateway</html>")

    heard = await exchange(mock.port, chat_request())

    assert heard.body == b"<html>bad gateway</html>"


async def test_some_statuses_have_no_body(mock: Mock) -> None:
    """A 204 is empty, whatever the step says."""
    tell(mock, status=204, body={"a": 1})

    heard = await exchange(mock.port, chat_request())

    assert (heard.status, heard.body) == (204, b"")


async def test_a_status_may_have_a_body_of_its_own(mock: Mock) -> None:
    """The body of a refusal is the one that the step gives, byte for byte."""
    tell(mock, status=418, body={"detail": 1.00}, headers={"x-teapot": "short"})

    heard = await exchange(mock.port, chat_request())

    assert heard.status == 418
    assert heard.body == b'{"detail": 1.0}'
    assert b"\r\nx-teapot: short\r\n" in heard.data


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", [0, 1, 17, 60, 300])
async def test_it_hangs_up_at_a_byte_of_the_answer(
    mock: Mock, place: int, *, stream: bool
) -> None:
    """Exactly so many bytes come, head included, and then the end."""
    tell(mock, hang_up_at_byte=place)

    heard = await exchange(mock.port, chat_request(stream=stream, close=False))

    assert (len(heard.data), heard.ending) == (place, "closed")


async def test_it_hangs_up_at_a_byte_of_the_body(mock: Mock) -> None:
    """Counted from the body, the head comes whole."""
    tell(mock, hang_up_at_byte=5, count_from="body")

    heard = await exchange(mock.port, chat_request(close=False))

    assert heard.body == b'{"id"'
    assert heard.ending == "closed"


async def test_it_resets_the_connection(mock: Mock) -> None:
    """With `rst` the connection ends in a reset, after the bytes before it."""
    tell(mock, hang_up_at_byte=40, rst=True)

    heard = await exchange(mock.port, chat_request(close=False))

    assert heard.ending == "reset"
    assert len(heard.data) <= 40


@pytest.mark.parametrize(
    ("rst", "ending"), [(False, "closed"), (True, "reset")], ids=["fin", "rst"]
)
async def test_it_hangs_up_after_so_many_events(
    mock: Mock, ending: str, *, rst: bool
) -> None:
    """A stream breaks off between two events, without the last chunk."""
    tell(mock, hang_up_after_events=3, rst=rst, delay_between_ms=20)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert len(heard.events) == 3
    assert heard.ending == ending
    assert not heard.data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "step", [{"stall_at_byte": 30}, {"stall_after_events": 2}, {"stall_at_byte": 0}]
)
async def test_it_falls_silent_and_keeps_the_connection(
    mock: Mock, step: dict[str, object]
) -> None:
    """After a stall nothing comes, and nobody hangs up but the client."""
    tell(mock, **step)

    heard = await exchange(mock.port, chat_request(stream=True), silence_s=0.4)

    assert heard.ending == "open"
    assert len(heard.events) == step.get("stall_after_events", 0)
    assert [entry.outcome for entry in mock.received] == ["stalled"]


async def test_it_waits_before_the_first_byte(mock: Mock) -> None:
    """A first delay comes before the status line."""
    tell(mock, delay_first_ms=150)

    heard = await exchange(mock.port, chat_request())

    assert heard.arrivals_s[0] >= 0.15


async def test_it_may_send_the_head_before_it_waits(mock: Mock) -> None:
    """With `head_first` the headers come at once, and the events later."""
    tell(mock, delay_first_ms=1000, head_first=True)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert heard.arrivals_s[-1] >= 1.0
    assert heard.data.startswith(b"HTTP/1.1 200 OK")
    assert heard.arrivals_s[-1] - heard.arrivals_s[0] >= 0.1
    assert heard.events[-1] == b"[DONE]"


async def test_it_waits_between_events(mock: Mock) -> None:
    """Each event comes on its own, so much later than the one before."""
    tell(mock, content="one two", delay_between_ms=40)

    heard = await exchange(mock.port, chat_request(stream=True))

    # Who looks late finds several at a time, but never one before its time.
    assert len(heard.events) == 5
    assert 1 < len(heard.arrivals_s) <= 5
    assert heard.arrivals_s[-1] >= 4 * 0.04


async def test_it_drips(mock: Mock) -> None:
    """A drip sends so many bytes at a time, and every byte in the end."""
    tell(mock, content="hello", drip={"bytes": 100, "every_ms": 10})

    heard = await exchange(mock.port, chat_request())

    # Who looks late finds several pieces at a time.
    assert len(heard.arrivals_s) > 1
    assert heard.arrivals_s[-1] >= (len(heard.data) // 100 - 1) * 0.01
    assert json.loads(heard.body)["choices"][0]["message"]["content"] == "hello"


async def test_malformed_json_is_not_json(mock: Mock) -> None:
    """A plain answer breaks off inside its document, and has that length."""
    tell(mock, malformed_json=True)

    heard = await exchange(mock.port, chat_request())

    with pytest.raises(json.JSONDecodeError):
        json.loads(heard.body)
    assert f"content-length: {len(heard.body)}\r\n".encode() in heard.data


async def test_one_event_of_a_stream_is_malformed(mock: Mock) -> None:
    """In a stream a single event is broken, and the others go on."""
    tell(mock, malformed_json=True)

    heard = await exchange(mock.port, chat_request(stream=True))

    broken = [index for index, event in enumerate(heard.events) if not is_json(event)]
    assert broken == [2, len(heard.events) - 1]
    assert heard.events[-1] == b"[DONE]"


def is_json(text: bytes) -> bool:
    """Tell whether `text` is a JSON document."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("status-line", b"HTTP/1.1 two hundred\r\n"),
        ("header", b"\r\nno colon here\x00\r\n"),
        ("chunk-size", b"\r\n\r\nxyz\r\n"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_it_breaks_http(
    mock: Mock, kind: str, seen: bytes, *, stream: bool
) -> None:
    """The status line, a header or a chunk size is not what HTTP allows."""
    tell(mock, malformed_http=kind)

    heard = await exchange(mock.port, chat_request(stream=stream))

    assert seen in heard.data
    assert heard.ending == "closed"


@pytest.mark.parametrize("stream", [False, True])
async def test_it_promises_more_than_it_sends(mock: Mock, *, stream: bool) -> None:
    """A content length is ten bytes too large, and the connection closes."""
    tell(mock, malformed_http="content-length")

    heard = await exchange(mock.port, chat_request(stream=stream))

    assert b"\r\ncontent-length: %d\r\n" % (len(heard.body) + 10) in heard.data
    assert b"chunked" not in heard.head
    assert heard.ending == "closed"


@pytest.mark.parametrize("after", [0, 1, 4])
async def test_an_error_comes_inside_a_stream(mock: Mock, after: int) -> None:
    """A 200 turns out to be an error after so many events; there is no `[DONE]`."""
    tell(mock, error_in_stream={"after_events": after, "code": "overloaded"})

    heard = await exchange(mock.port, chat_request(stream=True))

    assert heard.status == 200
    assert len(heard.events) == after + 1
    assert json.loads(heard.events[-1])["error"]["code"] == "overloaded"
    assert heard.data.endswith(b"0\r\n\r\n")


async def test_a_plain_200_may_be_an_error_too(mock: Mock) -> None:
    """Without a stream the body of the 200 is the error."""
    tell(mock, error_in_stream={"message": "no"})

    heard = await exchange(mock.port, chat_request())

    assert heard.status == 200
    assert json.loads(heard.body)["error"]["message"] == "no"


async def test_a_stream_may_end_without_done(mock: Mock) -> None:
    """`no_done` leaves out the last event, and nothing else."""
    tell(mock, no_done=True)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert json.loads(heard.events[-1])["choices"][0]["finish_reason"] == "stop"
    assert heard.data.endswith(b"0\r\n\r\n")


async def test_a_stream_may_end_early_and_cleanly(mock: Mock) -> None:
    """`end_after_events` ends the body as if that were all."""
    tell(mock, end_after_events=2)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert len(heard.events) == 2
    assert heard.data.endswith(b"0\r\n\r\n")


async def test_heartbeats_stand_between_events(mock: Mock) -> None:
    """So many comments come before each event."""
    tell(mock, comments=2)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert heard.body.count(b": mock heartbeat\n\n") == 2 * len(heard.events)


async def test_lines_may_end_in_crlf(mock: Mock) -> None:
    """With `crlf` each line of the stream ends in CR LF."""
    tell(mock, crlf=True)

    heard = await exchange(mock.port, chat_request(stream=True))

    assert b"data: [DONE]\r\n\r\n" in heard.body
    assert heard.body.count(b"\n") == heard.body.count(b"\r\n")


async def test_an_answer_may_be_huge(mock: Mock) -> None:
    """The text has as many bytes as asked for, and comes whole."""
    tell(mock, huge_bytes=3_000_000)

    heard = await exchange(mock.port, chat_request())

    content = json.loads(heard.body)["choices"][0]["message"]["content"]
    assert len(content) == 3_000_000


async def test_vendor_fields_and_odd_numbers(mock: Mock) -> None:
    """Unknown fields, a duplicate key and odd spellings of numbers are there."""
    tell(mock, vendor_fields=True)

    heard = await exchange(mock.port, chat_request())

    assert b'"x_vendor":{"score":1.00,"big":12345678901234567890,"e":1E+2' in heard.body
    assert heard.body.count(b'"object":') == 2


async def test_a_raw_answer_is_verbatim(mock: Mock) -> None:
    """Body, headers and status are those of the step and no others."""
    tell(
        mock,
        raw={"status": 201, "headers": {"X-Odd": "Yes"}, "body": '{ "a" : 1.00 }'},
    )

    heard = await exchange(mock.port, chat_request())

    assert heard.data == (
        b"HTTP/1.1 201 Created\r\nX-Odd: Yes\r\ncontent-length: 14\r\n"
        b'connection: close\r\n\r\n{ "a" : 1.00 }'
    )


async def test_a_raw_answer_may_be_bytes(mock: Mock) -> None:
    """What is no text is given in base64."""
    tell(mock, raw={"body_base64": "/wAB"})

    heard = await exchange(mock.port, chat_request())

    assert heard.body == b"\xff\x00\x01"


async def test_a_raw_answer_may_come_in_chunks(mock: Mock) -> None:
    """Each piece is one chunk, so that a test can cut where it likes."""
    tell(mock, raw={"chunks": ['data: {"a', '": 1}\n\n']})

    heard = await exchange(mock.port, chat_request())

    assert heard.body == b'9\r\ndata: {"a\r\n7\r\n": 1}\n\n\r\n0\r\n\r\n'


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("absurd", b'"prompt_tokens":9007199254740993'),
        ("negative", b'"prompt_tokens":-7'),
        ("null", b'"usage":null'),
        ("partial", b'"usage":{"total_tokens":20}'),
        ("strings", b'"prompt_tokens":"7"'),
        ("zero", b'"prompt_tokens":0'),
    ],
)
async def test_usage_may_be_wrong(mock: Mock, kind: str, written: bytes) -> None:
    """Each kind of wrong usage stands in the answer."""
    tell(mock, wrong_usage=kind)

    heard = await exchange(mock.port, chat_request())

    assert written in heard.body


@pytest.mark.parametrize("step", [{"no_usage": True}, {"wrong_usage": "absent"}])
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_may_be_absent(
    mock: Mock, step: dict[str, object], *, stream: bool
) -> None:
    """No usage is given, also where the request asks for it."""
    tell(mock, **step)

    options = {"include_usage": True} if stream else None
    request = chat_request(stream=stream, stream_options=options)
    heard = await exchange(mock.port, request)

    assert heard.status == 200
    assert b"prompt_tokens" not in heard.body


async def test_the_provider_may_report_a_cost(mock: Mock) -> None:
    """`usage.cost` is spelt as the step spells it."""
    request = chat_request('[[mock: {"cost": 0.00120}]]')

    heard = await exchange(mock.port, request)

    assert b'"cost":0.00120}' in heard.body


async def test_a_header_tells_the_mock_what_to_do(mock: Mock) -> None:
    """The header `x-mock-script` goes before a queued step, which stays queued."""
    tell(mock, status=500)

    first = await exchange(
        mock.port, chat_request(headers={"x-mock-script": '{"status": 503}'})
    )
    second = await exchange(mock.port, chat_request())

    assert (first.status, second.status) == (503, 500)


async def test_a_marker_tells_the_mock_what_to_do(mock: Mock) -> None:
    """A marker in the last user message is a step, and is not part of what is said."""
    heard = await exchange(
        mock.port, chat_request('hello [[mock: {"headers": {"x-a": "b"}}]] there')
    )

    assert b"\r\nx-a: b\r\n" in heard.data
    assert b'You said: \\"hello there\\"' in heard.body


async def test_a_marker_may_concern_one_model_only(mock: Mock) -> None:
    """For another model the marker is as if it were not there."""
    prompt = 'hi [[mock: {"status": 503, "model": "mock-large"}]]'

    large = await exchange(mock.port, chat_request(prompt, model="mock-large"))
    small = await exchange(mock.port, chat_request(prompt, model="mock-small"))

    assert (large.status, small.status) == (503, 200)


async def test_an_unreadable_step_is_told(mock: Mock) -> None:
    """A misspelt fault is a 400 that names it, never a silent success."""
    heard = await exchange(mock.port, chat_request('[[mock: {"statsu": 503}]]'))
    broken = await exchange(mock.port, chat_request("[[mock: {status"))

    assert heard.status == broken.status == 400
    assert b"statsu" in heard.body
    assert b"marker" in broken.body


async def test_a_client_that_leaves_is_noticed(mock: Mock) -> None:
    """The recording says that the client left, and nothing goes on for it."""
    tell(mock, words=1000, delay_between_ms=50)

    reader, writer = await asyncio.open_connection("127.0.0.1", mock.port)
    writer.write(chat_request(stream=True))
    await reader.readuntil(b"data: ")
    writer.close()
    entry = mock.received[0]

    await eventually(lambda: entry.outcome == "client-left")
    await eventually(lambda: mock.open_connections == 0)
    assert 0 < entry.sent_bytes < 50_000
