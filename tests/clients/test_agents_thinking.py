"""Agents send the model's thoughts back to it, and each goes to who had it only.

Every provider here signs its thoughts, and refuses one that was changed or that another
has signed; so each turn after the first shows that all of them came back whole.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.support.agents import claude, claude_said, codex, codex_said
from tests.support.scene import Scene, Served

SetScene = Callable[..., Scene]

THREE_TURNS: Final = (
    "MOCK: think First a file.\nMOCK: run printf 1 > one.txt\n"
    "MOCK: think Then another.\nMOCK: run printf 2 > two.txt\n"
    "MOCK: say {results} results, {errors} errors"
)
HIGH: Final = ('model_reasoning_effort="high"',)


def thoughts(scene: Scene, *, provider: int = -1) -> list[Any]:
    """Return the thoughts in the last request that a provider got."""
    body = scene.seen(provider=provider)[-1].body
    return [
        found
        for item in [*body.get("messages", []), *body.get("input", [])]
        for found in _thoughts_in(item)
    ]


def _thoughts_in(item: dict[str, Any]) -> list[Any]:
    if item.get("type") == "reasoning":
        return [item]
    if "reasoning_content" in item:
        return [item["reasoning_content"]]
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if "thinking" in str(part.get("type"))]


def files(scene: Scene) -> list[str]:
    """Return what is in the files of `THREE_TURNS`."""
    return [
        path.read_text() if path.exists() else ""
        for path in (scene.work / "one.txt", scene.work / "two.txt")
    ]


def test_codex_gives_thoughts_back_to_claude(set_scene: SetScene) -> None:
    """Thinking blocks come back with the signatures that they had."""
    scene = set_scene("anthropic-messages")

    ended = codex(scene, THREE_TURNS, settings=HIGH)

    assert files(scene) == ["1", "2"], ended
    assert codex_said(scene) == "2 results, 0 errors"
    came = thoughts(scene)
    assert [each["thinking"] for each in came] == ["First a file.", "Then another."]
    assert all(each["signature"] for each in came)


def test_codex_gives_thoughts_back_to_a_chat_model(set_scene: SetScene) -> None:
    """What a model of Chat Completions thought is there in the next turn."""
    scene = set_scene("openai-chat")

    ended = codex(scene, THREE_TURNS, settings=HIGH)

    assert files(scene) == ["1", "2"], ended
    assert thoughts(scene) == ["First a file.", "Then another."]


def test_codex_gives_a_redacted_thought_back(set_scene: SetScene) -> None:
    """A thought that nobody can read comes back all the same."""
    scene = set_scene("anthropic-messages")

    ended = codex(
        scene, "MOCK: redact Secret.\nMOCK: run printf 1 > one.txt", settings=HIGH
    )

    assert files(scene) == ["1", ""], ended
    assert [each["type"] for each in thoughts(scene)] == ["redacted_thinking"]


def test_claude_code_gives_thoughts_back_to_a_responses_model(
    set_scene: SetScene,
) -> None:
    """What a model of Responses sealed comes back sealed."""
    scene = set_scene("openai-responses")

    ended = claude(scene, THREE_TURNS)

    assert files(scene) == ["1", "2"], ended
    assert claude_said(ended) == "2 results, 0 errors"
    assert {status for (status,) in scene.rows("status", at_least=3)} == {200}
    came = thoughts(scene)
    assert len(came) == 2
    assert all(each["encrypted_content"] for each in came)


def test_claude_code_gives_thoughts_back_to_a_chat_model(set_scene: SetScene) -> None:
    """What a model of Chat Completions thought is there in the next turn."""
    scene = set_scene("openai-chat")

    ended = claude(scene, THREE_TURNS)

    assert files(scene) == ["1", "2"], ended
    assert thoughts(scene) == ["First a file.", "Then another."]


ONE_TURN_ONLY: Final = {"steps": [{}, {"status": 503, "times": 20}]}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("anthropic-messages", "openai-responses"),
        ("openai-responses", "anthropic-messages"),
        ("openai-responses", "openai-responses"),
    ],
)
def test_codex_thinks_on_with_another_provider(
    set_scene: SetScene, first: str, second: str
) -> None:
    """When the provider changes, signatures of the one are not shown to the other."""
    scene = set_scene(
        Served(first, ONE_TURN_ONLY), Served(second), amend={"prefer_native": False}
    )

    ended = codex(scene, THREE_TURNS, settings=HIGH)

    assert files(scene) == ["1", "2"], ended
    assert codex_said(scene) == "2 results, 0 errors"
    assert {status for (status,) in scene.rows("status", at_least=3)} == {200}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("openai-responses", "anthropic-messages"),
        ("anthropic-messages", "openai-responses"),
        ("anthropic-messages", "anthropic-messages"),
    ],
)
def test_claude_code_thinks_on_with_another_provider(
    set_scene: SetScene, first: str, second: str
) -> None:
    """When the provider changes, signatures of the one are not shown to the other."""
    scene = set_scene(
        Served(first, ONE_TURN_ONLY), Served(second), amend={"prefer_native": False}
    )

    ended = claude(scene, THREE_TURNS)

    assert files(scene) == ["1", "2"], ended
    assert claude_said(ended) == "2 results, 0 errors"
    assert {status for (status,) in scene.rows("status", at_least=3)} == {200}
