"""How commands end that cannot do what was asked: one line that says why, and a code.

The code is 2 for what was asked wrongly, and 1 for all else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

FAILED: Final = 1
ASKED_WRONGLY: Final = 2


def fail(message: str, *, code: int = FAILED) -> NoReturn:
    """End the command with one line and an exit code."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def failures_told(
    problem: str = "the usage database cannot be read",
    *,
    asked_wrongly: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """End the command with one line about what goes wrong inside the block.

    `problem` is said of a database that cannot be used now, before the reason. A wrong
    configuration is told finding by finding. What the standard output does is told by
    the root of the command tree.
    """
    from smart_llmrouter.cli.kept_files import NotReplaced
    from smart_llmrouter.cli.output import OutputLost
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.stores.remedies import told
    from smart_llmrouter.stores.unusable import DatabaseUnusable
    from smart_llmrouter.stores.usage_store import DatabaseAway

    try:
        yield
    except asked_wrongly as error:
        fail(str(error), code=ASKED_WRONGLY)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    except (DatabaseUnusable, NotReplaced) as error:
        fail(str(error))
    except DatabaseAway as away:
        fail(f"{problem}: {told(away)}")
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{error.filename or 'usage database'}: {error.strerror}")
