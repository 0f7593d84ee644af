"""The repository speaks of itself only."""

import re

from tests.support.repository import ROOT, our_files

# Written in pieces, so that this file does not break its own rule.
FOREIGN = re.compile(
    "|".join(
        [
            r"\.\./" + "shared",
            r"(?<![\w.])/" + r"work/(?!load)",
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "npm" + r"js\.org",
            "debian" + r"\.org",
            r"\bissue" + r" #?\d",
        ]
    )
)
BINARY = {".png", ".ico", ".gz", ".gguf"}


def test_nothing_in_the_repository_points_to_where_it_was_made() -> None:
    """No file names a registry, a machine's folder or a task."""
    texts = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8")
        for path in our_files()
        if path.suffix not in BINARY
    }

    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if FOREIGN.search(line)
    ]

    assert texts
    assert found == []


def test_no_file_is_left_empty_of_purpose() -> None:
    """Every Python module of the package opens by saying what lives in it."""
    modules = [path for path in our_files() if path.match("src/**/*.py")]

    silent = [
        str(path.relative_to(ROOT))
        for path in modules
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]

    assert modules
    assert silent == []
