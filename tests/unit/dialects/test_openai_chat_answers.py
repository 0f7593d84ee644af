"""What is read of a plain answer: its usage, as far as it can be believed."""

import msgspec
import pytest

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.openai_chat.answers import (
    NotAnAnswer,
    parse_answer,
    parse_usage,
)


def usage_of(text: str) -> Usage:
    """Read the JSON text of a `usage` value."""
    return parse_usage(msgspec.Raw(text.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"<html>busy</html>",
        b"{}",
        b'{"choices": null}',
        b'{"choices": {}}',
        b'{"error": {"message": "overloaded"}}',
        b'{"choices": [{"message"',
        b'{"choices": []} trailing',
        b'{"choices": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    ],
)
def test_a_200_alone_is_not_an_answer(body: bytes) -> None:
    """What has no `choices`, or is no whole JSON object, is refused."""
    with pytest.raises(NotAnAnswer):
        parse_answer(body)


def test_all_that_a_usage_can_say() -> None:
    """Every count and the reported cost are read from their places."""
    body = (
        b'{"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20,'
        b' "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 64},'
        b' "completion_tokens_details": {"reasoning_tokens": 5}, "cost": 0.00123}}'
    )

    usage = parse_answer(body)

    assert usage == Usage(
        input_tokens=100,
        cached_input_tokens=64,
        output_tokens=20,
        reasoning_tokens=5,
        reported_cost_nusd=1_230_000,
    )


@pytest.mark.parametrize("usage", ["", "null", "[]", "7", '"x"', "{}", '{"x": 1}'])
def test_no_usage_is_unknown_usage(usage: str) -> None:
    """Absent is not zero."""
    assert usage_of(usage) == UNKNOWN_USAGE


@pytest.mark.parametrize("tokens", ["-1", "1000000001", "1" + "0" * 40, '"7"', "0.5"])
def test_a_count_that_cannot_be_one_stays_unknown(tokens: str) -> None:
    """Negative, absurd and misspelt counts are not believed; the others are."""
    usage = usage_of(f'{{"prompt_tokens": {tokens}, "completion_tokens": 3}}')

    assert usage == Usage(output_tokens=3)


def test_zero_is_a_count() -> None:
    """A provider that says zero is believed."""
    usage = usage_of('{"prompt_tokens": 0, "completion_tokens": 0}')

    assert usage == Usage(input_tokens=0, output_tokens=0)


@pytest.mark.parametrize(
    "unreadable",
    [
        '"cost": {"total_cost": 0.1}',
        '"cost": "much"',
        '"cost": "NaN"',
        '"cost": true',
        '"prompt_tokens_details": "none"',
        '"completion_tokens_details": []',
        '"prompt_tokens_details": {"cached_tokens": "x"}',
    ],
)
def test_one_unreadable_field_harms_no_other(unreadable: str) -> None:
    """Counts are known whatever stands beside them."""
    usage = usage_of(f'{{"prompt_tokens": 7, "completion_tokens": 3, {unreadable}}}')

    assert usage == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize(
    ("cost", "nusd"),
    [
        ("0", 0),
        ("0.0", 0),
        ("1", 1_000_000_000),
        ("1.50", 1_500_000_000),
        ("1E-9", 1),
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0.0000000025", 2),
        ('"0.25"', 250_000_000),
        ("1e-99999999", 0),
        ("0." + "0" * 5000 + "1", 0),
        ("-0.1", None),
        ("1e99999999", None),
        ("1000001", None),
        ('"Infinity"', None),
    ],
)
def test_a_reported_cost_is_exact_and_bounded(cost: str, nusd: int | None) -> None:
    """Dollars become nano-dollars, half-even; what no call costs is not believed."""
    usage = usage_of(f'{{"prompt_tokens": 7, "cost": {cost}}}')

    assert usage == Usage(input_tokens=7, reported_cost_nusd=nusd)


@pytest.mark.parametrize(
    ("total", "output_tokens"), [(30, 7), (37, 17), (None, 7), ('"x"', 7)]
)
def test_reasoning_may_be_counted_apart_from_the_output(
    total: object, output_tokens: int
) -> None:
    """It is, where only then the total is the sum."""
    told = "" if total is None else f', "total_tokens": {total}'
    details = '"completion_tokens_details": {"reasoning_tokens": 10}'

    usage = usage_of(
        f'{{"prompt_tokens": 20, "completion_tokens": 7, {details}{told}}}'
    )

    assert (usage.output_tokens, usage.reasoning_tokens) == (output_tokens, 10)


def test_tokens_of_images_and_a_cost_in_ticks() -> None:
    """Some providers report these."""
    usage = usage_of(
        '{"prompt_tokens": 20, "prompt_tokens_details": {"image_tokens": 12},'
        ' "cost_in_usd_ticks": 12345}'
    )

    assert (usage.image_tokens, usage.reported_cost_nusd) == (12, 1234)
