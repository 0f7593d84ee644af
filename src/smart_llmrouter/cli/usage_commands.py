"""`smart-llmrouter usage`: what was used, by whom, and what it cost."""

import typer

from smart_llmrouter.cli.once import OnceCommand
from smart_llmrouter.cli.usage_list_commands import notes, refusals, versions
from smart_llmrouter.cli.usage_report_command import report
from smart_llmrouter.cli.usage_request_command import request
from smart_llmrouter.cli.usage_rows_commands import export, import_, tail

app = typer.Typer(
    name="usage",
    help="What was used, by whom, and what it cost.",
    no_args_is_help=True,
)


@app.callback()
def usage() -> None:
    """What was used, by whom, and what it cost."""


app.command(cls=OnceCommand)(report)
app.command(cls=OnceCommand)(request)
app.command(cls=OnceCommand)(notes)
app.command(cls=OnceCommand)(refusals)
app.command(cls=OnceCommand)(versions)
app.command(cls=OnceCommand)(tail)
app.command(cls=OnceCommand)(export)
app.command("import")(import_)
