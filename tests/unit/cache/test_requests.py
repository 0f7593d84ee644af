"""Which requests have the same answer each time."""

from typing import Any

import msgspec
import pytest

from smart_llmrouter.cache.requests import bypass_of, fixing
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.wire.jsonobject import parse_members


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("{}", set()),
        ('{"temperature":0}', {"temperature"}),
        ('{"temperature":0.0}', {"temperature"}),
        ('{"temperature":-0e5}', {"temperature"}),
        ('{"temperature":0.01}', set()),
        ('{"temperature":null}', set()),
        ('{"temperature":"0"}', set()),
        ('{"temperature":false}', set()),
        ('{"seed":0}', {"seed"}),
        ('{"seed":null}', set()),
        ('{"seed":"a"}', set()),
        ('{"seed":1,"temperature":0}', {"seed", "temperature"}),
        ('{"seed":1,"temperature":1}', {"seed"}),
    ],
)
def test_what_makes_an_answer_the_same_each_time(body: str, found: set[str]) -> None:
    """No heat, or a seed, however the numbers are written."""
    assert fixing(parse_members(body.encode())) == found


def bypass(dialect: DialectName, **fields: object) -> str | None:
    """Return why a request has nothing to do with the cache."""
    spoken = DIALECTS[dialect]
    body: dict[str, Any] = {"model": "chat", "temperature": 0, "input": "hi", **fields}
    if dialect != "openai-responses":
        del body["input"]
    encoded = msgspec.json.encode(body)
    peek = spoken.peek(encoded)
    return bypass_of(peek.members, spoken.requirements_of(peek, body=encoded))


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai-chat", {"messages": [{"role": "user", "content": "hi"}]}),
        ("openai-chat", {"n": 1, "tools": [], "tool_choice": "none", "store": False}),
        ("openai-chat", {"tools": None, "functions": None, "unheard_of": None}),
        ("openai-chat", {"modalities": ["text"], "user": "u", "metadata": {}}),
        ("openai-responses", {"store": False, "input": "hi", "background": False}),
        ("openai-responses", {"store": False, "input": [], "conversation": None}),
        ("anthropic-messages", {"messages": [], "max_tokens": 5, "system": "s"}),
        ("anthropic-messages", {"metadata": {"user_id": "u"}, "cache_control": {}}),
    ],
)
def test_what_may_be_kept(dialect: DialectName, fields: dict[str, Any]) -> None:
    """What is `null` or empty is not there."""
    assert bypass(dialect, **fields) is None


@pytest.mark.parametrize(
    ("dialect", "fields", "reason"),
    [
        ("openai-chat", {"functions": [{"name": "f"}]}, "tools"),
        ("openai-chat", {"plugins": [{"id": "web"}]}, "tools"),
        ("openai-chat", {"tools": [{"type": "web_search"}]}, "tools"),
        ("openai-chat", {"modalities": ["text", "audio"]}, "files"),
        ("openai-chat", {"unheard_of": 1}, "other-fields"),
        ("openai-responses", {}, "state"),
        ("openai-responses", {"store": False, "background": True}, "state"),
        ("openai-responses", {"store": False, "prompt": {"id": "p"}}, "state"),
        (
            "openai-responses",
            {"store": False, "previous_response_id": "resp_1"},
            "state",
        ),
        ("openai-responses", {"store": False, "conversation": "conv_1"}, "state"),
        (
            "openai-responses",
            {"store": False, "input": [{"type": "item_reference", "id": "i"}]},
            "state",
        ),
        (
            "openai-responses",
            {"store": False, "tools": [{"type": "web_search"}]},
            "tools",
        ),
        ("anthropic-messages", {"mcp_servers": [{"url": "u"}]}, "tools"),
        ("anthropic-messages", {"container": "c"}, "tools"),
        ("anthropic-messages", {"context_management": {"edits": []}}, "other-fields"),
    ],
)
def test_what_may_not_be_kept(
    dialect: DialectName, fields: dict[str, Any], reason: str
) -> None:
    """The first reason that holds is told."""
    assert bypass(dialect, **fields) == reason
