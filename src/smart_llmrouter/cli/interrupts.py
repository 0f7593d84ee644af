"""What is said when a person ends a command that may be run again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C: 128 and the number of the signal."""


@contextmanager
def going_on() -> Iterator[None]:
    """Say on Ctrl-C that what is done is done, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            "interrupted: what is done stays done; run it again to go on", err=True
        )
        raise typer.Exit(INTERRUPTED) from None
