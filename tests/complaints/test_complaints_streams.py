"""How streams of other gateways fail their users, above all where tools are called."""

import json
from typing import Any, Final

import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.bridge import (
    CHAT,
    MESSAGES,
    NAMES,
    PAIRS,
    RESPONSES,
    bridge,
    chat_end,
    chat_stream,
    message_stream,
    responses_stream,
    sent,
    streamed,
)
from tests.support.canon import Told, told
from tests.support.golden import SIMPLE
from tests.support.grammar_anthropic_messages import read_whole_stream
from tests.support.grammar_openai_responses import read

OSLO: Final = '{"city":"Oslo"}'
CALL: Final = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": OSLO,
}
WEATHER: Final = {"name": "weather", "arguments": OSLO}
CHAT_CALL: Final = {
    "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": WEATHER}
    ]
}
THINKING: Final = (
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Hm."},
    {"type": "signature_delta", "signature": "c2ln"},
)
TEXT: Final = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "I look."})
TOOL_USE: Final = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}
USED: Final = (
    TOOL_USE,
    {"type": "input_json_delta", "partial_json": '{"city":'},
    {"type": "input_json_delta", "partial_json": '"Oslo"}'},
)
REASONING: Final = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Hm."}],
}
MESSAGE: Final = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
}
STREAMS: Final[dict[DialectName, bytes]] = {
    CHAT: chat_stream(
        {"role": "assistant", "reasoning_content": "Hm."},
        {"content": "I look."},
        CHAT_CALL,
        *chat_end("tool_calls"),
    ),
    RESPONSES: responses_stream(REASONING, MESSAGE, CALL, told=(0, 1, 2)),
    MESSAGES: message_stream(THINKING, TEXT, USED, reason="tool_use"),
}
"""A thought, a text and a call, as a provider of each dialect streams them."""

pairs = pytest.mark.parametrize(("client", "provider"), PAIRS)


def heard(client: DialectName, stream: bytes) -> Told:
    """Return what a client is told by a stream."""
    reader = DIALECTS[client].decoder()
    return told([*reader.feed(stream), *reader.end()])


def calls(said: Told) -> list[tuple[str, str, str]]:
    """Return the calls in it."""
    return [
        (part.call_id, part.name, part.text)
        for part in said.parts
        if part.kind == "tool_call"
    ]


@pytest.mark.parametrize("client", [CHAT, MESSAGES])
@pytest.mark.parametrize("told_of", [(0,), ()])
def test_arguments_that_come_only_at_the_end_are_lost(
    client: DialectName, told_of: tuple[int, ...]
) -> None:
    """No delta, or not even an event of the item: the arguments are in the last one."""
    came = streamed(bridge(client, RESPONSES), responses_stream(CALL, told=told_of))

    assert calls(heard(client, came.stream)) == [("call_1", "weather", OSLO)]


@pytest.mark.parametrize("client", [RESPONSES, MESSAGES])
def test_arguments_beside_the_name_are_lost(client: DialectName) -> None:
    """A provider of Chat sends a whole call in one chunk."""
    stream = chat_stream(CHAT_CALL, *chat_end("tool_calls"))

    came = streamed(bridge(client, CHAT), stream)

    assert calls(heard(client, came.stream)) == [("call_1", "weather", OSLO)]


@pairs
def test_arguments_vanish_in_streams_only(
    client: DialectName, provider: DialectName
) -> None:
    """A stream tells what the plain answer tells, ids of calls byte for byte."""
    plain = DIALECTS[provider].write_answer(_events(provider), _answering(provider))

    came = streamed(bridge(client, provider), STREAMS[provider])
    body, _ = bridge(client, provider).answer(plain)

    said = told(list(DIALECTS[client].read_answer(body)))
    once = heard(client, came.stream)
    assert (once.parts, once.reason) == (said.parts, said.reason)
    assert calls(said) == [("call_1", "weather", OSLO)]


def _events(provider: DialectName) -> Any:  # noqa: ANN401 - a list of events
    decoder = DIALECTS[provider].decoder()
    return [*decoder.feed(STREAMS[provider]), *decoder.end()]


def _answering(provider: DialectName) -> Any:  # noqa: ANN401 - whatever it is
    other = next(name for name in NAMES if name != provider)
    return bridge(provider, other)._answering


@pairs
def test_a_call_behind_thinking_and_text_is_lost(
    client: DialectName, provider: DialectName
) -> None:
    """All three parts arrive, in their order."""
    came = streamed(bridge(client, provider), STREAMS[provider])

    parts = [(part.kind, part.text) for part in heard(client, came.stream).parts]
    assert parts == [("reasoning", "Hm."), ("text", "I look."), ("tool_call", OSLO)]


