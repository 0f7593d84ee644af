"""The ASGI side of a call: the way back to the caller, and reading its body."""

from collections.abc import Iterable
from typing import Any

import pytest

from smart_llmrouter.core.errors import ClientLeft, RequestTooLarge
from smart_llmrouter.edge.asgi import AsgiClient, Message, Receive, read_body

JSON = [(b"content-type", b"application/json")]


def arriving(*pieces: bytes | None) -> Receive:
    """Return a `receive` that gives these pieces of a body; `None`: the caller left."""
    messages: Iterable[Message] = iter(
        {"type": "http.disconnect"}
        if piece is None
        else {
            "type": "http.request",
            "body": piece,
            "more_body": index < len(pieces) - 1,
        }
        for index, piece in enumerate(pieces)
    )

    async def receive() -> Message:
        return next(iter(messages))

    return receive


class Sent:
    """Keeps what a client sent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: Message) -> None:
        """Keep one message."""
        self.messages.append(dict(message))

    @property
    def body(self) -> bytes:
        """Return all that was sent of a body."""
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.mark.parametrize(
    "pieces", [[b"abcdef"], [b"abc", b"def"], [b"", b"abcdef", b""], [b"abcde", b"f"]]
)
async def test_a_body_within_its_bound(pieces: list[bytes]) -> None:
    """However it comes, a body of the allowed size is read whole."""
    assert await read_body(arriving(*pieces), max_bytes=6) == b"abcdef"


@pytest.mark.parametrize(
    "pieces", [[b"abcdefg"], [b"abc", b"defg"], [b"abcdefg", b"h", b"i"]]
)
async def test_a_body_above_its_bound(pieces: list[bytes]) -> None:
    """One byte too many is refused, whether or not the end has come."""
    with pytest.raises(RequestTooLarge):
        await read_body(arriving(*pieces), max_bytes=6)


async def test_a_body_above_its_bound_is_not_read_to_its_end() -> None:
    """What comes after the bound was passed is not waited for."""
    reading = arriving(b"abcdefg", b"h", None)

    with pytest.raises(RequestTooLarge):
        await read_body(reading, max_bytes=6)

    assert (await reading())["body"] == b"h"


@pytest.mark.parametrize("pieces", [[None], [b"abc", None]])
async def test_a_caller_that_leaves_while_it_sends(pieces: list[bytes | None]) -> None:
    """Half a body is no body."""
    with pytest.raises(ClientLeft):
        await read_body(arriving(*pieces), max_bytes=6)


async def test_a_whole_answer() -> None:
    """Length and request id are added to the headers."""
    sent = Sent()
    client = AsgiClient(sent, request_id="req_1")

    await client.answer(403, JSON, b"{}")

    assert sent.messages == [
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [*JSON, (b"content-length", b"2"), (b"x-request-id", b"req_1")],
        },
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    ]
    assert (client.began, client.ended) == (True, True)


async def test_a_stream() -> None:
    """It is begun once, and after its end nothing more is sent."""
    sent = Sent()
    client = AsgiClient(sent, request_id="req_1")

    await client.begin(JSON)
    await client.begin(JSON)
    await client.send(b"a")
    await client.end(b"b")
    await client.send(b"c")
    await client.end(b"d")

    assert sent.messages[0]["headers"] == [*JSON, (b"x-request-id", b"req_1")]
    assert [message["type"] for message in sent.messages].count(
        "http.response.start"
    ) == 1
    assert sent.body == b"ab"


async def test_no_second_answer() -> None:
    """A stream that has begun cannot be turned into another answer."""
    sent = Sent()
    client = AsgiClient(sent, request_id="req_1")

    await client.begin(JSON)
    await client.answer(500, JSON, b"{}")

    assert len(sent.messages) == 1
