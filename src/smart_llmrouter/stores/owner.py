"""Whose journal positions are, where several state directories share a database.

Each journal directory has an id of its own, in a file. It is drawn once; a directory
that is copied to another machine must not take it along.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

OWNER_FILE: Final = "owner"


def owner_of(journal: Path, draw: Callable[[], str]) -> str:
    """Return the id of a journal directory; `draw` gives a new one its id.

    Raises `OSError` where there is none and none can be kept.
    """
    path = journal / OWNER_FILE
    with suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = journal / f"{OWNER_FILE}.{os.getpid()}.new"
    try:
        with unfinished.open("w", encoding="ascii") as file:
            file.write(draw() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Another process may have been quicker: its id is the one that counts.
        with suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
