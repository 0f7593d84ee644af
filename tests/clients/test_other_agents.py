"""opencode and aider edit files through the router."""

from collections.abc import Callable
from typing import Literal

import pytest

from tests.support.agents import aider, opencode
from tests.support.scene import Scene

SetScene = Callable[..., Scene]

# Both take seconds of processor time to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    ("provider", "spoken", "upstream"),
    [
        ("router-chat", "openai-chat", "openai-responses"),
        ("router-responses", "openai-responses", "anthropic-messages"),
        ("router-messages", "anthropic-messages", "openai-chat"),
    ],
)
def test_opencode_edits_a_file(
    set_scene: SetScene, provider: str, spoken: str, upstream: str
) -> None:
    """Each of opencode's provider packages does a task with tools."""
    scene = set_scene(upstream)
    edited = scene.work / "edited.txt"
    edited.write_text("first\nsecond\nthird\n")

    ended = opencode(
        scene,
        f"MOCK: read {edited}\nMOCK: edit {edited} second => 2nd\n"
        "MOCK: say {results} results, {errors} errors",
        provider=provider,
    )

    assert edited.read_text() == "first\n2nd\nthird\n", f"{ended}\n{scene.log}"
    assert "2 results, 0 errors" in ended.stdout
    columns = "inbound_dialect, target_dialect, lane, status, client"
    assert set(scene.rows(columns, at_least=4)) == {
        (spoken, upstream, "translate", 200, "opencode")
    }


@pytest.mark.parametrize(
    ("kind", "spoken", "upstream"),
    [
        ("openai", "openai-chat", "anthropic-messages"),
        ("anthropic", "anthropic-messages", "openai-responses"),
    ],
)
def test_aider_edits_a_file(
    set_scene: SetScene,
    kind: Literal["openai", "anthropic"],
    spoken: str,
    upstream: str,
) -> None:
    """An edit that aider reads from the text of an answer is made."""
    scene = set_scene(upstream)
    edited = scene.work / "edited.txt"
    edited.write_text("first\nsecond\nthird\n")
    block = r"edited.txt\n<<<<<<< SEARCH\nsecond\n=======\n2nd\n>>>>>>> REPLACE"

    ended = aider(scene, f"MOCK: say {block}", edited.name, kind=kind)

    assert edited.read_text() == "first\n2nd\nthird\n", f"{ended}\n{scene.log}"
    columns = "inbound_dialect, target_dialect, lane, status"
    assert scene.rows(columns) == [(spoken, upstream, "translate", 200)]
