"""The Makefile explains itself, and sets itself up anywhere."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run make and return what it said."""
    return subprocess.run(
        ["make", *arguments], cwd=at, capture_output=True, text=True, check=False
    )


def test_help_names_every_target() -> None:
    """`make` alone lists each public target with a sentence."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    told = make().stdout

    targets = " ".join(phony).split()
    assert targets
    assert [name for name in targets if f"\n  make {name} " not in told] == []


def test_a_fresh_checkout_in_a_path_with_a_space_knows_what_to_do(
    tmp_path: Path,
) -> None:
    """The recipes quote every path, and set-up is part of each target."""
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, checkout)
    shutil.copy(ROOT / "Makefile", checkout)
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, checkout / name)

    planned = make("--dry-run", "run", "LLM=local", at=checkout)

    steps = ["make-venv", "run.txt", "local-llm.txt", "hatch_build.py", "demo"]
    assert planned.returncode == 0, planned.stderr
    assert [step for step in steps if step not in planned.stdout] == []


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    """Without a usable Python, the message says which was tried and what is needed."""
    made = subprocess.run(
        [ROOT / "tools" / "make-venv", "/nowhere/python3", tmp_path / "venv"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode == 1
    assert "/nowhere/python3 does not run, or is older than Python 3.11" in made.stderr