@pytest.mark.parametrize("provider", [CHAT, RESPONSES])
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_a_tool_turn_ends_as_a_finished_one_with_an_empty_text(
    provider: DialectName, reason: str
) -> None:
    """The reason follows from the content, whatever the provider says it is."""
    stream = responses_stream(CALL, told=(0,))
    if provider == CHAT:
        opening = {"role": "assistant", "content": ""}
        stream = chat_stream(opening, CHAT_CALL, *chat_end(reason))

    message = read_whole_stream(streamed(bridge(MESSAGES, provider), stream).stream)

    assert message["stop_reason"] == "tool_use"
    assert [block["type"] for block in message["content"]] == ["tool_use"]


@pairs
def test_arguments_are_sent_as_text(client: DialectName, provider: DialectName) -> None:
    """No text of the answer holds them."""
    came = streamed(bridge(client, provider), STREAMS[provider])

    texts = [part.text for part in heard(client, came.stream).parts[:-1]]
    assert all("Oslo" not in text for text in texts)


@pairs
def test_what_was_relayed_breaks_the_next_gateway(
    client: DialectName, provider: DialectName
) -> None:
    """A stream that a router relayed is to the next one what it was before."""
    dialect = DIALECTS[provider]
    simple = {**SIMPLE[provider], "stream": True}
    meter = dialect.meter(dialect.peek(json.dumps(simple).encode()))

    relayed = meter.feed(STREAMS[provider]) + meter.end() + meter.ending

    assert relayed == STREAMS[provider]
    direct = streamed(bridge(client, provider), STREAMS[provider])
    assert streamed(bridge(client, provider), relayed).stream == direct.stream


def test_a_tool_is_still_demanded_that_was_dropped() -> None:
    """A search that must be called and cannot be is a reason to ask another target."""
    search = {"type": "web_search"}
    body = {"model": "chat", "input": "hi", "tools": [search], "tool_choice": search}

    for provider in (CHAT, MESSAGES):
        with pytest.raises(NotBridged) as refused:
            bridge(RESPONSES, provider, body)

        assert refused.value.reasons == ("forced-tool-choice",)


def test_a_choice_is_left_where_no_tool_is() -> None:
    """A free choice goes with the last tool that was dropped."""
    body = {
        "model": "chat",
        "input": "hi",
        "tools": [{"type": "web_search"}],
        "tool_choice": "auto",
    }

    for provider in (CHAT, MESSAGES):
        asked = sent(RESPONSES, provider, body)

        assert "tool_choice" not in asked
        assert "tools" not in asked


def test_server_tools_upset_the_numbers_of_blocks() -> None:
    """A strict client of each dialect counts the parts around them without a gap."""
    searched = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    used = {"type": "server_tool_use", "id": "s_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s_1", "content": []}

    to_messages = streamed(
        bridge(MESSAGES, RESPONSES),
        responses_stream(MESSAGE, searched, CALL, told=(0, 1, 2)),
    )
    to_responses = streamed(
        bridge(RESPONSES, MESSAGES),
        message_stream(TEXT, (used,), (found,), USED, reason="tool_use"),
    )

    message = read_whole_stream(to_messages.stream)
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]
    items = read(to_responses.stream).items
    assert [item["type"] for item in items] == ["message", "function_call"]


@pytest.mark.parametrize("client", [RESPONSES, MESSAGES])
def test_arguments_that_never_come_break_the_agent(client: DialectName) -> None:
    """They are an empty object, which a client can read, and nothing is made up."""
    bare = {"name": "weather", "arguments": ""}
    call = {"index": 0, "id": "call_1", "type": "function", "function": bare}
    stream = chat_stream({"tool_calls": [call]}, *chat_end("tool_calls"))

    came = streamed(bridge(client, CHAT), stream)

    assert calls(heard(client, came.stream)) == [("call_1", "weather", "{}")]


@pairs
def test_an_empty_turn_is_sent_to_be_rejected(
    client: DialectName, provider: DialectName
) -> None:
    """A turn of the assistant without any content is left out."""
    empty: list[Any] = [{"role": "assistant", "content": []}]
    said = [{"role": "user", "content": "a"}, *empty, {"role": "user", "content": "b"}]
    field = "input" if client == RESPONSES else "messages"
    members = {**SIMPLE[client], field: said}
    members.pop("stream_options", None)

    asked = sent(client, provider, members)

    turns = asked["input" if provider == RESPONSES else "messages"]
    assert all(turn["content"] for turn in turns)
    assert [turn["role"] for turn in turns if turn["role"] == "assistant"] == []
