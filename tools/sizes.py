"""Report the modules and functions that may have outgrown one idea.

`python tools/sizes.py [DIRECTORY]` prints them. A number is a smell to look at, never a
reason to cut a good piece in two, so that nothing fails here.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 45
ROOT = Path(__file__).resolve().parent.parent


def long_pieces(directory: Path) -> Iterator[str]:
    """Yield one line for each module or function that is longer than it should be."""
    for path in sorted(directory.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        name = path.relative_to(directory)
        lines = len(source.splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{name}: {lines} lines"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = length_of(node)
                if length > MAX_FUNCTION_LINES:
                    yield f"{name}:{node.lineno}: {node.name}: {length} lines"


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines, its docstring not counted."""
    end = function.end_lineno or function.lineno
    text = function.body[0] if ast.get_docstring(function) else None
    docstring = (text.end_lineno or text.lineno) - text.lineno + 1 if text else 0
    return end - function.lineno + 1 - docstring


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src"
    found = list(long_pieces(target))
    print(f"{len(found)} modules or functions may be more than one idea")
    print("".join(f"  {line}\n" for line in found), end="")
