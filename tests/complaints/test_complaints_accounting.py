"""How other gateways lose or double tokens that a cache had, or was given."""

import json
from typing import Any, Final

import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.bridge import (
    CHAT,
    MESSAGES,
    PAIRS,
    RESPONSES,
    bridge,
    chat_end,
    chat_stream,
    event_stream,
    message_stream,
    noted,
    sent,
    streamed,
)
from tests.support.canon import told
from tests.support.golden import SIMPLE

HELLO: Final = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello"})
CACHED: Final = {
    "input_tokens": 12,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "output_tokens": 1,
}
STREAMS: Final[dict[DialectName, bytes]] = {
    CHAT: chat_stream(
        {"content": "Hello"},
        *chat_end(
            prompt_tokens=142,
            completion_tokens=9,
            prompt_tokens_details={"cached_tokens": 100, "cache_write_tokens": 30},
        ),
    ),
    RESPONSES: event_stream(
        {
            "type": "response.completed",
            "response": {
                "id": "resp_1",
                "status": "completed",
                "output": [
                    {
                        "type": "message",
                        "content": [{"type": "output_text", "text": "Hello"}],
                    }
                ],
                "usage": {
                    "input_tokens": 142,
                    "input_tokens_details": {
                        "cached_tokens": 100,
                        "cache_write_tokens": 30,
                    },
                    "output_tokens": 9,
                },
            },
        }
    ),
    MESSAGES: message_stream(HELLO, usage=CACHED),
}
"""142 tokens of input, of which 100 were read from the cache, and 30 written to it."""
PLACES: Final[dict[DialectName, tuple[str, ...]]] = {
    CHAT: ("usage", "prompt_tokens_details", "cached_tokens"),
    RESPONSES: ("response", "usage", "input_tokens_details", "cached_tokens"),
    MESSAGES: ("usage", "cache_read_input_tokens"),
}

pairs = pytest.mark.parametrize(("client", "provider"), PAIRS)


def shown(client: DialectName, events: list[dict[str, Any]]) -> list[int]:
    """Return the reads from the cache that a client is shown, one an event with any."""
    found = []
    for event in events:
        value: Any = event
        for name in PLACES[client]:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int):
            found.append(value)
    return found


@pairs
def test_cached_tokens_are_shown_as_none_in_streams(
    client: DialectName, provider: DialectName
) -> None:
    """The last that a client hears of them is the truth."""
    came = streamed(bridge(client, provider), STREAMS[provider])

    assert shown(client, came.events())[-1] == 100
    assert came.usage.cached_input_tokens == 100


@pytest.mark.parametrize(
    ("client", "provider"), [(MESSAGES, RESPONSES), (RESPONSES, MESSAGES)]
)
def test_cache_reads_are_lost_between_messages_and_responses(
    client: DialectName, provider: DialectName
) -> None:
    """The one counts them within its input, the other apart; neither twice."""
    came = streamed(bridge(client, provider), STREAMS[provider])

    decoder = DIALECTS[client].decoder()
    said = told([*decoder.feed(came.stream), *decoder.end()])
    assert (said.input_tokens, said.cached_input_tokens) == (142, 100)
    assert came.usage.cache_write_5m_tokens == 30


def test_the_first_event_hides_the_usage_that_is_known() -> None:
    """A provider of Chat that counts as it goes is believed from its first chunk on."""
    counts = {"prompt_tokens": 20, "completion_tokens": 0}
    first = {
        "choices": [{"index": 0, "delta": {"content": "H"}, "finish_reason": None}],
        "usage": counts,
    }

    came = streamed(bridge(MESSAGES, CHAT), chat_stream(first, *chat_end()))

    start, *_ = came.events()
    assert start["message"]["usage"]["input_tokens"] == 20


@pytest.mark.parametrize("client", [CHAT, RESPONSES])
def test_a_broken_stream_wipes_the_counts_of_its_start(client: DialectName) -> None:
    """What the first event said of the cache is known when the stream breaks off."""
    stream = STREAMS[MESSAGES].partition(b"event: message_delta")[0]

    came = streamed(bridge(client, MESSAGES), stream)

    assert not came.done
    assert came.usage.input_tokens == 142
    assert came.usage.cached_input_tokens == 100


MARK: Final = {"cache_control": {"type": "ephemeral"}}
MARKED: Final = {
    "model": "chat",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "s", **MARK}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}, **MARK}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "a", **MARK}]}],
}


def test_cache_markers_are_dropped_in_silence() -> None:
    """They stay where Anthropic is asked, and are named where nobody knows them."""
    messages = DIALECTS[MESSAGES]
    body = json.dumps(MARKED).encode()

    relayed = messages.address(messages.peek(body), model=b'"mini"')

    assert json.loads(relayed) == {**MARKED, "model": "mini"}
    marked = {f"{place}.cache_control" for place in ("system", "tools", "content")}
    for provider in (CHAT, RESPONSES):
        assert marked <= noted(bridge(MESSAGES, provider, MARKED))


def test_a_caller_that_counts_on_the_cache_pays_for_none() -> None:
    """A key for the cache becomes markers at the ends of what will be repeated."""
    body = {**SIMPLE[RESPONSES], "instructions": "s", "prompt_cache_key": "k"}

    asked = sent(RESPONSES, MESSAGES, body)

    assert asked["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert asked["messages"][-1]["content"][-1]["cache_control"] == {
        "type": "ephemeral"
    }
