"""A JSON object as its raw values: taken apart, changed in one place, put together."""

import msgspec
import pytest

from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members, render_members


def test_one_value_is_replaced() -> None:
    """The others keep their bytes, and all keep their places."""
    members = parse_members(b'{ "a" : 1.00, "b":[ 1 ] , "c":"\\u00e9" }')

    changed = members | {"b": msgspec.Raw(b"2")}

    assert render_members(changed) == b'{"a":1.00,"b":2,"c":"\\u00e9"}'


@pytest.mark.parametrize("body", [b"{}", b" {\n} "])
def test_an_empty_object(body: bytes) -> None:
    """Nothing in, nothing out."""
    assert parse_members(body) == {}
    assert render_members({}) == b"{}"


def test_keys_are_escaped_again() -> None:
    """A key with quotes, controls or other letters is a valid key afterwards."""
    body = rb'{"a\"b":1,"\n":2,"\u00e9":3,"\\":4}'

    rendered = render_members(parse_members(body))

    assert msgspec.json.decode(rendered) == {'a"b': 1, "\n": 2, "é": 3, "\\": 4}


def test_the_last_of_two_equal_keys_counts() -> None:
    """It stays in the place of the first."""
    members = parse_members(b'{"a":1,"b":2,"a":3}')

    assert render_members(members) == b'{"a":3,"b":2}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"[1]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b'{"a":' + b"[" * 100_000, "the JSON is nested too deeply"),
        (b'{"\xff":1}', "the body is not UTF-8"),
        (b'{"a":1', "Input data was truncated"),
        (b'{"a" 1}', "JSON is malformed"),
    ],
)
def test_what_is_wrong_is_told(body: bytes, told: str) -> None:
    """The message helps, and repeats nothing of the body."""
    with pytest.raises(NotAnObject, match=told):
        parse_members(body)
