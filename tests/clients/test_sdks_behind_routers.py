"""A router behind a router answers as one router does, on every surface.

Where the two routers speak the caller's dialect or the provider's with each other, the
answers are the same in all that the SDKs parse, and with the caller's so are the
errors. Through a third dialect they say the same, and fail in the same way.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.scene import DIALECTS, scene

PROGRAMS: Final = Path(__file__).parent / "programs"
SAID: Final = frozenset(
    {"text", "arguments", "input", "name", "finish_reason", "stop_reason", "status"}
)
_THOUGHTS: Final = frozenset({"thinking", "reasoning"})

Told = dict[str, dict[str, Any]]


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_routers_answer_as_one(tmp_path: Path, upstream: str) -> None:
    """Texts, tools, thoughts that go back, errors and cut streams are the same."""
    alone = told(tmp_path / "alone", upstream)
    behind = {
        dialect: told(tmp_path / dialect, upstream, behind=dialect)
        for dialect in DIALECTS
    }

    for dialect, found in behind.items():
        for surface, features in alone.items():
            assert said(found[surface]) == said(features), (dialect, surface)
            if dialect in (surface, upstream):
                answers = features.keys() - {"errors"}
                for each in answers if dialect != surface else features:
                    assert found[surface][each] == features[each], (dialect, surface)


def told(directory: Path, upstream: str, *, behind: str | None = None) -> Told:
    """Return what each surface gave for each feature."""
    directory.mkdir()
    with scene(directory, upstream, behind=behind) as opened:
        shutil.copy(PROGRAMS / "tasks.json", opened.work)
        ended = opened.script((PROGRAMS / "whole_answers.py").read_text())
    assert ended.code == 0, ended
    found: Told = {}
    for surface, feature, value in map(json.loads, ended.stdout.splitlines()):
        assert "failed" not in value, value
        found.setdefault(surface, {})[feature] = value
    return found


def said(features: dict[str, Any]) -> list[Any]:
    """Return what a caller acts on: texts, calls, how it ended, kinds of errors."""
    errors = [raised[:2] for raised in features["errors"] if isinstance(raised, list)]
    answers = [features[name] for name in sorted(features.keys() - {"errors"})]
    return [*errors, *_said(answers)]


def _said(value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        for each in value:
            yield from _said(each)
    if not isinstance(value, dict) or value.get("type") in _THOUGHTS:
        return
    for name, each in sorted(value.items()):
        if name in SAID or (name == "content" and isinstance(each, str)):
            yield name, each
        else:
            yield from _said(each)
