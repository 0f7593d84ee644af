"""Which build runs."""

import json
import platform
from importlib import metadata
from pathlib import Path

import pytest

from smart_llmrouter.core import build_info
from smart_llmrouter.core.build_info import Baked, read_baked, read_build_info

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_this_process_names_its_version_and_platform() -> None:
    """Version, Python and platform are those of the running process."""
    build = read_build_info()

    assert build.version == metadata.version("smart-llmrouter")
    assert build.python == platform.python_version()
    assert build.platform == platform.platform()
    assert build is read_build_info()


def test_a_build_is_what_was_baked_in(tmp_path: Path) -> None:
    """The facts of `_build.json` are told as they stand there."""
    facts = {"version": "1.2.3", "commit": COMMIT, "built_at": "2026-01-02T03:04:05Z"}
    (tmp_path / "_build.json").write_text(json.dumps(facts))

    baked = read_baked(tmp_path / "_build.json")

    assert baked == Baked(**facts)


def test_a_checkout_has_not_been_built(tmp_path: Path) -> None:
    """Where there is no `_build.json`, nothing is made up in its stead."""
    assert read_baked(tmp_path / "_build.json") is None


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"HEAD": COMMIT}, f"{COMMIT}+checkout"),
        (
            {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": f"{COMMIT}\n"},
            f"{COMMIT}+checkout",
        ),
        (
            {
                "HEAD": "ref: refs/heads/main\n",
                "packed-refs": f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n",
            },
            f"{COMMIT}+checkout",
        ),
        ({"HEAD": "ref: refs/heads/main\n", "packed-refs": ""}, "unknown"),
        ({}, "unknown"),
    ],
    ids=["detached", "branch", "packed", "unborn", "no-git"],
)
def test_a_checkout_names_the_commit_on_which_it_stands(
    tmp_path: Path, files: dict[str, str], commit: str
) -> None:
    """The commit is read from where git keeps it, and said to be a checkout's."""
    for name, text in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    told = build_info._commit_of_checkout(tmp_path)

    assert told == commit
