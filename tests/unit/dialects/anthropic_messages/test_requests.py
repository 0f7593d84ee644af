"""The relay lane of Messages: what is read of a request, and what is replaced in it."""

import json

import pytest

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.errors import InvalidJson, InvalidRequest
from smart_llmrouter.dialects.anthropic_messages.dialect import ANTHROPIC_MESSAGES
from smart_llmrouter.dialects.anthropic_messages.requests import (
    address_request,
    peek_request,
)
from smart_llmrouter.dialects.sealed import seal
from tests.support.captures import Captured, captured

SEALED = seal(
    ReasoningState(kind="encrypted", value="gAAA", item_id="rs_1"), label="acme/mini"
)
OWN = '{"type":"thinking","thinking":"hm","signature":"EqQB"}'
TEXT = '{"type": "text", "text": "say \\"signature\\":\\"\\" é \\ud83d"}'


def addressed(messages: str) -> str:
    """Return the messages of a request as they reach the provider."""
    body = f'{{"model":"a","messages":{messages}}}'.encode()
    sent = address_request(peek_request(body), model=b'"b"').decode()
    assert sent.startswith('{"model":"b","messages":')
    return sent.removeprefix('{"model":"b","messages":').removesuffix("}")


@pytest.mark.parametrize(
    "request_", captured("/messages"), ids=lambda request: request.name
)
def test_what_claude_code_and_the_sdks_send_keeps_every_byte(
    request_: Captured,
) -> None:
    """Only the model differs, down to the system blocks and the cache markers."""
    model = f'"model":{json.dumps(request_.body["model"])}'.encode()

    sent = address_request(peek_request(request_.raw), model=b'"other"')

    assert request_.raw.count(model) == 1
    assert sent == request_.raw.replace(model, b'"model":"other"')


def test_a_peek_tells_the_model_and_the_stream() -> None:
    """Usage always comes, so it counts as asked for."""
    peek = peek_request(b'{"model":"m","stream":true,"messages":[]}')

    assert (peek.model, peek.stream, peek.wants_usage) == ("m", True, True)


@pytest.mark.parametrize("body", [b"{}", b'{"model":null,"stream":null}'])
def test_null_is_as_absent(body: bytes) -> None:
    """Neither a model nor a stream is asked for."""
    peek = peek_request(body)

    assert (peek.model, peek.stream) == (None, False)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a"', b'{"a":"\xff"}'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """The body must be one JSON object, in UTF-8."""
    with pytest.raises(InvalidJson):
        peek_request(body)


@pytest.mark.parametrize(("field", "value"), [("model", "5"), ("stream", '"yes"')])
def test_a_field_of_a_wrong_type_is_named(field: str, value: str) -> None:
    """The caller learns which one it is."""
    with pytest.raises(InvalidRequest) as refused:
        peek_request(f'{{"{field}":{value}}}'.encode())

    assert refused.value.details == {"field": field}


@pytest.mark.parametrize(
    "foreign",
    [
        '{"type":"thinking","thinking":"x","signature":""}',
        '{"signature" : "" , "thinking":"x","type":"thinking"}',
        '{"type":"thinking","thinking":"x","signature":null}',
        '{"type":"thinking","thinking":"x"}',
        f'{{"type":"thinking","thinking":"x","signature":"{SEALED}"}}',
        f'{{"type":"redacted_thinking","data":"{SEALED}"}}',
    ],
)
def test_thinking_that_no_provider_would_take_back_is_left_out(foreign: str) -> None:
    """Unsigned thinking and what was sealed here go; all else keeps its bytes."""
    before = f'{{"role": "user", "content": [{TEXT}]}}'
    held = f'{{"role":"assistant","content":[{OWN},{foreign},{TEXT}]}}'
    left = f'{{"role":"assistant","content":[{OWN},{TEXT}]}}'

    sent = addressed(f"[{before}, {held} ,{before}]")

    assert sent == f"[{before},{left},{before}]"


def test_a_message_of_nothing_but_foreign_thinking_is_left_out() -> None:
    """An empty message would be refused."""
    foreign = '{"type":"thinking","thinking":"x","signature":""}'
    said = f'{{"role":"user","content":[{TEXT}]}}'

    sent = addressed(f'[{said},{{"role":"assistant","content":[{foreign}]}},{said}]')

    assert sent == f"[{said},{said}]"


def test_half_an_emoji_beside_foreign_thinking_keeps_its_bytes() -> None:
    """Places are found in a copy that can be read."""
    foreign = '{"type":"thinking","thinking":"\\ude00","signature":""}'
    held = f'{{"role":"assistant","content":[{foreign} , {TEXT}]}}'
    said = f'{{"role":"user","content":[{TEXT}]}}'

    sent = addressed(f"[{said},  {held}]")

    assert sent == f'[{said},{{"role":"assistant","content":[{TEXT}]}}]'


@pytest.mark.parametrize(
    "messages",
    [
        f'[{{"role":"assistant","content":[{OWN}, {TEXT}]}}]',
        f'[ {{"role":"user","content":"\\"{SEALED}"}} ]',
        f'[{{"role":"user","content":[{{"type":"text","text":"{SEALED}"}}]}}]',
        '[{"role":"user","content":[{"type":"x","signature":""}]}]',
        '[{"signature":""}, 5, "x", null]',
        '[{"content":[{"type":"tool_use","input":{"thinking":"thinking"}}]}]',
        '{"signature":""}',
    ],
)
def test_what_only_looks_like_it_keeps_its_bytes(messages: str) -> None:
    """Text about a signature, and own thinking, pass as they are."""
    assert addressed(messages) == messages


def test_thinking_that_others_signed_is_left_out() -> None:
    """All else keeps its bytes; a message of nothing else goes with it."""
    foreign = OWN.replace("EqQB", "Zm9y+/==")
    spaced = foreign.replace('":"', '" : "')
    said = '{"role":"assistant","content":[%s]}'
    kept = f'{{"role":"user","content":[{TEXT}]}}'
    messages = [kept, said % foreign, said % f"{OWN},{spaced},{TEXT}"]
    body = f'{{"model":"a","messages":[{",".join(messages)}]}}'.encode()
    peek = peek_request(body)
    proof = ANTHROPIC_MESSAGES.last_proof(peek)

    sent = ANTHROPIC_MESSAGES.without_foreign(peek, lambda each: each == proof)
    same = ANTHROPIC_MESSAGES.without_foreign(peek, lambda _: False)

    left = bytes(sent.members["messages"]).decode()
    assert left == f"[{kept},{said % f'{OWN},{TEXT}'}]"
    assert same is peek
