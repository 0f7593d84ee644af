"""LangChain, pydantic-ai and the AI SDK of Vercel work whatever the provider speaks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.scene import DIALECTS, Scene

# Interpreters start slowly where much else is running.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROGRAMS: Final = Path(__file__).parent / "programs"
FRAMEWORKS: Final = ("langchain_models.py", "pydantic_ai_agents.py", "vercel_ai.mjs")
FEATURES: Final = {
    "tool": {
        "calls": [["add", {"a": 2, "b": 40}]],
        "text": "1 results, 0 errors, last 42",
    },
    "stream": {
        "text": "Bonjour le monde",
        "pieces": True,
        "fresh": 176,
        "cached": 1024,
        "output": 7,
    },
    "structured": {"kind": "city", "name": "Example", "population": 1},
}


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_does_its_work_on_every_surface(
    set_scene: Callable[..., Scene], framework: str, upstream: str
) -> None:
    """A turn with a tool, a stream and a structured answer come out right."""
    scene = set_scene(upstream)

    found = told(scene, framework)

    assert found == dict.fromkeys(DIALECTS, FEATURES)


def told(scene: Scene, framework: str) -> dict[str, dict[str, Any]]:
    """Return what each feature gave on each surface."""
    shutil.copy(PROGRAMS / "tasks.json", scene.work)
    program = PROGRAMS / framework
    language = "node" if program.suffix == ".mjs" else "python"
    ended = scene.script(program.read_text(), language=language)
    assert ended.code == 0, ended
    found: dict[str, dict[str, Any]] = {}
    for surface, feature, value in map(json.loads, ended.stdout.splitlines()):
        found.setdefault(surface, {})[feature] = value
    return found
