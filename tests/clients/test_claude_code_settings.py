"""Claude Code as its users set it up: token counts, base URLs, keys, older names."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.agents import claude, claude_said
from tests.support.scene import DIALECTS, Scene

SetScene = Callable[..., Scene]

TASK: Final = "MOCK: run printf 1 > one.txt\nMOCK: say done"


@pytest.mark.parametrize("upstream", DIALECTS)
def test_context_counts_tokens(set_scene: SetScene, upstream: str) -> None:
    """`/context` counts each part of what Claude Code sends, whoever can count."""
    scene = set_scene(upstream)

    ended = claude(scene, "/context")

    assert ended.code == 0, ended
    assert "Context Usage" in claude_said(ended)
    counted = scene.rows("inbound_dialect, status, error_code")
    assert set(counted) == {("anthropic-messages/count", 200, None)}


def test_base_url_under_anthropic_and_an_api_key(set_scene: SetScene) -> None:
    """The base URL may end with `/anthropic`, and the token may be an API key."""
    scene = set_scene("openai-chat")

    ended = claude(
        scene,
        TASK,
        environment={
            "ANTHROPIC_BASE_URL": f"{scene.url}/anthropic",
            "ANTHROPIC_AUTH_TOKEN": "",
            "ANTHROPIC_API_KEY": scene.token,
        },
    )

    assert (scene.work / "one.txt").read_text() == "1", ended


@pytest.mark.parametrize(
    "model", ["claude-haiku-4-5-20251001", "claude-opus-4-8", "sonnet"]
)
def test_names_that_claude_code_knows_are_aliases(
    set_scene: SetScene, model: str
) -> None:
    """What Claude Code sends for a name of Anthropic's is carried to a Chat model."""
    names = [
        "claude-haiku-4-5-20251001",
        "claude-opus-4-8",
        "claude-sonnet-4-5",
        "claude-sonnet-5-5",
    ]
    scene = set_scene("openai-chat", amend={"aliases": names})

    ended = claude(scene, TASK, model=model)

    assert (scene.work / "one.txt").read_text() == "1", f"{ended}\n{scene.log}"
    assert claude_said(ended) == "done"
