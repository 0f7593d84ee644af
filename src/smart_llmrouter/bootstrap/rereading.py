"""Reading the configuration again, for a router that serves by another one."""

from collections.abc import Callable
from typing import Final

import structlog

from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.load import Loaded
from smart_llmrouter.config.restarts import applied
from smart_llmrouter.config.snapshot import Snapshot

Reread = Callable[[], Loaded]
"""Reads and checks the file, and what it refers to; see `config.load`."""

_LOGGED_MOST: Final = 100

log = structlog.get_logger()


def reread_for(
    serving: Snapshot, reread: Reread
) -> tuple[Snapshot, tuple[str, ...]] | None:
    """Return what the file says now, as far as it can take effect beside `serving`.

    With it come the keys that need a restart. What is wrong or cannot take effect is
    logged; without a usable configuration there is nothing.
    """
    try:
        loaded = reread()
    except Exception:
        # A file may vanish between two looks at it; what is served goes on.
        log.exception("configuration cannot be read")
        return None
    if loaded.snapshot is None:
        _tell(loaded.findings)
        return None
    snapshot, awaiting = applied(loaded.snapshot, serving)
    if awaiting:
        log.warning("configuration needs a restart", keys=list(awaiting))
    return snapshot, awaiting


def _tell(findings: tuple[Finding, ...]) -> None:
    """Log the mistakes in a file, one line each."""
    errors = [found for found in findings if found.is_error]
    for found in errors[:_LOGGED_MOST]:
        log.error(
            "configuration mistake",
            file=found.file,
            line=found.line,
            column=found.column,
            key=found.key_path,
            reason=found.message,
            remedy=found.remedy,
        )
    log.error("configuration refused", mistakes=len(errors))
