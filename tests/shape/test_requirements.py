"""What is installed is pinned, hashed, and says nothing of where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> set[str]:
    """Return the `name==version` of each requirement, without its markers."""
    return set(
        re.findall(r"^([\w.-]+==[^\s\\;]+)", lock.read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_is_pinned_by_hash(lock: Path) -> None:
    """A line is one exact version with hashes, and never an address."""
    text = lock.read_text(encoding="utf-8")

    entries = text.replace("\\\n", "").splitlines()

    assert entries
    assert [line for line in entries if "==" not in line] == []
    assert [line for line in entries if "--hash=sha256:" not in line] == []
    assert "://" not in text


@pytest.mark.parametrize("name", ["dev", "local-llm"])
def test_tests_run_on_what_is_shipped(name: str) -> None:
    """The larger sets hold exactly the versions of the run set."""
    run = pins(ROOT / "requirements" / "run.txt")

    assert run <= pins(ROOT / "requirements" / f"{name}.txt")


def test_an_isolated_build_uses_the_same_tools_as_a_checkout() -> None:
    """What `[build-system]` requires is pinned alike in `requirements/build.txt`."""
    required = set(PROJECT["build-system"]["requires"])

    assert required
    assert required <= pins(ROOT / "requirements" / "build.txt")
