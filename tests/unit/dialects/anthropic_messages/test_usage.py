"""Usage in Messages: parts that are counted apart, and one sum of them here."""

import msgspec
import pytest

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.anthropic_messages.answers import usage_of_answer
from smart_llmrouter.dialects.anthropic_messages.usage import read_usage, written_usage
from smart_llmrouter.dialects.base import NotAnAnswer


def test_a_single_count_of_writes_is_one_for_five_minutes() -> None:
    """So said the API before it told the lifetimes."""
    usage = read_usage(
        msgspec.Raw(
            b'{"input_tokens":3,"cache_creation_input_tokens":5,'
            b'"cache_read_input_tokens":7,"output_tokens":2}'
        )
    )

    assert usage == Usage(
        input_tokens=15,
        cached_input_tokens=7,
        cache_write_5m_tokens=5,
        cache_write_1h_tokens=0,
        output_tokens=2,
    )


@pytest.mark.parametrize("text", [b"null", b"{}", b"[]", b'"x"', b"5"])
def test_no_usage_is_unknown_usage(text: bytes) -> None:
    """Absent is not zero."""
    assert read_usage(msgspec.Raw(text)) == UNKNOWN_USAGE


def test_one_unreadable_count_harms_no_other() -> None:
    """Counts are known whatever stands beside them."""
    usage = read_usage(
        msgspec.Raw(b'{"input_tokens":7,"cache_creation":"none","output_tokens":-3}')
    )

    assert usage == Usage(input_tokens=7)


def test_a_written_usage_reads_the_same() -> None:
    """Each token stands in one place."""
    usage = Usage(
        input_tokens=100,
        cached_input_tokens=50,
        cache_write_5m_tokens=20,
        cache_write_1h_tokens=10,
        output_tokens=8,
        reasoning_tokens=3,
    )

    written = written_usage(usage)

    assert msgspec.json.decode(written)["input_tokens"] == 20
    assert read_usage(msgspec.Raw(written)) == usage


def test_a_plain_answer_tells_its_usage() -> None:
    """Thinking is part of the output."""
    body = (
        b'{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":5,'
        b'"output_tokens_details":{"thinking_tokens":4}}}'
    )

    assert usage_of_answer(body) == Usage(
        input_tokens=1, output_tokens=5, reasoning_tokens=4
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"message"}',
        b'{"type":"message","content":null}',
        b'{"type":"error","error":{"type":"overloaded_error"},"content":[]}',
        b'{"type":"message","content":[{"type"',
    ],
)
def test_a_200_alone_is_not_an_answer(body: bytes) -> None:
    """What has no content, or is an error, is refused."""
    with pytest.raises(NotAnAnswer):
        usage_of_answer(body)
