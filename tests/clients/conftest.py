"""Real clients: agents, SDKs and frameworks, each a program of its own."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.scene import Scene, scene, why_not


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Skip, and say why, where the clients cannot be had."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def set_scene(tmp_path: Path) -> Generator[Callable[..., Scene]]:
    """Set a router and its providers up, which end with the test.

    Prompts of these tests hold directives for the mock. At the end none of them may be
    in what the routers wrote.
    """
    with ExitStack() as opened:
        scenes: list[Scene] = []

        def begin(*served: Any, **options: Any) -> Scene:  # noqa: ANN401 - as scene
            scenes.append(opened.enter_context(scene(tmp_path, *served, **options)))
            return scenes[-1]

        yield begin
        for each in scenes:
            assert b"MOCK: " not in each.kept
