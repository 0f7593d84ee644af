"""Peeking into a request, and addressing it to a target without rewriting it."""

import json
from typing import Any

import pytest

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.errors import InvalidJson, InvalidRequest
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.dialects.openai_responses.compaction import sealed_summary
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from smart_llmrouter.dialects.sealed import seal

SIGNED = ReasoningState(kind="signature", value="proof")


def addressed(body: bytes) -> bytes:
    """Address a request to `acme-mini`."""
    return OPENAI_RESPONSES.address(OPENAI_RESPONSES.peek(body), model=b'"acme-mini"')


def with_items(*items: object) -> bytes:
    """Return a request with these items."""
    return json.dumps({"model": "fast", "input": items}).encode()


def test_only_the_model_is_replaced() -> None:
    """Values keep their spelling and keys their order."""
    body = b'{"x": 1.00, "model" : "fast", "input": [ 1e5,\t"\\u00e9" ], "z": -0.0}'

    sent = addressed(body)

    assert sent == (
        b'{"x":1.00,"model":"acme-mini","input":[ 1e5,\t"\\u00e9" ],"z":-0.0}'
    )


@pytest.mark.parametrize(
    "body",
    [
        {"input": "hi"},
        {"input": []},
        {"previous_response_id": "resp_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"conversation": "conv_1"},
    ],
)
def test_a_request_begins_with_something(body: dict[str, Any]) -> None:
    """Each of these can stand alone."""
    peek = OPENAI_RESPONSES.peek(json.dumps(body).encode())

    assert (peek.model, peek.stream, peek.wants_usage) == (None, False, True)


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"input": None, "previous_response_id": None}]
)
def test_a_request_without_input_is_refused(body: dict[str, Any]) -> None:
    """The error names the field that is missing."""
    with pytest.raises(InvalidRequest) as refused:
        OPENAI_RESPONSES.peek(json.dumps(body).encode())

    assert refused.value.details == {"field": "input"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"input": "\xff"}', b"\xff"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """The router tells what is wrong with the body."""
    with pytest.raises(InvalidJson):
        OPENAI_RESPONSES.peek(body)


@pytest.mark.parametrize(
    ("field", "value"), [("model", "1"), ("stream", '"yes"'), ("stream", "1")]
)
def test_a_field_of_the_wrong_type_is_named(field: str, value: str) -> None:
    """The router must read these two."""
    with pytest.raises(InvalidRequest) as refused:
        OPENAI_RESPONSES.peek(
            b'{"input":"hi","%b":%b}' % (field.encode(), value.encode())
        )

    assert refused.value.details == {"field": field}


def test_model_and_stream_are_read() -> None:
    """Explicit nulls are as absent."""
    asked = OPENAI_RESPONSES.peek(b'{"input":"hi","model":"fast","stream":true}')
    silent = OPENAI_RESPONSES.peek(b'{"input":"hi","model":null,"stream":null}')

    assert (asked.model, asked.stream) == ("fast", True)
    assert (silent.model, silent.stream) == (None, False)


def test_sealed_reasoning_of_another_dialect_reaches_no_provider() -> None:
    """The item is left out; what stands around it keeps its bytes."""
    sealed = seal(SIGNED, label="anthropic/claude", text="thought")
    reasoning = json.dumps({"type": "reasoning", "encrypted_content": sealed})
    first, last = '{ "role":"user", "content":"a"}', '{"role" : "user","content":"b" }'
    body = f'{{"input":[{first},{reasoning},{last}]}}'.encode()

    sent = addressed(body)

    assert sent == (f'{{"input":[{first},{last}],"model":"acme-mini"}}'.encode())


def test_native_reasoning_stays() -> None:
    """What the provider itself encrypted is its own."""
    body = with_items({"type": "reasoning", "encrypted_content": "gAAAA=="})

    assert json.loads(addressed(body))["input"] == json.loads(body)["input"]


def test_text_that_looks_sealed_stays() -> None:
    """Only what was sealed is taken out, and only from where it is kept."""
    items: list[object] = [
        "text",
        {"role": "user", "content": "srt1.abc"},
        {"role": "user", "content": 'he said "srt1.abc"'},
        {"type": "function_call", "encrypted_content": "srt1.abc"},
        {"type": "compaction", "encrypted_content": "srt1.abc"},
        {"type": "reasoning", "encrypted_content": 1, "content": "srt1."},
        ["srt1."],
    ]
    body = with_items(*items)
    peek = OPENAI_RESPONSES.peek(body)

    sent = OPENAI_RESPONSES.peek(OPENAI_RESPONSES.address(peek, model=b'"acme"'))

    assert bytes(sent.members["input"]) == bytes(peek.members["input"])
    body = b'{"input":{"a":"srt1."},"model":"acme-mini"}'
    assert addressed(body) == body
    assert addressed(b'{"input":"srt1."}') == b'{"input":"srt1.","model":"acme-mini"}'


def test_a_sealed_summary_is_told_to_any_provider() -> None:
    """A compacted conversation goes on with targets that compact by themselves."""
    content = sealed_summary("Two files were changed.", label="anthropic/claude")
    body = with_items(
        {"type": "compaction", "id": "cmp_1", "encrypted_content": content},
        {"role": "user", "content": "go on"},
    )

    first, second = json.loads(addressed(body))["input"]

    assert (first["type"], first["role"]) == ("message", "user")
    assert first["content"][0]["text"].endswith("\n\nTwo files were changed.")
    assert second == {"role": "user", "content": "go on"}


def test_reasoning_that_others_proved_is_left_out() -> None:
    """Nothing else goes, not even what speaks of the same proof."""
    own = {"type": "reasoning", "summary": [], "encrypted_content": "own+/="}
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "foreign"}
    told = {"role": "user", "content": '"encrypted_content": "foreign"'}
    peek = OPENAI_RESPONSES.peek(with_items(told, own, foreign))
    proof = OPENAI_RESPONSES.last_proof(peek)

    kept = OPENAI_RESPONSES.without_foreign(peek, lambda each: each == proof)
    same = OPENAI_RESPONSES.without_foreign(peek, lambda _: False)

    assert json.loads(bytes(kept.members["input"])) == [told, own]
    assert same is peek


def test_a_conversation_that_others_compacted_is_for_nobody_else() -> None:
    """What is in it cannot be left out, and cannot be read."""
    item = {"type": "compaction", "encrypted_content": "foreign"}
    peek = OPENAI_RESPONSES.peek(with_items(item, {"role": "user", "content": "hi"}))

    with pytest.raises(NotBridged, match="not-bridged:compaction"):
        OPENAI_RESPONSES.without_foreign(peek, lambda _: True)


def test_a_reasoning_that_only_the_router_knows_is_left_out() -> None:
    """A provider would look for its id among its own answers; all else stays."""
    own = '{"id":"rs_%s_0","type":"reasoning","summary":[]}' % ("0a" * 16)
    others = own.replace("0a", "0g")
    message = '{"id":"msg_1","role":"user","content":"about \\"rs_1\\""}'
    body = f'{{"model":"a","input":[{own},{others},{message}]}}'.encode()

    peek = OPENAI_RESPONSES.peek(body)

    sent = OPENAI_RESPONSES.address(peek, model=b'"b"')
    kept = OPENAI_RESPONSES.address(peek, model=b'"b"', keep_seals=True)

    assert sent == f'{{"model":"b","input":[{others},{message}]}}'.encode()
    assert kept == body.replace(b'"a"', b'"b"')
