"""Estimates of tokens are over and never under, and grow with what is asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.estimates import (
    IMAGE_TOKENS,
    UNSEEN_FILE_TOKENS,
    input_tokens,
    text_tokens,
)

PROSE = "The quick brown fox jumps over the lazy dog. " * 20
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)


def estimate(**request: Any) -> int:  # noqa: ANN401 - any JSON
    """Estimate a request."""
    return input_tokens(json.dumps(request).encode())


def asked(content: object) -> int:
    """Estimate a request of one message."""
    return estimate(messages=[{"role": "user", "content": content}])


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        # The largest count of cl100k, o200k and Anthropic's published tokenizer.
        (PROSE, 201),
        ("微服务架构将单一应用程序划分成一组小的服务。" * 20, 420),
        ("Съешь ещё этих мягких французских булок, да выпей чаю." * 20, 740),
        ("def f(x: int) -> int:\n    return x + 1\n" * 20, 320),
        ('{"name": "get_weather", "strict": true}' * 20, 260),
    ],
    ids=["english", "chinese", "russian", "python", "json"],
)
def test_prose_and_code_are_over(text: str, counted: int) -> None:
    """Newer tokenizers make up to a third more tokens of a text; that is in it, too."""
    assert text_tokens(text) >= counted * 1.35


def test_a_text_of_megabytes_is_estimated_at_once() -> None:
    """The work is done on whole texts, and not on their characters."""
    assert text_tokens(PROSE * 10_000) >= 10_000 * 201


@given(TEXTS, TEXTS)
def test_more_text_is_never_less(text: str, more: str) -> None:
    """Whatever is added to the end of a text, its estimate does not become less."""
    assert text_tokens(text + more) >= text_tokens(text)


@given(st.lists(VALUES, max_size=4), VALUES)
def test_more_messages_are_never_less(messages: list[object], more: object) -> None:
    """Nor of a conversation that goes on, whatever is in it."""
    assert estimate(messages=[*messages, more]) > estimate(messages=messages)


@given(VALUES, TEXTS)
def test_another_field_is_never_less(value: object, text: str) -> None:
    """Fields that nobody knows count, too: a provider may."""
    with_it = estimate(messages=[], **{"x" + text: value})

    assert with_it > estimate(messages=[])


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "data": "A" * 400_000}},
        {"type": "image_url", "image_url": {"url": "https://acme.example/x.png"}},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ],
)
def test_an_image_counts_as_one(block: dict[str, object]) -> None:
    """Neither its base64 nor its address is text."""
    assert asked([block]) - asked([]) == IMAGE_TOKENS


def test_an_image_in_a_tools_result_counts() -> None:
    """Wherever it stands."""
    image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}

    assert asked([{"type": "tool_result", "content": [image]}]) > IMAGE_TOKENS


@pytest.mark.parametrize("kind", ["image", "input_audio", "document"])
def test_text_beside_what_calls_itself_a_medium_counts(kind: str) -> None:
    """A provider may read it: nobody gets a long text through as an image."""
    text = PROSE * 400

    body = estimate(type=kind, messages=[{"role": "user", "content": text}])
    message = estimate(messages=[{"role": "user", "content": text, "type": kind}])

    assert min(body, message) >= asked(text)


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"type": "document", "source": {"data": "A" * 200_000}}, 200_000),
        ({"type": "document", "source": {"url": "https://x"}}, UNSEEN_FILE_TOKENS),
        ({"type": "file", "file": {"file_id": "f"}}, UNSEEN_FILE_TOKENS),
        ({"type": "document", "source": {"content": ["A" * 60_000, 1]}}, 60_000),
    ],
)
def test_a_file_counts_by_what_is_there(block: dict[str, object], tokens: int) -> None:
    """One that only the provider can see may be long."""
    assert asked([block]) - asked([]) >= tokens


def test_sound_counts_by_its_length() -> None:
    """Ten tokens a second are the most that is known; base64 of a second is longer."""
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 43_000}}

    assert 430 <= asked([sound]) - asked([]) <= 450


def test_tools_have_an_overhead() -> None:
    """Providers put instructions in front of the tools."""
    tool = {"name": "x", "input_schema": {"type": "object"}}

    one = estimate(messages=[], tools=[tool])

    assert one - estimate(messages=[]) > 700
    assert estimate(messages=[], tools=[tool] * 2) - one > 24


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"\xff\xfe", b"[" * 5000])
def test_what_is_no_request_is_text(body: bytes) -> None:
    """An estimate is never refused."""
    assert input_tokens(body) >= len(body) // 4


def test_a_deep_request_is_estimated() -> None:
    """As deep as JSON may be, without recursion of our own."""
    depth = 900
    assert asked(json.loads("[" * depth + "]" * depth)) > depth


def test_a_request_is_estimated_again_as_it_was_before() -> None:
    """Short or long: what is remembered changes nothing, nor does what follows."""
    for text in (PROSE, PROSE * 20):
        turns = [{"role": "user", "content": text}]
        first = estimate(messages=turns, model="m")
        longer = estimate(messages=[*turns, *turns], model="m")

        assert estimate(messages=turns, model="m") == first
        assert estimate(messages=[*turns, *turns], model="m") == longer
        assert longer - first > text_tokens(text)
