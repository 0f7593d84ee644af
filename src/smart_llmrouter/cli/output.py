"""What becomes of a command whose standard output cannot be written.

A full disk or a closed pipe is nothing that a traceback explains: one line says it, and
a reader that has gone wants to hear nothing at all.
"""

import os
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import typer
from typer.core import TyperGroup

_STDOUT: Final = 1


class OutputLost(OSError):
    """The standard output cannot be written, as opposed to any other file."""


class Program(TyperGroup):
    """The root of the command tree: says of lost output one line, and exits with 1."""

    def main(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - Typer's signature
        """Run the command that the arguments name."""
        if sys.stdout is not None:
            sys.stdout = cast("TextIO", _Telling(sys.stdout))
        try:
            return super().main(*args, **more)
        except OutputLost as error:
            forget_output()
            with suppress(OSError):
                typer.echo(f"error: standard output: {error.strerror}", err=True)
            sys.exit(1)


def forget_output() -> None:
    """Drop what could not be written, or the interpreter complains at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)


class _Telling:
    """A text stream whose failures say that they are its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputLost(error.errno, error.strerror) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputLost(error.errno, error.strerror) from None
