"""What callers say in `Cache-Control`."""

import pytest

from smart_llmrouter.cache.directives import SILENT, Directives, directives_in


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, SILENT),
        (b"", SILENT),
        (b"public, immutable", SILENT),
        (b"no-cache", Directives(no_cache=True)),
        (b" No-Cache ", Directives(no_cache=True)),
        (b"no-store", Directives(no_store=True)),
        (b"no-cache,no-store", Directives(no_cache=True, no_store=True)),
        (b"max-age=60", Directives(max_age_s=60)),
        (b'max-age="60"', Directives(max_age_s=60)),
        (b"max-age=0", Directives(no_cache=True, max_age_s=0)),
        (b"max-age=-1", SILENT),
        (b"max-age=x", SILENT),
        (b"max-age", SILENT),
        (b"max-age=" + b"9" * 99, SILENT),
        (b",,=,", SILENT),
    ],
)
def test_what_is_said(value: bytes | None, said: Directives) -> None:
    """What is not understood says nothing."""
    assert directives_in(value) == said
