"""The command tree. Each command lives in a module of its own."""

from typing import Annotated

import typer

from smart_llmrouter.cli import (
    budget_commands,
    config_commands,
    db_commands,
    demo_command,
    explain_command,
    mock_command,
    prices_commands,
    probe_command,
    retention_commands,
    token_commands,
    upkeep_commands,
    usage_commands,
)
from smart_llmrouter.cli.once import OnceCommand
from smart_llmrouter.cli.output import Program
from smart_llmrouter.cli.serve_command import serve
from smart_llmrouter.core.build_info import read_build_info

app = typer.Typer(
    name="smart-llmrouter",
    cls=Program,
    help="A governed gateway between LLM clients and LLM providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        build = read_build_info()
        typer.echo(f"smart-llmrouter {build.version} ({build.commit})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """A governed gateway between LLM clients and LLM providers."""


app.command()(serve)
app.command("explain")(explain_command.explain)
usage_commands.app.command(cls=OnceCommand)(upkeep_commands.rollup)
usage_commands.app.command(cls=OnceCommand)(upkeep_commands.verify)
app.add_typer(config_commands.app, name="config")
app.add_typer(token_commands.app, name="token")
app.add_typer(usage_commands.app, name="usage")
app.add_typer(budget_commands.app, name="budget")
app.add_typer(prices_commands.app, name="prices")
app.add_typer(db_commands.app, name="db")
app.add_typer(retention_commands.app, name="retention")
app.command("probe")(probe_command.probe)
app.command("mock")(mock_command.mock)
app.command("demo")(demo_command.demo)
