"""The process in which an operator's script decides; run as a file, by its path.

It knows nothing of the router and imports nothing of it. Its standard input is a socket
to its parent, on which both sides speak JSON, a line each:

    parent   {"parent": 17, "file": "/…/policy.py", "source": "…", "most": 65536}
    child    {"ready": true}, or {"raised": "SyntaxError", "line": 3}
    parent   a question
    child    {"answer": …}, {"raised": "KeyError", "line": 12}, or {"fault": "…"}

Of an exception it tells the name of the type and a line of the script, nothing else.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

PR_SET_PDEATHSIG = 1


class NoRoute(Exception):
    """The script has no function `route`."""


def main() -> None:
    """Answer questions until the parent has gone."""
    with socket.socket(fileno=os.dup(0)) as parent, parent.makefile("rb") as lines:
        # To the router it means that the configuration is read again.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        given = json.loads(lines.readline())
        die_with(given["parent"])
        file = given["file"]
        try:
            route = loaded(given["source"], file)
        except BaseException as error:  # noqa: BLE001 - the script may raise anything
            say(parent, told(error, file))
            return
        say(parent, {"ready": True})
        for line in lines:
            parent.sendall(answered(route, line, file=file, most=given["most"]))


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, whatever it does then."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def loaded(source: str, file: str) -> Callable[[Any], object]:
    """Run the script once, and return its `route`. Raises what the script raises."""
    sys.path.insert(0, str(Path(file).parent))
    module = ModuleType("policy")
    module.__file__ = file
    sys.modules[module.__name__] = module
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - the operator's own code
    route = getattr(module, "route", None)
    if not callable(route):
        raise NoRoute
    return route  # type: ignore[no-any-return]  # a module may hold anything


def answered(
    route: Callable[[Any], object], line: bytes, *, file: str, most: int
) -> bytes:
    """Return the line that answers a question, `most` bytes long at most."""
    try:
        answer = route(json.loads(line))
    except BaseException as error:  # noqa: BLE001 - `sys.exit` decides nothing either
        return written(told(error, file))
    try:
        answer_line = written({"answer": answer})
    except (RecursionError, TypeError, ValueError):
        return written({"fault": "malformed"})
    return answer_line if len(answer_line) <= most else written({"fault": "too-large"})


def told(error: BaseException, file: str) -> dict[str, object]:
    """Return what is told of an exception: its type, and where in the script it was."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    return {
        "raised": type(error).__name__,
        "line": line or deepest_line(error.__traceback__, file),
    }


def deepest_line(traceback: TracebackType | None, file: str) -> int:
    """Return the last line of the script that an exception has passed; 0: none."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def written(value: dict[str, object]) -> bytes:
    """Return a value as a line of JSON."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def say(parent: socket.socket, value: dict[str, object]) -> None:
    """Send one line."""
    parent.sendall(written(value))


if __name__ == "__main__":
    main()
