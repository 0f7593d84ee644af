"""How other gateways lose reasoning, tools of Codex and compacted conversations."""

import json
from typing import Any, Final

import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.bridge import (
    CHAT,
    MESSAGES,
    RESPONSES,
    bridge,
    chat_end,
    chat_stream,
    message_stream,
    noted,
    sent,
    streamed,
)
from tests.support.golden import SIMPLE
from tests.support.grammar_anthropic_messages import read_whole_stream
from tests.support.grammar_openai_responses import read

SHELL: Final = {"type": "function", "name": "shell", "parameters": {"type": "object"}}
PATCH: Final = {
    "type": "custom",
    "name": "apply_patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
SEARCH: Final = {"type": "tool_search", "execution": "client", "description": "Find."}
WEB: Final = {"type": "web_search", "search_content_types": ["text", "image"]}


def space(name: str) -> dict[str, Any]:
    """Return a namespace with a tool `add` in it."""
    return {"type": "namespace", "name": name, "tools": [{**SHELL, "name": "add"}]}


CODEX: Final[dict[str, Any]] = {
    "model": "chat",
    "input": [{"role": "user", "content": "fix it"}],
    "tools": [SHELL, PATCH, space("notes"), space("mail"), SEARCH, WEB],
    "include": ["reasoning.encrypted_content"],
    "stream": True,
}


def call(at: int, name: str, arguments: str) -> dict[str, Any]:
    """Return the delta of a whole call."""
    called = {"name": name, "arguments": arguments}
    return {
        "tool_calls": [
            {"index": at, "id": f"call_{at}", "type": "function", "function": called}
        ]
    }


def answered(*deltas: dict[str, Any], reason: str = "stop") -> list[dict[str, Any]]:
    """Return the items that Codex reads when a provider of Chat says these."""
    stream = chat_stream(*deltas, *chat_end(reason))
    return read(streamed(bridge(RESPONSES, CHAT, CODEX), stream).stream).items


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_reasoning_is_dropped_between_turns_by_upstreams_without_its_items(
    provider: DialectName,
) -> None:
    """What a model thought comes back to it as it knows it, calls included."""
    stream = chat_stream(
        {"reasoning_content": "Hm."}, call(0, "shell", "{}"), *chat_end("tool_calls")
    )
    if provider == MESSAGES:
        tool_use = {"type": "tool_use", "id": "t_1", "name": "shell", "input": {}}
        thinking = (
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm."},
            {"type": "signature_delta", "signature": "c2ln"},
        )
        stream = message_stream(thinking, (tool_use,), reason="tool_use")
    items = read(streamed(bridge(RESPONSES, provider, CODEX), stream).stream).items
    result = {"type": "function_call_output", "call_id": items[1]["call_id"]}
    again = [*CODEX["input"], *items, {**result, "output": "ok"}]

    asked = sent(RESPONSES, provider, {**CODEX, "input": again})

    message = asked["messages"][1]
    if provider == CHAT:
        assert message["reasoning_content"] == "Hm."
    else:
        proven = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        assert message["content"][0] == proven


def test_raw_reasoning_text_is_lost_from_chat_to_responses() -> None:
    """It is told as it comes, and sealed for the next turn."""
    items = answered({"reasoning_content": "Hm."}, {"content": "Hello"})

    assert items[0]["type"] == "reasoning"
    assert items[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert items[0]["encrypted_content"]


def test_encrypted_reasoning_of_one_target_is_sent_to_another() -> None:
    """Only its maker is sent a proof; all others what can be read."""
    tool_use = {"type": "tool_use", "id": "t_1", "name": "shell", "input": {}}
    redacted = ({"type": "redacted_thinking", "data": "c2VjcmV0"},)
    stream = message_stream(redacted, (tool_use,), reason="tool_use")
    items = read(streamed(bridge(RESPONSES, MESSAGES, CODEX), stream).stream).items
    body = {**CODEX, "input": [*CODEX["input"], *items]}

    to_maker = bridge(RESPONSES, MESSAGES, body)
    to_sibling = bridge(RESPONSES, MESSAGES, body, label="acme/other")

    assert b"c2VjcmV0" in to_maker.take_body()
    assert b"c2VjcmV0" not in to_sibling.take_body()
    assert "reasoning" in noted(to_sibling)
    assert "reasoning" not in noted(to_maker)


def test_signed_thinking_with_an_empty_text_is_removed() -> None:
    """A hidden thought proves itself by its signature; the relay leaves it alone."""
    hidden = {"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl"}
    said = {"role": "assistant", "content": [hidden, {"type": "text", "text": "Hi"}]}
    user = {"role": "user", "content": "hi"}
    body = {**SIMPLE[MESSAGES], "messages": [user, said, user]}
    messages = DIALECTS[MESSAGES]
    written = json.dumps(body, separators=(",", ":")).encode()

    relayed = messages.address(messages.peek(written), model=b'"chat"')

    assert relayed == written


def test_signatures_of_calls_are_lost_and_the_next_turn_rejected() -> None:
    """What a provider of Chat adds to its calls passes the relay, there and back."""
    proof = {"google": {"thought_signature": "c2ln"}}
    signed = call(0, "shell", "{}")
    signed["tool_calls"][0]["extra_content"] = proof
    chat = DIALECTS[CHAT]
    request = json.dumps(
        {
            **SIMPLE[CHAT],
            "stream": True,
            "messages": [{"role": "assistant", "content": None, **signed}],
        },
        separators=(",", ":"),
    ).encode()
    stream = chat_stream(signed, *chat_end("tool_calls"))

    relayed = chat.address(chat.peek(request), model=b'"chat"')
    meter = chat.meter(chat.peek(request))
    told = meter.feed(stream) + meter.end() + meter.ending

    assert relayed == request
    assert told == stream


@pytest.mark.parametrize("client", [RESPONSES, MESSAGES])
def test_signatures_of_calls_are_lost_in_translation(client: DialectName) -> None:
    """They come back to their maker, on the call on which it had put them."""
    proof = {"google": {"thought_signature": "c2ln"}}
    signed = call(0, "shell", "{}")
    signed["tool_calls"][0]["extra_content"] = proof
    stream = chat_stream(signed, *chat_end("tool_calls"))

    told = streamed(bridge(client, CHAT, {**SIMPLE[client], "stream": True}), stream)
    if client == RESPONSES:
        field, said = "input", read(told.stream).items
    else:
        content = read_whole_stream(told.stream)["content"]
        field, said = "messages", [{"role": "assistant", "content": content}]
    again = {**SIMPLE[client], field: [{"role": "user", "content": "hi"}, *said]}

    (own,) = sent(client, CHAT, again)["messages"][1]["tool_calls"]
    others = bridge(client, CHAT, again, label="acme/other").take_body()
    assert own["extra_content"] == proof
    assert b"thought_signature" not in others


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_the_same_tool_in_two_namespaces_collides(provider: DialectName) -> None:
    """Each has a name of its own, and a call comes back to the right one."""
    tools = sent(RESPONSES, provider, CODEX)["tools"]

    names = [tool.get("function", tool)["name"] for tool in tools]
    assert len(set(names)) == len(names) == 5
    items = answered(
        call(0, "notes__add", "{}"), call(1, "mail__add", "{}"), reason="tool_calls"
    )
    places = [(item["namespace"], item["name"]) for item in items]
    assert places == [("notes", "add"), ("mail", "add")]


def test_calls_come_back_in_a_shape_that_codex_refuses() -> None:
    """Freeform, in a namespace, or a search: each as it was declared."""
    items = answered(
        call(0, "apply_patch", '{"input":"*** Begin Patch"}'),
        call(1, "mail__add", '{"a":1}'),
        call(2, "tool_search", '{"query":"mail"}'),
        reason="tool_calls",
    )

    kinds = ["custom_tool_call", "function_call", "tool_search_call"]
    assert [item["type"] for item in items] == kinds
    assert items[0]["input"] == "*** Begin Patch"
    assert items[1]["arguments"] == '{"a":1}'
    assert (items[2]["execution"], items[2]["arguments"]) == (
        "client",
        {"query": "mail"},
    )


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_tools_that_are_no_functions_get_a_request_rejected(
    provider: DialectName,
) -> None:
    """Providers that know functions only are sent nothing else."""
    tools = sent(RESPONSES, provider, CODEX)["tools"]

    assert {tool.get("type", "function") for tool in tools} == {"function"}


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_a_freeform_tool_is_dropped_in_silence(provider: DialectName) -> None:
    """It is a function with one text, told of its grammar."""
    tools = sent(RESPONSES, provider, CODEX)["tools"]

    (patch,) = (
        tool.get("function", tool)
        for tool in tools
        if tool.get("function", tool)["name"] == "apply_patch"
    )
    schema = patch.get("parameters") or patch["input_schema"]
    assert schema["properties"] == {"input": {"type": "string"}}
    assert "start: /.+/" in patch["description"]


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_options_of_a_hosted_search_get_a_request_rejected(
    provider: DialectName,
) -> None:
    """Whoever cannot search is sent neither the tool nor its options, with a note."""
    translation = bridge(RESPONSES, provider, CODEX)

    assert b"search_content_types" not in translation.take_body()
    assert "tools.web_search" in noted(translation)


@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_a_foreign_compaction_wedges_the_conversation(provider: DialectName) -> None:
    """What only another service can read is a reason to refuse, and is never sent."""
    compacted = {"type": "compaction", "encrypted_content": "gAAAAAB"}
    body = {**CODEX, "input": [compacted, *CODEX["input"]]}

    with pytest.raises(NotBridged) as refused:
        bridge(RESPONSES, provider, body)

    assert refused.value.reasons == ("compaction",)


@pytest.mark.parametrize("maker", [CHAT, MESSAGES])
@pytest.mark.parametrize("provider", [CHAT, MESSAGES])
def test_compacting_gives_no_item_or_one_that_nobody_else_can_read(
    maker: DialectName, provider: DialectName
) -> None:
    """It is one item, which any provider is told as the summary that it is."""
    trigger = {"type": "compaction_trigger"}
    asking = {**CODEX, "input": [*CODEX["input"], trigger]}
    stream = chat_stream({"content": "All is done."}, *chat_end())
    if maker == MESSAGES:
        text = {"type": "text", "text": ""}, {"type": "text_delta", "text": "All is"}
        stream = message_stream((*text, {"type": "text_delta", "text": " done."}))

    items = read(streamed(bridge(RESPONSES, maker, asking), stream).stream).items
    asked = sent(RESPONSES, provider, {**CODEX, "input": [*items, *CODEX["input"]]})

    assert [item["type"] for item in items] == ["compaction"]
    assert "All is done." in json.dumps(asked["messages"][0])
