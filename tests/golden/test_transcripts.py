"""Each transcript says what the lanes make of it today; `make golden` rewrites them."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.golden import read, rewritten

FOLDER: Final = Path(__file__).parent / "transcripts"
REWRITE: Final = os.environ.get("SMART_LLMROUTER_GOLDEN") == "rewrite"


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem
)
def test_a_transcript(path: Path) -> None:
    """What is expected in a transcript is what comes out of it."""
    before = read(path.read_text())

    now = rewritten(before)

    if REWRITE:
        path.write_text(now.text())
        return
    assert now.text() == before.text()
    assert any(not section.given for section in before.sections)
