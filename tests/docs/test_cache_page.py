"""The page of the response cache: it has all words that the router says."""

from pathlib import Path

from smart_llmrouter.cache.words import REASONS, STATUSES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cache.md"


def test_the_page_has_all_of_them() -> None:
    """With what they mean, word by word."""
    page = PAGE.read_text()
    rows = [f"| `{status}` | {told} |" for status, told in STATUSES.items()]
    rows += [
        f"| `{status}` | `{reason}` | {told} |"
        for reason, (status, told) in REASONS.items()
    ]

    assert [row for row in rows if row not in page] == []
