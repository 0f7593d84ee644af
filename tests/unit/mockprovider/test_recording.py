"""What is kept of requests, and how much of it."""

from smart_llmrouter.mockprovider.http import Request
from smart_llmrouter.mockprovider.recording import Recording


def request(body: bytes) -> Request:
    """Return a request with this body."""
    return Request(
        method="POST", path="/p", headers=((b"X-A", b"1"), (b"x-a", b"2")), body=body
    )


def test_a_request_is_kept_verbatim() -> None:
    """Headers keep order and spelling, the body every byte."""
    recording = Recording()

    entry = recording.add(request(b'{"a": 1.00}'), connection=4)

    assert entry.headers == (("X-A", "1"), ("x-a", "2"))
    assert entry.header("X-a") == "1"
    assert entry.header("none") is None
    assert (entry.body, entry.raw_body) == ('{"a": 1.00}', b'{"a": 1.00}')
    assert (entry.number, entry.connection) == (1, 4)


def test_a_body_that_is_not_text_is_kept_too() -> None:
    """Bytes that are not UTF-8 come back as they were."""
    entry = Recording().add(request(b"\xff\x00"), connection=1)

    assert entry.body is None
    assert entry.raw_body == b"\xff\x00"


def test_the_ring_is_bounded_in_number() -> None:
    """The oldest go; the count goes on."""
    recording = Recording(most_requests=2)

    for body in (b"a", b"b", b"c"):
        recording.add(request(body), connection=1)

    assert [entry.body for entry in recording] == ["b", "c"]
    assert recording.count == 3


def test_the_ring_is_bounded_in_bytes() -> None:
    """Large bodies push out older ones; the latest always stays."""
    recording = Recording(most_bytes=10)

    for body in (b"1234", b"5678", b"x" * 20):
        recording.add(request(body), connection=1)

    assert [len(entry.raw_body) for entry in recording] == [20]


def test_it_can_forget() -> None:
    """After a reset numbers begin at 1 again."""
    recording = Recording()
    recording.add(request(b"a"), connection=1)

    recording.clear()
    entry = recording.add(request(b"b"), connection=1)

    assert entry.number == 1
    assert list(recording) == [entry]
