"""`smart-llmrouter usage`: what was used, by whom, and what it cost."""

import typer

from smart_llmrouter.cli.usage_list_commands import notes, refusals, versions
from smart_llmrouter.cli.usage_reading import snapshot_of, state_of
from smart_llmrouter.cli.usage_report_command import report
from smart_llmrouter.cli.usage_request_command import request
from smart_llmrouter.cli.usage_rows_commands import export, import_, tail

__all__ = ["app", "snapshot_of", "state_of"]

app = typer.Typer(
    name="usage",
    help="What was used, by whom, and what it cost.",
    no_args_is_help=True,
)


@app.callback()
def usage() -> None:
    """What was used, by whom, and what it cost."""


app.command()(report)
app.command()(request)
app.command()(notes)
app.command()(refusals)
app.command()(versions)
app.command()(tail)
app.command()(export)
app.command("import")(import_)
