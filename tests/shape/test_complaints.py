"""Every complaint about gateways of this kind has a test, or cannot be made."""

import ast
import tomllib
from typing import Any, Final

from tests.support.repository import ROOT

FOLDER: Final = ROOT / "tests/complaints"


def complaints() -> list[dict[str, Any]]:
    """Return all of them."""
    text = (FOLDER / "complaints.toml").read_text(encoding="utf-8")
    listed: list[dict[str, Any]] = tomllib.loads(text)["complaint"]
    return listed


def functions_of(path: str) -> set[str]:
    """Return the names of the functions in a file of tests."""
    file = ROOT / path
    if not file.is_file():
        return set()
    return {
        node.name
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_complaint_names_tests_that_exist() -> None:
    """Or it says why it cannot be made; never both, never neither."""
    known: dict[str, set[str]] = {}
    missing = []
    for complaint in complaints():
        assert ("tests" in complaint) != ("cannot" in complaint), complaint["failure"]
        for named in complaint.get("tests", ()):
            path, _, function = named.partition("::")
            if function not in known.setdefault(path, functions_of(path)):
                missing.append(named)

    assert missing == []
    assert len({complaint["failure"] for complaint in complaints()}) == 74


def test_every_test_of_a_complaint_is_listed() -> None:
    """Nobody looks for the failure that a test is about and does not find it."""
    listed = {test for complaint in complaints() for test in complaint.get("tests", ())}
    ours = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in FOLDER.glob("test_*.py")
        for name in functions_of(str(path.relative_to(ROOT)))
        if name.startswith("test_")
    }

    assert ours - listed == set()
