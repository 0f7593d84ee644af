"""The scripts of groups can be read, and define `route`; nobody runs them here."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.files import open_file
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.rules.policies import groups_of, section_of

_MOST_SCRIPT_BYTES: Final = 1024 * 1024
_DEFINE_ROUTE: Final = "write `def route(ctx):` at the top level of the script"


def scripts_define_route(document: Document, beside: Path) -> Iterator[Finding]:
    """Yield a finding for each script that is not there, or cannot decide."""
    for group in groups_of(document):
        file = section_of(document, group, "script").get("file")
        if isinstance(file, str) and file:
            path = ("groups", group, "script", "file")
            yield from _undecided(document, path, name=file, beside=beside)


def _undecided(
    document: Document, path: KeyPath, *, name: str, beside: Path
) -> Iterator[Finding]:
    try:
        with open_file(beside / name) as opened:
            source = opened.read(_MOST_SCRIPT_BYTES + 1)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "it cannot be opened"
        yield document.error(
            path,
            f"the script cannot be read: {reason.lower()}",
            "name an existing file that the router may read",
            awaits=name,
        )
        return
    problem = _script_problem(source)
    if problem is not None:
        yield document.error(path, *problem)


def _script_problem(source: bytes) -> tuple[str, str] | None:
    if len(source) > _MOST_SCRIPT_BYTES:
        return "the script is larger than 1 MiB", "name a Python file with `route(ctx)`"
    try:
        with warnings.catch_warnings(action="ignore"):
            body = ast.parse(source.decode()).body
    except SyntaxError as wrong:
        return (
            f"the script is no Python: line {wrong.lineno}: {wrong.msg}",
            "correct the script",
        )
    except (ValueError, RecursionError, MemoryError):
        return "the script is no Python", "name a Python file, in UTF-8"
    named = [each for each in body if "route" in _bound(each)]
    if not named:
        return "the script defines no `route`", _DEFINE_ROUTE
    return _route_problem(named[-1])


def _route_problem(route: ast.stmt) -> tuple[str, str] | None:
    if isinstance(route, ast.AsyncFunctionDef):
        return "`route` is a coroutine function, and nobody awaits it", _DEFINE_ROUTE
    if isinstance(route, ast.FunctionDef) and not _takes_one(route.args):
        return "`route` does not take one argument", _DEFINE_ROUTE
    return None


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a module gives to something."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [each.asname or each.name for each in names]
        case ast.ClassDef():
            return []
        case _:
            return [name for each in ast.walk(statement) for name in _given(each)]


def _given(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case _:
            return []


def _takes_one(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    if needed > 1 or any(each is None for each in arguments.kw_defaults):
        return False
    return bool(positional) or arguments.vararg is not None
