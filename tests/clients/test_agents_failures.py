"""Agents and providers that fail: before an answer nobody notices, after it they retry.

Each task appends to a file, so that what is done twice is seen.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.support.agents import claude, claude_said, codex, codex_said
from tests.support.scene import Scene, Served

SetScene = Callable[..., Scene]

TASK: Final = (
    "MOCK: say I begin.\nMOCK: run echo done >> done.txt\n"
    "MOCK: say {results} results, {errors} errors"
)
ALWAYS_BUSY: Final = {"always": {"status": 503}}
NO_ANSWER: Final = {"always": {"hang_up_at_byte": 0, "rst": True}}
FAILING_STREAM: Final = {"always": {"error_in_stream": {"after_events": 0}}}


def done(scene: Scene) -> str:
    """Return what the task has left."""
    file = scene.work / "done.txt"
    return file.read_text() if file.exists() else ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Served("openai-responses", ALWAYS_BUSY), "anthropic-messages"),
        (Served("anthropic-messages", NO_ANSWER), "openai-chat"),
        (Served("openai-chat", FAILING_STREAM), "openai-responses"),
    ],
    ids=["busy", "no-answer", "failing-stream"],
)
def test_codex_does_not_notice_a_failure_before_an_answer(
    set_scene: SetScene, first: Served, second: str
) -> None:
    """Another provider, of another dialect, takes over, and keeps the conversation."""
    scene = set_scene(first, second, amend={"prefer_native": False})

    ended = codex(scene, TASK)

    assert done(scene) == "done\n", ended
    assert codex_said(scene) == "1 results, 0 errors"
    assert "econnect" not in ended.stdout
    columns = "status, attempts, target_provider, target_dialect"
    began, *went_on = scene.rows(columns, at_least=2)
    assert began == (200, 2, "mock-1", second)
    assert set(went_on) == {(200, 1, "mock-1", second)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Served("anthropic-messages", ALWAYS_BUSY), "openai-responses"),
        (Served("openai-chat", NO_ANSWER), "anthropic-messages"),
        (Served("openai-responses", FAILING_STREAM), "openai-chat"),
    ],
    ids=["busy", "no-answer", "failing-stream"],
)
def test_claude_code_does_not_notice_a_failure_before_an_answer(
    set_scene: SetScene, first: Served, second: str
) -> None:
    """Another provider, of another dialect, takes over, and keeps the conversation."""
    scene = set_scene(first, second, amend={"prefer_native": False})

    ended = claude(scene, TASK)

    assert done(scene) == "done\n", ended
    assert claude_said(ended) == "1 results, 0 errors"
    columns = "status, attempts, target_provider, target_dialect"
    began, *went_on = scene.rows(columns, at_least=2)
    assert began == (200, 2, "mock-1", second)
    assert set(went_on) == {(200, 1, "mock-1", second)}


def once(**step: Any) -> dict[str, Any]:  # noqa: ANN401 - a step has fields of all types
    """Return a script for the first request only."""
    return {"steps": [step]}


CUT: Final = once(hang_up_after_events=4)
RESET: Final = once(hang_up_after_events=4, rst=True)
ERROR_INSIDE: Final = once(error_in_stream={"after_events": 4})


@pytest.mark.parametrize(
    "upstream",
    [
        Served("openai-chat", CUT),
        Served("openai-responses", RESET),
        Served("anthropic-messages", ERROR_INSIDE),
    ],
    ids=["cut", "reset", "error"],
)
def test_codex_tries_again_what_broke_off(
    set_scene: SetScene, upstream: Served
) -> None:
    """A stream that fails after its first event is an error that Codex retries."""
    scene = set_scene(upstream)

    ended = codex(scene, TASK)

    assert done(scene) == "done\n", ended
    assert codex_said(scene) == "1 results, 0 errors"
    statuses = [status for (status,) in scene.rows("status", at_least=3)]
    assert statuses[0] != 200
    assert statuses[1:] == [200, 200]


@pytest.mark.parametrize(
    "upstream",
    [
        Served("openai-chat", ERROR_INSIDE),
        Served("openai-responses", CUT),
        Served("anthropic-messages", RESET),
    ],
    ids=["error", "cut", "reset"],
)
def test_claude_code_tries_again_what_broke_off(
    set_scene: SetScene, upstream: Served
) -> None:
    """A stream that fails after its first event is an error, and is retried."""
    scene = set_scene(upstream)

    ended = claude(scene, TASK)

    assert done(scene) == "done\n", ended
    assert claude_said(ended) == "1 results, 0 errors"
    statuses = [status for (status,) in scene.rows("status", at_least=3)]
    assert statuses[0] != 200
    assert statuses[1:] == [200, 200]


@pytest.mark.parametrize("upstream", ["openai-responses", "anthropic-messages"])
def test_codex_does_nothing_twice_when_only_the_end_is_missing(
    set_scene: SetScene, upstream: str
) -> None:
    """What a call has done before its stream breaks off is not done again."""
    scene = set_scene(Served(upstream, once(no_done=True)))

    ended = codex(scene, TASK)

    assert done(scene) == "done\n", ended
    assert re.search("results, 0 errors", codex_said(scene))
