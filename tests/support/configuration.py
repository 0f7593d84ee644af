"""A small valid configuration for tests, and ways to look at what is said about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.load import Loaded, load_reading
from smart_llmrouter.config.reader import read_bytes

KEY: Final = "sk-canary-0123456789abcdefghij"
ENVIRONMENT: Final[Mapping[str, str]] = {
    f"{provider}_API_KEY": KEY for provider in ("ACME", "OTHER", "VERNE", "LUMEN")
}
HASH: Final = "3f0c3c8b7a6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f"

SMALL: Final = f"""\
providers:
  acme:
    dialect: openai-chat
    base_url: https://api.acme.example/v1
    api_key: ${{ACME_API_KEY}}
    models:
      mini:
        model: acme-mini-2026
        price: {{input_per_million: 0.25, output_per_million: 2.00}}
        tools: [function, forced_choice, parallel]
groups:
  chat:
    strategy: failover
    targets:
      - use: acme/mini
users:
  - id: alice
projects:
  - id: search
project_memberships:
  - {{user: alice, project: search}}
callers:
  - id: alice-search-dev
    owner_user: alice
    project: search
    environment: dev
    token_id: rtr_alice_search_dev_k1
    token_sha256: {HASH}
    allow: [chat]
"""


def loaded(
    text: str,
    *,
    environment: Mapping[str, str] = ENVIRONMENT,
    beside: Path = Path("/nowhere"),
) -> Loaded:
    """Load a configuration from its text."""
    reading = read_bytes(text.encode(), file="router.yaml")
    return load_reading(reading, environment=environment, beside=beside)


def changed(old: str, new: str, text: str = SMALL) -> str:
    """Return the small configuration with one part replaced, which must be there."""
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    return text.replace(old, new)


def brief(finding: Finding) -> tuple[int, str, str]:
    """Return a finding's line, key path and message."""
    return finding.line, finding.key_path, finding.message


def errors(
    text: str, *, environment: Mapping[str, str] = ENVIRONMENT
) -> list[tuple[int, str, str]]:
    """Return the errors of a configuration, as `brief` tells them."""
    found = loaded(text, environment=environment).findings
    return [brief(finding) for finding in found if finding.is_error]
