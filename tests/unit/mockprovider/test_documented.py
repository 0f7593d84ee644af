"""The page about the mock names everything that it can do."""

import re
from pathlib import Path
from typing import get_args

import pytest

from smart_llmrouter.mockprovider.script import (
    MalformedHttp,
    Orders,
    Raw,
    Step,
    WrongUsage,
)

PAGE = Path(__file__).parents[3] / "docs" / "mock-provider.md"

NAMES = [
    *Step.__struct_fields__,
    *Orders.__struct_fields__,
    *Raw.__struct_fields__,
    *get_args(WrongUsage),
    *get_args(MalformedHttp),
]


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_everything_is_documented(name: str) -> None:
    """Each field and each kind of fault stands on the page."""
    words = set(re.findall(r"[a-z0-9_-]+", PAGE.read_text(encoding="utf-8")))

    assert name in words
