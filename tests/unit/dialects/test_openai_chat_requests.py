"""Peeking into a request, and addressing it to a target without rewriting it."""

import pytest

from smart_llmrouter.core.errors import (
    InvalidJson,
    InvalidRequest,
    ResponsesBodyOnChatEndpoint,
)
from smart_llmrouter.dialects.openai_chat.requests import (
    parse_request,
    render_request,
)

ACME = b'"acme-mini"'


def rendered(body: bytes) -> bytes:
    """Address a request to `acme-mini`."""
    return render_request(parse_request(body), model=ACME)


def test_only_the_model_is_replaced() -> None:
    """Values keep their spelling and keys their order."""
    body = b'{"x": 1.00, "model" : "chat", "messages": [ 1e5,\t"\\u00e9" ], "z": -0.0}'

    sent = rendered(body)

    assert sent == (
        b'{"x":1.00,"model":"acme-mini","messages":[ 1e5,\t"\\u00e9" ],"z":-0.0}'
    )


def test_a_missing_model_is_added() -> None:
    """A request for the default group names the target's model."""
    request = parse_request(b'{"messages": []}')

    assert request.model is None
    assert rendered(b'{"messages": []}') == b'{"messages":[],"model":"acme-mini"}'


def test_a_key_that_stands_twice_has_its_last_value() -> None:
    """What is checked is what is sent."""
    body = b'{"model": "a", "messages": [1], "model": "b", "messages": [2]}'

    assert parse_request(body).model == "b"
    assert rendered(body) == b'{"model":"acme-mini","messages":[2]}'


def test_an_escaped_key_is_the_key() -> None:
    """A key spelt with escapes cannot smuggle a second model past the router."""
    body = b'{"m\\u006fdel": "chat", "messages": []}'

    assert parse_request(body).model == "chat"
    assert rendered(body) == b'{"model":"acme-mini","messages":[]}'


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, b'{"include_usage":true}'),
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage": false}', b'{"include_usage":true}'),
        (b'{"include_usage": null}', b'{"include_usage":true}'),
        (b'{"x": 1.0}', b'{"x":1.0,"include_usage":true}'),
    ],
)
def test_usage_is_asked_for(options: bytes | None, sent: bytes) -> None:
    """A stream without `include_usage` gets it, beside what the caller asked for."""
    given = b"" if options is None else b', "stream_options": ' + options
    body = b'{"model": "chat", "messages": [], "stream": true' + given + b"}"

    assert rendered(body) == (
        b'{"model":"acme-mini","messages":[],"stream":true,"stream_options":'
        + sent
        + b"}"
    )


def test_a_caller_who_asks_for_usage_is_sent_on_unchanged() -> None:
    """Its own `stream_options` go out in its own spelling."""
    body = b'{"messages":[],"stream":true,"stream_options":{ "include_usage" : true }}'

    request = parse_request(body)

    assert (request.stream, request.wants_usage) == (True, True)
    assert b'"stream_options":{ "include_usage" : true }' in rendered(body)


@pytest.mark.parametrize("stream", [b"false", b"null"])
def test_a_plain_call_is_not_asked_for_usage(stream: bytes) -> None:
    """`stream_options` are the caller's business when nothing is streamed."""
    body = b'{"messages":[],"stream":' + stream + b',"stream_options":7}'

    assert not parse_request(body).stream
    assert b'"stream_options":7' in rendered(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"messages":[],"model":7}', "model"),
        (b'{"messages":[],"model":["chat"]}', "model"),
        (b'{"messages":[],"stream":"yes"}', "stream"),
        (b'{"messages":[],"stream":1}', "stream"),
        (b'{"messages":[],"stream":true,"stream_options":[]}', "stream_options"),
        (
            b'{"messages":[],"stream":true,"stream_options":{"include_usage":1}}',
            "stream_options",
        ),
    ],
)
def test_a_field_of_the_wrong_type_is_named(body: bytes, field: str) -> None:
    """The caller learns which field is wrong."""
    with pytest.raises(InvalidRequest) as raised:
        parse_request(body)

    assert raised.value.details == {"field": field}


@pytest.mark.parametrize("field", ["input", "instructions", "previous_response_id"])
def test_a_responses_body_is_told_apart(field: str) -> None:
    """A body of the Responses API is refused by name, not misread."""
    with pytest.raises(ResponsesBodyOnChatEndpoint) as raised:
        parse_request(b'{"model": "chat", "%s": "x"}' % field.encode())

    assert raised.value.details == {"field": field}


def test_messages_beside_input_are_a_chat_body() -> None:
    """With `messages` it is Chat, whatever else is in it."""
    request = parse_request(b'{"messages": [], "input": "x"}')

    assert request.model is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{",
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":1} x',
        b'{"a":NaN}',
        b'{"a":01}',
        b'{"a":"\n"}',
        b'\xef\xbb\xbf{"messages":[]}',
        b'{"messages":["\xff"]}',
        b'{"messages":["\xed\xa0\x80"]}',
        b'{"\xff":1}',
        b'{"messages":[],"stream":true,"stream_options":{"\xff":1}}',
        '{"messages":[]}'.encode("utf-16"),
        b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    """Anything else than one whole JSON object in UTF-8 is refused."""
    with pytest.raises(InvalidJson):
        parse_request(body)
