"""How the parent starts its children: a worker by forking, the ingester by executing.

A worker is forked from a parent that has one thread and no event loop, so that it
shares the parent's memory and the configuration that the parent has checked.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog

from smart_llmrouter.bootstrap import CannotStart
from smart_llmrouter.config.snapshot import State
from smart_llmrouter.ledger.spawning import spawn_ingester
from smart_llmrouter.workers.signals import OWN, forget_the_parents

READY: Final = b"\0ready"
"""What a worker says when it accepts calls; anything else is why it cannot start."""

_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger()

Work = Callable[[Callable[[], None]], None]
"""What a worker does until it ends; it calls its argument when it accepts calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that was started, and the pipes to it that the parent holds.

    From `hears` comes what it says while it starts; `holds` ends it when it is closed.
    """

    pid: int
    hears: int | None = None
    holds: int | None = None


def fork_worker(work: Work, *, parents_own: Iterable[int]) -> Started:
    """Start a worker, which closes the files in `parents_own`.

    It does not outlive its parent, however that ends. Raises `OSError` where the system
    refuses.
    """
    hears, says = os.pipe()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OWN)
    try:
        pid = os.fork()
        if pid == 0:
            _live(work, says, parent=parent, strange=(hears, *parents_own), mask=before)
    except OSError:
        os.close(hears)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(says)
    return Started(pid=pid, hears=hears)


def _live(
    work: Work,
    says: int,
    *,
    parent: int,
    strange: Iterable[int],
    mask: Iterable[int],
) -> NoReturn:
    """Be the worker; whatever happens, nothing of the parent's goes on after it."""
    status = 1
    try:
        for each in strange:
            os.close(each)
        _die_with(parent)
        forget_the_parents()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work(lambda: _say(says, READY))
        status = 0
    except CannotStart as error:
        _say(says, str(error).encode())
    except BaseException:
        log.exception("worker failed")
    finally:
        sys.stderr.flush()
        os._exit(status)


def _say(says: int, what: bytes) -> None:
    os.write(says, what)
    os.close(says)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def start_ingester(state: State, *, cpus: frozenset[int]) -> Started:
    """Start the ingester; it finishes and goes when what it `holds` is closed.

    Raises `OSError` where the system refuses.
    """
    spawned = spawn_ingester(state, cpus=cpus)
    return Started(pid=spawned.pid, holds=spawned.holds)
