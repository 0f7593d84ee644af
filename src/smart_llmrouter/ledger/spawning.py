"""Starting the ingester process, which lives for as long as its input is held open."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from smart_llmrouter.config.snapshot import State
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.ledger.ingester_loop import (
    INGESTER_ARGUMENTS,
    LEFT_TO_THE_ROUTER,
    settings_line,
)

_STDIN, _STDOUT = 0, 1

_INHERITED: Final = ("PYTHON", "LC_", "LANG", "LD_LIBRARY_PATH", "TZ", "TMPDIR")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """An ingester that was started.

    Whoever has started it waits for `pid`, and closes `holds`, the other end of its
    standard input: then it finishes what is journalled and goes.
    """

    pid: int
    holds: int


def spawn_ingester(state: State, *, cpus: frozenset[int]) -> Spawned:
    """Start the ingester of `state`, and tell it its settings.

    `cpus` are the processors that it shall run on; none means any. No signal that it
    ignores can end it, however early that comes. Raises `OSError` where the system
    refuses.
    """
    reads, holds = os.pipe()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *INGESTER_ARGUMENTS],
            without_secrets(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reads, _STDIN),
                (os.POSIX_SPAWN_OPEN, _STDOUT, os.devnull, os.O_WRONLY, 0),
            ],
            # Ctrl-C is meant for the router, which then lets the ingester finish.
            setsid=True,
            # They wait until it ignores them, which an interpreter takes a while to do.
            setsigmask=LEFT_TO_THE_ROUTER,
        )
    except OSError:
        os.close(holds)
        raise
    finally:
        os.close(reads)
    # It may have died already; whoever waits for it will see.
    os.set_blocking(holds, False)
    try:
        os.write(holds, _settings_for(state, cpus=cpus))
    except OSError as error:
        log.warning("ingester was not told its settings", reason=error.strerror)
    return Spawned(pid=pid, holds=holds)


def _settings_for(state: State, *, cpus: frozenset[int]) -> bytes:
    return settings_line(
        state.directory.absolute(),
        state.database_url.reveal(),
        cpus=cpus,
        retention=state.retention,
        router_version=read_build_info().version,
    )


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an interpreter needs; providers' keys are none of its business."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith((*_INHERITED, "COVERAGE_"))
    }
