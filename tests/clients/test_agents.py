"""Codex CLI and Claude Code do real tasks through the router, whoever serves them.

A task is done only when the file on the disk is right.
"""

from collections.abc import Callable

import pytest

from tests.support.agents import claude, claude_said, codex, codex_said
from tests.support.scene import DIALECTS, Scene

SetScene = Callable[..., Scene]

upstream = pytest.mark.parametrize("upstream", DIALECTS)


@upstream
def test_codex_runs_a_command_that_writes_a_file(
    set_scene: SetScene, upstream: str
) -> None:
    """A shell command of Codex CLI leaves its file, whatever the provider speaks."""
    scene = set_scene(upstream)

    ended = codex(scene, "MOCK: run printf 'made by codex' > made.txt")

    made = scene.work / "made.txt"
    assert made.exists(), f"{ended}\n{scene.log}"
    assert made.read_text() == "made by codex"
    assert ended.code == 0, ended
    assert codex_said(scene)


@upstream
def test_claude_code_runs_a_command_that_writes_a_file(
    set_scene: SetScene, upstream: str
) -> None:
    """A shell command of Claude Code leaves its file, whatever the provider speaks."""
    scene = set_scene(upstream)

    ended = claude(scene, "MOCK: run printf 'made by claude' > made.txt")

    made = scene.work / "made.txt"
    assert made.exists(), f"{ended}\n{scene.log}"
    assert made.read_text() == "made by claude"
    assert ended.code == 0, ended
    assert claude_said(ended)


@upstream
def test_claude_code_writes_and_edits_files_with_its_own_tools(
    set_scene: SetScene, upstream: str
) -> None:
    """The tools Write, Read and Edit of Claude Code leave the file as they should."""
    scene = set_scene(upstream)
    made = scene.work / "notes.txt"

    ended = claude(
        scene,
        f"MOCK: write {made} first\\nsecond\\nthird\n"
        f"MOCK: read {made}\n"
        f'MOCK: edit {made} second => 2nd \\ "two"\n'
        "MOCK: say {results} results, {errors} errors",
    )

    assert made.exists(), f"{ended}\n{scene.log}"
    assert made.read_text().splitlines() == ["first", '2nd \\ "two"', "third"]
    assert claude_said(ended) == "3 results, 0 errors"
