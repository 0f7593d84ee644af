"""Chat Completions as the router knows it."""

import json

from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Dialect
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT

BODY = b'{"model":"fast","messages":[{"role":"user","content":"hi"}],"stream":true}'


def test_it_is_a_dialect() -> None:
    """It has all that the path needs of one, and a name."""
    dialect: Dialect = OPENAI_CHAT

    assert dialect.name == "openai-chat"
    assert dialect.keep_alive.startswith(b":")
    assert "seed" in dialect.known_extras


def test_the_relay_lane() -> None:
    """A request is addressed, its stream followed and its usage read."""
    peek = OPENAI_CHAT.peek(BODY)
    meter = OPENAI_CHAT.meter(peek)

    addressed = json.loads(OPENAI_CHAT.address(peek, model=b'"real"'))
    passed = meter.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n')
    usage = OPENAI_CHAT.usage_of(b'{"choices":[],"usage":{"prompt_tokens":2}}')

    assert (peek.model, peek.stream, peek.wants_usage) == ("fast", True, False)
    assert addressed["model"] == "real"
    assert addressed["stream_options"] == {"include_usage": True}
    assert (passed, meter.usage) == (b"", Usage(input_tokens=1))
    assert usage == Usage(input_tokens=2)


def test_errors() -> None:
    """An error is a body, or the last event of a stream."""
    error = InvalidRequest("no", details={"field": "messages"})

    body = OPENAI_CHAT.render_error(error, request_id="req_1")
    event = OPENAI_CHAT.encode_error_event(error, request_id="req_1")

    assert json.loads(body)["error"]["param"] == "messages"
    assert event == b"data: " + body + b"\n\n"
