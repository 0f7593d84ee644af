"""`smart-llmrouter serve`: the router, in the foreground."""

import os

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption


def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the configured groups until Ctrl-C or SIGTERM.

    Creates the state directory and the usage database where there are none yet. On
    SIGTERM it stops accepting, finishes what is in flight within
    `server.shutdown_grace_s`, writes everything down and exits with 0.
    """
    # The router's own parts are loaded here, so that no other command pays for them.
    import uvloop

    from smart_llmrouter import bootstrap
    from smart_llmrouter.cli.logs import log_to_stderr
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.config.load import load_snapshot

    log_to_stderr()
    try:
        snapshot = load_snapshot(config, environment=os.environ)
        uvloop.run(bootstrap.serve(snapshot))
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except bootstrap.CannotStart as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
