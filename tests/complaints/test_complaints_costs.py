"""How other gateways bill tokens twice, at the wrong rate, or not at all."""

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Cost, cost_of
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
    streamed,
)


def rate(usd: str) -> Rate:
    """Return the rate of a price in dollars per million tokens."""
    return Rate.per_million(Decimal(usd))


PRICE: Final = Price(
    input=rate("3"),
    cached_input=rate("0.30"),
    cache_write=rate("3.75"),
    cache_write_1h=rate("6"),
    output=rate("15"),
    fingerprint="p",
)
INVOICE: Final = Cost(
    input_nusd=12 * 3_000,
    cached_input_nusd=100_000 * 300,
    cache_write_nusd=3_000 * 3_750,
    output_nusd=400 * 15_000,
    total_nusd=36_000 + 30_000_000 + 11_250_000 + 6_000_000,
)
"""What the same call costs, however its provider counts it."""
SUMMED: Final[dict[str, Any]] = {
    "input_tokens": 103_012,
    "input_tokens_details": {"cached_tokens": 100_000, "cache_write_tokens": 3_000},
    "output_tokens": 400,
}
APART: Final[dict[str, Any]] = {
    "input_tokens": 12,
    "cache_read_input_tokens": 100_000,
    "cache_creation_input_tokens": 3_000,
    "output_tokens": 400,
}
BODIES: Final[dict[DialectName, dict[str, Any]]] = {
    CHAT: {
        "choices": [],
        "usage": {
            "prompt_tokens": 103_012,
            "prompt_tokens_details": SUMMED["input_tokens_details"],
            "completion_tokens": 400,
            "total_tokens": 103_412,
        },
    },
    RESPONSES: {"object": "response", "status": "completed", "usage": SUMMED},
    MESSAGES: {"type": "message", "content": [], "usage": APART},
}
BODIES[RESPONSES]["output"] = []
HELLO: Final = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello"})
MESSAGE: Final = {
    "type": "message",
    "content": [{"type": "output_text", "text": "Hello"}],
}
STREAMS: Final[dict[DialectName, bytes]] = {
    CHAT: chat_stream(
        {"content": "Hello"},
        *chat_end(**BODIES[CHAT]["usage"]),
    ),
    RESPONSES: event_stream(
        {
            "type": "response.completed",
            "response": {"id": "resp_1", **BODIES[RESPONSES], "output": [MESSAGE]},
        }
    ),
    MESSAGES: message_stream(HELLO, usage=APART).replace(
        b'"output_tokens": 9', b'"output_tokens": 400'
    ),
}


@pytest.mark.parametrize("provider", BODIES)
def test_the_cache_is_billed_twice_or_at_the_wrong_rate(provider: DialectName) -> None:
    """Uncached, read and written tokens are paid once each, at their own rates."""
    usage = DIALECTS[provider].usage_of(json.dumps(BODIES[provider]).encode())

    assert cost_of(usage, PRICE) == INVOICE


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_one_side_counts_the_cache_within_the_input_and_the_other_apart(
    client: DialectName, provider: DialectName
) -> None:
    """Whoever asks whom, a stream costs what is on the invoice."""
    came = streamed(bridge(client, provider), STREAMS[provider])

    assert cost_of(came.usage, PRICE) == INVOICE


def test_writes_in_the_older_form_are_free() -> None:
    """Neither an absent newer field nor one full of zeros takes the count away."""
    told: list[Any] = [
        {},
        {"cache_creation": None},
        {"cache_creation": {"ephemeral_5m_input_tokens": 0}},
    ]

    costs = []
    for newer in told:
        body = {**BODIES[MESSAGES], "usage": {**APART, **newer}}
        usage = DIALECTS[MESSAGES].usage_of(json.dumps(body).encode())
        costs.append(cost_of(usage, PRICE))

    assert costs == [INVOICE] * 3


def test_a_broken_stream_costs_nothing() -> None:
    """What its first event said was read and written is paid."""
    stream = STREAMS[MESSAGES].partition(b"event: message_delta")[0]

    came = streamed(bridge(CHAT, MESSAGES), stream)

    cost = cost_of(came.usage, PRICE)
    assert cost.input_nusd == INVOICE.input_nusd
    assert cost.cached_input_nusd == INVOICE.cached_input_nusd
    assert cost.cache_write_nusd == INVOICE.cache_write_nusd
