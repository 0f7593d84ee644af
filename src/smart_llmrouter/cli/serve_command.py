"""`smart-llmrouter serve`: the router, in the foreground."""

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from smart_llmrouter.bootstrap.hangups import Hangups
    from smart_llmrouter.bootstrap.rereading import Reread
    from smart_llmrouter.config.snapshot import Snapshot


def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the configured groups until Ctrl-C or SIGTERM.

    Creates the state directory and the usage database where there are none yet. On
    SIGTERM it stops accepting, finishes what is in flight within
    `server.shutdown_grace_s`, writes everything down and exits with 0; a second
    signal ends at once what is in flight. On SIGHUP it reads the configuration again,
    and lets what begins from then on go by it. With `server.workers` above 1 this
    process serves no calls itself: it starts the workers, and again when one ends.
    """
    # The router's own parts are loaded here, so that no other command pays for them.
    from smart_llmrouter.cli.logs import log_to_stderr  # isort: skip - before structlog

    import uvloop

    from smart_llmrouter import bootstrap
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.config.load import load, load_snapshot

    log_to_stderr(for_ever=True)
    hangups = bootstrap.Hangups()
    reread = partial(load, config, environment=os.environ)
    try:
        snapshot = load_snapshot(config, environment=os.environ)
        if snapshot.server.workers == 1:
            uvloop.run(bootstrap.serve(snapshot, reread=reread, hangups=hangups))
        else:
            _serve_with_workers(snapshot, reread, hangups)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except bootstrap.CannotStart as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _serve_with_workers(
    snapshot: "Snapshot", reread: "Reread", hangups: "Hangups"
) -> None:
    import uvloop

    from smart_llmrouter.bootstrap import serve_as_worker
    from smart_llmrouter.workers.serving import serve as serve_with_workers

    serve_with_workers(
        snapshot,
        lambda newest, seat: uvloop.run(serve_as_worker(newest, seat)),
        now=time.monotonic,
        wall_clock=time.time,
        reread=reread,
        hangups=hangups,
    )
