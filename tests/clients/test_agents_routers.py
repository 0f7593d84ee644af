"""Agents before a router whose provider is another router."""

from collections.abc import Callable

import pytest

from tests.support.agents import claude, claude_said, codex, codex_said
from tests.support.scene import Scene

SetScene = Callable[..., Scene]

TASK = (
    "MOCK: think First a file.\nMOCK: run printf 1 > one.txt\n"
    "MOCK: think Then two more.\n"
    "MOCK: parallel run printf 2 > two.txt ;; run printf 3 > three.txt\n"
    "MOCK: say {results} results, {errors} errors"
)


def files(scene: Scene) -> list[str]:
    """Return what is in the files of `TASK`."""
    paths = [scene.work / f"{name}.txt" for name in ("one", "two", "three")]
    return [path.read_text() if path.exists() else "" for path in paths]


@pytest.mark.parametrize(
    ("between", "upstream"),
    [
        ("anthropic-messages", "openai-responses"),
        ("openai-responses", "anthropic-messages"),
    ],
)
def test_codex_works_through_two_routers(
    set_scene: SetScene, between: str, upstream: str
) -> None:
    """What two routers translate, one after the other, is what one would."""
    scene = set_scene(upstream, behind=between)

    ended = codex(scene, TASK, settings=('model_reasoning_effort="high"',))

    assert files(scene) == ["1", "2", "3"], ended
    assert codex_said(scene) == "3 results, 0 errors"
    assert len(scene.seen()) == 3


@pytest.mark.parametrize(
    ("between", "upstream"),
    [
        ("openai-responses", "anthropic-messages"),
        ("openai-chat", "anthropic-messages"),
        ("anthropic-messages", "openai-responses"),
    ],
)
def test_claude_code_works_through_two_routers(
    set_scene: SetScene, between: str, upstream: str
) -> None:
    """What two routers translate, one after the other, is what one would."""
    scene = set_scene(upstream, behind=between)

    ended = claude(scene, TASK)

    assert files(scene) == ["1", "2", "3"], ended
    assert claude_said(ended) == "3 results, 0 errors"
    assert len(scene.seen()) == 3
