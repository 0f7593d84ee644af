"""The whole dialect: what only Messages can say passes through the canon unharmed."""

import json

import pytest

from smart_llmrouter.core.errors import UpstreamFailed
from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Finished,
    Opened,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.anthropic_messages.dialect import (
    ANTHROPIC_MESSAGES as MESSAGES,
)
from smart_llmrouter.dialects.base import Answering, Serving
from tests.support.grammar_anthropic_messages import read_whole_stream

CACHED = {"type": "ephemeral"}
ODD = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "s", "cache_control": CACHED}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "new", "x": 1}},
                {"type": "document", "source": {"type": "new", "x": 1}},
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [
                            {"type": "image", "source": {"type": "url", "url": "u"}}
                        ],
                    },
                },
                {
                    "type": "document",
                    "source": {
                        "type": "content",
                        "content": [{"type": "text", "text": "a"}],
                    },
                    "citations": {"enabled": True},
                },
                {"type": "something_new", "x": 1},
                {"type": "text", "text": "t", "cache_control": CACHED},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "s", "name": "n", "input": {}},
                {"type": "tool_use", "id": "a", "name": "ToolSearch", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "tool_reference", "tool_name": "Grep"}],
                    "cache_control": CACHED,
                },
            ],
        },
        {"role": "system", "content": "later", "output_config": {"effort": "low"}},
    ],
    "tools": [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "memory_20250818", "name": "memory", "strict": True},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 1},
        {"name": "Grep", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "tool_choice": {"type": "tool", "name": "Grep"},
    "thinking": {"type": "between_tools"},
    "output_config": {"task_budget": {"total": 5}},
    "metadata": {"user_id": "u", "more": 1},
    "service_tier": "something_new",
    "container": {"id": "c"},
    "top_k": 5,
}


def test_what_only_messages_can_say_passes_unharmed() -> None:
    """Also what is newer than this."""
    notes = Notes()

    request = MESSAGES.parse(MESSAGES.peek(json.dumps(ODD).encode()))
    body = MESSAGES.render(request, Serving(label="a/b", model="m"), notes)

    assert json.loads(body) == ODD
    assert notes.all() == ()
    assert request.needs == ("container",)


def test_an_answer_passes_through_the_dialect() -> None:
    """Parts whose ends were left out are ended; usage comes last."""
    request = MESSAGES.parse(MESSAGES.peek(json.dumps(ODD).encode()))
    answering = Answering(
        request=request, id="x", created_s=0, model="m", label="a/b", notes=Notes()
    )
    encoder = MESSAGES.encoder(answering)
    events: list[Event] = [
        Opened(0, "text"),
        Delta(0, "a"),
        Opened(1, "tool_call", call_id="c", name="f"),
        Delta(1, '{"b":1}'),
        Delta(7, "of no part"),
        UsageSeen(Usage(input_tokens=3, output_tokens=4)),
    ]

    stream = encoder.encode(events) + encoder.finish(Finished("stop"))
    plain = MESSAGES.write_answer(
        [*events[:4], Closed(0), Closed(1), events[5], Finished("stop")], answering
    )

    assert read_whole_stream(stream) == json.loads(plain)
    assert MESSAGES.usage_of(plain).output_tokens == 4
    assert MESSAGES.read_answer(plain)[-1] == Finished("tool_calls")
    decoder = MESSAGES.decoder()
    assert [*decoder.feed(stream), *decoder.end()][-1] == Finished("tool_calls")


@pytest.mark.parametrize("rest", ["error", "error_event", "keep_alive"])
def test_what_the_path_itself_says(rest: str) -> None:
    """Errors and signs of life, as Anthropic's clients read them."""
    error = UpstreamFailed("broke")
    said = {
        "error": MESSAGES.render_error(error, request_id="r"),
        "error_event": MESSAGES.encode_error_event(error, request_id="r"),
        "keep_alive": MESSAGES.keep_alive,
    }[rest]

    assert b'"type":"error"' in said or said.startswith(b"event: ping\n")
    assert said.startswith((b"event: ", b"{"))
