"""Agents use all kinds of tools: several at once, patches, programs, other servers."""

from collections.abc import Callable

import pytest

from tests.support.agents import (
    claude,
    claude_said,
    claude_toy,
    codex,
    codex_said,
    codex_toy,
    sums,
)
from tests.support.scene import DIALECTS, Scene

SetScene = Callable[..., Scene]

THREE_AT_ONCE = (
    "MOCK: parallel run printf 1 > one.txt ;; run printf 2 > two.txt"
    " ;; run printf 3 > three.txt\n"
    "MOCK: say {results} results, {errors} errors"
)


def three(scene: Scene) -> list[str]:
    """Return what is in the files of `THREE_AT_ONCE`."""
    names = ("one.txt", "two.txt", "three.txt")
    files = [scene.work / name for name in names]
    return [file.read_text() if file.exists() else "" for file in files]


@pytest.mark.parametrize("upstream", ["openai-chat", "anthropic-messages"])
def test_codex_calls_three_tools_at_once(set_scene: SetScene, upstream: str) -> None:
    """All calls of one turn run, and all results come back in one."""
    scene = set_scene(upstream)

    ended = codex(scene, THREE_AT_ONCE)

    assert three(scene) == ["1", "2", "3"], ended
    assert codex_said(scene) == "3 results, 0 errors"
    assert len(scene.seen()) == 2


@pytest.mark.parametrize("upstream", DIALECTS)
def test_claude_code_calls_three_tools_at_once(
    set_scene: SetScene, upstream: str
) -> None:
    """All calls of one turn run, and all results come back in one."""
    scene = set_scene(upstream)

    ended = claude(scene, THREE_AT_ONCE)

    assert three(scene) == ["1", "2", "3"], ended
    assert claude_said(ended) == "3 results, 0 errors"
    assert len(scene.seen()) == 2


@pytest.mark.parametrize("upstream", DIALECTS)
def test_codex_patches_a_file_with_its_own_tool(
    set_scene: SetScene, upstream: str
) -> None:
    """Free text for `apply_patch` is free text again, whoever wrote it."""
    scene = set_scene(upstream, amend={"aliases": ["gpt-5.5"]})
    edited = scene.work / "edited.txt"
    edited.write_text('first\n\t"second" \\ line\nthird\n')

    ended = codex(
        scene,
        'MOCK: edit edited.txt \t"second" \\ line => "2nd" \\t line\nMOCK: say done',
        model="gpt-5.5",
    )

    assert edited.read_text() == 'first\n"2nd" \\t line\nthird\n', ended
    assert '"type":"file_change"' in ended.stdout
    assert codex_said(scene) == "done"


@pytest.mark.parametrize(
    ("upstream", "model"),
    [
        ("openai-chat", "gpt-5.6-sol"),
        ("anthropic-messages", "gpt-6-sol"),
        ("openai-responses", "gpt-6.1-sol"),
    ],
)
def test_codex_writes_programs_that_call_its_tools(
    set_scene: SetScene, upstream: str, model: str
) -> None:
    """Tools that come as an item of the input can be called like others."""
    scene = set_scene(upstream, amend={"aliases": [model]})
    edited = scene.work / "edited.txt"
    edited.write_text("first\nsecond\n")

    ended = codex(
        scene,
        "MOCK: edit edited.txt second => 2nd\n"
        "MOCK: run printf made > made.txt\n"
        'MOCK: call mcp__toy__add {"a": 2, "b": 40}\n'
        "MOCK: say {results} results, {errors} errors",
        model=model,
        settings=codex_toy(scene),
    )

    assert edited.read_text() == "first\n2nd\n", ended
    assert (scene.work / "made.txt").read_text() == "made"
    assert sums(scene) == ["42"]
    assert codex_said(scene) == "3 results, 0 errors"


@pytest.mark.parametrize("upstream", ["openai-chat", "openai-responses"])
def test_codex_calls_a_tool_of_a_server(set_scene: SetScene, upstream: str) -> None:
    """A tool in a namespace is called under its own name, in its own namespace."""
    scene = set_scene(upstream)

    ended = codex(
        scene,
        'MOCK: call add {"a": 2, "b": 40}\nMOCK: say {last}',
        settings=codex_toy(scene),
    )

    assert sums(scene) == ["42"], ended
    assert codex_said(scene).endswith("the sum is 42")


@pytest.mark.parametrize("upstream", ["openai-chat", "anthropic-messages"])
def test_codex_searches_for_a_tool_and_calls_it(
    set_scene: SetScene, upstream: str
) -> None:
    """Tools that a search has found can be called from then on."""
    scene = set_scene(upstream, amend={"aliases": ["gpt-5.5"]})

    ended = codex(
        scene,
        'MOCK: search add numbers\nMOCK: call add {"a": 2, "b": 40}\nMOCK: say {last}',
        model="gpt-5.5",
        settings=codex_toy(scene),
    )

    assert sums(scene) == ["42"], ended
    assert codex_said(scene).endswith("the sum is 42")


@pytest.mark.parametrize("upstream", ["openai-responses", "anthropic-messages"])
def test_claude_code_searches_for_a_tool_and_calls_it(
    set_scene: SetScene, upstream: str
) -> None:
    """Tools that a search has found can be called from then on."""
    scene = set_scene(upstream)

    ended = claude(
        scene,
        "MOCK: search select:mcp__toy__add\n"
        'MOCK: call mcp__toy__add {"a": 2, "b": 40}\nMOCK: say {last}',
        tools="ToolSearch,mcp__toy__add",
        options=claude_toy(scene),
    )

    assert sums(scene) == ["42"], ended
    assert claude_said(ended) == "the sum is 42"


def test_claude_code_calls_a_tool_of_a_server(set_scene: SetScene) -> None:
    """Without its search, Claude Code offers the tools of servers at once."""
    scene = set_scene("openai-chat")

    ended = claude(
        scene,
        'MOCK: call mcp__toy__add {"a": 2, "b": 40}\nMOCK: say {last}',
        tools="mcp__toy__add",
        options=claude_toy(scene),
        environment={"ENABLE_TOOL_SEARCH": "false"},
    )

    assert sums(scene) == ["42"], ended
    assert claude_said(ended) == "the sum is 42"
