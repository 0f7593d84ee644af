"""The life of a router with several workers, as seen from its parent."""

import gc
import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from socket import socket

import structlog

from smart_llmrouter.bootstrap import CannotStart, Prepared, only_router, prepared
from smart_llmrouter.bootstrap.embedded import is_embedded
from smart_llmrouter.bootstrap.hangups import Hangups
from smart_llmrouter.bootstrap.rereading import Reread
from smart_llmrouter.config.snapshot import Snapshot, State
from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.edge.crew import Board, Seat
from smart_llmrouter.edge.server import let_others_share
from smart_llmrouter.ledger.spawning import without_secrets
from smart_llmrouter.stores.valkey_server import (
    EmbeddedUnusable,
    prepare_embedded,
    spawn_embedded,
    wait_for_embedded,
)
from smart_llmrouter.workers.changing import Changing
from smart_llmrouter.workers.kept import Kept
from smart_llmrouter.workers.parent import Parent
from smart_llmrouter.workers.signals import Signals
from smart_llmrouter.workers.starting import Started, fork_worker, start_ingester

log = structlog.get_logger()

RunWorker = Callable[[Snapshot, Seat], None]
"""Serve as a worker, in a process of its own, until it is told to stop."""


def serve(
    snapshot: Snapshot,
    run_worker: RunWorker,
    *,
    now: Monotonic,
    wall_clock: WallClock,
    reread: Reread,
    hangups: Hangups,
) -> None:
    """Serve with `server.workers` processes until SIGINT or SIGTERM.

    On SIGHUP, which `hangups` catches, all of them take the configuration anew as
    `reread` finds it. Raises `CannotStart` when something that is needed cannot be had,
    by the parent or by one of the workers. Call it where there is no other thread and
    no event loop.
    """
    with only_router(snapshot.state.directory):
        begun = prepared(snapshot)
        with (
            closing(begun.listening) as bound,
            closing(Board(snapshot.server.workers)) as board,
            Signals(hangups) as signals,
        ):
            # It never accepts: it holds the port, so that no other router gets it.
            let_others_share(bound)
            changing = Changing(
                snapshot,
                board,
                reread,
                tls=begun.tls,
                now=now,
                wall_clock=wall_clock,
            )
            parent = _parent(
                run_worker, changing, begun, board, signals=signals, now=now
            )
            # What is frozen stays shared between the workers.
            gc.collect()
            gc.freeze()
            _live(parent, bound, workers=snapshot.server.workers)
    log.info("stopped")


def _parent(
    run_worker: RunWorker,
    changing: Changing,
    begun: Prepared,
    board: Board,
    *,
    signals: Signals,
    now: Monotonic,
) -> Parent:
    """Put together what keeps all processes running, none of which runs yet."""
    snapshot = changing.snapshot
    ingester = Kept(
        "ingester", partial(start_ingester, snapshot.state, cpus=begun.cpus), now=now
    )
    store = _own_store(snapshot.state, now=now)
    workers = _workers(
        snapshot.server.workers,
        run_worker,
        changing,
        seat=partial(Seat, board=board, tls=begun.tls),
        now=now,
        parents_own=lambda: [
            *signals.pipe,
            begun.listening.fileno(),
            *ingester.files,
        ],
    )
    return Parent(
        workers,
        ingester,
        board=board,
        signals=signals,
        grace_s=snapshot.server.shutdown_grace_s,
        now=now,
        store=store,
        changing=changing,
    )


def _own_store(state: State, *, now: Monotonic) -> Kept | None:
    """Start the counter store of the router's own, where one is asked for."""
    if not is_embedded(state):
        return None
    environment = without_secrets(os.environ)

    def start() -> Started:
        return Started(pid=spawn_embedded(state.directory, environment))

    store = Kept("counter store", start, now=now)
    try:
        prepare_embedded(state.directory)
        store.start()
        wait_for_embedded(store.pid or 0, state.directory)
    except EmbeddedUnusable as unusable:
        raise CannotStart(str(unusable)) from None
    except OSError as error:
        raise CannotStart(f"cannot start the counter store: {error.strerror}") from None
    return store


def _live(parent: Parent, bound: socket, *, workers: int) -> None:
    try:
        if parent.start():
            host, port = bound.getsockname()[:2]
            log.info("listening", host=host, port=port, workers=workers)
            parent.watch()
    finally:
        parent.stop()


def _workers(
    count: int,
    run_worker: RunWorker,
    changing: Changing,
    *,
    seat: Callable[..., Seat],
    now: Monotonic,
    parents_own: Callable[[], list[int]],
) -> list[Kept]:
    workers: list[Kept] = []

    def fork(number: int) -> Started:
        return fork_worker(
            lambda ready: run_worker(
                changing.snapshot,
                seat(number=number, ready=ready, edition=changing.edition),
            ),
            parents_own=[
                *parents_own(),
                *(end for each in workers for end in each.files),
            ],
        )

    workers += [
        Kept(f"worker {number}", partial(fork, number), now=now)
        for number in range(1, count + 1)
    ]
    return workers
