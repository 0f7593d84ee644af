"""What the README promises exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_that_the_readme_links_to_is_there() -> None:
    """A link of the README leads somewhere."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    linked = re.findall(r"\]\(([^)#:]+)\)", readme)

    assert linked
    assert [name for name in linked if not (ROOT / name).is_file()] == []


def test_every_make_target_that_is_written_about_exists() -> None:
    """README, CONTRIBUTING and the docs name only targets that there are."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
    ]

    named = {
        name
        for page in pages
        for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text("utf-8"))
    }

    assert named
    assert named <= targets


def test_every_test_that_the_security_page_names_exists() -> None:
    """A promise that is said to be kept by a test is kept by one."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/*.py"))

    named = set(re.findall(r"`(test_\w+)`", page))
    files = set(re.findall(r"`(tests/[\w/.]+)`", page))

    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []
