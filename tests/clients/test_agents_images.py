"""Agents show pictures to the model, in a prompt and in the result of a tool."""

from collections.abc import Callable

import pytest

from tests.support.agents import claude, claude_said, codex, codex_said, red_png
from tests.support.scene import DIALECTS, Scene

SetScene = Callable[..., Scene]


@pytest.mark.parametrize("upstream", ["openai-chat", "anthropic-messages"])
def test_codex_attaches_a_picture(set_scene: SetScene, upstream: str) -> None:
    """A picture given with `-i` arrives whole."""
    scene = set_scene(upstream)
    picture = red_png(scene)

    ended = codex(scene, "MOCK: image", images=[str(picture)])

    size = picture.stat().st_size
    assert codex_said(scene) == f"1 image: image/png, {size} bytes.", ended


@pytest.mark.parametrize("upstream", DIALECTS)
def test_codex_looks_at_a_picture(set_scene: SetScene, upstream: str) -> None:
    """The result of Codex' tool `view_image` is a picture for every provider."""
    scene = set_scene(upstream)
    picture = red_png(scene)

    ended = codex(scene, f"MOCK: view {picture}\nMOCK: image")

    size = picture.stat().st_size
    assert codex_said(scene) == f"1 image: image/png, {size} bytes.", ended


@pytest.mark.parametrize("upstream", DIALECTS)
def test_claude_code_reads_a_picture(set_scene: SetScene, upstream: str) -> None:
    """The result of Claude Code's tool `Read` is a picture for every provider."""
    scene = set_scene(upstream)
    picture = red_png(scene)

    ended = claude(scene, f"MOCK: read {picture}\nMOCK: image")

    size = picture.stat().st_size
    assert claude_said(ended) == f"1 image: image/png, {size} bytes.", ended
