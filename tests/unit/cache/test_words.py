"""The words of the cache: each is defined once."""

from typing import get_args

from smart_llmrouter.cache.words import HIT, REASONS, STATUSES, VERDICTS, Reason, Status


def test_each_word_has_a_meaning() -> None:
    """And there are no others."""
    assert tuple(REASONS) == get_args(Reason)
    assert tuple(STATUSES) == get_args(Status)


def test_a_header_tells_both() -> None:
    """The reason stands behind the status, where there is one."""
    assert HIT.line == b"x-router-cache: hit\r\n"
    assert VERDICTS["tools"].line == b"x-router-cache: bypass; tools\r\n"
