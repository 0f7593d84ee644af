"""Errors as providers word them; see `tests/data/provider_errors.toml`."""

import tomllib
from typing import Final, NamedTuple

from tests.support.repository import ROOT


class ProviderError(NamedTuple):
    """An error answer, and what must be read out of it."""

    provider: str
    status: int
    body: bytes
    error_class: str
    retry_after_s: int | None


def _all() -> list[ProviderError]:
    text = (ROOT / "tests/data/provider_errors.toml").read_text(encoding="utf-8")
    return [
        ProviderError(
            each["provider"],
            each["status"],
            each["body"].encode(),
            each["class"],
            each.get("retry_after_s"),
        )
        for each in tomllib.loads(text)["error"]
    ]


PROVIDER_ERRORS: Final = _all()
QUOTA_ERRORS: Final = [
    each for each in PROVIDER_ERRORS if each.error_class == "upstream_quota_exhausted"
]
