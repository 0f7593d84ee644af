"""What the process of a script does, without the process."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.engine.policies.script_child import NoRoute, answered, loaded, told

FILE = "/nowhere/policy.py"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the path and the modules of this process as they were."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("policy", None)


def answer_of(source: str, ctx: object = None, *, most: int = 1000) -> Any:  # noqa: ANN401 - JSON
    """Return what a script answers to one question."""
    route = loaded(source, FILE)
    line = answered(route, json.dumps(ctx).encode(), file=FILE, most=most)
    assert line.endswith(b"\n")
    return json.loads(line)


def test_a_script_is_imported_as_a_module() -> None:
    """It knows its file, and what lies beside it can be imported."""
    loaded("import sys\nhere = __file__, sys.path[0]\ndef route(ctx): ...", FILE)

    assert sys.modules["policy"].here == (FILE, str(Path(FILE).parent))


@pytest.mark.parametrize("source", ["", "route = 7"])
def test_a_script_without_route(source: str) -> None:
    """There is nothing to call."""
    with pytest.raises(NoRoute):
        loaded(source, FILE)


def test_an_answer_is_json() -> None:
    """Whatever can be written as JSON is an answer."""
    source = "def route(ctx): return {'target': ctx['name'], 'classLabel': 'ü'}"

    assert answer_of(source, {"name": "a/mini"}) == {
        "answer": {"target": "a/mini", "classLabel": "ü"}
    }


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("object()", "malformed"),
        ("float('inf')", "malformed"),
        ("'\\udc00'", "malformed"),
        ("'x' * 1000", "too-large"),
    ],
)
def test_what_is_no_answer(value: str, fault: str) -> None:
    """What cannot be written, or is too long to be."""
    assert answer_of(f"def route(ctx): return {value}") == {"fault": fault}


def test_of_an_exception_type_and_line_are_told() -> None:
    """The line is the last one of the script itself, not of what it calls."""
    source = "import json\ndef route(ctx):\n    return json.loads('{what was said}')\n"

    assert answer_of(source) == {"raised": "JSONDecodeError", "line": 3}


def test_where_the_script_is_no_python() -> None:
    """The line is where the parser gave up."""
    with pytest.raises(SyntaxError) as refused:
        loaded("x = 1\nx = = 2\n", FILE)

    assert told(refused.value, FILE) == {"raised": "SyntaxError", "line": 2}


def test_an_exception_from_nowhere_has_no_line() -> None:
    """0 says that it did not pass through the script."""
    assert told(NoRoute(), FILE) == {"raised": "NoRoute", "line": 0}
